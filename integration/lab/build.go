package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Bin has the paths of the programs a lab is made of.
type Bin struct {
	// Juju41, Juju36 and Juju354 are the juju CLI at 4.1, 3.6.11 and 3.5.4.
	Juju41, Juju36, Juju354 string
	// Agent is jujuagentd 4.1, the controller.
	Agent string
	// Prepare writes what a controller machine has before its bootstrap.
	Prepare string
	// Ctl is the script that runs controllers.
	Ctl string
}

// Build builds what is not in the cache of the repository at repoRoot: minutes the first
// time, else a moment. It writes a line to progress for each step that takes time.
func Build(ctx context.Context, repoRoot string, progress io.Writer) (Bin, error) {
	root, err := filepath.Abs(repoRoot)
	if err != nil {
		return Bin{}, err
	}
	peers := filepath.Join(root, "integration", "peers")
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(peers, "build.sh"), "juju41", "juju36", "juju354", "prepare")
	cmd.Stdout = &out
	cmd.Stderr = progress
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return Bin{}, fmt.Errorf("cannot build the Juju peers: %w", err)
	}

	bin := Bin{Ctl: filepath.Join(peers, "ctl")}
	paths := map[string]*string{
		"JUJU41": &bin.Juju41, "JUJU36": &bin.Juju36, "JUJU354": &bin.Juju354,
		"AGENT": &bin.Agent, "PREPARE": &bin.Prepare,
	}
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		path, ok := paths[name]
		if !ok {
			return Bin{}, fmt.Errorf("cannot build the Juju peers: unexpected output %q", line)
		}
		*path = value
		delete(paths, name)
	}
	if len(paths) != 0 {
		return Bin{}, fmt.Errorf("cannot build the Juju peers: build.sh has named no path for %v", paths)
	}
	return bin, nil
}
