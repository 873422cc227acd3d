package hook

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Runner runs a hook tool and gives its standard output. An error of the tool
// itself is an *Error.
type Runner interface {
	Run(ctx context.Context, tool string, stdin []byte, args ...string) (stdout []byte, err error)
}

// Error is a hook tool that has failed.
type Error struct {
	// Tool is its name.
	Tool string
	// Stderr is what it said.
	Stderr string
	Err    error
}

func (e *Error) Error() string {
	said := strings.TrimPrefix(strings.TrimSpace(e.Stderr), "ERROR ")
	if said == "" {
		return fmt.Sprintf("%s: %v", e.Tool, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Tool, said)
}

func (e *Error) Unwrap() error { return e.Err }

// patience is how long a tool may take. Juju's own calls give up earlier.
const patience = 2 * time.Minute

// Exec runs the tools that Juju has put into PATH.
type Exec struct{}

// Run implements Runner.
func (Exec) Run(ctx context.Context, tool string, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, &Error{Tool: tool, Stderr: stderr.String(), Err: err}
	}
	return stdout.Bytes(), nil
}
