package cli_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/cli/pages"
)

var update = flag.Bool("update", false, "write docs/reference/jaas anew")

// TestReferencePages fails when the pages in docs/reference/jaas are not what
// the commands say of themselves; "make docs" writes them.
func TestReferencePages(t *testing.T) {
	pages.Check(t, (&cli.JAAS{}).Command(), "../../docs/reference/jaas", *update)
}

func TestEveryCommandTeaches(t *testing.T) {
	for _, program := range []cli.Program{cli.Jaas, cli.Jimmctl} {
		root := (&cli.JAAS{Program: program}).Command()
		var look func(cmd *cobra.Command)
		look = func(cmd *cobra.Command) {
			for _, sub := range cmd.Commands() {
				look(sub)
			}
			if cmd.HasSubCommands() || cmd.Name() == "version" {
				return
			}
			path := cmd.CommandPath()
			if cmd.Short == "" || cmd.Example == "" || cmd.ValidArgsFunction == nil && strings.Contains(cmd.Use, " ") {
				t.Errorf("%s lacks a description, an example or a completion of its arguments", path)
			}
			if !strings.Contains(cmd.Example, path+" ") && !strings.HasSuffix(cmd.Example, path) && !strings.Contains(cmd.Example, path+"\n") {
				t.Errorf("the examples of %s do not call it so:\n%s", path, cmd.Example)
			}
		}
		look(root)
	}
}
