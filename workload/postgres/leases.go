package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// Leases is part of estate.Store. All leases of one call are advisory locks of
// one session, and end with it.
func (s *Store) Leases(ctx context.Context, f func(context.Context, estate.Leases) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("cannot ask for leases: %w", err)
	}
	defer closeConn(conn)
	silence := fmt.Sprintf("set idle_session_timeout = %d", (4 * s.leaseCheck).Milliseconds())
	if _, err := conn.Exec(ctx, silence); err != nil {
		return fmt.Errorf("cannot ask for leases: %w", err)
	}
	holding, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l := &leases{conn: conn, held: map[string]bool{}, joined: map[string]bool{}, lost: stop}
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		l.keep(holding, s.leaseCheck)
	}()
	err = f(holding, l)
	lost := context.Cause(holding)
	stop(nil)
	<-checked
	if lost != nil && ctx.Err() == nil {
		return errors.Join(lost, err)
	}
	// So that others can have them at once; ending the session takes a moment.
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = conn.Exec(releasing, "select pg_advisory_unlock_all()")
	return err
}

type leases struct {
	mu   sync.Mutex // a session does one thing at a time
	conn *pgx.Conn
	held map[string]bool
	// joined are the groups that this session is counted in.
	joined map[string]bool
	lost   context.CancelCauseFunc
}

// keep makes sure now and then that the session is still there.
func (l *leases) keep(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), every) // to its end, as in watchLease
		_ = l.do(asking, func() error {
			_, err := l.conn.Exec(asking, "select")
			return err
		})
		cancel()
	}
}

// do uses the session. An error of it ends all leases: nobody can tell what
// became of them.
func (l *leases) do(ctx context.Context, f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := f()
	if err != nil {
		l.lost(fmt.Errorf("leases are lost: %w", err))
	}
	return err
}

// Take is part of estate.Leases.
func (l *leases) Take(ctx context.Context, lease string) (bool, error) {
	got := false
	err := l.do(ctx, func() error {
		if got = l.held[lease]; got {
			return nil
		}
		if err := l.conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", leaseKey(lease)).Scan(&got); err != nil {
			return err
		}
		if got {
			l.held[lease] = true
		}
		return nil
	})
	return got, err
}

// Release is part of estate.Leases.
func (l *leases) Release(ctx context.Context, lease string) error {
	return l.do(ctx, func() error {
		if !l.held[lease] {
			return nil
		}
		delete(l.held, lease)
		_, err := l.conn.Exec(ctx, "select pg_advisory_unlock($1)", leaseKey(lease))
		return err
	})
}

// Join is part of estate.Leases.
func (l *leases) Join(ctx context.Context, group string, in bool) error {
	return l.do(ctx, func() error {
		if l.joined[group] == in {
			return nil
		}
		l.joined[group] = in
		sql := "select pg_advisory_lock_shared($1)"
		if !in {
			sql = "select pg_advisory_unlock_shared($1)"
		}
		_, err := l.conn.Exec(ctx, sql, leaseKey("group "+group))
		return err
	})
}

// Members is part of estate.Leases.
func (l *leases) Members(ctx context.Context, group string) (int, error) {
	var n int
	err := l.do(ctx, func() error {
		key := uint64(leaseKey("group " + group))
		// A lock's 64 bits are two columns there.
		return l.conn.QueryRow(ctx, `select count(*) from pg_locks
			where locktype = 'advisory' and objsubid = 1 and granted and mode = 'ShareLock'
			and classid = $1 and objid = $2 and database = (select oid from pg_database where datname = current_database())`,
			uint32(key>>32), uint32(key)).Scan(&n)
	})
	return n, err
}
