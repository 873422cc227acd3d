package main

import (
	"github.com/spf13/cobra"

	"jimm/workload/cli"
)

// operatorCommands are those that need the server's environment, and no login.
func operatorCommands(j *cli.JAAS) []*cobra.Command {
	return []*cobra.Command{
		doctorCommand(j),
		migrateDatabase(j),
		moveSecrets(j),
		rotateSigningKeys(j),
	}
}
