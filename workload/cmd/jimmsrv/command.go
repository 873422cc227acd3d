package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func rootCommand() *cobra.Command {
	var file string
	root := &cobra.Command{
		Use:   "jimmsrv",
		Short: "Serve JIMM: one gateway to many Juju controllers",
		Long: `Serve JIMM: one gateway to many Juju controllers.

Settings are variables of the environment, and of a file of YAML for those that
are not in it. A secret can also be in a file of its own, whose path is in
NAME_FILE. "jimmsrv config check" says what is missing or wrong.

Signals:
  TERM, INT   stop: requests under way end first, clients are told to come back
  HUP         read the file again: log level, administrators, origins and trusted
              certificates change at once; for the rest the log says to restart`,
		Example: `  jimmsrv                                # settings from the environment
  jimmsrv --config /etc/jimm/jimm.yaml   # and from a file
  jimmsrv config check --config /etc/jimm/jimm.yaml
  kill -HUP PID                          # after a change of the file`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := run(cmd.Context(), file); err != nil {
				return fmt.Errorf("jimmsrv cannot run:\n%w", err)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&file, "config", "", "configuration file (default: what JIMM_CONFIG_FILE says, if anything)")
	root.AddCommand(configCommand(&file), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "jimmsrv %s (commit %s, %s %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
