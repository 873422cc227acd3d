package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/juju/names/v6"

	"github.com/juju/juju/api"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/dev"
	"jimm/workload/estate"
)

// asStack, in the environment, makes this program the JIMM that is to be killed:
// the embedded stack, with all its state in the folder that this names.
const asStack = "JIMM_CRASH_STACK"

// serveStack runs the stack until it is killed, or its standard input ends.
func serveStack(ctx context.Context, dir string) error {
	stack, err := dev.Start(ctx, dev.Options{Dir: dir, Juju: "sim"})
	if err != nil {
		return err
	}
	fmt.Println(stack.Address)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, stack.Close())
}

const (
	// lossBound is what a crash may cost.
	lossBound = time.Second
	// standstill is how long JIMM may answer nobody while it is at work.
	standstill = 100 * time.Millisecond
)

// TestACrashLosesAtMostTheLastSecondOfTheAuditLog has Juju's own client make
// calls without a pause until JIMM is killed, and looks which are in the log
// afterwards.
func TestACrashLosesAtMostTheLastSecondOfTheAuditLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dir := t.TempDir()
	victim := exec.CommandContext(ctx, os.Args[0])
	victim.Env = append(os.Environ(), asStack+"="+dir)
	victim.Stderr = t.Output()
	stdin, err := victim.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := victim.StdoutPipe()
	must(t, err)
	must(t, victim.Start())
	killed := false
	defer func() {
		if !killed {
			_ = victim.Process.Kill()
			_ = victim.Wait()
		}
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	address := strings.TrimSpace(line)

	// Each call is about a model of its own, which nobody has: the log keeps its tag.
	var mu sync.Mutex
	answered := map[string]time.Time{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(answered)
	}
	var calling sync.WaitGroup
	for range 4 {
		conn, err := api.Open(ctx, &api.Info{Addrs: []string{address}}, api.DialOpts{
			Timeout: time.Minute, InsecureSkipVerify: true, LoginProvider: api.NewClientCredentialsLoginProvider(dev.ServiceAccount, dev.ServiceSecret),
		})
		must(t, err)
		defer conn.Close()
		calling.Go(func() {
			for ctx.Err() == nil {
				model := names.NewModelTag(uuid.NewString()).String()
				var results params.ModelInfoResults
				if err := conn.APICall(ctx, "ModelManager", 11, "", "ModelInfo", params.Entities{Entities: []params.Entity{{Tag: model}}}, &results); err != nil {
					return // JIMM is dead
				}
				mu.Lock()
				answered[model] = time.Now()
				mu.Unlock()
			}
		})
	}
	for begun := time.Now(); time.Since(begun) < 5*time.Second || count() < 500; time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("only %d calls were answered", count())
		}
	}
	kill := time.Now()
	must(t, victim.Process.Kill())
	killed = true
	_ = victim.Wait()
	cancelCalls := time.AfterFunc(30*time.Second, cancel)
	calling.Wait()
	cancelCalls.Stop()

	found := recorded(t, dir)
	// It is the last second of what was answered that may be missing. When nothing is
	// answered for longer than standstill, the database stalls, JIMM has no processor
	// or this test has none: that time does not count.
	models := slices.SortedFunc(maps.Keys(answered), func(a, b string) int { return answered[b].Compare(answered[a]) })
	var lost, late int
	var before time.Duration // of the last answer
	last := answered[models[0]]
	for i, model := range models {
		if i > 0 {
			before += min(answered[models[i-1]].Sub(answered[model]), standstill)
		}
		if !found[model] {
			lost++
			if before > lossBound {
				late++
			}
		}
	}
	t.Logf("of %d calls answered, %d are lost; the last was answered %v before the kill", len(answered), lost, kill.Sub(last))
	if late > 0 {
		t.Errorf("%d calls are lost that were answered more than %v before the last", late, lossBound)
	}
	if len(found) < 100 {
		t.Errorf("only %d calls are in the log", len(found))
	}
}

// recorded starts the stack anew, and returns the models of which the request
// and its reply are in the audit log.
func recorded(t *testing.T, dir string) map[string]bool {
	t.Helper()
	stack, err := dev.Start(t.Context(), dev.Options{Dir: dir, Juju: "sim"})
	must(t, err)
	defer func() { must(t, stack.Close()) }()
	type message struct {
		conversation string
		id           uint64
	}
	asked, found := map[message]string{}, map[string]bool{}
	for offset := 0; ; offset += estate.MaxAuditLimit {
		events, err := stack.Store.AuditEvents(t.Context(), estate.AuditFilter{Method: "ModelInfo", Offset: offset, Limit: estate.MaxAuditLimit})
		must(t, err)
		for _, e := range events {
			if e.User != dev.ServiceAccount+"@serviceaccount" {
				t.Errorf("an event is of %q", e.User)
			}
			m := message{e.ConversationID, e.MessageID}
			if e.IsResponse {
				if model, ok := asked[m]; ok {
					found[model] = true
				}
				continue
			}
			var args params.Entities
			if err := json.Unmarshal(e.Params, &args); err != nil || len(args.Entities) != 1 {
				t.Errorf("an event has the parameters %s", e.Params)
				continue
			}
			asked[m] = args.Entities[0].Tag
		}
		if len(events) < estate.MaxAuditLimit {
			return found
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("cannot go on: %w", err))
	}
}
