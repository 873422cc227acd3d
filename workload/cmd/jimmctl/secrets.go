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
	"jimm/workload/postgres"
	"jimm/workload/sealed"
	"jimm/workload/secrets"
	"jimm/workload/server"
)

// patience is how long units may take to stop.
const patience = 10 * time.Second

func moveSecrets(j *cli.JAAS) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move-secrets",
		Short: "Bring the secrets to where the settings say: Vault or the database",
		Long: `Bring the secrets to where the settings say they are: Vault, or sealed rows of the
database.

It needs jimmsrv's environment as it will be, with the settings of both places:
JIMM_SECRET_STORAGE (vault or sealed) says where to, VAULT_* and
JIMM_SECRET_STORAGE_KEYS how to open them. Stop every jimmsrv first; while one runs
this refuses, and while secrets are on their way jimmsrv does.

Each secret is copied and read back. When all are, they belong to the new place, and
the old one is emptied. It can be interrupted at any time: run again it goes on, and
with the former JIMM_SECRET_STORAGE it turns back.

If the place that has them is lost, --forget has JIMM begin in the other without them:
passwords of controllers and credentials have to be given anew. Nothing is deleted.

Where nothing is to be moved and the secrets are sealed rows, those that an older key
of JIMM_SECRET_STORAGE_KEYS has sealed are sealed with the first, so that the older
ones can be taken out. jimmsrv may run meanwhile.`,
		Example: `  JIMM_SECRET_STORAGE=vault jimmctl move-secrets
  JIMM_SECRET_STORAGE=sealed jimmctl move-secrets --keep    # turn back: Vault does not answer
  JIMM_SECRET_STORAGE=sealed jimmctl move-secrets --forget  # Vault is lost, with all secrets`,
		Args:              cli.Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	keep := cmd.Flags().Bool("keep", false, "delete nothing where the secrets are not any more, as when that place does not answer; a later move-secrets does")
	forget := cmd.Flags().Bool("forget", false, "begin without the secrets: the place that has them is lost for good")
	prompt := j.NewPrompt(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Environment()
		if err != nil {
			return fmt.Errorf("give this the environment that jimmsrv has:\n%w", err)
		}
		if *forget {
			if err := prompt.Confirm("Signing keys, passwords of controllers and cloud credentials that are not in %s are given up.", c.SecretPlace); err != nil {
				return err
			}
		}
		store, err := postgres.Open(cmd.Context(), c.DSN, postgres.Options{})
		if err != nil {
			return err
		}
		defer store.Close()
		done := j.Progress("Moving secrets")
		result, err := bringSecrets(cmd.Context(), c, store, !*keep, *forget)
		done()
		if err != nil {
			return err
		}
		return out.Print(result, result.table)
	}
	return cmd
}

// bringSecrets moves secrets to the place that is configured, or, where they are
// there, makes sure that the first key has sealed them.
func bringSecrets(ctx context.Context, c config.Config, store *postgres.Store, wipe, forget bool) (movedSecrets, error) {
	result := movedSecrets{Place: string(c.SecretPlace)}
	state, err := store.SecretState(ctx)
	if err != nil {
		return result, err
	}
	open := func(place secrets.Place) (estate.ListedSecrets, error) {
		return server.OpenSecrets(place, store.Pool(), c, nil, slog.New(slog.DiscardHandler))
	}
	if state != (estate.SecretState{Place: string(c.SecretPlace)}) {
		moved, err := (&secrets.Move{States: store, Open: open, Patience: patience, Forget: forget}).To(ctx, c.SecretPlace, wipe)
		result.Moved, result.Deleted, result.TurnedBack = moved.Copied, moved.Wiped, moved.TurnedBack
		if err != nil {
			return result, fmt.Errorf("cannot move secrets: %w", err)
		}
	}
	if c.SecretPlace != secrets.Sealed {
		return result, nil
	}
	err = secrets.Use(ctx, store, c.SecretPlace, func(ctx context.Context) error {
		rows, err := sealed.New(store.Pool(), c.SecretKeys...)
		if err != nil {
			return err
		}
		result.Resealed, err = rows.Reseal(ctx)
		return err
	})
	return result, err
}

// movedSecrets is what move-secrets prints.
type movedSecrets struct {
	Place      string `json:"place"`
	Moved      int    `json:"moved"`
	Deleted    int    `json:"deleted"`
	Resealed   int    `json:"resealed"`
	TurnedBack bool   `json:"turned-back"`
}

func (m movedSecrets) table(t *cli.Table) {
	t.Row("Place", "Moved", "Deleted", "Resealed", "Turned back")
	t.Row(m.Place, m.Moved, m.Deleted, m.Resealed, m.TurnedBack)
}
