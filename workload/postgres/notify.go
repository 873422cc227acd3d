package postgres

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
)

// Notify tells all listeners of a channel, in any process. The payload has
// fewer than 8000 bytes; CodeNotValid if not.
func (s *Store) Notify(ctx context.Context, channel, payload string) error {
	if _, err := s.pool.Exec(ctx, "select pg_notify($1, $2)", channel, payload); err != nil {
		return fail(err, "cannot notify %q", clip(channel))
	}
	return nil
}

// Listen calls f, one call at a time, for each payload sent to a channel until
// ctx ends, whose error it returns. It reconnects by itself. Whenever it begins
// to listen, the first time and after each loss, it calls f with an empty
// payload: what was sent before may have been missed.
func (s *Store) Listen(ctx context.Context, channel string, f func(payload string)) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 10*time.Second
	for {
		err := s.listen(ctx, channel, func(payload string) {
			wait.Reset()
			f(payload)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.log.Warn("lost the connection that listens to PostgreSQL", "channel", channel, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait.NextBackOff()):
		}
	}
}

func (s *Store) listen(ctx context.Context, channel string, f func(string)) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	f("")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		f(n.Payload)
	}
}
