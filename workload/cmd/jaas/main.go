// Command jaas administers JAAS from the command line. Installed as juju-jaas it
// is a plugin of the juju client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
)

// version is set by the linker.
var version = "unreleased"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	jaas := &cli.JAAS{
		Version: version,
		Store:   jujuclient.NewFileClientStore(),
		Getenv:  os.Getenv,
		Stdin:   os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	code := jaas.Main(ctx, os.Args)
	stop()
	os.Exit(code)
}
