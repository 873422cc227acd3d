//go:build integration

package compat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"jimm/integration/lab"
	"jimm/workload/dev"
	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/sim"
)

// world is one JIMM in front of controllers of both generations, and one more
// controller of each that is used directly.
type world struct {
	t     *testing.T
	dir   string
	stack *dev.Stack
	// generations are the controllers' releases, releases those of the client.
	generations []*generation
	releases    []release
	// charm and blob are a local charm and a file for its resource.
	charm, blob string
	// turns bounds how many juju run at a time.
	turns chan struct{}
	log   *os.File
}

// generation is a release of controllers.
type generation struct {
	// name is how the table calls it, short is part of model names.
	name, short string
	// cloud and region are where models are made, on both controllers.
	cloud, region string
	// direct is the controller that is used directly.
	direct store
	// own is the client of the same release.
	own string
	// operation and task are the numbers that the first action gets.
	operation, task string
	// simulated says that the controllers do not have all that real ones have.
	simulated bool
}

// release is a release of the juju client.
type release struct{ name, short, path string }

// store is what a client knows of a controller it logs in to by password.
type store struct{ uuid, address, caCert, user, password string }

// controllerName is how all clients call the controller, direct or JIMM.
const controllerName = "front"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), turns: make(chan struct{}, 4)}
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	w.ok(err)
	w.log, err = os.Create(filepath.Join(w.dir, "jimm.log"))
	w.ok(err)
	t.Cleanup(func() { _ = w.log.Close() })
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.stack, err = dev.Start(t.Context(), dev.Options{
		Dir: filepath.Join(w.dir, "jimm"), Juju: "real", Repository: "../..", Log: log, Out: t.Output(),
	})
	w.ok(err)
	t.Cleanup(func() {
		if err := w.stack.Close(); err != nil {
			t.Error(err)
		}
	})

	// The first real controller is at home in the region east, the second in west: through
	// JIMM all models go to the second.
	east := w.stack.Real[0]
	real41 := &generation{
		name: "4.1", short: "on41", cloud: east.Cloud, region: "west", own: bin.Juju41, operation: "0", task: "1",
		direct: store{east.UUID, east.Address, east.CACert, east.User, east.Password},
	}
	sim36 := &generation{name: "3.6", short: "on36", cloud: "sim", region: "default", own: bin.Juju36, operation: "1", task: "2", simulated: true}
	for _, name := range []string{"direct36", "juju36"} {
		c, err := sim.Start(t.Context(), sim.Config{
			Name: name, Generation: sim.Juju36, Log: log,
			// Juju 3.5 forgets controllers that are on the loopback.
			Listen:  w.stack.Lab.HostAddress() + ":0",
			JWKSURL: "https://" + w.stack.Address + "/.well-known/jwks.json", HTTPClient: w.stack.Client(),
		})
		w.ok(err)
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		if name == "direct36" {
			sim36.direct = store{c.UUID(), c.Address(), c.CACert(), "admin", c.AdminPassword()}
			continue
		}
		_, err = w.stack.Server.Estate.AddController(t.Context(), dev.Admin, estate.AddControllerArgs{
			Name: name, UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(), Username: "admin", Password: c.AdminPassword(),
		})
		w.ok(err)
	}
	w.generations = []*generation{real41, sim36}
	w.releases = []release{{"3.5.4", "j354", bin.Juju354}, {"3.6.11", "j36", bin.Juju36}, {"4.1", "j41", bin.Juju41}}

	w.charm, err = lab.Charm(w.dir, "probe", lab.CharmOptions{})
	w.ok(err)
	w.blob = w.write("blob.txt", "some text\n")
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	w.ok(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// client is a juju with a client store of its own, logged in.
type client struct {
	world *world
	cli   *lab.CLI
	// user is who has logged in.
	user string
}

// direct logs in to a controller by password.
func (w *world) direct(juju string, s store) (*client, error) {
	data, err := os.MkdirTemp(w.dir, "direct-")
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]any{
		"controllers.yaml": map[string]any{
			"current-controller": controllerName,
			"controllers": map[string]any{controllerName: map[string]any{
				"uuid": s.uuid, "api-endpoints": []string{s.address}, "ca-cert": s.caCert,
			}},
		},
		"accounts.yaml": map[string]any{
			"controllers": map[string]any{controllerName: map[string]any{"user": s.user, "password": s.password, "last-known-access": "superuser"}},
		},
	} {
		text, err := yaml.Marshal(content)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(data, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return &client{world: w, cli: &lab.CLI{Path: juju, Data: data}, user: s.user}, nil
}

// prompt is what juju says when somebody has to log in with a browser.
var prompt = regexp.MustCompile(`Please visit (\S+) and enter code (\S+) to log in`)

// through logs in to JIMM with a browser.
func (w *world) through(ctx context.Context, juju string, user idp.User) (*client, error) {
	data, err := os.MkdirTemp(w.dir, "jimm-")
	if err != nil {
		return nil, err
	}
	c := &client{world: w, user: user.Email, cli: &lab.CLI{Path: juju, Data: data, Env: []string{"SSL_CERT_FILE=" + w.stack.CAFile}}}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, err := c.cli.Command(ctx, "login", w.stack.Address, "-c", controllerName, "--no-prompt")
	if err != nil {
		return nil, err
	}
	reading, writing := io.Pipe()
	cmd.Stdout, cmd.Stderr = writing, writing
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		_ = writing.Close()
	}()
	var output bytes.Buffer
	var approval error
	for lines := bufio.NewScanner(reading); lines.Scan(); {
		output.WriteString(lines.Text() + "\n")
		if found := prompt.FindStringSubmatch(lines.Text()); found != nil {
			approval = idp.ApproveDevice(ctx, w.stack.Client(), found[1], found[2], user.Email, user.Password)
		}
	}
	if err := errors.Join(approval, <-ended); err != nil {
		return nil, fmt.Errorf("%s cannot log in with %s: %w\n%s", user.Email, juju, err, &output)
	}
	return c, nil
}

// patience bounds how long one command may take.
const patience = 10 * time.Minute

// outcome is what a command has done.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs a command to its end.
func (c *client) run(ctx context.Context, args ...string) (outcome, error) {
	c.world.turns <- struct{}{}
	defer func() { <-c.world.turns }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, err := c.cli.Command(ctx, args...)
	if err != nil {
		return outcome{}, err
	}
	cmd.Dir = c.world.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return outcome{}, fmt.Errorf("juju %s has not ended after %v: %s", strings.Join(args, " "), patience, &stderr)
	}
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}

// must runs a command that has to succeed.
func (c *client) must(ctx context.Context, args ...string) error {
	o, err := c.run(ctx, args...)
	if err != nil {
		return err
	}
	if o.code != 0 {
		return fmt.Errorf("juju %s: exit %d: %s", strings.Join(args, " "), o.code, o.stderr)
	}
	return nil
}
