// Package docs checks what the documentation tells people to type.
package docs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// block is a piece of shell in a page.
type block struct {
	page string
	line int
	text string
	// mention is set for what stands in a sentence.
	mention bool
}

func TestEveryShellBlockOfTheDocumentationIsShell(t *testing.T) {
	blocks := shellBlocks(t)
	if len(blocks) == 0 {
		t.Fatal("the documentation has no shell blocks")
	}
	for _, b := range blocks {
		if _, err := syntax.NewParser().Parse(strings.NewReader(b.text), b.page); err != nil {
			t.Errorf("%s, block at line %d: %v", b.page, b.line, err)
		}
	}
}

// link is one to another page, with or without a place in it.
var link = regexp.MustCompile(`\]\(([^):#\s]+)(?:#[^)\s]*)?\)`)

func TestEveryLinkOfTheDocumentationLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(found[1]))); err != nil {
				t.Errorf("%s has a link to %s, which is not there", page, found[1])
			}
		}
	}
}

// TestEveryPageIsInTheIndex: a page that nobody is led to is not read.
func TestEveryPageIsInTheIndex(t *testing.T) {
	index, err := os.ReadFile(filepath.Join("..", "..", "docs", "index.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		name, err := filepath.Rel(filepath.Join("..", "..", "docs"), page)
		if err != nil || strings.HasPrefix(name, "..") || name == "index.md" {
			continue
		}
		// Pages of single commands are led to by that of all.
		if dir := filepath.ToSlash(filepath.Dir(name)); dir == "reference/jaas" || dir == "reference/jimmctl" {
			if filepath.Base(name) != filepath.Base(dir)+".md" {
				continue
			}
		}
		if !strings.Contains(string(index), "("+filepath.ToSlash(name)+")") {
			t.Errorf("docs/index.md does not lead to %s", filepath.ToSlash(name))
		}
	}
}

// span is a command of ours in the middle of a sentence.
var span = regexp.MustCompile("`((?:jaas|jimmctl|make) [a-z-][^`]*)`")

// TestEveryCommandOfOursInTheDocumentationExists holds what pages tell people to
// type against the reference pages, which are what the programs say of themselves.
func TestEveryCommandOfOursInTheDocumentationExists(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlocks(t)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, found := range span.FindAllStringSubmatch(line, -1) {
				blocks = append(blocks, block{page: page, line: i + 1, text: found[1], mention: true})
			}
			if typed, ok := strings.CutPrefix(line, "$ "); ok {
				blocks = append(blocks, block{page: page, line: i + 1, text: typed})
			}
		}
	}
	checked := map[string]int{}
	for _, b := range blocks {
		all, err := commands(b)
		if err != nil {
			t.Errorf("%s, line %d: %v", b.page, b.line, err)
			continue
		}
		for _, words := range all {
			if len(words) > 1 && words[0] == "juju" && words[1] == "jaas" {
				words = words[1:]
			}
			program := filepath.Base(words[0])
			switch program {
			case "jaas", "jimmctl":
				err = ofOurs(program, words[1:], b.mention)
			case "make":
				err = nil
				if target := words[1]; !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(makefile) {
					err = errors.New("there is no such target")
				}
			default:
				continue
			}
			checked[program]++
			if err != nil {
				t.Errorf("%s, line %d: %s: %v", b.page, b.line, strings.Join(words, " "), err)
			}
		}
	}
	for _, program := range []string{"jaas", "jimmctl", "make"} {
		if checked[program] == 0 {
			t.Errorf("nothing tells to type %s", program)
		}
	}
}

// option is a flag in a reference page, with its short form and what it takes.
var option = regexp.MustCompile(`(?m)^ +(?:(-[a-zA-Z]), )?(--[a-z-]+)(?: ([A-Za-z:=]+))?(?:  |$)`)

// ofOurs fails if a program has no such command, or the command no such flags or
// not so many arguments. A mention may leave the arguments out.
func ofOurs(program string, words []string, mention bool) error {
	var page []byte
	rest := words
	for n := range words {
		name := strings.Join(words[:n+1], "-") + ".md"
		if text, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", program, name)); err == nil {
			page, rest = text, words[n+1:]
		}
	}
	if page == nil {
		if len(words) == 0 || strings.HasPrefix(words[0], "-") {
			return nil // of the program itself
		}
		return errors.New("there is no such command")
	}
	takes := map[string]bool{}
	for _, found := range option.FindAllStringSubmatch(string(page), -1) {
		takes[found[1]], takes[found[2]] = found[3] != "", found[3] != ""
	}
	arguments, fromFile := 0, false
	for i := 0; i < len(rest); i++ {
		flag, _, withValue := strings.Cut(rest[i], "=")
		if !strings.HasPrefix(flag, "-") || flag == "-" {
			arguments++
			continue
		}
		value, known := takes[flag]
		if !known {
			return errors.New("it has no flag " + flag)
		}
		fromFile = fromFile || flag == "-f" || flag == "--file"
		if value && !withValue {
			i++
		}
	}
	usage := regexp.MustCompile(`(?m)^` + program + ` .* \[flags\]$`).FindString(string(page))
	least, most := 0, 0
	for _, word := range strings.Fields(usage) {
		switch {
		case strings.HasSuffix(word, "...]") || strings.HasSuffix(word, "..."):
			most = 1000
		case word != "[flags]" && strings.HasPrefix(word, "["):
			most++
		case word == strings.ToUpper(word):
			least++
			most++
		}
	}
	if arguments > most || arguments < least && !fromFile && !mention {
		return errors.New("the usage is: " + usage)
	}
	return nil
}

func pages(t *testing.T) []string {
	t.Helper()
	found := []string{filepath.Join("..", "..", "README.md")}
	err := filepath.WalkDir(filepath.Join("..", "..", "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// shellBlocks are all that is fenced as sh.
func shellBlocks(t *testing.T) []block {
	t.Helper()
	var blocks []block
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var current *block
		for i, line := range strings.Split(string(text), "\n") {
			switch fence := strings.TrimSpace(line); {
			case current == nil && (fence == "```sh" || fence == "```shell" || fence == "```bash"):
				current = &block{page: page, line: i + 2}
			case current != nil && fence == "```":
				blocks = append(blocks, *current)
				current = nil
			case current != nil:
				current.text += line + "\n"
			}
		}
	}
	return blocks
}

// commands are the simple commands of a block, as words; what is not literal is
// left as it is written.
func commands(b block) ([][]string, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(b.text), b.page)
	if err != nil {
		return nil, err
	}
	printer := syntax.NewPrinter()
	var all [][]string
	var failed error
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		var words []string
		for _, word := range call.Args {
			text := word.Lit()
			if text == "" {
				var out strings.Builder
				failed = errors.Join(failed, printer.Print(io.Writer(&out), word))
				text = out.String()
			}
			words = append(words, text)
		}
		if words[0] == "sudo" {
			words = words[1:]
		}
		if len(words) > 0 {
			all = append(all, words)
		}
		return true
	})
	return all, failed
}
