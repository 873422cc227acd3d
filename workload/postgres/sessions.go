package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

const (
	sessionColumns = `id, user_name, kind, client, address, started_at, last_used, expires_at, idle_limit, groups, refreshed_at, refreshable, access_until`
	// sessionAlive is true of a row at the time $1.
	sessionAlive = `(ended_at is null and expires_at > $1::timestamptz and (idle_limit = '0' or last_used + idle_limit > $1::timestamptz))`
	// sessionLimit is what is kept of a text that a client chose, in bytes.
	sessionLimit = 256
)

func scanSession(row pgx.CollectableRow) (estate.Session, error) {
	var s estate.Session
	var access *time.Time
	err := row.Scan(&s.ID, &s.User, &s.Kind, &s.Client, &s.Address, &s.StartedAt, &s.LastUsed, &s.Expires, &s.IdleLimit,
		&s.Groups, &s.RefreshedAt, &s.Refreshable, &access)
	s.AccessUntil = since(access)
	s.Groups = orNil(s.Groups)
	s.StartedAt, s.LastUsed, s.Expires, s.RefreshedAt = s.StartedAt.UTC(), s.LastUsed.UTC(), s.Expires.UTC(), s.RefreshedAt.UTC()
	return s, err
}

// InsertSession is part of estate.SessionStore.
func (s *Store) InsertSession(ctx context.Context, n estate.Session) error {
	_, err := s.pool.Exec(ctx, `insert into sessions (`+sessionColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		n.ID, n.User, string(n.Kind), auditText(n.Client, sessionLimit), auditText(n.Address, sessionLimit), n.StartedAt, n.LastUsed, n.Expires,
		n.IdleLimit, list(n.Groups), n.RefreshedAt, n.Refreshable, instant(n.AccessUntil))
	if err != nil {
		return fail(err, "cannot begin a session of %q", clip(n.User))
	}
	return nil
}

// UseSession is part of estate.SessionStore.
func (s *Store) UseSession(ctx context.Context, id string) (estate.Session, error) {
	// The row is written only if it is to change.
	rows, err := s.pool.Query(ctx, `with used as (
			update sessions set last_used = $1 where id = $2 and last_used < $1::timestamptz - $3::interval and `+sessionAlive+`
		) select `+sessionColumns+` from sessions where id = $2 and `+sessionAlive, s.now(), id, estate.SessionTouch)
	if err != nil {
		return estate.Session{}, fail(err, "cannot load a session")
	}
	found, err := pgx.CollectExactlyOneRow(rows, scanSession)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Session{}, estate.Errorf(estate.CodeNotFound, "session %q not found", clip(id))
	}
	if err != nil {
		return estate.Session{}, fail(err, "cannot load a session")
	}
	return found, nil
}

// UseSessions is part of estate.SessionStore.
func (s *Store) UseSessions(ctx context.Context, ids []string) ([]estate.Session, error) {
	rows, err := s.pool.Query(ctx, `with used as (
			update sessions set last_used = $1 where id = any($2) and last_used < $1::timestamptz - $3::interval and `+sessionAlive+`
		) select `+sessionColumns+` from sessions where id = any($2) and `+sessionAlive, s.now(), ids, estate.SessionTouch)
	if err != nil {
		return nil, fail(err, "cannot load sessions")
	}
	alive, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return nil, fail(err, "cannot load sessions")
	}
	return alive, nil
}

// ClaimRefresh is part of estate.SessionStore.
func (s *Store) ClaimRefresh(ctx context.Context, id string, before time.Time) (bool, error) {
	tag, err := s.pool.Exec(ctx, `update sessions set refreshed_at = $1 where id = $2 and refreshed_at <= $3 and `+sessionAlive, s.now(), id, before)
	if err != nil {
		return false, fail(err, "cannot refresh a session")
	}
	return tag.RowsAffected() == 1, nil
}

// SaveRefresh is part of estate.SessionStore.
func (s *Store) SaveRefresh(ctx context.Context, id string, groups []string, accessUntil time.Time) error {
	tag, err := s.pool.Exec(ctx, `update sessions set groups = $3, access_until = $4 where id = $2 and `+sessionAlive, s.now(), id, list(groups), instant(accessUntil))
	if err != nil {
		return fail(err, "cannot save what a refresh of a session has found")
	}
	if tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeNotFound, "session %q not found", clip(id))
	}
	return nil
}

