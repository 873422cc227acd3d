//go:build integration

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jimm/integration/lab"
)

// TestEveryJujuCommandOfTheDocumentationExists asks the juju command itself about
// each command that a page tells people to type, and about its flags.
func TestEveryJujuCommandOfTheDocumentationExists(t *testing.T) {
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "public-clouds.yaml"), []byte("clouds: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	help := map[string]string{}
	ask := func(command string) string {
		if text, ok := help[command]; ok {
			return text
		}
		cmd := exec.CommandContext(t.Context(), bin.Juju36, "help", command)
		cmd.Env = append(os.Environ(), "JUJU_DATA="+data)
		out, err := cmd.CombinedOutput()
		if err != nil {
			out = nil
		}
		help[command] = string(out)
		return help[command]
	}
	checked := 0
	for _, b := range shellBlocks(t) {
		all, err := commands(b)
		if err != nil {
			t.Errorf("%s, block at line %d: %v", b.page, b.line, err)
			continue
		}
		for _, words := range all {
			// Plugins are not juju's own.
			if words[0] != "juju" || len(words) < 2 || words[1] == "jaas" || strings.HasPrefix(words[1], "-") {
				continue
			}
			text := ask(words[1])
			if text == "" {
				t.Errorf("%s, block at line %d: there is no command %q", b.page, b.line, "juju "+words[1])
				continue
			}
			checked++
			for _, word := range words[2:] {
				flag, _, _ := strings.Cut(word, "=")
				if !strings.HasPrefix(flag, "-") || flag == "-" || flag == "--" {
					continue
				}
				if !regexp.MustCompile(`(^|[\s,(])` + regexp.QuoteMeta(flag) + `($|[\s,=)])`).MatchString(text) {
					t.Errorf("%s, block at line %d: %q has no flag %s", b.page, b.line, "juju "+words[1], flag)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("the documentation has no juju commands")
	}
}
