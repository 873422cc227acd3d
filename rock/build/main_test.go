package main

import (
	"archive/tar"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"jimm/rock"
)

// TestEachArchitectureGetsItsOwnImageByOneName pushes what rockcraft.yaml names, of
// files that are not programs, and pulls it as a node of each architecture does.
func TestEachArchitectureGetsItsOwnImageByOneName(t *testing.T) {
	images := images(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	to := strings.TrimPrefix(server.URL, "http://") + "/jimm:0.1"
	if err := publish(images, to); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	for arch := range images {
		pulled, err := remote.Image(ref, remote.WithPlatform(platform(arch)))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		config, err := pulled.ConfigFile()
		if err != nil || config.Architecture != arch {
			t.Errorf("a node of %s gets an image for %+v, %v", arch, config, err)
		}
	}
}

func TestTheArchiveIsAnOCIImage(t *testing.T) {
	for arch, image := range images(t) {
		file := filepath.Join(t.TempDir(), "jimm.rock")
		if err := save(image, file, arch, "0.1"); err != nil {
			t.Fatal(err)
		}
		index, err := layout.ImageIndexFromPath(untar(t, file))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil || len(manifest.Manifests) != 1 {
			t.Fatalf("the archive has %+v, %v", manifest, err)
		}
		d := manifest.Manifests[0]
		if d.MediaType != types.OCIManifestSchema1 || d.Platform == nil || d.Platform.Architecture != arch || d.Annotations["org.opencontainers.image.ref.name"] != "0.1" {
			t.Errorf("the archive for %s has %+v", arch, d)
		}
		saved, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		m, err := saved.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		got := map[types.MediaType]bool{m.MediaType: true, m.Config.MediaType: true}
		for _, l := range m.Layers {
			got[l.MediaType] = true
		}
		if diff := cmp.Diff(map[types.MediaType]bool{types.OCIManifestSchema1: true, types.OCIConfigJSON: true, types.OCILayer: true}, got); diff != "" {
			t.Errorf("media types (-want +got):\n%s", diff)
		}
	}
}

// images are those of all architectures.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	recipe, err := rock.ReadRecipe(filepath.Join("..", "..", "rockcraft.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(recipe.Platforms) < 2 {
		t.Fatalf("rockcraft.yaml has the platforms %v", recipe.Platforms)
	}
	all := map[string]v1.Image{}
	for arch := range recipe.Platforms {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(arch), 0o644); err != nil {
			t.Fatal(err)
		}
		layers, err := recipe.Layers(rock.Programs{Jimmsrv: file, Jimmctl: file, Pebble: file, Certificates: file, Model: file, License: file})
		if err != nil {
			t.Fatal(err)
		}
		if all[arch], err = recipe.Image(layers, arch, time.Unix(0, 0).UTC()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func untar(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, h.Name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, h.Name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
