package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CLI is a user's juju command line: a program and the folder in which it keeps what it knows.
type CLI struct {
	// Path is the program, such as Bin.Juju36.
	Path string
	// Data is JUJU_DATA. Run makes it if need be.
	Data string
	// Env has further variables, such as SSL_CERT_FILE=… or JUJU_CLIENT_ID=….
	Env []string
}

// Run runs a command without a terminal and gives its standard output. An error tells what
// the command wrote to standard error.
func (c *CLI) Run(ctx context.Context, args ...string) (string, error) {
	cmd, err := c.Command(ctx, args...)
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("juju %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Command is the command that Run runs, for callers that want its streams.
func (c *CLI) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	// Without a list of public clouds the CLI fetches one.
	clouds := filepath.Join(c.Data, "public-clouds.yaml")
	if _, err := os.Stat(clouds); os.IsNotExist(err) {
		if err := os.WriteFile(clouds, []byte("clouds: {}\n"), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, c.Path, args...)
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		// A developer's own Juju settings, and proxies, which do not reach a lab.
		if !strings.HasPrefix(name, "JUJU_") && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "JUJU_DATA="+c.Data)
	cmd.Env = append(cmd.Env, c.Env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}
