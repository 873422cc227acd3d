package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Controller is a Juju controller of a lab. Its fields but Log are known once it has been
// bootstrapped, and stay the same.
type Controller struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
	// Address is host:port of the API.
	Address string `json:"address"`
	// CACert is the CA's certificate, in PEM. The server's is for the name juju-apiserver.
	CACert string `json:"ca-cert"`
	// User is the name of the local superuser, without domain.
	User     string `json:"user"`
	Password string `json:"password"`
	// Cloud and Region are where the controller runs.
	Cloud  string `json:"cloud"`
	Region string `json:"region"`
	// Log is the file with the agent's output.
	Log string `json:"-"`

	lab    *Lab
	number int
	env    []string
}

func (c *Controller) bootstrap(ctx context.Context) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	facts, err := os.ReadFile(filepath.Join(c.clientDir(), "controller.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(facts, c); err != nil {
		return fmt.Errorf("cannot read the facts of controller %d: %w", c.number, err)
	}
	return nil
}

// Start starts the controller again after Stop or Kill and waits until it serves. A running
// one is left alone.
func (c *Controller) Start(ctx context.Context) error {
	return c.lab.ctl(ctx, c.env, "start", strconv.Itoa(c.number))
}

// Stop ends the controller as Juju means it to be ended. Its data stay. Within its first
// second the agent does not handle this yet, and dies as by Kill.
func (c *Controller) Stop(ctx context.Context) error {
	return c.lab.ctl(ctx, nil, "stop", strconv.Itoa(c.number))
}

// Kill ends the controller by SIGKILL, as a crash does. Its data stay.
func (c *Controller) Kill(ctx context.Context) error {
	return c.lab.ctl(ctx, nil, "kill", strconv.Itoa(c.number))
}

// CLI is a command line, such as Bin.Juju36, of the controller's admin, with data of its own.
func (c *Controller) CLI(path, data string) (*CLI, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"controllers.yaml", "accounts.yaml"} {
		text, err := os.ReadFile(filepath.Join(c.clientDir(), name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(data, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return &CLI{Path: path, Data: data}, nil
}

// Juju runs the 4.1 CLI as the controller's admin and gives its standard output.
func (c *Controller) Juju(ctx context.Context, args ...string) (string, error) {
	cli := &CLI{Path: c.lab.bin.Juju41, Data: c.clientDir()}
	return cli.Run(ctx, args...)
}

func (c *Controller) clientDir() string {
	return filepath.Join(c.lab.dir, "c"+strconv.Itoa(c.number), "client")
}
