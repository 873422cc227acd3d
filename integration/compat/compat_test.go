//go:build integration

package compat

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jimm/workload/dev"
)

var (
	update  = flag.Bool("update", false, "write docs/reference/compatibility.md")
	outputs = flag.String("outputs", "", "write what the commands print into this directory")
)

const page = "../../docs/reference/compatibility.md"

// TestEveryCommandDoesThroughJIMMWhatItDoesDirectly runs all commands with all
// clients on all controllers, and compares the results with each other and with
// the committed table.
func TestEveryCommandDoesThroughJIMMWhatItDoesDirectly(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	table := w.compare(t)
	t.Logf("compared %d cells in %v", len(table.cells), time.Since(began).Round(time.Second))
	if *outputs != "" {
		w.ok(table.dump(*outputs))
	}
	for _, problem := range table.judge(reasons) {
		t.Error(problem)
	}
	t.Log(table.summary())

	text := table.page()
	if *update && !t.Failed() {
		w.ok(os.WriteFile(page, []byte(text), 0o644))
		return
	}
	committed, err := os.ReadFile(page)
	w.ok(err)
	if onlyCommitted, onlyNow := difference(strings.Split(string(committed), "\n"), strings.Split(text, "\n")); len(onlyCommitted)+len(onlyNow) > 0 {
		t.Errorf("%s is not what this run gives (-update writes it):\n%s", filepath.Base(page), marked(onlyCommitted, onlyNow))
	}
}

