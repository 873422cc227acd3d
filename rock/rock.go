// Package rock builds the container image that rockcraft.yaml describes, without
// rockcraft: the same root file system, the same Pebble layer, the same settings,
// by a library for OCI images.
package rock

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"gopkg.in/yaml.v3"
)

// Daemon is the user and the group that rocks run as (rockcraft's run-user
// _daemon_).
const (
	Daemon   = "_daemon_"
	DaemonID = 584792
)

// Recipe is what we read of a rockcraft.yaml.
type Recipe struct {
	Name        string         `yaml:"name"`
	Version     string         `yaml:"version"`
	Summary     string         `yaml:"summary"`
	Description string         `yaml:"description"`
	License     string         `yaml:"license"`
	RunUser     string         `yaml:"run-user"`
	Platforms   map[string]any `yaml:"platforms"`
	Services    yaml.Node      `yaml:"services"`
	Checks      yaml.Node      `yaml:"checks"`
}

// ReadRecipe reads a rockcraft.yaml.
func ReadRecipe(file string) (Recipe, error) {
	var r Recipe
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := yaml.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if r.RunUser != Daemon {
		return r, fmt.Errorf("cannot build %s: run-user must be %s, not %q", file, Daemon, r.RunUser)
	}
	return r, nil
}

// PebbleLayer is the layer that rockcraft makes of the services and checks.
func (r Recipe) PebbleLayer() ([]byte, error) {
	layer := struct {
		Summary     string    `yaml:"summary"`
		Description string    `yaml:"description"`
		Services    yaml.Node `yaml:"services"`
		Checks      yaml.Node `yaml:"checks"`
	}{r.Summary, r.Description, r.Services, r.Checks}
	return yaml.Marshal(layer)
}

// File is a file of the image. A directory has a name that ends in a slash.
type File struct {
	// Name is its path, without a slash in front.
	Name string
	Mode fs.FileMode
	// Content is of a regular file, or, if Source is set, in that file.
	Content []byte
	Source  string
}

// pebbleDir is where Pebble keeps its state; the layer goes into it.
const pebbleDir = "var/lib/pebble/default/"

// Programs are where the files come from that are not text of ours.
type Programs struct {
	Jimmsrv, Jimmctl, Pebble string
	// Certificates is a PEM file of certificate authorities.
	Certificates string
	// Model is OpenFGA's authorization model as JSON; License the text of ours.
	Model, License string
}

// Layers returns the files of the image, what changes least often first.
func (r Recipe) Layers(p Programs) ([][]File, error) {
	layer, err := r.PebbleLayer()
	if err != nil {
		return nil, err
	}
	users := fmt.Sprintf("root:x:0:0:root:/root:/usr/sbin/nologin\n%s:x:%d:%d::/:/usr/sbin/nologin\n", Daemon, DaemonID, DaemonID)
	groups := fmt.Sprintf("root:x:0:\n%s:x:%d:\n", Daemon, DaemonID)
	return [][]File{
		{
			{Name: "etc/passwd", Mode: 0o644, Content: []byte(users)},
			{Name: "etc/group", Mode: 0o644, Content: []byte(groups)},
			{Name: "etc/os-release", Mode: 0o644, Content: fmt.Appendf(nil, "ID=%s\nNAME=%s\nVERSION_ID=%s\nPRETTY_NAME=\"%s %s\"\n", r.Name, r.Name, r.Version, r.Name, r.Version)},
			{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Source: p.Certificates},
			{Name: "tmp/", Mode: fs.ModeSticky | 0o777},
			{Name: "usr/share/doc/jimm/LICENSE", Mode: 0o644, Source: p.License},
		},
		{{Name: "usr/bin/pebble", Mode: 0o755, Source: p.Pebble}},
		{
			{Name: "usr/bin/jimmctl", Mode: 0o755, Source: p.Jimmctl},
			{Name: "usr/bin/jimmsrv", Mode: 0o755, Source: p.Jimmsrv},
			{Name: "usr/share/jimm/openfga/authorisation_model.json", Mode: 0o644, Source: p.Model},
			// Where the charm puts files, which Pebble writes as whom it runs.
			{Name: "var/lib/jimm/", Mode: fs.ModeSticky | 0o777},
			// Pebble runs as the daemon, or as root under Juju.
			{Name: pebbleDir, Mode: 0o777},
			{Name: pebbleDir + "layers/", Mode: 0o777},
			{Name: pebbleDir + "layers/001-rockcraft-" + r.Name + ".yaml", Mode: 0o644, Content: layer},
		},
	}, nil
}

// Image assembles the image for one architecture, as Go names it. The same files
// and the same time give the same image.
func (r Recipe) Image(layers [][]File, arch string, made time.Time) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range layers {
		archive, err := archived(files, made)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: made}, CreatedBy: "make rock"}})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = arch, "linux", v1.Time{Time: made}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/pebble", "enter"},
		User:       Daemon,
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       r.Name,
			"org.opencontainers.image.version":     r.Version,
			"org.opencontainers.image.description": strings.TrimSpace(r.Description),
			"org.opencontainers.image.licenses":    r.License,
		},
	}
	return mutate.ConfigFile(image, config)
}

// archived makes a tar archive of files, in order of their names, with the
// directories they are in.
func archived(files []File, made time.Time) ([]byte, error) {
	given := map[string]bool{}
	for _, f := range files {
		given[f.Name] = true
	}
	all := slices.Clone(files)
	for _, f := range files {
		for dir := path.Dir(strings.TrimSuffix(f.Name, "/")); dir != "."; dir = path.Dir(dir) {
			if name := dir + "/"; !given[name] {
				given[name] = true
				all = append(all, File{Name: name, Mode: 0o755})
			}
		}
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range all {
		content := f.Content
		if f.Source != "" {
			var err error
			if content, err = os.ReadFile(f.Source); err != nil {
				return nil, err
			}
		}
		header := &tar.Header{Name: f.Name, Size: int64(len(content)), Mode: int64(f.Mode.Perm()), ModTime: made, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(f.Name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if f.Mode&fs.ModeSticky != 0 {
			header.Mode |= 0o1000
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
