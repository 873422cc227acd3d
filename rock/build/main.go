// Command build makes JIMM's container image, and puts it into a file or a
// registry. make rock runs it.
package main

import (
	"archive/tar"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"jimm/rock"
)

const usage = `usage: build [flags]

Builds the image of rockcraft.yaml for one architecture or more, from the root of
the repository, as an OCI archive that skopeo, podman and the like can read:

    skopeo copy oci-archive:bin/jimm_0.1_amd64.rock docker://registry.example.com/jimm:0.1

or pushes it to a registry, with the credentials that docker or podman use:

    build -arch amd64,arm64 -push registry.example.com/jimm:0.1

flags:
`

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	archs := flag.String("arch", runtime.GOARCH, "architectures, as Go names them, with commas between")
	out := flag.String("out", "bin", "directory for the archives, named as rockcraft names them")
	push := flag.String("push", "", "reference to push to, such as registry.example.com/jimm:0.1")
	certificates := flag.String("certificates", "/etc/ssl/certs/ca-certificates.crt", "PEM file of the certificate authorities to trust")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(strings.Split(*archs, ","), *out, *push, *certificates); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the image:", err)
		os.Exit(1)
	}
}

func run(archs []string, out, push, certificates string) error {
	recipe, err := rock.ReadRecipe("rockcraft.yaml")
	if err != nil {
		return err
	}
	made, err := madeAt()
	if err != nil {
		return err
	}
	images := map[string]v1.Image{}
	for _, arch := range archs {
		if _, ok := recipe.Platforms[arch]; !ok {
			return fmt.Errorf("rockcraft.yaml has no platform %q", arch)
		}
		programs := filepath.Join(".cache", "rock", arch)
		if err := build(programs, arch); err != nil {
			return err
		}
		layers, err := recipe.Layers(rock.Programs{
			Jimmsrv: filepath.Join(programs, "jimmsrv"), Jimmctl: filepath.Join(programs, "jimmctl"), Pebble: filepath.Join(programs, "pebble"),
			Certificates: certificates, Model: filepath.FromSlash("workload/openfga/generated/model.json"), License: "LICENSE",
		})
		if err != nil {
			return err
		}
		if images[arch], err = recipe.Image(layers, arch, made); err != nil {
			return err
		}
		file := filepath.Join(out, fmt.Sprintf("%s_%s_%s.rock", recipe.Name, recipe.Version, arch))
		if err := save(images[arch], file, arch, recipe.Version); err != nil {
			return err
		}
		size, err := compressed(images[arch])
		if err != nil {
			return err
		}
		fmt.Printf("%s: %.1f MB to pull\n", file, float64(size)/1e6)
	}
	if push == "" {
		return nil
	}
	return publish(images, push)
}

// build compiles what goes into the image.
func build(dir, arch string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	version := git("unreleased", "describe", "--tags", "--always", "--dirty")
	commit := git("unknown", "rev-parse", "--short", "HEAD")
	for _, program := range []struct{ name, module, pkg string }{
		{"jimmsrv", ".", "./workload/cmd/jimmsrv"},
		{"jimmctl", ".", "./workload/cmd/jimmctl"},
		{"pebble", filepath.FromSlash("integration/peers/pebble"), "github.com/canonical/pebble/cmd/pebble"},
	} {
		fmt.Fprintf(os.Stderr, "building %s for %s …\n", program.name, arch)
		// The flags are those of make build, so that both share what they compile.
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -X main.version="+version+" -X main.commit="+commit,
			"-o", filepath.Join(dir, program.name), program.pkg)
		cmd.Dir = program.module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build %s: %w", program.pkg, err)
		}
	}
	return nil
}

// git is what a command of git says, or the fallback where there is no checkout.
func git(fallback string, args ...string) string {
	said, err := exec.Command("git", args...).Output()
	if err != nil {
		return fallback
	}
	return strings.TrimSpace(string(said))
}

// madeAt is SOURCE_DATE_EPOCH, or when the last commit was made: building it
// again gives the same image.
func madeAt() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		if text = git("", "log", "-1", "--format=%ct"); text == "" {
			return time.Time{}, errors.New("this is no git checkout: set SOURCE_DATE_EPOCH to the time it is of, in seconds since 1970")
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be seconds since 1970, not %q", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// save writes an image as an OCI archive: a tar file of an OCI layout.
func save(image v1.Image, file, arch, tag string) (err error) {
	dir, err := os.MkdirTemp("", "jimm-rock-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	err = l.AppendImage(image, layout.WithPlatform(platform(arch)), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// publish pushes one image as itself, and several as the index of all.
func publish(images map[string]v1.Image, to string) error {
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if len(images) == 1 {
		for _, image := range images {
			return remote.Write(ref, image, options...)
		}
	}
	var index v1.ImageIndex = empty.Index
	for _, arch := range slices.Sorted(maps.Keys(images)) {
		p := platform(arch)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: images[arch], Descriptor: v1.Descriptor{Platform: &p}})
	}
	return remote.WriteIndex(ref, index, options...)
}

func platform(arch string) v1.Platform { return v1.Platform{OS: "linux", Architecture: arch} }

// compressed is how many bytes have to be pulled.
func compressed(image v1.Image) (int64, error) {
	layers, err := image.Layers()
	if err != nil {
		return 0, err
	}
	sizes := make([]int64, len(layers))
	var g errgroup.Group
	for i, l := range layers {
		g.Go(func() (err error) { sizes[i], err = l.Size(); return err })
	}
	err = g.Wait()
	var all int64
	for _, size := range sizes {
		all += size
	}
	return all, err
}
