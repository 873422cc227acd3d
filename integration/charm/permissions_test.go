//go:build integration

package charm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jimm/charm/simulator"
	"jimm/charm/simulator/pods"
)

// TestTheCharmFollowsOpenFGA has OpenFGA lose its store, and then JIMM be replaced
// by one that has another authorization model, a unit at a time.
func TestTheCharmFollowsOpenFGA(t *testing.T) {
	s := startServices(t)
	w := newWorld(t, s, 4)
	w.relateNeeded()
	w.scale()
	w.serving()
	if _, err := w.App("jimm").Leader().Action(t.Context(), "set-admin", map[string]any{"user": "ci@serviceaccount"}); err != nil {
		t.Fatal(err)
	}
	w.serving()
	store, model := w.modelOf(w.App("jimm").Units()[0])
	jaas := w.jaas()
	const permission = "user-alice@example.com audit_log_viewer controller-jimm"
	grant := func() {
		t.Helper()
		if err := jaas("add-permission " + permission); err != nil {
			t.Error(err)
		}
		if err := jaas("check-permission " + permission); err != nil {
			t.Error(err)
		}
	}
	grant()

	t.Log("OpenFGA makes another store")
	if err := s.stack.RemoveStore(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	if err := w.App("openfga").Units()[0].Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.serving()
	for _, u := range w.App("jimm").Units() {
		another, itsModel := w.modelOf(u)
		if another == store || itsModel == model {
			t.Errorf("%s still uses model %s of store %s", u.Name, itsModel, another)
		}
	}
	_, model = w.modelOf(w.App("jimm").Units()[0])
	// The administrators are there again, and nobody else.
	if err := jaas("check-permission " + permission); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("of what Alice may do JIMM says %v", err)
	}
	grant()

	t.Log("the charm is refreshed, with an image that has another model")
	next := w.nextImage()
	w.App("jimm").Refresh()
	for i, u := range []*simulator.Unit{w.App("jimm").Units()[1], w.App("jimm").Units()[0]} {
		if err := w.pods[u.Name].Renew(next); err != nil {
			t.Fatal(err)
		}
		w.login() // at the other unit: in this one no hook has run
		w.serving()
		if _, its := w.modelOf(u); its == model {
			t.Errorf("%s still uses model %s", u.Name, its)
		}
		if _, its := w.modelOf(w.App("jimm").Units()[0]); i == 0 && its != model {
			t.Errorf("the unit that is not refreshed yet uses model %s, not %s", its, model)
		}
		if err := jaas("check-permission " + permission); err != nil {
			t.Error(err)
		}
	}
	_, one := w.modelOf(w.App("jimm").Units()[0])
	if _, other := w.modelOf(w.App("jimm").Units()[1]); one != other {
		t.Errorf("the units use models %s and %s", one, other)
	}
}

var doctorsModel = regexp.MustCompile(`store (\S+) has the model of this version, (\w+)`)

// modelOf tells which authorization model a unit uses.
func (w *world) modelOf(u *simulator.Unit) (store, model string) {
	w.t.Helper()
	results, err := u.Action(w.t.Context(), "check", nil)
	found := doctorsModel.FindStringSubmatch(results["doctor"])
	if found == nil {
		w.t.Fatalf("check says %v, %v", results, err)
	}
	return found[1], found[2]
}

// jaas runs commands of the jaas CLI as the service account ci.
func (w *world) jaas() func(command string) error {
	w.t.Helper()
	cli := w.cli("ci")
	w.logIn(cli)
	cli.Path = w.bin["jaas"]
	return func(command string) error {
		_, err := cli.Run(w.t.Context(), strings.Fields(command)...)
		return err
	}
}

// nextImage is one of a JIMM whose authorization model has another type.
func (w *world) nextImage() pods.Image {
	w.t.Helper()
	const generated = "../../workload/openfga/generated/model.json"
	text, err := os.ReadFile(generated)
	if err != nil {
		w.t.Fatal(err)
	}
	var model map[string]any
	if err := json.Unmarshal(text, &model); err != nil {
		w.t.Fatal(err)
	}
	types, _ := model["type_definitions"].([]any)
	model["type_definitions"] = append(types, map[string]any{
		"type": "fleet", "relations": map[string]any{"captain": map[string]any{"this": map[string]any{}}},
		"metadata": map[string]any{"relations": map[string]any{"captain": map[string]any{"directly_related_user_types": []any{map[string]any{"type": "user"}}}}},
	})
	replaced, err := filepath.Abs(generated)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "next")
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	for name, content := range map[string]any{"model.json": model, "overlay.json": map[string]any{"Replace": map[string]string{replaced: filepath.Join(dir, "model.json")}}} {
		if text, err = json.Marshal(content); err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	image := w.image()
	for _, name := range []string{"jimmsrv", "jimmctl"} {
		path := filepath.Join(dir, name)
		if err := build(path, "workload/cmd/"+name, "-overlay", filepath.Join(dir, "overlay.json")); err != nil {
			w.t.Fatal(err)
		}
		image.Programs["/usr/bin/"+name] = path
	}
	return image
}
