package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"jimm/charm/hook"
)

// ToolCall is a call of a hook tool by another process.
type ToolCall struct {
	Context, Tool string
	Args          []string
	Stdin         []byte
}

// ToolReply is what the tool says and exits with.
type ToolReply struct {
	Stdout []byte
	Stderr string
	Code   int
}

// Tools answers calls of hook tools for one run of a charm.
type Tools struct {
	context *hookContext
	id      string
}

// Run implements net/rpc's idea of a method.
func (t *Tools) Run(call ToolCall, reply *ToolReply) error {
	if call.Context != t.id {
		reply.Stderr, reply.Code = fmt.Sprintf("ERROR unknown context %q\n", call.Context), 1
		return nil
	}
	stdout, err := t.context.tool(call.Tool, call.Stdin, call.Args)
	reply.Stdout = stdout
	if err != nil {
		reply.Stderr, reply.Code = "ERROR "+err.Error()+"\n", 1
		var failed *toolError
		if errors.As(err, &failed) {
			reply.Code = failed.code
		}
	}
	return nil
}

// Root is where a unit's processes run: a directory that they see as "/".
type Root interface {
	// Path is the directory.
	Path() string
	// Run runs a command there, until it ends.
	Run(cmd *exec.Cmd) error
}

// hookTools are the names that hooktool is to be found by.
func hookTools() []string {
	var names []string
	for name := range tools {
		names = append(names, name)
	}
	return names
}

// InstallCharm lays out what a unit's agent has on disk: the charm's directory
// with its dispatch, and the hook tools.
func InstallCharm(root, unit, dispatch, hooktool string) error {
	agent := filepath.Join(root, agentDir(unit))
	bin := filepath.Join(root, toolsDir(unit))
	for _, dir := range []string{filepath.Join(agent, "charm"), bin, filepath.Join(root, "tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for to, from := range map[string]string{filepath.Join(agent, "charm", "dispatch"): dispatch, filepath.Join(bin, "hooktool"): hooktool} {
		if err := install(from, to); err != nil {
			return err
		}
	}
	for _, name := range hookTools() {
		if err := os.Symlink("hooktool", filepath.Join(bin, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// install puts a program in place of what is there.
func install(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

func agentDir(unit string) string {
	return "/var/lib/juju/agents/unit-" + strings.ReplaceAll(unit, "/", "-")
}
func toolsDir(unit string) string {
	return "/var/lib/juju/tools/unit-" + strings.ReplaceAll(unit, "/", "-")
}

// Program makes a charm of a dispatch program that InstallCharm has put into
// each unit's root. What it prints goes to the model's log.
func (m *Model) Program(root func(unit string) Root) Charm {
	return func(ctx context.Context, tools hook.Tools, event hook.Event) error {
		c, ok := tools.Runner.(*hookContext)
		if !ok {
			return errors.New("a program can only run in a simulated model")
		}
		r := root(event.Unit)
		c.root = r.Path()
		return m.runProgram(ctx, c, r)
	}
}

// patience is how long a hook may take.
const patience = 3 * time.Minute

func (m *Model) runProgram(ctx context.Context, c *hookContext, r Root) error {
	unit := c.event.Unit
	socket := agentDir(unit) + "/agent.socket"
	_ = os.Remove(r.Path() + socket)
	listener, err := net.Listen("unix", r.Path()+socket)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	m.next++
	answering := &Tools{context: c, id: fmt.Sprintf("%s-run-%d", unit, m.next)}
	server := rpc.NewServer()
	if err := server.Register(answering); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the run is over
			}
			go server.ServeConn(conn)
		}
	}()

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	charm := agentDir(unit) + "/charm"
	cmd := exec.CommandContext(ctx, "./dispatch")
	cmd.Dir = charm
	cmd.Env = append(c.environment(), "PATH="+toolsDir(unit)+":/usr/bin:/bin", "CHARM_DIR="+charm, "JUJU_CHARM_DIR="+charm,
		"JUJU_CONTEXT_ID="+answering.id, "JUJU_AGENT_SOCKET_ADDRESS="+socket)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err = r.Run(cmd)
	m.mu.Lock()
	for line := range strings.Lines(output.String()) {
		m.Log = append(m.Log, unit+": "+strings.TrimSuffix(line, "\n"))
	}
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}
