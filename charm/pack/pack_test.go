package pack_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juju/charm/v12"

	"jimm/charm/pack"
)

func packed(t *testing.T, files map[string][]byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	dispatch := filepath.Join(dir, "dispatch")
	if err := os.WriteFile(dispatch, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "jimm.charm")
	return out, pack.Charm(out, pack.Options{Root: root, Dispatch: dispatch, Arch: "amd64", Files: files})
}

func TestJujuReadsThePackedCharm(t *testing.T) {
	out, err := packed(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := charm.ReadCharmArchive(out)
	if err != nil {
		t.Fatal(err)
	}
	if name := archive.Meta().Name; name != "juju-jimm-k8s" {
		t.Errorf("the charm's name is %q", name)
	}
	if c := archive.Meta().Containers["jimm"]; c.Uid == nil || *c.Uid != 584792 {
		t.Errorf("the container's user is %v", c.Uid)
	}
	if len(archive.Config().Options) < 20 || len(archive.Actions().ActionSpecs) < 6 {
		t.Errorf("there are %d options and %d actions", len(archive.Config().Options), len(archive.Actions().ActionSpecs))
	}
	again, err := packed(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(out)
	other, _ := os.ReadFile(again)
	if !bytes.Equal(one, other) {
		t.Error("packing the same twice gives two different files")
	}
}

func TestWhatJujuWouldRefuseIsNotPacked(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"a reserved interface of a charm of another name": {"metadata.yaml": []byte("name: x\nsummary: x\ndescription: x\nprovides:\n  a: {interface: juju-dashboard}\n")},
		"no manifest":     {"manifest.yaml": []byte("bases: []\n")},
		"no dispatch":     {"dispatch": nil},
		"metadata no map": {"metadata.yaml": []byte("[]")},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := packed(t, files)
			if err == nil {
				t.Fatal("it is packed")
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("the file is left behind")
			}
			if strings.Contains(err.Error(), "\n\n") {
				t.Errorf("the error is %q", err)
			}
		})
	}
}
