package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// sink is a Sink whose faults a test forces. A log refuses what it cannot take in
// time, so tests with it run in bubbles, where time passes only while all wait: a
// machine that stands still makes nothing late.
type sink struct {
	mu      sync.Mutex
	batches [][]estate.AuditEvent
	// fail, where set, decides on each attempt.
	fail func(events []estate.AuditEvent) error
	// gate, where set, lets one attempt through per element.
	gate chan struct{}
}

func (s *sink) SaveAuditEvents(ctx context.Context, events []estate.AuditEvent) error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(events); err != nil {
			return err
		}
	}
	s.batches = append(s.batches, append([]estate.AuditEvent(nil), events...))
	return nil
}

func (s *sink) saved() (ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, batch := range s.batches {
		for _, e := range batch {
			ids = append(ids, e.MessageID)
		}
	}
	return ids
}

func (s *sink) largest() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, batch := range s.batches {
		n = max(n, len(batch))
	}
	return n
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited a minute in vain until %s", what)
		}
	}
}

func quiet(o audit.Options) audit.Options {
	o.Log = slog.New(slog.DiscardHandler)
	return o
}

func event(id int) estate.AuditEvent {
	return estate.AuditEvent{Time: noon, ConversationID: "c", MessageID: uint64(id), Facade: "ModelManager", Method: "ModelInfo",
		Version: 9, User: "alice@example.com", Params: json.RawMessage(`{"entities":[{"tag":"model-x"}]}`)}
}

func wantIDs(t *testing.T, got []uint64, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d events were saved, want %d", len(got), n)
	}
	for i, id := range got {
		if id != uint64(i) {
			t.Fatalf("event %d has id %d: out of order", i, id)
		}
	}
}

func TestEventsAreWrittenInOrderAndInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(s, audit.Options{BatchEvents: 100, Interval: time.Hour})
		for i := range 250 {
			check(t, l.Record(t.Context(), event(i)))
		}
		eventually(t, "full batches are written without delay", func() bool { return len(s.saved()) >= 100 })
		check(t, l.Close(t.Context()))
		wantIDs(t, s.saved(), 250)
		if n := s.largest(); n != 100 {
			t.Errorf("the largest batch has %d events", n)
		}
		if err := l.Record(t.Context(), event(0)); !errors.Is(err, audit.ErrClosed) {
			t.Errorf("after Close, Record gives %v", err)
		}
		check(t, l.Close(t.Context()))
	})
}

func TestALonelyEventIsWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(s, audit.Options{Interval: time.Millisecond})
		defer l.Close(context.Background())
		for i := range 3 {
			check(t, l.Record(t.Context(), event(i)))
			eventually(t, "it is written", func() bool { return len(s.saved()) == i+1 })
		}
	})
}

func TestAFullLogSlowsItsCallersAndDropsNothing(t *testing.T) {
	for name, opts := range map[string]audit.Options{
		"by events": {MaxEvents: 10, BatchEvents: 5},
		"by bytes":  {MaxBytes: 4000, BatchEvents: 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sink{gate: make(chan struct{})}
				opts.Interval = time.Millisecond
				l := audit.New(s, opts)
				held := 0
				for {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					err := l.Record(ctx, event(held))
					cancel()
					if errors.Is(err, context.DeadlineExceeded) {
						break
					}
					check(t, err)
					held++
				}
				if held < 5 || held > 13 {
					t.Errorf("the full log holds %d events", held)
				}
				const more = 50
				recorded := make(chan error)
				go func() {
					for i := range more {
						if err := l.Record(t.Context(), event(held+i)); err != nil {
							recorded <- err
							return
						}
					}
					recorded <- nil
				}()
				close(s.gate)
				check(t, <-recorded)
				check(t, l.Close(t.Context()))
				wantIDs(t, s.saved(), held+more)
			})
		})
	}
}

func TestAnEventBiggerThanTheLogPassesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(s, audit.Options{MaxBytes: 300, MaxParams: 1000, Interval: time.Millisecond})
		for i := range 3 {
			e := event(i)
			e.Error = strings.Repeat("x", 5000)
			check(t, l.Record(t.Context(), e))
		}
		check(t, l.Close(t.Context()))
		wantIDs(t, s.saved(), 3)
	})
}

func TestManyRecordAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(s, audit.Options{MaxEvents: 50, BatchEvents: 20, Interval: time.Millisecond})
		var all sync.WaitGroup
		for w := range 16 {
			all.Go(func() {
				for i := range 200 {
					if err := l.RecordRaw(t.Context(), event(w*200+i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		check(t, l.Close(t.Context()))
		seen := map[uint64]int{}
		for _, id := range s.saved() {
			seen[id]++
		}
		if len(seen) != 3200 || len(s.saved()) != 3200 {
			t.Errorf("%d events are saved, %d of them different, want 3200", len(s.saved()), len(seen))
		}
	})
}

func TestASinkThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 3
		s := &sink{}
		s.fail = func([]estate.AuditEvent) error {
			if failures--; failures >= 0 {
				return errors.New("connection refused")
			}
			return nil
		}
		l := audit.New(s, quiet(audit.Options{Interval: time.Millisecond}))
		for i := range 5 {
			check(t, l.Record(t.Context(), event(i)))
		}
		check(t, l.Close(t.Context()))
		wantIDs(t, s.saved(), 5)
	})
}

func TestAnEventThatIsRefusedDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{fail: func(events []estate.AuditEvent) error {
			for _, e := range events {
				if e.MessageID == 7 {
					return estate.Errorf(estate.CodeBadRequest, "a text has NUL characters")
				}
			}
			return nil
		}}
		var told strings.Builder
		l := audit.New(s, audit.Options{Interval: time.Hour, Log: slog.New(slog.NewTextHandler(&told, nil))})
		for i := range 20 {
			check(t, l.Record(t.Context(), event(i)))
		}
		check(t, l.Close(t.Context()))
		ids := s.saved()
		if len(ids) != 19 || fmt.Sprint(ids[5:9]) != "[5 6 8 9]" {
			t.Errorf("saved are %v, want all but 7", ids)
		}
		if !strings.Contains(told.String(), "message=7") || strings.Contains(told.String(), "model-x") {
			t.Errorf("the log says %q, want the event without its parameters", told.String())
		}
	})
}

func TestCloseSaysHowManyEventsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{fail: func([]estate.AuditEvent) error { return errors.New("connection refused") }}
		l := audit.New(s, quiet(audit.Options{MaxEvents: 3, Interval: time.Millisecond}))
		for i := range 3 {
			check(t, l.Record(t.Context(), event(i)))
		}
		waiting := make(chan error, 1)
		go func() { waiting <- l.Record(context.WithoutCancel(t.Context()), event(3)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := l.Close(ctx)
		if err == nil || !strings.Contains(err.Error(), "3 events are lost: connection refused") {
			t.Errorf("Close gives %v", err)
		}
		select {
		case err := <-waiting:
			if !errors.Is(err, audit.ErrClosed) {
				t.Errorf("who waited for room gets %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("who waited for room still waits")
		}
	})
}

func TestRawParametersAreCopiedAndRedacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(s, audit.Options{MaxParams: 100, Interval: time.Hour})
		buffer := []byte(`{"users":[{"username":"bob","password":"hunter2"}]}`)
		check(t, l.RecordRaw(t.Context(), estate.AuditEvent{Facade: "UserManager", Method: "AddUser", Params: buffer}))
		for i := range buffer {
			buffer[i] = 'x' // as the next frame would
		}
		secret := json.RawMessage(`{"password":"hunter2"}`)
		check(t, l.RecordRaw(t.Context(), estate.AuditEvent{Facade: "UserManager", Method: "NotListed", Params: secret}))
		large := json.RawMessage(`{"users":[{"username":"` + strings.Repeat("b", 200) + `"}]}`)
		check(t, l.RecordRaw(t.Context(), estate.AuditEvent{Facade: "UserManager", Method: "AddUser", Params: large}))
		check(t, l.RecordRaw(t.Context(), estate.AuditEvent{Facade: "UserManager", Method: "AddUser", Params: json.RawMessage(`{}`)}))
		check(t, l.Close(t.Context()))
		for i, want := range []string{
			`{"redacted":true,"users":[{"username":"bob"}]}`, `{"redacted":true}`, `{"redacted":true,"bytes":227}`, ``,
		} {
			if got := string(s.batches[0][i].Params); got != want {
				t.Errorf("event %d has parameters %s, want %s", i, got, want)
			}
		}
	})
}

func TestEventsSurviveThatPostgreSQLIsGone(t *testing.T) {
	c := cluster.ForTest(t)
	dsn := c.NewDatabase(t)
	store, err := postgres.Open(t.Context(), dsn, postgres.Options{})
	check(t, err)
	t.Cleanup(store.Close)
	admin, err := pgx.Connect(t.Context(), c.DSN("postgres"))
	check(t, err)
	defer admin.Close(context.Background())
	name := pgx.Identifier{store.Pool().Config().ConnConfig.Database}.Sanitize()
	run := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	l := audit.New(store, quiet(audit.Options{Interval: time.Millisecond, MaxLag: time.Hour})) // so that nothing is refused
	count := func() (n int) {
		_ = store.Pool().QueryRow(t.Context(), "select count(*) from audit_events").Scan(&n)
		return n
	}
	check(t, l.RecordRaw(t.Context(), event(0)))
	eventually(t, "the first event is there", func() bool { return count() == 1 })

	run("alter database " + name + " allow_connections false")
	run("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" + strings.Trim(name, `"`) + "'")
	for i := range 10 {
		check(t, l.RecordRaw(t.Context(), event(1+i)))
	}
	run("alter database " + name + " allow_connections true")
	check(t, l.Close(t.Context()))
	// A connection that was ended may still be among those of the store.
	eventually(t, "all events are there", func() bool { return count() == 11 })
	var params string
	check(t, store.Pool().QueryRow(t.Context(), "select params from audit_events where message_id = 10").Scan(&params))
	if params != `{"entities": [{"tag": "model-x"}]}` {
		t.Errorf("parameters are %s", params)
	}
}