// compare fills the table. Each client works on each controller, directly and
// through JIMM, in models of its own. They begin together: what the last commands
// make is not there yet when another client does the first ones.
func (w *world) compare(t *testing.T) *table {
	table := newTable(w.generations, w.releases)
	everywhere := func(do func(g *generation, route route)) {
		var working sync.WaitGroup
		for _, g := range w.generations {
			for _, route := range []route{direct, throughJIMM} {
				working.Go(func() { do(g, route) })
			}
		}
		working.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	everywhere(func(g *generation, route route) {
		if err := w.settle(t.Context(), g, route); err != nil {
			t.Errorf("cannot prepare the models on %s, %s: %v", g.name, route, err)
		}
	})
	everywhere(func(g *generation, route route) {
		var walking sync.WaitGroup
		for _, r := range w.releases {
			walking.Go(func() {
				if err := w.walk(t.Context(), g, r, route, table); err != nil {
					t.Errorf("juju %s on %s, %s: %v", r.name, g.name, route, err)
				}
			})
		}
		walking.Wait()
	})
	return table
}

// route is how a client reaches a controller.
type route int

const (
	direct route = iota
	throughJIMM
)

func (r route) String() string { return [...]string{"directly", "through JIMM"}[r] }

// tag is part of all names that a client makes on a controller.
func tag(g *generation, r release) string { return r.short + g.short }

// login gives the clients that own the models and administrate.
func (w *world) login(ctx context.Context, g *generation, juju string, via route) (map[role]*client, error) {
	if via == direct {
		admin, err := w.direct(juju, g.direct)
		return map[role]*client{owner: admin, administrator: admin}, err
	}
	bob, err := w.through(ctx, juju, dev.Bob)
	if err != nil {
		return nil, err
	}
	alice, err := w.through(ctx, juju, dev.Alice)
	return map[role]*client{owner: bob, administrator: alice}, err
}

// settle makes the models of all releases, with the client of the controller's own.
func (w *world) settle(ctx context.Context, g *generation, via route) error {
	clients, err := w.login(ctx, g, g.own, via)
	if err != nil {
		return err
	}
	me := clients[owner]
	for _, r := range w.releases {
		model := "model-" + tag(g, r)
		if err := errors.Join(
			me.must(ctx, "add-model", "other-"+tag(g, r), g.cloud+"/"+g.region),
			me.must(ctx, "add-model", model, g.cloud+"/"+g.region),
			me.must(ctx, "deploy", "-m", model, w.charm, "fix"),
			me.must(ctx, "deploy", "-m", model, w.charm, "peer"),
		); err != nil {
			return err
		}
	}
	return w.listed(ctx, g, me)
}

// listed waits until all models are listed with their machines: JIMM learns of
// them when the controller tells or is asked.
func (w *world) listed(ctx context.Context, g *generation, me *client) error {
	deadline := time.Now().Add(patience)
	for {
		o, err := me.run(ctx, "models")
		if err != nil {
			return err
		}
		missing := slices.ContainsFunc(w.releases, func(r release) bool {
			return !regexp.MustCompile(`(?m)^model-` + tag(g, r) + `\b.* available +2 `).MatchString(o.stdout)
		})
		if !missing {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not all models are listed with two machines after %v: %s", patience, o.stdout)
		}
	}
}

// walk runs all commands with one client.
func (w *world) walk(ctx context.Context, g *generation, r release, via route, table *table) error {
	clients, err := w.login(ctx, g, r.path, via)
	if err != nil {
		return err
	}
	words, err := w.words(g, r, clients[owner].user)
	if err != nil {
		return err
	}
	for i, command := range commands {
		c := clients[command.as]
		var args []string
		for _, field := range strings.Fields(command.line) {
			args = append(args, words.Replace(field))
		}
		o, err := c.run(ctx, args...)
		if err != nil {
			return err
		}
		table.set(key{i, g.name, r.name}, via, o, w.reduce(command, tag(g, r), c.user, o))
	}
	return nil
}

// reduce gives what of an outcome is compared.
func (w *world) reduce(c command, tag, user string, o outcome) result {
	text := o.stdout + "\n" + o.stderr
	if c.only != nil {
		text = c.only(tag, text)
	}
	text = strings.NewReplacer(w.dir, "<dir>", tag, "TAG").Replace(text)
	return result{code: o.code, lines: newNormaliser(user).lines(text)}
}

// keys are the model defaults that each release sets.
var keys = map[string]string{"3.5.4": "apt-http-proxy", "3.6.11": "apt-https-proxy", "4.1": "apt-ftp-proxy"}

// words are what the words in capitals of a command stand for.
func (w *world) words(g *generation, r release, user string) (*strings.Replacer, error) {
	name := tag(g, r)
	kubeFile := filepath.Join(w.dir, "kube-"+name+".yaml")
	kube := fmt.Sprintf(`clouds:
  kube-%s:
    type: kubernetes
    auth-types: [userpass]
    endpoint: https://192.0.2.1:6443
    host-cloud-region: %s/%s
    regions: {default: {}}
`, name, g.cloud, g.region)
	credentialsFile := filepath.Join(w.dir, "credentials-"+name+".yaml")
	var credentials strings.Builder
	credentials.WriteString("credentials:\n")
	for _, cloud := range []string{"kube-" + name, g.cloud} {
		fmt.Fprintf(&credentials, "  %s:\n    %s:\n      auth-type: userpass\n      username: tester\n      password: secret\n", cloud, name)
	}
	if err := errors.Join(
		os.WriteFile(kubeFile, []byte(kube), 0o600),
		os.WriteFile(credentialsFile, []byte(credentials.String()), 0o600),
	); err != nil {
		return nil, err
	}
	return strings.NewReplacer(
		"CONTROLLER", controllerName, "CREDENTIALS", credentialsFile, "KUBEFILE", kubeFile, "KUBE", "kube-"+name,
		"OWNER", user, "MODEL", "model-"+name, "OTHER", "other-"+name, "NEW", "new-"+name, "CLOUD", g.cloud, "REGION", g.region,
		"CAROL", "carol-"+name+"@example.com", "LOCAL", "local-"+name, "OFFER", "offer-"+name,
		"CHARM", w.charm, "FILE", w.blob, "KEY", keys[r.name], "TAG", name,
		"OPERATION", g.operation, "TASK", g.task,
	), nil
}
