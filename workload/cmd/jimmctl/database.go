package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/config"
	"jimm/workload/postgres"
)

func migrateDatabase(j *cli.JAAS) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate-database",
		Short: "Bring the schema of the database up to date",
		Long: `Bring the schema of the database up to date.

Every jimmsrv does so at its start; this is for those who want it to be a step of
its own, before the new version runs. It needs the variable JIMM_DSN of jimmsrv's
environment. Of several that run at once one migrates and the others wait for it.`,
		Example:           "  jimmctl migrate-database --dry-run\n  jimmctl migrate-database",
		Args:              cli.Arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := j.NewOutput(cmd, "tabular", "yaml", "json")
	dry := cmd.Flags().Bool("dry-run", false, "only say what there is to do; exits with 7 if there is something")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// The other settings do not matter here.
		c, err := config.Environment()
		if c.DSN == "" {
			return fmt.Errorf("JIMM_DSN is not set: give this the environment that jimmsrv has: %w", err)
		}
		done := j.Progress("Migrating")
		before, err := postgres.Migrate(cmd.Context(), c.DSN, !*dry)
		done()
		if err != nil {
			return fmt.Errorf("cannot migrate the database: %w", err)
		}
		result := migration{Schema: before, Migrated: !*dry && before.Version < before.Newest}
		if err := out.Print(result, result.table); err != nil {
			return err
		}
		if *dry && before.Version < before.Newest {
			return &cli.Exit{Code: cli.ExitNo, Err: errors.New("the schema is not up to date")}
		}
		return nil
	}
	return cmd
}

// migration is what migrate-database prints.
type migration struct {
	postgres.Schema
	Migrated bool `json:"migrated"`
}

func (m migration) table(t *cli.Table) {
	t.Row("Before", "Newest", "Migrated")
	t.Row(m.Version, m.Newest, m.Migrated)
}
