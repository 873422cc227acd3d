// Package pack makes the .charm file that Juju deploys, as charmcraft would, and
// has Juju's own library read it.
package pack

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/juju/charm/v12"
)

// base is that of charmcraft.yaml.
const baseName, baseChannel = "ubuntu", "24.04/stable"

// copied are the files of the project that Juju reads. Those not there are left out.
var copied = []string{"metadata.yaml", "config.yaml", "actions.yaml", "LICENSE"}

// Options say what to pack.
type Options struct {
	// Root is the folder with the charm's YAML files.
	Root string
	// Dispatch is the program that Juju runs, built for Arch (amd64, arm64).
	Dispatch, Arch string
	// Files replace or add files, by name.
	Files map[string][]byte
}

// Charm writes a .charm file. The same content always gives the same bytes.
func Charm(out string, o Options) (err error) {
	files := map[string][]byte{"manifest.yaml": manifest(o.Arch)}
	for _, name := range copied {
		text, err := os.ReadFile(filepath.Join(o.Root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files[name] = text
	}
	if files["dispatch"], err = os.ReadFile(o.Dispatch); err != nil {
		return err
	}
	for name, text := range o.Files {
		files[name] = text
	}
	if err := write(out, files); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", out, err), os.Remove(out))
	}
	if err := Verify(out); err != nil {
		return errors.Join(err, os.Remove(out))
	}
	return nil
}

func manifest(arch string) []byte {
	return fmt.Appendf(nil, "bases:\n- name: %s\n  channel: %s\n  architectures: [%s]\n", baseName, baseChannel, arch)
}

func write(out string, files map[string][]byte) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := zip.NewWriter(f)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(0o644)
		if name == "dispatch" {
			header.SetMode(0o755)
		}
		w, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(files[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}

// Verify has Juju's library read a .charm file and check it as a controller does.
func Verify(file string) error {
	archive, err := charm.ReadCharmArchive(file)
	if err != nil {
		return fmt.Errorf("%s is no charm: %w", file, err)
	}
	if err := archive.Meta().Check(charm.FormatV2, charm.SelectionManifest, charm.SelectionBases); err != nil {
		return fmt.Errorf("%s has metadata that Juju refuses: %w", file, err)
	}
	if err := archive.Manifest().Validate(); err != nil {
		return fmt.Errorf("%s has a manifest that Juju refuses: %w", file, err)
	}
	if err := charm.CheckMeta(archive); err != nil {
		return fmt.Errorf("%s has metadata that Juju refuses: %w", file, err)
	}
	return executable(file)
}

// executable checks what the library does not: that there is something to run.
func executable(file string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	dispatch, err := archive.Open("dispatch")
	if err != nil {
		return fmt.Errorf("%s has no dispatch: %w", file, err)
	}
	defer func() { _ = dispatch.Close() }()
	info, err := dispatch.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s: dispatch cannot be executed", file)
	}
	if _, err := io.ReadFull(dispatch, make([]byte, 4)); err != nil {
		return fmt.Errorf("%s: dispatch is empty: %w", file, err)
	}
	return nil
}
