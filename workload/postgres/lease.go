package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// releaseTimeout bounds how long giving a lease back may take. One that is not
// given back ends with its session.
const releaseTimeout = 5 * time.Second

// Lead is part of estate.Store. The lease is an advisory lock of a session of
// its own: it ends with the session, so nobody has to clean up after a process
// that died. When the session is lost, f's context ends with the cause, and
// Lead returns an error once f has returned.
func (s *Store) Lead(ctx context.Context, lease string, f func(context.Context) error) (bool, error) {
	return s.hold(ctx, lease, "", f)
}

// Share is Lead for a lease that many hold at once, while nobody leads it.
func (s *Store) Share(ctx context.Context, lease string, f func(context.Context) error) (bool, error) {
	return s.hold(ctx, lease, "_shared", f)
}

// hold runs f while it has a lease: the advisory lock of a mode of PostgreSQL.
func (s *Store) hold(ctx context.Context, lease, mode string, f func(context.Context) error) (bool, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return false, fmt.Errorf("cannot ask for lease %q: %w", lease, err)
	}
	defer closeConn(conn)
	// A holder that hangs, or whose machine is gone, is given up by the server.
	silence := fmt.Sprintf("set idle_session_timeout = %d", (4 * s.leaseCheck).Milliseconds())
	if _, err := conn.Exec(ctx, silence); err != nil {
		return false, fmt.Errorf("cannot ask for lease %q: %w", lease, err)
	}
	var got bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock"+mode+"($1)", leaseKey(lease)).Scan(&got); err != nil {
		return false, fmt.Errorf("cannot ask for lease %q: %w", lease, err)
	}
	if !got {
		return false, nil
	}
	leading, stop := context.WithCancelCause(ctx)
	watching, endWatch := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := s.watchLease(watching, conn); err != nil {
			stop(fmt.Errorf("lease %q is lost: %w", lease, err))
		}
	}()
	err = f(leading)
	endWatch()
	<-watched
	lost := context.Cause(leading)
	stop(nil)
	if lost != nil && ctx.Err() == nil {
		return true, errors.Join(lost, err)
	}
	// So that the next can have it at once; ending the session takes a moment.
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = conn.Exec(releasing, "select pg_advisory_unlock"+mode+"($1)", leaseKey(lease))
	return true, err
}

// watchLease returns an error when the session is over, nil when ctx ends. The
// server's word that it ended a session arrives at once; silence is found out
// by asking.
func (s *Store) watchLease(ctx context.Context, conn *pgx.Conn) error {
	for {
		listening, cancel := context.WithTimeout(ctx, s.leaseCheck)
		_, err := conn.WaitForNotification(listening)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// To its end: a question that is broken off breaks the session, and the lease
		// could not be given back on it.
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.leaseCheck)
		_, err = conn.Exec(asking, "select")
		cancel()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// leaseKey is the number of a lease's advisory lock.
func leaseKey(lease string) int64 {
	sum := sha256.Sum256([]byte("jimm lease " + lease))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}
