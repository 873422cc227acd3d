// Package bundle has the tests of the bundle, its overlays and its Terraform modules.
package bundle

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/juju/charm/v12"

	"github.com/juju/juju/core/constraints"
	"github.com/juju/juju/core/storage"
)

// localCharm is what the bundle calls our own charm, below the repository.
const localCharm = "bin/juju-jimm-k8s.charm"

// combinations are the overlays that people put on the bundle together.
var combinations = map[string][]string{
	"the bundle alone":                            nil,
	"with a charm and image of one's own":         {"local"},
	"with the company's identity provider":        {"external-idp"},
	"without Vault":                               {"no-vault"},
	"with three units":                            {"ha"},
	"observed":                                    {"cos"},
	"offering its login":                          {"offers"},
	"with storage of a pool":                      {"storage"},
	"small, with the company's identity provider": {"external-idp", "no-vault", "local"},
	"in production":                               {"ha", "storage", "cos", "offers"},
}

func TestEveryDocumentOfTheBundleIsKnownToJuju(t *testing.T) {
	dir := checkout(t)
	files, err := filepath.Glob(filepath.Join(dir, "bundle", "overlays", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no overlays: %v", err)
	}
	used := map[string]bool{}
	for _, overlays := range combinations {
		for _, name := range overlays {
			used[name] = true
		}
	}
	for _, file := range append(files, filepath.Join(dir, "bundle", "bundle.yaml")) {
		source, err := charm.LocalBundleDataSource(file)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		for i, part := range source.Parts() {
			if part.UnmarshallError != nil {
				t.Errorf("%s, document %d: %v", filepath.Base(file), i+1, part.UnmarshallError)
			}
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".yaml"); name != "bundle" && !used[name] {
			t.Errorf("the overlay %s is in no combination that is tested", name)
		}
	}
}

func TestEveryCombinationOfOverlaysVerifiesAgainstTheCharms(t *testing.T) {
	dir := checkout(t)
	for name, overlays := range combinations {
		t.Run(name, func(t *testing.T) { verify(t, merge(t, dir, overlays), dir) })
	}
}

// TestVerificationFindsMistakes keeps the test above from passing whatever the bundle says.
func TestVerificationFindsMistakes(t *testing.T) {
	dir := checkout(t)
	for name, spoil := range map[string]func(*charm.BundleData){
		"a relation to an endpoint that is not there": func(b *charm.BundleData) { b.Relations = append(b.Relations, []string{"jimm:vault", "vault:nothing"}) },
		"a relation of two interfaces": func(b *charm.BundleData) {
			b.Relations = append(b.Relations, []string{"jimm:openfga", "postgresql:database"})
		},
		"an option that is not there": func(b *charm.BundleData) { b.Applications["jimm"].Options["colour"] = "blue" },
		"an option of the wrong type": func(b *charm.BundleData) { b.Applications["jimm"].Options["postgres-secret-storage"] = "perhaps" },
		"storage that cannot be read": func(b *charm.BundleData) { b.Applications["vault"].Storage["tmp"] = "10 litres" },
	} {
		t.Run(name, func(t *testing.T) {
			b := merge(t, dir, nil)
			spoil(b)
			if err := problems(t, b, dir); err == nil {
				t.Error("it passed the verification")
			}
		})
	}
}

func TestOverlaysChangeWhatTheySay(t *testing.T) {
	dir := checkout(t)
	for name, c := range map[string]struct {
		overlays []string
		absent   []string
		present  []string
	}{
		"the external provider replaces the identity platform": {[]string{"external-idp"}, []string{"hydra", "kratos", "login-ui"}, []string{"oauth-external-idp-integrator"}},
		"no Vault":  {[]string{"no-vault"}, []string{"vault"}, nil},
		"collector": {[]string{"cos"}, nil, []string{"collector"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := merge(t, dir, c.overlays)
			for _, app := range c.absent {
				if b.Applications[app] != nil || strings.Contains(relations(b), app+":") {
					t.Errorf("%s is still there", app)
				}
			}
			for _, app := range c.present {
				if b.Applications[app] == nil || !strings.Contains(relations(b), app+":") {
					t.Errorf("%s is not there, or related to nothing", app)
				}
			}
		})
	}
	three := merge(t, dir, []string{"ha"})
	got := map[string]int{}
	for name, app := range three.Applications {
		if app.NumUnits == 3 {
			got[name] = 3
		}
	}
	if diff := cmp.Diff(map[string]int{"jimm": 3, "postgresql": 3, "openfga": 3, "vault": 3}, got); diff != "" {
		t.Errorf("applications with three units (-want +got):\n%s", diff)
	}
}

// TestWhatNeedsTrustSaysSo: charms that talk to Kubernetes fail without trust, late and obscurely.
func TestWhatNeedsTrustSaysSo(t *testing.T) {
	b := merge(t, checkout(t), []string{"cos"})
	var trusted []string
	for name, app := range b.Applications {
		if app.RequiresTrust {
			trusted = append(trusted, name)
		}
	}
	slices.Sort(trusted)
	want := []string{"collector", "hydra", "kratos", "login-ui", "openfga", "postgresql", "traefik-public", "vault"}
	if diff := cmp.Diff(want, trusted); diff != "" {
		t.Errorf("trusted applications (-want +got):\n%s", diff)
	}
}

func relations(b *charm.BundleData) string {
	var all []string
	for _, r := range b.Relations {
		all = append(all, strings.Join(r, " "))
	}
	return strings.Join(all, "\n")
}

// checkout lays the bundle and our charm out as they are in a checkout after make charm.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "bundle"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(dir, filepath.FromSlash(localCharm))
	if err := os.MkdirAll(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"metadata.yaml", "config.yaml", "actions.yaml"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(ours, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// merge puts overlays on the bundle as juju deploy does.
func merge(t *testing.T, dir string, overlays []string) *charm.BundleData {
	t.Helper()
	var sources []charm.BundleDataSource
	for _, name := range append([]string{"bundle.yaml"}, overlays...) {
		if name != "bundle.yaml" {
			name = "overlays/" + name + ".yaml"
		}
		source, err := charm.LocalBundleDataSource(filepath.Join(dir, "bundle", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, source)
	}
	b, err := charm.ReadAndMergeBundleData(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t *testing.T, b *charm.BundleData, dir string) {
	t.Helper()
	if err := problems(t, b, dir); err != nil {
		t.Error(err)
	}
}

// problems verifies a bundle as juju deploy does, with the charms at hand.
func problems(t *testing.T, b *charm.BundleData, dir string) error {
	t.Helper()
	charms := map[string]charm.Charm{}
	for _, url := range b.RequiredCharms() {
		path := filepath.Join("testdata", "charms", url)
		if strings.HasSuffix(url, filepath.FromSlash(localCharm)) {
			path = filepath.Join(dir, filepath.FromSlash(localCharm))
		}
		c, err := charm.ReadCharmDir(path)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		charms[url] = c
	}
	err := b.VerifyWithCharms(
		func(s string) error { _, err := constraints.Parse(s); return err },
		func(s string) error { _, err := storage.ParseDirective(s); return err },
		func(string) error { return errors.New("no devices are needed") },
		charms)
	var found *charm.VerificationError
	if errors.As(err, &found) {
		return errors.Join(found.Errors...)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Applications)) {
		app := b.Applications[name]
		c := charms[app.Charm]
		for store := range app.Storage {
			if _, ok := c.Meta().Storage[store]; !ok {
				return errors.New(name + " has no storage " + store)
			}
		}
		for resource := range app.Resources {
			if _, ok := c.Meta().Resources[resource]; !ok {
				return errors.New(name + " has no resource " + resource)
			}
		}
	}
	return err
}
