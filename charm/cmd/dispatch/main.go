// Command dispatch is what Juju runs for every hook and action of JIMM's charm.
package main

import (
	"context"
	"fmt"
	"os"

	"jimm/charm/hook"
	"jimm/charm/operator"
)

// socket is where Juju puts that of the container's Pebble.
const socket = "/charm/containers/jimm/pebble.socket"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "dispatch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	event, err := hook.FromEnvironment()
	if err != nil {
		return err
	}
	pebble, err := operator.NewPebble(socket)
	if err != nil {
		return err
	}
	c := &operator.Charm{Tools: hook.Tools{Runner: hook.Exec{}}, Workload: pebble}
	return c.Dispatch(ctx, event)
}
