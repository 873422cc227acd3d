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
