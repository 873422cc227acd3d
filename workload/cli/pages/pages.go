// Package pages makes the reference pages of a command from what it says of
// itself, for tests that keep the two together.
package pages

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Check fails a test when the pages in a directory are not what a command and
// those below it say; with update it writes them first, as "make docs" does.
func Check(t *testing.T, root *cobra.Command, dir string, update bool) {
	t.Helper()
	pages := map[string]string{}
	prefix := root.Name() + "_"
	file := func(name string) string {
		return strings.ReplaceAll(strings.TrimPrefix(strings.TrimSuffix(name, ".md"), prefix), "_", "-") + ".md"
	}
	var render func(cmd *cobra.Command)
	render = func(cmd *cobra.Command) {
		cmd.DisableAutoGenTag = true
		var page bytes.Buffer
		if err := doc.GenMarkdownCustom(cmd, &page, file); err != nil {
			t.Fatal(err)
		}
		pages[file(strings.ReplaceAll(cmd.CommandPath(), " ", "_"))] = page.String()
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				render(sub)
			}
		}
	}
	root.InitDefaultCompletionCmd()
	render(root)
	if update {
		write(t, dir, pages)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("%v: run make docs", err)
	}
	for _, entry := range entries {
		if _, ok := pages[entry.Name()]; !ok {
			t.Errorf("%s is about no command: run make docs", entry.Name())
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v: run make docs", err)
		} else if string(got) != want {
			t.Errorf("%s is not up to date: run make docs", name)
		}
	}
}

func write(t *testing.T, dir string, pages map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
