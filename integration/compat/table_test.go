//go:build integration

package compat

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// key names a cell: a command by its place, a release of controllers and one of clients.
type key struct {
	command             int
	generation, release string
}

// result is what is compared of an outcome.
type result struct {
	code  int
	lines []string
}

// cell is what a command does directly and through JIMM.
type cell struct {
	outcomes [2]outcome
	results  [2]result
	// notes are the numbers of the reasons why it is not the same.
	notes []int
}

// kind says how a command does through JIMM, compared to directly.
type kind int

const (
	same kind = iota
	// different is the same exit code with another output.
	different
	// better is a success where there is none directly.
	better
	// worse is a failure where there is none directly.
	worse
)

func (c *cell) kind() kind {
	d, j := c.results[direct], c.results[throughJIMM]
	onlyDirect, onlyThrough := difference(d.lines, j.lines)
	switch {
	case d.code != 0 && j.code == 0:
		return better
	case d.code == 0 && j.code != 0:
		return worse
	case d.code != j.code || len(onlyDirect)+len(onlyThrough) > 0:
		return different
	}
	return same
}

// table has all results.
type table struct {
	generations []*generation
	releases    []release
	mu          sync.Mutex
	cells       map[key]*cell
}

func newTable(generations []*generation, releases []release) *table {
	return &table{generations: generations, releases: releases, cells: map[key]*cell{}}
}

func (t *table) set(k key, via route, o outcome, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells[k] == nil {
		t.cells[k] = &cell{}
	}
	t.cells[k].outcomes[via], t.cells[k].results[via] = o, r
}

// keys are those of all cells in the order of the page.
func (t *table) keys() []key {
	return slices.SortedFunc(maps.Keys(t.cells), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.command, b.command), cmp.Compare(a.generation, b.generation), cmp.Compare(a.release, b.release))
	})
}

// reason says why something is not the same through JIMM.
type reason struct {
	// why is written into the table.
	why string
	// commands, generations and releases are where it may be so, none standing for all.
	commands, generations, releases []string
	// worse allows a failure of what works directly.
	worse bool
	// direct and through match the lines that only one of both outputs has.
	direct, through string
}

func (r reason) about(k key) bool {
	in := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	return in(r.commands, commands[k.command].line) && in(r.generations, k.generation) && in(r.releases, k.release)
}

// judge finds the cells that differ without a reason, and the reasons that nothing needs.
func (t *table) judge(reasons []reason) (problems []string) {
	needed := make([]map[string]bool, len(reasons))
	directs, throughs := make([]*regexp.Regexp, len(reasons)), make([]*regexp.Regexp, len(reasons))
	for i, r := range reasons {
		needed[i] = map[string]bool{}
		directs[i], throughs[i] = whole(r.direct), whole(r.through)
	}
	for _, k := range t.keys() {
		c := t.cells[k]
		kind := c.kind()
		if kind == same || kind == better {
			continue
		}
		explained := map[int]bool{}
		excused := kind != worse
		unexplained := func(lines []string, patterns []*regexp.Regexp) (rest []string) {
			for _, line := range lines {
				i := -1
				for n, r := range reasons {
					if (r.worse == (kind == worse)) && r.about(k) && patterns[n] != nil && patterns[n].MatchString(line) {
						i = n
						break
					}
				}
				if i < 0 {
					rest = append(rest, line)
					continue
				}
				explained[i] = true
			}
			return rest
		}
		onlyDirect, onlyThrough := difference(c.results[direct].lines, c.results[throughJIMM].lines)
		if kind == worse {
			onlyDirect = nil // what it would print if it worked
		}
		if d, j := c.results[direct].code, c.results[throughJIMM].code; kind == different && d != j {
			onlyDirect, onlyThrough = append(onlyDirect, fmt.Sprint("exit ", d)), append(onlyThrough, fmt.Sprint("exit ", j))
		}
		restDirect, restThrough := unexplained(onlyDirect, directs), unexplained(onlyThrough, throughs)
		for i := range explained {
			excused = excused || reasons[i].worse
			for _, name := range []string{commands[k.command].line, k.generation, k.release} {
				needed[i][name] = true
			}
		}
		c.notes = slices.Sorted(maps.Keys(explained))
		if len(restDirect)+len(restThrough) > 0 || !excused {
			problems = append(problems, fmt.Sprintf("juju %s on %s: %q is %s through JIMM (exit %d, directly %d):\n%s",
				k.release, k.generation, commands[k.command].line, kind, c.results[throughJIMM].code, c.results[direct].code, marked(restDirect, restThrough)))
		}
	}
	for i, r := range reasons {
		for _, name := range slices.Concat(r.commands, r.generations, r.releases) {
			if !needed[i][name] {
				problems = append(problems, fmt.Sprintf("a reason is stale for %q: %s", name, r.why))
			}
		}
		if len(needed[i]) == 0 {
			problems = append(problems, "a reason is stale: "+r.why)
		}
	}
	return problems
}

func (k kind) String() string { return [...]string{"the same", "different", "better", "worse"}[k] }

// whole matches whole lines, nil standing for none.
func whole(pattern string) *regexp.Regexp {
	if pattern == "" {
		return nil
	}
	return regexp.MustCompile("^(?:" + pattern + ")$")
}

// marked shows lines that only one of two texts has.
func marked(first, second []string) string {
	var b strings.Builder
	for _, line := range first {
		b.WriteString("  - " + line + "\n")
	}
	for _, line := range second {
		b.WriteString("  + " + line + "\n")
	}
	return b.String()
}