// discard is the fastest sink.
type discard struct{}

func (discard) SaveAuditEvents(context.Context, []estate.AuditEvent) error { return nil }

func BenchmarkRecord(b *testing.B) {
	listed, unlisted := event(1), event(1)
	unlisted.Facade, unlisted.Method = "Client", "FullStatus"
	reply := event(1)
	reply.IsResponse, reply.Params = true, nil
	for _, c := range []struct {
		name string
		e    estate.AuditEvent
	}{{"listed", listed}, {"unlisted", unlisted}, {"reply", reply}} {
		// What the caller spends; the writer waits until all is recorded.
		b.Run(c.name, func(b *testing.B) {
			l := audit.New(discard{}, audit.Options{MaxEvents: b.N + 1, MaxBytes: (b.N + 1) << 10, BatchEvents: b.N + 1, Interval: time.Hour, MaxLag: time.Hour})
			ctx := b.Context()
			b.ReportAllocs()
			for range b.N {
				if err := l.RecordRaw(ctx, c.e); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			check(b, l.Close(context.Background()))
		})
		// What caller and writer can keep up with.
		b.Run(c.name+", sustained", func(b *testing.B) {
			l := audit.New(discard{}, audit.Options{})
			ctx := b.Context()
			for b.Loop() {
				if err := l.RecordRaw(ctx, c.e); err != nil {
					b.Fatal(err)
				}
			}
			check(b, l.Close(context.Background()))
		})
	}
	// What PostgreSQL keeps up with, too, which writes to its disk; on a model, as
	// most calls are.
	for _, c := range []struct {
		name string
		e    estate.AuditEvent
	}{{"listed", listed}, {"reply", reply}} {
		b.Run(c.name+", to PostgreSQL", func(b *testing.B) {
			pg, err := cluster.Start(b.Context(), cluster.Options{Dir: b.TempDir(), Durable: true})
			check(b, err)
			b.Cleanup(func() { check(b, pg.Stop()) })
			check(b, pg.CreateDatabase(b.Context(), "jimm"))
			store, err := postgres.Open(b.Context(), pg.DSN("jimm"), postgres.Options{})
			check(b, err)
			b.Cleanup(store.Close)
			e := c.e
			e.Model, e.ModelName = "7b3c64cb-2d1f-4f1e-8a77-8a7a4d3a1e55", "alice@example.com/shop"
			l := audit.New(store, audit.Options{})
			for b.Loop() {
				if err := l.RecordRaw(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
			check(b, l.Close(context.Background()))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkRedact(b *testing.B) {
	params := json.RawMessage(`{"models":[{"model-tag":"model-d0000000-0000-4000-8000-000000000001","destroy-storage":true,"max-wait":60}]}`)
	b.ReportAllocs()
	for b.Loop() {
		audit.Redact("ModelManager", "DestroyModels", params)
	}
}

func TestALogThatIsBehindKeepsItsCallersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		l := audit.New(s, quiet(audit.Options{Interval: time.Millisecond, MaxLag: 200 * time.Millisecond}))
		began := time.Now()
		var last time.Duration
		held := 0
		tick := time.NewTicker(5 * time.Millisecond) // so that it is not full before it is behind
		defer tick.Stop()
		for {
			<-tick.C
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := l.Record(ctx, event(held))
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			check(t, err)
			held++
			if last = time.Since(began); last > 20*time.Second {
				t.Fatal("nobody is kept back")
			}
		}
		if last != 200*time.Millisecond {
			t.Errorf("callers were kept back after %v", last)
		}
		close(s.gate)
		check(t, l.Record(t.Context(), event(held)))
		check(t, l.Close(t.Context()))
		wantIDs(t, s.saved(), held+1)
	})
}

func TestWhatCannotBeWrittenInTimeIsRefusedButNotWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		l := audit.New(s, quiet(audit.Options{MaxEvents: 5, Interval: time.Millisecond, MaxLag: 50 * time.Millisecond, MaxWait: 2 * time.Second}))
		taken := 0
		for { // until one has waited in vain
			err := l.Record(t.Context(), event(taken))
			if errors.Is(err, audit.ErrBehind) {
				break
			}
			check(t, err)
			if taken++; taken > 10 {
				t.Fatal("nothing is refused")
			}
		}
		began := time.Now()
		for range 20 {
			if err := l.RecordRaw(t.Context(), event(1000)); err != audit.ErrBehind {
				t.Errorf("a request gets %v", err)
			}
			if err := l.Ready(t.Context()); err != audit.ErrBehind {
				t.Errorf("who only asks gets %v", err)
			}
			reply := event(taken)
			reply.IsResponse = true
			if err := l.RecordRaw(t.Context(), reply); err != audit.ErrUnwritten {
				t.Errorf("a reply gets %v", err)
			}
			taken++
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("they wait for %v together, want 2 s once", took)
		}
		close(s.gate)
		eventually(t, "requests are taken again", func() bool { return l.Record(t.Context(), event(taken)) == nil })
		check(t, l.Ready(t.Context()))
		check(t, l.Close(t.Context()))
		wantIDs(t, s.saved(), taken+1)
	})
}
