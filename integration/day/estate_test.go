//go:build integration

package day

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jimm/integration/lab"
	"jimm/workload/dev"
	"jimm/workload/idp"
)

// company is a JIMM with two real controllers, and what its people work with.
type company struct {
	stack *dev.Stack
	bin   lab.Bin
	dir   string
	// east and west are the controllers that run in the region of that name.
	east, west *lab.Controller
	// charm is a local charm, blob a file for its resource.
	charm, blob string
	// jaas is the administrators' command.
	jaas string
	log  *tail
}

// member is somebody who can log in.
type member struct {
	name string
	// person logs in on the pages of the identity provider; nil for the service account,
	// whose client has its secret.
	person *idp.User
}

const (
	alice = "alice@example.com" // administrator of JIMM
	bob   = "bob@example.com"
	robot = "ci@serviceaccount"
)

var (
	memberAlice = member{alice, &dev.Alice}
	memberBob   = member{bob, &dev.Bob}
	memberRobot = member{robot, nil}
)

func foundCompany(t *testing.T) *company {
	t.Helper()
	c := &company{dir: t.TempDir(), log: &tail{}}
	var err error
	if c.bin, err = lab.Build(t.Context(), "../..", os.Stderr); err != nil {
		t.Fatal(err)
	}
	c.jaas = filepath.Join(c.dir, "jaas")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.jaas, "../../workload/cmd/jaas").CombinedOutput(); err != nil {
		t.Fatalf("cannot build jaas: %v\n%s", err, out)
	}
	if c.charm, err = lab.Charm(c.dir, "probe", lab.CharmOptions{}); err != nil {
		t.Fatal(err)
	}
	c.blob = filepath.Join(c.dir, "blob.txt")
	write(t, c.blob, "some text\n")
	c.stack, err = dev.Start(t.Context(), dev.Options{
		Dir: filepath.Join(c.dir, "jimm"), Juju: "real", Repository: "../..",
		Log: slog.New(slog.NewTextHandler(c.log, nil)), Out: t.Output(),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, c.log)
	}
	t.Cleanup(func() {
		if err := c.stack.Close(); err != nil {
			t.Error(err)
		}
	})
	c.east, c.west = c.stack.Real[0], c.stack.Real[1]
	t.Cleanup(func() {
		// Their data is not kept: no need to wait until they have stopped in order.
		for _, controller := range c.stack.Real {
			if err := controller.Kill(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

// person gives somebody a command line with an empty client store.
func (c *company) person(t *testing.T, m member, juju string) *session {
	t.Helper()
	data, err := os.MkdirTemp(c.dir, "juju-")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SSL_CERT_FILE=" + c.stack.CAFile}
	if m.person == nil {
		env = append(env, "JUJU_CLIENT_ID="+dev.ServiceAccount, "JUJU_CLIENT_SECRET="+dev.ServiceSecret)
	}
	return &session{t: t, who: m.name, log: c.log.String, cli: &lab.CLI{Path: juju, Data: data, Env: env}}
}

// logIn logs a member in, by device or by a secret.
func (c *company) logIn(s *session, m member) *run {
	s.t.Helper()
	args := []string{"login", c.stack.Address, "-c", "jimm", "--no-prompt"}
	if m.person == nil {
		return s.juju(args...)
	}
	return s.approving(*m.person, c.stack, args...)
}

// direct is a command line of a controller's own administrator, past JIMM.
func (c *company) direct(t *testing.T, to *lab.Controller, juju string) *session {
	t.Helper()
	data, err := os.MkdirTemp(c.dir, "direct-")
	if err != nil {
		t.Fatal(err)
	}
	cli, err := to.CLI(juju, data)
	if err != nil {
		t.Fatal(err)
	}
	return &session{t: t, who: "admin of " + to.Name, cli: cli, log: c.log.String}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tail keeps the end of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(bytes.TrimRight(p, "\n")))
	if len(l.lines) > 40 {
		l.lines = l.lines[len(l.lines)-40:]
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n") + "\n"
}

// jaasAs runs the administrators' command with the client store of a session.
func (c *company) jaasAs(s *session, args ...string) *run {
	s.t.Helper()
	other := *s
	cli := *s.cli
	cli.Path = c.jaas
	other.cli = &cli
	return other.juju(args...)
}
