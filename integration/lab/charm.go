package lab

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// CharmOptions change what Charm writes.
type CharmOptions struct {
	// Dispatch is the shell script that handles hooks and actions, else one that sets the
	// unit active and answers the action "ping".
	Dispatch string
	// Files are further files, or others in place of Charm's own, text by path in the charm.
	Files map[string]string
}

const charmDispatch = `#!/bin/sh
case $JUJU_DISPATCH_PATH in
actions/ping) action-set answer=pong ;;
hooks/*) status-set active "opt=$(config-get opt)" ;;
esac
`

// Charm writes a machine charm NAME.charm into dir that Juju 3.6 and 4.1 deploy as a local
// charm, and gives its path. It has
//   - the base ubuntu 24.04,
//   - the endpoints db, which it provides, and src, which it requires, both of interface labdb,
//   - the file resource blob,
//   - the option opt, a string,
//   - the action ping, which answers pong.
func Charm(dir, name string, options CharmOptions) (path string, err error) {
	files := map[string]string{
		"metadata.yaml": "name: " + name + `
summary: A charm for tests.
description: A charm for tests.
provides:
  db: {interface: labdb}
requires:
  src: {interface: labdb}
resources:
  blob: {type: file, filename: blob.txt, description: Any file.}
`,
		"manifest.yaml": "bases:\n- {name: ubuntu, channel: 24.04/stable, architectures: [" + runtime.GOARCH + "]}\n",
		"config.yaml":   "options:\n  opt: {type: string, default: \"\", description: Any text.}\n",
		"actions.yaml":  "ping:\n  description: Answers pong.\n",
		"revision":      "0\n",
		"dispatch":      charmDispatch,
	}
	if options.Dispatch != "" {
		files["dispatch"] = options.Dispatch
	}
	for file, text := range options.Files {
		files[file] = text
	}

	path = filepath.Join(dir, name+".charm")
	out, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("cannot write charm %q: %w", name, err)
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	archive := zip.NewWriter(out)
	var names []string
	for file := range files {
		names = append(names, file)
	}
	slices.Sort(names) // the same options give the same bytes
	for _, file := range names {
		header := &zip.FileHeader{Name: file, Method: zip.Deflate}
		header.SetMode(0o644)
		if file == "dispatch" {
			header.SetMode(0o755)
		}
		w, err := archive.CreateHeader(header)
		if err == nil {
			_, err = w.Write([]byte(files[file]))
		}
		if err != nil {
			return "", fmt.Errorf("cannot write charm %q: %w", name, err)
		}
	}
	return path, archive.Close()
}
