// Package cli is the jaas command: what an administrator of JAAS can do beyond
// the stock juju client. It works on juju's own client store, so whoever is
// logged in with juju is logged in here.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/juju/juju/api/jujuclient"
	"github.com/spf13/cobra"
)

// Exit codes of the command.
const (
	ExitOK      = 0
	ExitFailure = 1
	// ExitUsage is for a command line that makes no sense; nothing was tried.
	ExitUsage = 2
)

// JAAS is the command in its surroundings.
type JAAS struct {
	// Version is what "jaas version" prints.
	Version string
	// Store is juju's client store: controllers.yaml and accounts.yaml.
	Store jujuclient.ClientStore
	// Getenv reads the environment: JUJU_CONTROLLER, JUJU_MODEL,
	// JUJU_CLIENT_ID and JUJU_CLIENT_SECRET.
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// controller is what -c gives.
	controller string
}

// Main runs a command line, whose first word is the program's own name, and
// returns the exit code. Errors go to Stderr, in juju's form.
//
// The program may be called juju-jaas, as a plugin of juju, or juju-COMMAND for
// any of its commands.
func (j *JAAS) Main(ctx context.Context, args []string) int {
	program, args := filepath.Base(args[0]), args[1:]
	root := j.Command()
	if name, ok := strings.CutPrefix(program, "juju-"); ok {
		if name == "jaas" {
			root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "juju jaas"}
		} else if cmd, _, err := root.Find([]string{name}); err == nil && cmd != root {
			root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "juju"}
			args = append([]string{name}, args...)
		}
	}
	root.SetArgs(args)
	// Juju asks its plugins for a line about themselves.
	if i := slices.Index(args, "--description"); i >= 0 {
		if cmd, _, err := root.Find(slices.Delete(slices.Clone(args), i, i+1)); err == nil {
			fmt.Fprintln(j.Stdout, cmd.Short)
			return ExitOK
		}
	}
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		fmt.Fprintf(j.Stderr, "ERROR %v\nSee \"%s --help\".\n", err, cmd.CommandPath())
		return ExitUsage
	case ctx.Err() != nil:
		fmt.Fprintln(j.Stderr, "ERROR interrupted")
		return ExitFailure
	}
	fmt.Fprintf(j.Stderr, "ERROR %v\n", err)
	return ExitFailure
}

// Command returns the tree of commands.
func (j *JAAS) Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "jaas",
		Short: "Administer JAAS: its controllers, and who may do what",
		Long: `Administer JAAS: its controllers, and who may do what.

Log in with juju first; jaas uses the same client store and the same login. A
service account gives its name and secret in the environment variables
JUJU_CLIENT_ID and JUJU_CLIENT_SECRET instead.

Installed as juju-jaas it is a plugin: "juju jaas controllers".`,
		Example: `  juju login jaas.example.com -c jaas
  jaas controllers`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			message := fmt.Sprintf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				message += fmt.Sprintf(", did you mean %q?", near[0])
			}
			return usageError(message)
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(j.Stdin)
	root.SetOut(j.Stdout)
	root.SetErr(j.Stderr)
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err.Error()) })
	root.PersistentFlags().StringVarP(&j.controller, "controller", "c", "",
		"name of JAAS in the juju client store (default: the current controller)")
	root.AddCommand(
		j.registerController(), j.unregisterController(), j.controllers(), j.showController(),
		j.setControllerDeprecated(),
		j.importModel(), j.updateMigratedModel(),
		j.addPermission(), j.removePermission(),
		&cobra.Command{
			Use:   "version",
			Short: "Print the version of this program",
			Args:  arguments(),
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprintln(j.Stdout, j.Version)
				return err
			},
		},
	)
	return root
}

// usageError is an error of whoever typed the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// arguments wants exactly one argument for each of these names.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usageError("missing argument: " + names[len(args)])
		}
		if len(args) > len(names) {
			return usageError(fmt.Sprintf("unexpected argument %q", args[len(names)]))
		}
		return nil
	}
}
