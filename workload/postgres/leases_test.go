package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

func TestLeasesOfTwoStoresExcludeEachOtherAndEndWithTheirSession(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	// Each names its session, so that it can be ended from elsewhere.
	a, b := open(t, dsn, postgres.Options{}), open(t, dsn, postgres.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	expect := func(l estate.Leases, lease string, want bool) {
		t.Helper()
		if got, err := l.Take(ctx, lease); err != nil || got != want {
			t.Fatalf("taking %s gives %v, %v, want %v", lease, got, err, want)
		}
	}
	members := func(l estate.Leases, want int) {
		t.Helper()
		if n, err := l.Members(ctx, "units"); err != nil || n != want {
			t.Fatalf("there are %d members, %v, want %d", n, err, want)
		}
	}
	check(t, b.Leases(ctx, func(_ context.Context, second estate.Leases) error {
		lost := make(chan error, 1)
		err := a.Leases(ctx, func(holding context.Context, first estate.Leases) error {
			expect(first, "one", true)
			expect(first, "one", true) // once more is the same
			expect(second, "one", false)
			expect(second, "two", true)
			check(t, first.Release(ctx, "one"))
			check(t, first.Release(ctx, "one"))
			expect(second, "one", true)
			check(t, second.Release(ctx, "one"))
			expect(first, "one", true)

			check(t, first.Join(ctx, "units", true))
			check(t, first.Join(ctx, "units", true))
			members(second, 1)
			check(t, second.Join(ctx, "units", true))
			members(first, 2)
			check(t, second.Join(ctx, "units", false))
			members(first, 1)

			// The session that holds "one" and is a member dies.
			var killed int
			err := a.Pool().QueryRow(ctx, `select count(pg_terminate_backend(pid)) from pg_locks
				where locktype = 'advisory' and mode = 'ShareLock' and granted
				and database = (select oid from pg_database where datname = current_database())`).Scan(&killed)
			if err != nil || killed != 1 {
				return fmt.Errorf("%d sessions are killed: %w", killed, err)
			}
			select {
			case <-holding.Done():
				lost <- context.Cause(holding)
				return holding.Err()
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err == nil {
			t.Error("the leases are lost without an error")
		}
		t.Logf("lost: %v", <-lost)
		// What it had is free a moment after it was told to end.
		for got, n := false, 1; !got || n > 0; {
			if got, err = second.Take(ctx, "one"); err != nil {
				return err
			}
			if n, err = second.Members(ctx, "units"); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestChangesAreAnnouncedByTheDatabase(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	s, other := open(t, dsn, postgres.Options{}), open(t, dsn, postgres.Options{})
	heard := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		_ = other.Listen(ctx, "estate", func(payload string) { heard <- payload })
	}()
	defer func() { cancel(); <-listening }()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %s, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("never heard %s", want)
		}
	}
	expect("")
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.Pool().Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`insert into controllers values ('c1', 'blue', 'live', '', '{}', '', '', '', '', '', false, null, now(), now())`)
	expect(`{"all": false, "fleet": true}`)
	exec(`insert into clouds values ('lab', '{}')`)
	exec(`insert into identities values ('alice@x', '', now())`)
	exec(`insert into models (id, owner, name, state, controller_uuid, cloud, region, credential, type, created_at, updated_at)
		values ('1', 'alice@x', 'm', 'creating', 'c1', 'lab', '', '', '', now(), now())`) // not to be seen yet
	exec(`update models set uuid = 'u1', state = 'live'`)
	expect(`{"models": ["u1"], "controllers": ["c1"]}`)
	exec(`update models set summary = '{"life": "alive"}'`)
	expect(`{"models": ["u1"]}`)
	exec(`update models set summary = '{"life": "alive"}'`) // changes nothing
	exec(`update models set state = 'dying'`)
	expect(`{"models": ["u1"], "controllers": ["c1"]}`)
	exec(`update controllers set unavailable_since = now()`)
	expect(`{"all": true, "fleet": true}`)
	exec(`update controllers set agent_version = '4.1.0'`) // nobody watches that
	exec(`delete from models`)
	expect(`{"models": ["u1"]}`)
	exec(`insert into models (id, uuid, owner, name, state, controller_uuid, cloud, region, credential, type, created_at, updated_at)
		select n, repeat('u', 40) || n, 'alice@x', 'm' || n, 'live', 'c1', 'lab', '', '', '', now(), now() from generate_series(1, 1000) n`)
	expect(`{"all": true}`) // too many to name
}
