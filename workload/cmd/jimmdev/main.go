// Command jimmdev runs a whole JAAS on one machine, for development and for a
// first look: PostgreSQL, OpenFGA, an identity provider, Juju controllers, and
// JIMM in front of them. It is never part of a production image.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"jimm/workload/dev"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "jimmdev",
		Short:         "Run a whole JAAS on one machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(upCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "jimmdev:", err)
		os.Exit(1)
	}
}

func upCommand() *cobra.Command {
	var o dev.Options
	var verbose bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything and stay until Ctrl-C",
		Long: `Start everything and stay until Ctrl-C.

What is made is kept in a directory and found again at the next start: users
stay logged in, models stay. Nothing outside it is touched, and nothing listens
beyond this machine.`,
		Example: `  jimmdev up                # two simulated controllers
  jimmdev up --juju real    # two real Juju 4.1 controllers; builds them the first time, needs root
  jimmdev up --stack real   # OpenFGA, Vault, Hydra, Kratos and Dex; builds them the first time
  jimmdev up --fresh        # start over`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Dir == "" {
				o.Dir = ".jimmdev"
				if o.Stack == dev.StackReal {
					o.Dir = ".jimmdev-real"
				}
			}
			return up(cmd.Context(), o, verbose, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Juju, "juju", "sim", "controllers: sim (one of Juju 3.6, one of 4.1) or real (two of 4.1)")
	f.StringVar(&o.Stack, "stack", dev.StackEmbedded, "services: embedded (in this process) or real (OpenFGA, Vault, Hydra, Kratos, Dex)")
	f.StringVar(&o.Issuer, "issuer", dev.IssuerDex, "with --stack real, who JIMM asks about logins: dex (by device and browser) or hydra (by browser, and service accounts)")
	f.BoolVar(&o.Fresh, "fresh", false, "forget what an earlier run left")
	f.StringVar(&o.Dir, "dir", "", "directory for all state (default .jimmdev, or .jimmdev-real with --stack real)")
	f.IntVar(&o.Port, "port", 8443, "port of JIMM on 127.0.0.1; what belongs to it has the next seven; 0 takes any")
	f.BoolVar(&verbose, "verbose", false, "show the server's log")
	return cmd
}

func up(ctx context.Context, o dev.Options, verbose bool, out io.Writer) error {
	started := time.Now()
	o.Out = out
	if verbose {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	stack, err := dev.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Ready in %.1f s.\n\n%s", time.Since(started).Seconds(), stack.Usage())
	<-ctx.Done()
	fmt.Fprintln(out, "\nStopping")
	return stack.Close()
}
