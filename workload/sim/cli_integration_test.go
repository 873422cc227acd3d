//go:build integration

package sim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"jimm/integration/lab"
	"jimm/workload/sim"
)

// cli is the real juju of a controller's own generation, logged in by password.
type cli struct {
	t *testing.T
	lab.CLI
}

func newCLI(t *testing.T, bin lab.Bin, w *world) *cli {
	t.Helper()
	program := bin.Juju41
	if w.Generation() == sim.Juju36 {
		program = bin.Juju36
	}
	data := t.TempDir()
	files := map[string]any{
		"controllers.yaml": map[string]any{
			"current-controller": "sim",
			"controllers": map[string]any{"sim": map[string]any{
				"uuid": w.UUID(), "api-endpoints": []string{w.Address()}, "ca-cert": w.CACert(), "cloud": "sim", "region": "default",
			}},
		},
		"accounts.yaml": map[string]any{
			"controllers": map[string]any{"sim": map[string]any{"user": "admin", "password": "sekrit", "last-known-access": "superuser"}},
		},
	}
	for name, content := range files {
		text, err := yaml.Marshal(content)
		ok(t, err)
		ok(t, os.WriteFile(filepath.Join(data, name), text, 0o600))
	}
	return &cli{t: t, CLI: lab.CLI{Path: program, Data: data}}
}

// run runs a command that must succeed.
func (c *cli) run(args ...string) string {
	c.t.Helper()
	out, err := c.Run(c.t.Context(), args...)
	if err != nil {
		c.t.Errorf("%v\n%s", err, out)
	}
	return out
}

// shows runs a command whose output must have some words.
func (c *cli) shows(words []string, args ...string) {
	c.t.Helper()
	out := c.run(args...)
	for _, word := range words {
		if !strings.Contains(out, word) {
			c.t.Errorf("juju %s: no %q in\n%s", strings.Join(args, " "), word, out)
		}
	}
}

func TestTheRealCLIWorksOnItsOwnGeneration(t *testing.T) {
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	ok(t, err)
	for _, generation := range []sim.Generation{sim.Juju36, sim.Juju41} {
		t.Run(generation.String(), func(t *testing.T) {
			w := newWorld(t, generation)
			c := newCLI(t, bin, w)
			charm, err := lab.Charm(t.TempDir(), "labapp", lab.CharmOptions{})
			ok(t, err)
			blob := filepath.Join(t.TempDir(), "blob.txt")
			ok(t, os.WriteFile(blob, []byte("one"), 0o600))

			c.shows([]string{"admin"}, "whoami")
			c.shows([]string{"sim", "lxd"}, "clouds", "--controller", "sim")
			c.shows([]string{"default"}, "show-cloud", "sim", "--controller", "sim")
			c.shows([]string{"admin"}, "users")
			c.shows([]string{w.UUID()}, "controller-config")
			c.shows([]string{generation.String()}, "show-controller")
			c.run("add-model", "m1")
			c.shows([]string{"m1"}, "models")
			c.shows([]string{"m1", generation.String()}, "show-model", "m1")
			c.run("deploy", charm, "one", "--resource", "blob="+blob)
			c.run("deploy", charm, "two", "--resource", "blob="+blob, "--config", "opt=first")
			c.shows([]string{"first"}, "config", "two", "opt")
			c.run("config", "two", "opt=second")
			c.shows([]string{"second"}, "config", "two", "opt")
			c.run("add-unit", "one")
			c.run("integrate", "one:src", "two:db")
			c.run("expose", "one")
			c.run("set-constraints", "one", "mem=1G")
			c.shows([]string{"mem=1024M"}, "constraints", "one")
			var status struct {
				Applications map[string]struct {
					Exposed   bool
					Units     map[string]any
					Relations map[string]any
				}
			}
			ok(t, json.Unmarshal([]byte(c.run("status", "--format", "json")), &status))
			one := status.Applications["one"]
			same(t, fmt.Sprint(one.Exposed, len(one.Units), len(one.Relations)), "true 2 1")
			c.shows([]string{"one/0*", "one/1", "two/0*", "active"}, "status", "--relations")
			c.shows([]string{"machine", "started"}, "machines", "--format", "yaml")
			c.shows([]string{"blob"}, "resources", "one")
			c.run("attach-resource", "one", "blob="+blob)
			c.shows([]string{"ping"}, "actions", "one")
			c.shows([]string{"simulated"}, "run", "one/0", "ping", "--format", "yaml")
			c.shows([]string{"completed"}, "operations", "--format", "yaml")
			c.run("add-secret", "credentials", "user=me")
			c.shows([]string{"credentials"}, "secrets")
			c.shows([]string{"user: me"}, "show-secret", "credentials", "--reveal")
			c.run("grant-secret", "credentials", "one")
			c.run("offer", "two:db", "off")
			c.shows([]string{"off"}, "offers")
			c.shows([]string{"off"}, "find-offers", "sim:admin/m1")
			c.shows([]string{"labdb"}, "show-offer", "sim:admin/m1.off")
			c.run("model-config", "logging-config=<root>=DEBUG")
			c.shows([]string{"DEBUG"}, "model-config", "logging-config")
			c.shows([]string{"INFO"}, "model-defaults", "--cloud", "sim", "logging-config")
			c.run("add-user", "bob")
			c.run("grant", "bob", "read", "m1")
			c.shows([]string{"bob"}, "show-model", "m1")
			c.run("revoke", "bob", "read", "m1")
			w.Log(modelUUID(t, c), "unit-one-0", "INFO", "hello there")
			c.shows([]string{"unit-one-0", "hello there"}, "debug-log", "--no-tail", "--limit", "5")
			c.run("disable-command", "destroy-model", "not yet")
			c.shows([]string{"not yet"}, "disabled-commands")
			c.run("enable-command", "destroy-model")
			c.shows([]string{"rootfs"}, "storage-pools")
			c.run("spaces")
			c.run("storage")
			c.run("ssh-keys")
			c.shows([]string{"internal"}, "secret-backends")

			c.run("add-model", "m2")
			c.run("consume", "sim:admin/m1.off", "remote")
			c.shows([]string{"remote"}, "status")
			c.run("remove-saas", "remote")
			c.run("destroy-model", "m2", "--no-prompt")
			c.run("switch", "m1")
			c.run("remove-offer", "sim:admin/m1.off", "--force", "-y")
			c.run("remove-relation", "one:src", "two:db")
			c.run("remove-unit", "one/1", "--no-prompt")
			c.run("remove-application", "one", "two", "--no-prompt")
			c.run("destroy-model", "m1", "--no-prompt")
			if out := c.run("models"); strings.Contains(out, "m1") {
				t.Errorf("the model is still there:\n%s", out)
			}
		})
	}
}

// modelUUID is that of the current model.
func modelUUID(t *testing.T, c *cli) string {
	t.Helper()
	var models map[string]struct {
		UUID string `json:"model-uuid"`
	}
	ok(t, json.Unmarshal([]byte(c.run("show-model", "--format", "json")), &models))
	for _, m := range models {
		return m.UUID
	}
	t.Fatal("no model")
	return ""
}
