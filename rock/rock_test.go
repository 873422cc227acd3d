package rock_test

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"gopkg.in/yaml.v3"

	"jimm/rock"
)

var made = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func TestTheImageHasTheFilesThatTheRecipeNames(t *testing.T) {
	image := build(t)
	got := map[string]string{}
	for name, h := range unpack(t, image) {
		got[name] = fs.FileMode(h.Mode).String()
	}
	want := map[string]string{
		"etc/": "-rwxr-xr-x", "etc/ssl/": "-rwxr-xr-x", "etc/ssl/certs/": "-rwxr-xr-x",
		"etc/passwd": "-rw-r--r--", "etc/group": "-rw-r--r--", "etc/os-release": "-rw-r--r--",
		"etc/ssl/certs/ca-certificates.crt": "-rw-r--r--",
		"tmp/":                              "-rwxrwxrwx",
		"usr/":                              "-rwxr-xr-x", "usr/bin/": "-rwxr-xr-x", "usr/share/": "-rwxr-xr-x", "usr/share/doc/": "-rwxr-xr-x", "usr/share/doc/jimm/": "-rwxr-xr-x",
		"usr/share/jimm/": "-rwxr-xr-x", "usr/share/jimm/openfga/": "-rwxr-xr-x",
		"usr/bin/jimmctl": "-rwxr-xr-x", "usr/bin/jimmsrv": "-rwxr-xr-x", "usr/bin/pebble": "-rwxr-xr-x",
		"usr/share/doc/jimm/LICENSE":                      "-rw-r--r--",
		"usr/share/jimm/openfga/authorisation_model.json": "-rw-r--r--",
		"var/": "-rwxr-xr-x", "var/lib/": "-rwxr-xr-x", "var/lib/pebble/": "-rwxr-xr-x", "var/lib/jimm/": "-rwxrwxrwx",
		"var/lib/pebble/default/": "-rwxrwxrwx", "var/lib/pebble/default/layers/": "-rwxrwxrwx",
		"var/lib/pebble/default/layers/001-rockcraft-jimm.yaml": "-rw-r--r--",
	}
	// Only the permission bits are compared: tar keeps the rest in its own form.
	for name := range got {
		h := unpack(t, image)[name]
		got[name] = fs.FileMode(h.Mode & 0o777).String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if unpack(t, image)["tmp/"].Mode&0o1000 == 0 {
		t.Error("anyone can remove another's files in /tmp")
	}
}

func TestTheImageRunsPebbleAsTheDaemon(t *testing.T) {
	config, err := build(t).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/usr/bin/pebble", "enter"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entry point (-want +got):\n%s", diff)
	}
	if config.Config.User != rock.Daemon || config.Architecture != "amd64" || config.OS != "linux" {
		t.Errorf("user %q on %s/%s", config.Config.User, config.OS, config.Architecture)
	}
}

func TestTheSameFilesGiveTheSameImage(t *testing.T) {
	one, err := build(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	other, err := build(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if one != other {
		t.Errorf("%s and %s", one, other)
	}
}

func TestThePebbleLayerIsWhatTheRecipeSays(t *testing.T) {
	recipe, err := rock.ReadRecipe(filepath.Join("..", "rockcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := recipe.PebbleLayer()
	if err != nil {
		t.Fatal(err)
	}
	var layer struct {
		Services map[string]struct{ Override, Command, Startup string }
		Checks   map[string]struct {
			Level string
			HTTP  struct{ URL string }
		}
	}
	if err := yaml.Unmarshal(text, &layer); err != nil {
		t.Fatal(err)
	}
	jimm := layer.Services["jimm"]
	if jimm.Command != "/usr/bin/jimmsrv" || jimm.Override != "replace" || jimm.Startup != "disabled" {
		t.Errorf("service jimm is %+v", jimm)
	}
	levels := map[string]string{}
	for name, check := range layer.Checks {
		levels[name] = check.Level
	}
	want := map[string]string{"jimm-live": string(client.AliveLevel), "jimm-ready": string(client.ReadyLevel)}
	if diff := cmp.Diff(want, levels); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

// build builds an image of files that are not programs.
func build(t *testing.T) v1.Image {
	t.Helper()
	recipe, err := rock.ReadRecipe(filepath.Join("..", "rockcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	layers, err := recipe.Layers(rock.Programs{
		Jimmsrv: file("jimmsrv"), Jimmctl: file("jimmctl"), Pebble: file("pebble"),
		Certificates: file("certificates"), Model: file("model"), License: file("license"),
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(layers, "amd64", made)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// unpack returns what is in all layers, by name.
func unpack(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*tar.Header{}
	for _, layer := range layers {
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(r); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !h.ModTime.Equal(made) {
				t.Errorf("%s was made at %s", h.Name, h.ModTime)
			}
			found[h.Name] = h
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}
