// Command jimmctl administers JAAS by the command names of 2024, and operates
// it: what it does to the database, the secrets and the signing keys needs the
// environment of jimmsrv.
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
	code := program().Main(ctx, os.Args)
	stop()
	os.Exit(code)
}

// program is jimmctl with all its commands.
func program() *cli.JAAS {
	j := &cli.JAAS{
		Program: cli.Jimmctl, Version: version, Store: jujuclient.NewFileClientStore(), Getenv: os.Getenv,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	j.Operator = operatorCommands(j)
	return j
}