// SpendState is part of estate.SessionStore.
func (s *Store) SpendState(ctx context.Context, digest string, until time.Time) (bool, error) {
	tag, err := s.pool.Exec(ctx, `with old as (delete from spent_states where until < $3)
		insert into spent_states (digest, until) values ($1, $2) on conflict (digest) do nothing`, digest, until, s.now())
	if err != nil {
		return false, fail(err, "cannot note the state of a login")
	}
	return tag.RowsAffected() == 1, nil
}

// sessionFilter is true of a row that matches: $2 is the user, $3 are the ids.
const sessionFilter = `($2 = '' or user_name = $2) and (cardinality($3::text[]) = 0
	or exists (select from unnest($3::text[]) as wanted where starts_with(id, wanted)))`

// Sessions is part of estate.SessionStore.
func (s *Store) Sessions(ctx context.Context, f estate.SessionFilter) ([]estate.Session, error) {
	rows, err := s.pool.Query(ctx, `select `+sessionColumns+` from sessions where `+sessionAlive+` and `+sessionFilter+`
		order by user_name, started_at desc, id`, s.now(), f.User, list(f.IDs))
	if err != nil {
		return nil, fail(err, "cannot list sessions")
	}
	found, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return nil, fail(err, "cannot list sessions")
	}
	return found, nil
}

// EndSessions is part of estate.SessionStore. That the sessions are ended is
// known to all units if it is committed.
func (s *Store) EndSessions(ctx context.Context, f estate.SessionFilter) (ended []estate.Session, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update sessions set ended_at = $1 where `+sessionAlive+` and `+sessionFilter+`
			returning `+sessionColumns, s.now(), f.User, list(f.IDs))
		if err != nil {
			return err
		}
		if ended, err = pgx.CollectRows(rows, scanSession); err != nil {
			return err
		}
		var told estate.EndedSessions
		if len(f.IDs) > 0 {
			for _, e := range ended {
				told.IDs = append(told.IDs, e.ID)
			}
			if len(ended) == 0 {
				return nil
			}
		} else {
			told.User, told.All = f.User, f.User == ""
			if _, err := tx.Exec(ctx, `update identities set ended_at = $1 where $2 = '' or name = $2`, s.now(), f.User); err != nil {
				return err
			}
		}
		payload, err := json.Marshal(told)
		if err != nil {
			return err
		}
		if len(payload) > payloadLimit {
			payload = []byte("{}") // each unit looks at all its connections
		}
		_, err = tx.Exec(ctx, "select pg_notify($1, $2)", estate.SessionChannel, string(payload))
		return err
	})
	if err != nil {
		return nil, fail(err, "cannot end sessions")
	}
	return ended, nil
}

// payloadLimit is what a notification may hold, in bytes.
const payloadLimit = 7900

// EndedUsers is part of estate.SessionStore.
func (s *Store) EndedUsers(ctx context.Context, users []string) (map[string]time.Time, error) {
	rows, err := s.pool.Query(ctx, `select name, ended_at from identities where name = any($1) and ended_at is not null`, users)
	if err != nil {
		return nil, fail(err, "cannot look for ended sessions")
	}
	ended := map[string]time.Time{}
	var name string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error {
		ended[name] = at.UTC()
		return nil
	})
	if err != nil {
		return nil, fail(err, "cannot look for ended sessions")
	}
	return ended, nil
}

// DeadSessions is part of estate.SessionStore.
func (s *Store) DeadSessions(ctx context.Context, limit int) ([]estate.Session, error) {
	rows, err := s.pool.Query(ctx, `select `+sessionColumns+` from sessions where not `+sessionAlive+` limit $2`, s.now(), limit)
	if err != nil {
		return nil, fail(err, "cannot list sessions that are over")
	}
	dead, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return nil, fail(err, "cannot list sessions that are over")
	}
	return dead, nil
}

// DeleteSession is part of estate.SessionStore.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, `delete from sessions where id = $2 and not `+sessionAlive, s.now(), id); err != nil {
		return fail(err, "cannot delete a session")
	}
	return nil
}
