package cli_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"jimm/workload/cli"
)

var update = flag.Bool("update", false, "write docs/reference/jaas anew")

// TestReferencePages fails when the pages in docs/reference/jaas are not what
// the commands say of themselves; "make docs" writes them.
func TestReferencePages(t *testing.T) {
	pages := map[string]string{}
	file := func(name string) string {
		return strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "jaas_", "") + ".md"
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
	render((&cli.JAAS{}).Command())

	dir := filepath.Join("..", "..", "docs", "reference", "jaas")
	if *update {
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
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
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