// summary counts the cells.
func (t *table) summary() string {
	count := map[kind]int{}
	unsimulated := 0
	for k, c := range t.cells {
		if t.unsimulated(k) {
			unsimulated++
			continue
		}
		count[c.kind()]++
	}
	return fmt.Sprintf("of %d cells %d are the same, %d better, %d different and %d worse; %d are of what the simulated controllers do not have",
		len(t.cells), count[same], count[better], count[different], count[worse], unsimulated)
}

// unsimulated reports whether a cell only shows that a simulated controller does
// not have what the command needs, which JIMM then says too.
func (t *table) unsimulated(k key) bool {
	c := t.cells[k]
	generation := t.generations[slices.IndexFunc(t.generations, func(g *generation) bool { return g.name == k.generation })]
	return generation.simulated && c.kind() == same && c.results[direct].code != 0 && slices.ContainsFunc(c.results[direct].lines, missing.MatchString)
}

var missing = regexp.MustCompile(`unknown (?:method|facade type) `)

// dump writes what the commands have printed, and how it differs.
func (t *table) dump(dir string) error {
	for _, k := range t.keys() {
		c := t.cells[k]
		onlyDirect, onlyThrough := difference(c.results[direct].lines, c.results[throughJIMM].lines)
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n\n%s\n%s", commands[k.command].line, c.kind(), marked(onlyDirect, onlyThrough))
		for _, via := range []route{direct, throughJIMM} {
			o := c.outcomes[via]
			fmt.Fprintf(&b, "\n== %s: exit %d\n-- stdout\n%s-- stderr\n%s", via, o.code, o.stdout, o.stderr)
		}
		into := filepath.Join(dir, k.generation+"-"+k.release)
		if err := os.MkdirAll(into, 0o755); err != nil {
			return err
		}
		name := fmt.Sprintf("%03d-%s", k.command, strings.Map(func(r rune) rune {
			if r == '/' || r == ' ' {
				return '_'
			}
			return r
		}, commands[k.command].line))
		if err := os.WriteFile(filepath.Join(into, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page is the table as a page of the documentation.
func (t *table) page() string {
	var b strings.Builder
	b.WriteString(`# Compatibility

<!-- Written by "make compatibility": do not edit. -->

What each juju client does with each release of Juju controllers: first directly, as the controller's administrator, then through
JIMM, as an owner of the model or JIMM's administrator. ✓ is a success, ✗ a failure. Where nothing else is said, both print the same
but for names, addresses, identifiers and times. A small number refers to the [reasons](#reasons) for a difference.

The commands run in this order, each on what those before it have left. The 4.1 controllers are real. A 3.6 controller needs a
database that the tests cannot have: those are simulated, and their answers are checked against Juju 3.6's sources. – is what the
simulated controllers do not have, which says nothing about real ones.

`)
	fmt.Fprintf(&b, "Together, %s.\n", t.summary())
	for _, g := range t.generations {
		fmt.Fprintf(&b, "\n## Juju %s controllers\n\n| command |", g.name)
		for _, r := range t.releases {
			fmt.Fprintf(&b, " juju %s |", r.name)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(t.releases)) + "\n")
		for i, command := range commands {
			fmt.Fprintf(&b, "| `%s` |", strings.ReplaceAll(command.line, "|", `\|`))
			for _, r := range t.releases {
				k := key{i, g.name, r.name}
				if t.unsimulated(k) {
					b.WriteString(" – – |")
					continue
				}
				fmt.Fprintf(&b, " %s |", t.cells[k].text())
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n## Reasons\n\n")
	for i, r := range reasons {
		fmt.Fprintf(&b, "%d. %s\n", i+1, r.why)
	}
	b.WriteString("\n## Errors\n\nWhat fails directly: what a client and a controller cannot do together, and what is wrong on purpose.\n\n| command | controllers | clients | error |\n|---|---|---|---|\n")
	b.WriteString(t.errors())
	return b.String()
}

// text is a cell of the page.
func (c *cell) text() string {
	mark := func(r result) string {
		if r.code == 0 {
			return "✓"
		}
		return "✗"
	}
	text := mark(c.results[direct]) + " " + mark(c.results[throughJIMM])
	var notes []string
	for _, n := range c.notes {
		notes = append(notes, fmt.Sprint(n+1))
	}
	if len(notes) > 0 {
		text += " <sup>" + strings.Join(notes, " ") + "</sup>"
	}
	return text
}

// errors are the rows for what fails directly, the releases of clients together that get the same.
func (t *table) errors() string {
	type row struct {
		command           int
		generation, error string
	}
	clients := map[row][]string{}
	for k, c := range t.cells {
		if r := c.results[direct]; r.code != 0 && !t.unsimulated(k) {
			at := row{k.command, k.generation, r.error()}
			clients[at] = append(clients[at], k.release)
		}
	}
	var b strings.Builder
	for _, r := range slices.SortedFunc(maps.Keys(clients), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.command, b.command), cmp.Compare(a.generation, b.generation), cmp.Compare(a.error, b.error))
	}) {
		slices.Sort(clients[r])
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.ReplaceAll(commands[r.command].line, "|", `\|`), r.generation,
			strings.Join(clients[r], ", "), strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(r.error))
	}
	return b.String()
}

// error is the line that says what went wrong.
func (r result) error() string {
	for i, line := range r.lines {
		if text, ok := strings.CutPrefix(line, "ERROR "); ok {
			return text
		}
		if line == "ERROR" { // and the rest in lines of its own
			return strings.Join(r.lines[i+1:], " ")
		}
	}
	return strings.Join(r.lines, " ")
}
