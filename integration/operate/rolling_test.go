//go:build integration

package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/rpc"
)

// load is what clients do while units restart.
type load struct {
	w *world

	mu sync.Mutex
	// made are the models whose creation was acknowledged, name to UUID; unknown
	// are those whose was not answered.
	made, unknown     map[string]string
	reads, passed     int
	wrong             []error
	closes            map[string]int
	reconnects        int
	refusedHandshakes int
}

func TestARollingRestartUnderLoadLosesNothing(t *testing.T) {
	w := newWorld(t)
	// What is under way has to be answered on a busy machine, too.
	w.environ["JIMM_LOG_LEVEL"], w.environ["JIMM_SHUTDOWN_GRACE_DURATION"] = "info", "1m"
	units := []*unit{w.start("a", nil), w.start("b", nil)}
	w.front.use(units...)
	w.addControllers(2)
	w.letAddModels(user)
	steady, err := w.logIn(user, userSecret).createModel("steady", user+"@serviceaccount")
	if err != nil {
		t.Fatal(err)
	}

	l := &load{w: w, made: map[string]string{"steady": steady.UUID}, unknown: map[string]string{}, closes: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for i := range 3 {
		working.Go(func() { l.create(ctx, i) })
	}
	for range 3 {
		working.Go(func() { l.read(ctx) })
	}
	for range 3 {
		working.Go(func() { l.pass(ctx, steady.UUID) })
	}
	l.goesOn()
	for round := range 2 {
		for i, u := range units {
			u.stop()
			units[i] = w.start(fmt.Sprintf("%s%d", u.name[:1], round), nil)
			w.front.use(units...)
			l.goesOn()
		}
	}
	stop()
	working.Wait()

	for _, err := range l.wrong {
		t.Error(err)
	}
	t.Logf("%d models made, %d unanswered; %d reads and %d requests of a model; %d reconnects after %v; %d handshakes refused",
		len(l.made), len(l.unknown), l.reads, l.passed, l.reconnects, l.closes, l.refusedHandshakes)
	if l.reconnects == 0 {
		t.Error("nobody has noticed the restarts: this proves nothing")
	}
	for reason := range l.closes {
		if !strings.Contains(reason, "1001") || !strings.Contains(reason, rpc.Restarting) {
			t.Errorf("a connection ended with %q %d times, not as a restart should", reason, l.closes[reason])
		}
	}
	// Every write that was acknowledged is there, and nothing else: what was not
	// answered had not been begun.
	found := w.logIn(user, userSecret).models(user + "@serviceaccount")
	if !maps.Equal(found, l.made) {
		for name, uuid := range l.made {
			if found[name] != uuid {
				t.Errorf("model %s was acknowledged as %s, and is %q", name, uuid, found[name])
			}
		}
		for name := range found {
			if l.made[name] == "" {
				_, sent := l.unknown[name]
				t.Errorf("model %s is there, and was not acknowledged (sent: %v)", name, sent)
			}
		}
	}
	// What a client was told is in the audit log, too: it is flushed at a stop.
	for _, u := range units {
		u.stop()
	}
	audited := w.audited(t, "CreateModel")
	for _, name := range slices.Sorted(maps.Keys(l.made)) {
		if !audited[name] {
			t.Errorf("the creation of %s is not in the audit log", name)
		}
	}
}

// goesOn waits until every kind of client has got further.
func (l *load) goesOn() {
	l.w.t.Helper()
	l.mu.Lock()
	made, reads, passed := len(l.made), l.reads, l.passed
	l.mu.Unlock()
	l.w.eventually("the load goes on", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.made) < made+4 || l.reads < reads+20 || l.passed < passed+20 {
			return fmt.Errorf("%d models, %d reads, %d requests of a model", len(l.made)-made, l.reads-reads, l.passed-passed)
		}
		return nil
	})
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Errorf(format, args...))
}

// on does something again and again on a connection, and on a new one when that
// has ended. do returns the error of a request.
func (l *load) on(ctx context.Context, path string, do func(c *client) error) {
	for ctx.Err() == nil {
		c, err := l.w.tryLogIn(path, user, userSecret)
		if err != nil {
			// Between being accepted and being served a unit may stop: nothing was
			// answered, and the client tries again. What is answered must not be an
			// error.
			var answered *rpc.Error
			if errors.As(err, &answered) {
				l.fail("a login was answered: %w", err)
			}
			l.mu.Lock()
			l.refusedHandshakes++
			l.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for ctx.Err() == nil {
			if err = do(c); err != nil {
				break
			}
		}
		if err != nil {
			var closed *rpc.ClosedError
			if !errors.As(err, &closed) {
				l.fail("a request was answered: %w", err)
			}
			<-c.Done()
			l.mu.Lock()
			l.reconnects++
			code, text := c.conn.Goodbye()
			l.closes[fmt.Sprintf("%d %s", code, text)]++
			l.mu.Unlock()
		}
		_ = c.Close()
	}
}

// create makes models.
func (l *load) create(ctx context.Context, worker int) {
	n := 0
	l.on(ctx, "/api", func(c *client) error {
		n++
		name := fmt.Sprintf("model-%d-%d", worker, n)
		made, err := c.createModel(name, user+"@serviceaccount")
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.made[name] = made.UUID
		} else {
			l.unknown[name] = err.Error()
		}
		return err
	})
}

// read lists models, and checks that those acknowledged before are among them.
func (l *load) read(ctx context.Context) {
	l.on(ctx, "/api", func(c *client) error {
		l.mu.Lock()
		before := maps.Clone(l.made)
		l.mu.Unlock()
		var list params.UserModelList
		asking, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Call(asking, "ModelManager", 11, "", "ListModels", params.Entity{Tag: "user-" + user + "@serviceaccount"}, &list); err != nil {
			return err
		}
		for _, m := range list.UserModels {
			delete(before, m.Name)
		}
		if len(before) > 0 {
			l.fail("a list lacks models that were acknowledged before: %v", slices.Collect(maps.Keys(before)))
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reads++
		return nil
	})
}

// pass asks for the status of a model, through to its controller.
func (l *load) pass(ctx context.Context, uuid string) {
	l.on(ctx, "/model/"+uuid+"/api", func(c *client) error {
		var status params.FullStatus
		asking, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Call(asking, "Client", 8, "", "FullStatus", params.StatusParams{}, &status); err != nil {
			return err
		}
		if status.Model.Name != "steady" {
			l.fail("the status is of %q", status.Model.Name)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.passed++
		return nil
	})
}

// audited returns the names of the models whose creation the audit log has, with
// the answer.
func (w *world) audited(t *testing.T, method string) map[string]bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.jimmDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, _ := conn.Query(t.Context(), `select distinct asked.params->>'name' from audit_events asked
		join audit_events answered using (conversation_id, message_id, facade, method)
		where asked.method = $1 and not asked.is_response and answered.is_response and answered.error = ''`, method)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
	}
	return found
}
