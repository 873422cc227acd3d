package stack

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

// Bin has the paths of the programs.
type Bin struct {
	OpenFGA, Vault, Hydra, Kratos, Dex string
}

// Build builds what is not in the cache of the repository at repoRoot: a quarter of
// an hour the first time, else a moment. It writes a line to progress for each step
// that takes time.
func Build(ctx context.Context, repoRoot string, progress io.Writer) (Bin, error) {
	root, err := filepath.Abs(repoRoot)
	if err != nil {
		return Bin{}, err
	}
	var bin Bin
	paths := map[string]*string{"OPENFGA": &bin.OpenFGA, "VAULT": &bin.Vault, "HYDRA": &bin.Hydra, "KRATOS": &bin.Kratos, "DEX": &bin.Dex}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(root, "integration", "peers", "build.sh"), "openfga", "vault", "hydra", "kratos", "dex")
	cmd.Stdout = &out
	cmd.Stderr = progress
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return Bin{}, fmt.Errorf("cannot build the services: %w", err)
	}
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		path, ok := paths[name]
		if !ok {
			return Bin{}, fmt.Errorf("cannot build the services: unexpected output %q", line)
		}
		*path = value
		delete(paths, name)
	}
	if len(paths) != 0 {
		return Bin{}, fmt.Errorf("cannot build the services: build.sh has named no path for %v", paths)
	}
	return bin, nil
}
