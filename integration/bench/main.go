// Bench measures what JIMM adds to a model connection: the same calls to the
// same controller, directly, through a bare copy of websocket messages (the
// least that a gateway of this kind can do) and through JIMM, in turn in one
// run. The ratios are what counts; the figures are the machine's.
//
//	go run ./integration/bench                 a real Juju 4.1 controller (root, Linux)
//	go run ./integration/bench -target sim     a simulated one
//
// Every part is a process of its own, as in production: this one with the
// clients, JIMM, PostgreSQL and OpenFGA, the bare copy, and the controller.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

type settings struct {
	target      string
	rounds      int
	round       time.Duration
	connections int
	idle        int
	logins      int
	profile     string
	heap        string
	repository  string
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-jimm":
			exit(runJIMM(os.Args[2:]))
		case "process-services":
			exit(runServices(os.Args[2:]))
		case "process-copy":
			exit(runCopy(os.Args[2:]))
		case "process-sim":
			exit(runSim(os.Args[2:]))
		}
	}
	var s settings
	flag.StringVar(&s.target, "target", "real", "the controller: real or sim")
	flag.IntVar(&s.rounds, "rounds", 6, "how often each way is taken")
	flag.DurationVar(&s.round, "round", 2*time.Second, "how long each time")
	flag.IntVar(&s.connections, "connections", 64, "connections that call at once, for the throughput")
	flag.IntVar(&s.idle, "idle", 400, "idle connections, for the memory")
	flag.IntVar(&s.logins, "logins", 60, "logins of each way")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of JIMM under load to this file")
	flag.StringVar(&s.heap, "heap", "", "write a profile of JIMM's heap with the idle connections to this file (GODEBUG=memprofilerate=1 makes it exact)")
	flag.StringVar(&s.repository, "repository", ".", "root of the checkout, for building the controller")
	flag.Parse()
	if s.target != "real" && s.target != "sim" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, s, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, s settings, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "jimm-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The private PostgreSQL server runs as another user.
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	w, err := newWorld(ctx, s, dir)
	defer func() {
		if closing := w.Close(); err == nil {
			err = closing
		}
	}()
	if err != nil {
		return err
	}
	return measure(ctx, s, w, out)
}
