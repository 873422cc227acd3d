package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

// leader holds a lease until it is let go or loses it.
type leader struct {
	leading chan struct{}
	letGo   chan error
	done    chan error
	ok      bool
}

func lead(ctx context.Context, s *postgres.Store, lease string) *leader {
	l := &leader{leading: make(chan struct{}), letGo: make(chan error, 1), done: make(chan error, 1)}
	go func() {
		var err error
		l.ok, err = s.Lead(ctx, lease, func(ctx context.Context) error {
			close(l.leading)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case err := <-l.letGo:
				return err
			}
		})
		l.done <- err
	}()
	return l
}

func (l *leader) await(t *testing.T) {
	t.Helper()
	select {
	case <-l.leading:
	case err := <-l.done:
		t.Fatalf("it does not lead: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("it does not lead")
	}
}

// leadSoon is lead for a lease that nobody has any more: a session that was ended
// gives it back a moment after its client was told.
func leadSoon(t *testing.T, s *postgres.Store, lease string) *leader {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		l := lead(t.Context(), s, lease)
		select {
		case <-l.leading:
			return l
		case err := <-l.done:
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("it does not lead: %v", err)
			}
		}
	}
}

func (l *leader) result(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("Lead does not return")
		return nil
	}
}

func TestALeaseHasOneHolderAmongAllStores(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	a, b := open(t, dsn, postgres.Options{}), open(t, dsn, postgres.Options{})
	first := lead(t.Context(), a, "sweep")
	first.await(t)
	for name, s := range map[string]*postgres.Store{"another store": b, "the same store": a} {
		ok, err := s.Lead(t.Context(), "sweep", func(context.Context) error { t.Errorf("%s leads as well", name); return nil })
		if ok || err != nil {
			t.Errorf("%s: Lead gives %v, %v", name, ok, err)
		}
	}
	other := lead(t.Context(), b, "refresh")
	other.await(t)
	other.letGo <- nil
	check(t, other.result(t))

	refused := errors.New("nothing to do")
	first.letGo <- refused
	if err := first.result(t); !errors.Is(err, refused) || !first.ok {
		t.Errorf("Lead gives %v, %v, want what its function gave", first.ok, err)
	}
	// Given back when Lead returns, not some time later.
	second := lead(t.Context(), b, "sweep")
	second.await(t)
	second.letGo <- nil
	check(t, second.result(t))
}

func TestALeaseWhoseSessionDiesPassesOn(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	a, b := open(t, dsn, postgres.Options{}), open(t, dsn, postgres.Options{})
	first := lead(t.Context(), a, "sweep")
	first.await(t)
	if n := endSessions(t, dsn, "select pg_try_advisory_lock%"); n != 1 {
		t.Fatalf("%d sessions hold the lease", n)
	}
	err := first.result(t)
	if err == nil || !strings.Contains(err.Error(), `lease "sweep" is lost`) {
		t.Errorf("the first holder gets error %v", err)
	}
	second := leadSoon(t, b, "sweep")
	second.letGo <- nil
	check(t, second.result(t))
}

func TestALeaseIsKeptWhileItsHolderWorks(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	const check = time.Second
	a, b := open(t, dsn, postgres.Options{LeaseCheck: check}), open(t, dsn, postgres.Options{})
	tick := time.NewTicker(check / 2)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); ; {
		first := leadSoon(t, a, "sweep")
		// Twice as long as it takes for the server to give up a silent holder.
		deadline := time.After(8 * check)
		var longest time.Duration // from one look to the next
		passed := false
		for held, last := true, time.Now(); held && !passed; last = time.Now() {
			select {
			case <-tick.C:
			case <-deadline:
				held = false
			}
			var err error
			if passed, err = b.Lead(t.Context(), "sweep", func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(last))
		}
		first.letGo <- nil
		err := first.result(t)
		if err == nil && !passed {
			return
		}
		// Nobody can hold it where all stands still: neither if the database does not
		// answer for the time of a check, nor if the holder itself cannot ask.
		if !errors.Is(err, context.DeadlineExceeded) && longest < 2*check || time.Now().After(end) {
			t.Fatalf("the lease passed on while it was held: %v", err)
		}
	}
}

func TestALeaseEndsWithItsContext(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	s := open(t, dsn, postgres.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first := lead(ctx, s, "sweep")
	first.await(t)
	cancel()
	if err := first.result(t); !errors.Is(err, context.Canceled) || !first.ok {
		t.Errorf("Lead gives %v, %v", first.ok, err)
	}
	second := lead(t.Context(), s, "sweep")
	second.await(t)
	second.letGo <- nil
	check(t, second.result(t))
}

func TestListenersHearOfEveryNotification(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	a, b := open(t, dsn, postgres.Options{Log: slog.New(slog.DiscardHandler)}), open(t, dsn, postgres.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan string, 10), make(chan error, 1)
	go func() { done <- a.Listen(ctx, "Models changed", func(payload string) { heard <- payload }) }()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("heard nothing, want %q", want)
		}
	}
	expect("")
	check(t, b.Notify(t.Context(), "Models changed", "one"))
	check(t, b.Notify(t.Context(), "models", "of no interest"))
	check(t, b.Notify(t.Context(), "Models changed", "two"))
	expect("one")
	expect("two")
	if n := endSessions(t, dsn, "listen %"); n != 1 {
		t.Fatalf("%d sessions listen", n)
	}
	expect("") // it listens again, and says that something may have been missed
	check(t, b.Notify(t.Context(), "Models changed", "three"))
	expect("three")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Listen returns %v", err)
	}
}
