// Package cli is the commands jaas and jimmctl: what an administrator of JAAS
// can do beyond the stock juju client. They work on juju's own client store, so
// whoever is logged in with juju is logged in here.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/juju/juju/api/jujuclient"
	"github.com/spf13/cobra"
)

// JAAS is one of the programs in its surroundings.
type JAAS struct {
	// Program is under which names the commands are reached (default Jaas).
	Program Program
	// Version is what the command version prints.
	Version string
	// Store is juju's client store: controllers.yaml and accounts.yaml.
	Store jujuclient.ClientStore
	// Getenv reads the environment: JUJU_CONTROLLER, JUJU_MODEL,
	// JUJU_CLIENT_ID, JUJU_CLIENT_SECRET, NO_COLOR and TERM.
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Operator are commands that need no login but the server's environment.
	Operator []*cobra.Command

	// controller is what -c gives, noLogin -B, debug --debug.
	controller     string
	noLogin, debug bool
	// interrupted ends when whoever called the program wants it to.
	interrupted <-chan struct{}
}

func (j *JAAS) program() Program {
	if j.Program == "" {
		return Jaas
	}
	return j.Program
}

// Main runs a command line, whose first word is the program's own name, and
// returns the exit code. Errors go to Stderr, in juju's form.
//
// The program jaas may be called juju-jaas, as a plugin of juju, or juju-COMMAND
// for any of its commands.
func (j *JAAS) Main(ctx context.Context, args []string) int {
	program, args := filepath.Base(args[0]), args[1:]
	j.interrupted = ctx.Done()
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
	code := exitCode(err)
	switch {
	case code == ExitOK:
	case code == ExitUsage:
		j.say("ERROR %s\nSee \"%s --help\".\n", j.spell(err.Error()), cmd.CommandPath())
	case ctx.Err() != nil:
		j.say("ERROR interrupted\n")
		code = ExitFailure
	case err.Error() != "":
		j.say("ERROR %s\n", j.spell(err.Error()))
	}
	return code
}

// hint tells a person something that is not the result.
func (j *JAAS) hint(format string, args ...any) {
	j.say("%s\n", j.spell(fmt.Sprintf(format, args...)))
}

// sayAtMost is how long what is said may be, in bytes: an error may cite an argument
// of a megabyte.
const sayAtMost = 4 << 10

// say writes to Stderr. What comes from elsewhere does no more there than show.
func (j *JAAS) say(format string, args ...any) {
	text := printableLines(fmt.Sprintf(format, args...))
	if len(text) > sayAtMost {
		text = strings.ToValidUTF8(text[:sayAtMost], "") + "…\n"
	}
	fmt.Fprint(j.Stderr, text)
}

const jaasLong = `Administer JAAS: its controllers, its models, and who may do what.

Log in with juju first; jaas uses the same client store and the same login. A
service account gives its name and secret in the environment variables
JUJU_CLIENT_ID and JUJU_CLIENT_SECRET instead.

Installed as juju-jaas it is a plugin: "juju jaas controllers".`

const jimmctlLong = `Administer JAAS, by the names that the commands had in 2024.

Whatever jaas can do is here, too. Log in with juju first; jimmctl uses the same
client store and the same login. A service account gives its name and secret in
the environment variables JUJU_CLIENT_ID and JUJU_CLIENT_SECRET instead.

The commands for operation act on the database and the secrets themselves: they
want the environment that jimmsrv has, and no login.`

// Command returns the tree of commands.
func (j *JAAS) Command() *cobra.Command {
	root := &cobra.Command{
		Use:           string(j.program()),
		Short:         "Administer JAAS: its controllers, and who may do what",
		Long:          jaasLong,
		Example:       "  juju login jaas.example.com -c jaas\n  jaas controllers",
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	if j.program() == Jimmctl {
		root.Long = jimmctlLong
	}
	root.Example = j.spell(root.Example)
	root.SetIn(j.Stdin)
	root.SetOut(j.Stdout)
	root.SetErr(j.Stderr)
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		// Go's own function that has failed is of no use to whoever typed it.
		if bad := (*strconv.NumError)(nil); errors.As(err, &bad) {
			return UsageError(strings.Replace(err.Error(), bad.Error(), bad.Err.Error(), 1))
		}
		return UsageError(err.Error())
	})
	flags := root.PersistentFlags()
	flags.StringVarP(&j.controller, "controller", "c", "", "`NAME` of JAAS in the juju client store (default: the current controller)")
	flags.BoolVarP(&j.noLogin, "no-browser-login", "B", false, "fail, rather than ask for a login in the browser")
	flags.BoolVar(&j.debug, "debug", false, "tell what is asked of JAAS, and how long it takes")
	_ = root.RegisterFlagCompletionFunc("controller", j.completeStore)
	j.grow(root)
	root.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  Arguments(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(j.Stdout, j.Version)
			return err
		},
	})
	return root
}

// Arguments wants exactly one argument for each of these names.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return UsageError("missing argument: " + names[len(args)])
		}
		if len(args) > len(names) {
			return UsageError(fmt.Sprintf("unexpected argument %q", args[len(names)]))
		}
		return nil
	}
}
