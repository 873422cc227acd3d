package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/config"
)

func doctor(j *cli.JAAS) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the server on this machine and all that it needs",
		Long: `Look at the server on this machine and all that it needs.

It reads the server's environment as the server does, and then asks the server at
its internal address what it finds of the database, the permissions, the secrets,
the identity provider and the controllers.`,
		Example: "  jimmctl doctor\n  jimmctl doctor --format json",
		Args:    cli.Arguments(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Environment()
		if err != nil {
			return fmt.Errorf("the server cannot start with this environment:\n%w", err)
		}
		_, port, err := net.SplitHostPort(c.InternalAddress)
		if err != nil {
			return fmt.Errorf("the server has no internal address to ask at: set JIMM_INTERNAL_LISTEN_ADDR: %w", err)
		}
		client := &http.Client{Timeout: 30 * time.Second}
		request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://localhost:"+port+"/debug/status", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("the server does not answer at port %s; its log says why: %w", port, err)
		}
		defer func() { _ = response.Body.Close() }()
		var found findings
		if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
			return fmt.Errorf("cannot understand the server at port %s: %w", port, err)
		}
		if err := out.Print(found, found.table); err != nil {
			return err
		}
		for _, f := range found {
			if !f.Passed {
				return &cli.Exit{Code: cli.ExitNo, Err: errors.New("not all is well")}
			}
		}
		return nil
	}
	return cmd
}

// findings are what the server finds, by name.
type findings map[string]finding

// finding is one of them, as /debug/status has it.
type finding struct {
	Name     string `json:"name"`
	Passed   bool   `json:"passed"`
	Critical bool   `json:"critical"`
	Value    string `json:"value"`
}

func (f findings) table(t *cli.Table) {
	t.Row("What", "Well", "Value")
	for _, name := range sortedKeys(f) {
		t.Row(f[name].Name, f[name].Passed, f[name].Value)
	}
}
