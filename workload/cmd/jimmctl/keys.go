package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/config"
	"jimm/workload/estate"
	"jimm/workload/juju"
	"jimm/workload/postgres"
	"jimm/workload/secrets"
	"jimm/workload/server"
)

func rotateSigningKeys(j *cli.JAAS) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-signing-keys",
		Short: "Rotate keys without a login, with the server's settings",
		Long: `Rotate keys without a login, with the server's settings.

Use jimmctl rotate-keys if you can log in. This is for when you cannot, or when no
server runs, and for programs beside the server such as its charm. It does what
rotate-keys does (without --emergency): the next key signs as soon as it has been
public for a day, and what the old one has signed stays valid, so nobody notices.

It needs the settings that jimmsrv has, in the same variables.`,
		Example: "  jimmctl rotate-signing-keys",
		Args:    cli.Arguments(),
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		c, err := config.Environment()
		if err != nil {
			return fmt.Errorf("give this the environment that jimmsrv has:\n%w", err)
		}
		store, err := postgres.Open(ctx, c.DSN, postgres.Options{})
		if err != nil {
			return err
		}
		defer store.Close()
		kept, err := server.OpenSecrets(c.SecretPlace, store.Pool(), c, nil, slog.Default())
		if err != nil {
			return err
		}
		var schedule estate.KeySchedule
		err = secrets.Use(ctx, store, c.SecretPlace, func(ctx context.Context) error {
			keys, err := juju.OpenKeys(ctx, kept, juju.KeyOptions{MaxAge: c.KeyMaxAge})
			if err != nil {
				return err
			}
			if err := keys.Rotate(ctx, false); err != nil {
				return fmt.Errorf("cannot rotate the signing keys: %w", err)
			}
			schedule, err = keys.Schedule(ctx)
			return err
		})
		if err != nil {
			return err
		}
		result := signingKeys{}
		for _, key := range schedule.Keys {
			result = append(result, signingKey{key.ID, string(key.State), key.SignsFrom.UTC()})
		}
		return out.Print(result, result.table)
	}
	return cmd
}

// signingKeys are what rotate-signing-keys prints.
type signingKeys []signingKey

type signingKey struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	SignsFrom time.Time `json:"signs-from"`
}

func (k signingKeys) table(t *cli.Table) {
	t.Row("Key", "State", "Signs from")
	for _, key := range k {
		t.Row(key.ID, key.State, key.SignsFrom.Format(time.RFC3339))
	}
}
