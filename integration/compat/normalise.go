package compat

import (
	"regexp"
	"strings"
)

// normaliser makes the outputs of one command on two controllers comparable:
// what cannot be the same says only what it is.
type normaliser struct{ rules []rule }

type rule struct {
	pattern *regexp.Regexp
	by      string
}

// newNormaliser is for a user with the given name, who is called admin, as the
// controller's own is.
func newNormaliser(user string) *normaliser {
	name, _, _ := strings.Cut(user, "@")
	n := &normaliser{rules: []rule{
		{regexp.MustCompile(`\b` + regexp.QuoteMeta(user) + `\b`), "admin"},
		{regexp.MustCompile(`(user '|\bblob +)` + regexp.QuoteMeta(name) + `\b`), "${1}admin"},
	}}
	n.rules = append(n.rules, differing...)
	return n
}

// differing is what is another for each controller, model or moment.
var differing = []rule{
	{regexp.MustCompile(`(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----`), "<certificate>"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	// Secrets and their like have xids.
	{regexp.MustCompile(`\b[0-9a-v]{20}\b`), "<id>"},
	{regexp.MustCompile(`\b(?:[0-9]{2}:|[0-9A-F]{2}:){31}[0-9A-F]{2}\b`), "<fingerprint>"},
	{regexp.MustCompile(`ssh-(?:rsa|ed25519) \S+`), "<key>"},
	{regexp.MustCompile(`\bjuju-[0-9a-f]{6}-(\d+)\b`), "juju-<id>-$1"},
	{regexp.MustCompile(`\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]+)?\b`), "<address>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d)?(?: [A-Z]+)?`), "<time>"},
	{regexp.MustCompile(`\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)`), "<time>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d(?:T\d\d:\d\d)?`), "<time>"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(?:Z|\b)`), "<time>"},
	{regexp.MustCompile(`\bjust now\b|\b(?:\d+|an?) (?:second|minute|hour)s? ago\b`), "<time>"},
	{regexp.MustCompile(`(?m)(since|created|last-connection): \d+s$`), "$1: <time>"},
	// Charms are numbered as they arrive.
	{regexp.MustCompile(`\b(local:\S*?[a-z])-\d+\b`), "$1-<revision>"},
	{regexp.MustCompile(`\b(?:[0-9a-f]{2}:){15}[0-9a-f]{2}\b`), "<fingerprint>"},
	// How long something takes.
	{regexp.MustCompile(`\.{3,}`), "..."},
}

// lines are the lines of a text without what may differ. How wide the columns of
// a table are depends on what is in them; indentation is kept.
func (n *normaliser) lines(text string) []string {
	for _, r := range n.rules {
		text = r.pattern.ReplaceAllString(text, r.by)
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		body := strings.TrimLeft(line, " ")
		if body == "" {
			continue
		}
		lines = append(lines, line[:len(line)-len(body)]+spaces.ReplaceAllString(body, " "))
	}
	return lines
}

var spaces = regexp.MustCompile(`[ \t]+`)

// difference gives the lines that only one of two texts has, in order. Lines that
// both have, as often, are the same wherever they are.
func difference(direct, through []string) (onlyDirect, onlyThrough []string) {
	count := map[string]int{}
	for _, line := range through {
		count[line]++
	}
	for _, line := range direct {
		if count[line] > 0 {
			count[line]--
			continue
		}
		onlyDirect = append(onlyDirect, line)
	}
	clear(count)
	for _, line := range direct {
		count[line]++
	}
	for _, line := range through {
		if count[line] > 0 {
			count[line]--
			continue
		}
		onlyThrough = append(onlyThrough, line)
	}
	return onlyDirect, onlyThrough
}
