// Command jaas administers JAAS from the command line. Installed as juju-jaas it
// is a plugin of the juju client.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
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
