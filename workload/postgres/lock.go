package postgres

import (
	"context"
	"fmt"
)

// Lock waits until this process alone, of all that share the database, holds
// the named lock. It is held until unlock, or until the session is lost: it is
// for short work that must not be done twice at once, such as a set-up.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot take lock %q: %w", name, err)
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", leaseKey("lock "+name)); err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("cannot take lock %q: %w", name, err)
	}
	return func() { closeConn(conn) }, nil
}
