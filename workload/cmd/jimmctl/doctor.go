package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/config"
	"jimm/workload/doctor"
	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/secrets"
	"jimm/workload/server"
)

func doctorCommand(j *cli.JAAS) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine a deployment, and say how to mend it",
		Long: `Examine a deployment, from outside and from inside, and say how to mend it.

It looks at the settings, the name and the certificate of JIMM, the signing keys as
controllers get them, the identity provider, the look-up of groups (hook-service),
OpenFGA, PostgreSQL, the secrets, the schedule of the keys, each controller (logging
in there as JIMM does), and the clocks of all these. It changes nothing.

It needs the settings that jimmsrv has, in the same variables and file. The exit code
is 0 if all is well or there are only warnings, and 7 if something is broken.`,
		Example:           "  jimmctl doctor\n  jimmctl doctor --config /etc/jimm.yaml --format json",
		Args:              cli.Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	file := cmd.Flags().String("config", "", "read settings that are not in the environment from this `FILE` (default: what JIMM_CONFIG_FILE says, if anything)")
	timeout := cmd.Flags().Duration("timeout", 0, "what each examination may take (default 10s)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := config.Load(os.Environ(), *file)
		patient := doctor.Patient{Config: loaded.Config, ConfigError: err, Secrets: openSecrets, Timeout: *timeout}
		done := j.Progress("Examining")
		findings := doctor.Examine(cmd.Context(), patient, nil)
		done()
		if err := out.Print(findings, func(t *cli.Table) { reportTable(t, findings) }); err != nil {
			return err
		}
		if doctor.Worst(findings) == doctor.Failed {
			return &cli.Exit{Code: cli.ExitNo, Err: errors.New("something is broken")}
		}
		return nil
	}
	return cmd
}

func reportTable(t *cli.Table, findings []doctor.Finding) {
	for _, f := range findings {
		verdict := cli.Good(string(f.Verdict))
		text := f.Detail
		switch f.Verdict {
		case doctor.Warning:
			verdict = cli.Warn(string(f.Verdict))
		case doctor.Failed:
			verdict = cli.Bad(string(f.Verdict))
		case doctor.Skipped:
			verdict = string(f.Verdict)
		}
		if f.Fix != "" {
			text += fmt.Sprintf(" -> %s", f.Fix)
		}
		t.Row(f.Name, verdict, text)
	}
}

// openSecrets opens the secrets as jimmsrv does.
func openSecrets(ctx context.Context, c config.Config, store *postgres.Store) (estate.Secrets, string, error) {
	where := c.SecretPlace.String()
	if c.SecretPlace == secrets.Vault {
		where += " at " + c.Vault.Address
	}
	kept, err := server.OpenSecrets(c.SecretPlace, store.Pool(), c, nil, slog.New(slog.DiscardHandler))
	if err == nil {
		err = secrets.Check(ctx, store, c.SecretPlace)
	}
	return kept, where, err
}
