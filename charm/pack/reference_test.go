package pack_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write docs/reference/charm.md anew")

const root = "../.."

func read(t *testing.T, file string, out any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
}

func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// TestReferencePage fails when docs/reference/charm.md is not what the charm's
// YAML files say; "make docs" writes it.
func TestReferencePage(t *testing.T) {
	var config struct {
		Options map[string]struct {
			Type        string
			Default     any
			Description string
		}
	}
	read(t, "config.yaml", &config)
	var actions map[string]struct {
		Description string
		Params      map[string]struct{ Description string }
		Additional  *bool `yaml:"additionalProperties"`
	}
	read(t, "actions.yaml", &actions)
	type endpoint struct {
		Interface   string
		Optional    *bool
		Limit       int
		Description string
	}
	var metadata struct {
		Provides, Requires map[string]endpoint
	}
	read(t, "metadata.yaml", &metadata)

	var b strings.Builder
	b.WriteString("# The charm\n\n`juju-jimm-k8s` runs JIMM on Kubernetes, with Juju 3.6 or later. [How it works](../explanation/charm.md) tells why it does what it\ndoes. This page is made from `config.yaml`, `actions.yaml` and `metadata.yaml`.\n\n## Options\n\n| option | type | default | meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(config.Options)) {
		o := config.Options[name]
		value := "–"
		if text := fmt.Sprint(o.Default); text != "" {
			value = "`" + text + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, o.Type, value, cell(o.Description))
	}
	b.WriteString("\n## Actions\n\n`juju run jimm/leader NAME` runs one.\n\n| action | parameters | what it does |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		a := actions[name]
		if a.Additional == nil || *a.Additional {
			t.Errorf("action %s takes parameters that it does not know: Juju 3 and 4 differ in the default", name)
		}
		params := []string{}
		for _, param := range slices.Sorted(maps.Keys(a.Params)) {
			params = append(params, fmt.Sprintf("`%s`: %s", param, cell(a.Params[param].Description)))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, strings.Join(params, "; "), cell(a.Description))
	}
	for _, part := range []struct {
		title, intro string
		endpoints    map[string]endpoint
	}{
		{"What it requires", "", metadata.Requires}, {"What it provides", "", metadata.Provides},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| endpoint | interface | needed | what for |\n|---|---|---|---|\n", part.title)
		for _, name := range slices.Sorted(maps.Keys(part.endpoints)) {
			e := part.endpoints[name]
			if e.Optional == nil {
				t.Errorf("endpoint %s does not say whether it is optional", name)
				continue
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", name, e.Interface, map[bool]string{true: "no", false: "yes"}[*e.Optional], cell(e.Description))
		}
	}
	page := filepath.Join(root, "docs/reference/charm.md")
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("make docs would change docs/reference/charm.md (-made +there):\n%s", diff)
	}
}
