package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// SaveLogin is part of estate.IdentityStore. An empty display name leaves the
// one that is known.
func (s *Store) SaveLogin(ctx context.Context, name, displayName string, at time.Time) error {
	_, err := s.pool.Exec(ctx, `insert into identities (name, display_name, created_at, last_login) values ($1, $2, $3, $3)
		on conflict (name) do update set last_login = greatest(identities.last_login, excluded.last_login),
		display_name = coalesce(nullif(excluded.display_name, ''), identities.display_name)`, name, displayName, at)
	if err != nil {
		return fail(err, "cannot save the login of %q", clip(name))
	}
	return nil
}

// EnsureIdentity is part of estate.IdentityStore.
func (s *Store) EnsureIdentity(ctx context.Context, name string) error {
	_, err := s.pool.Exec(ctx, `insert into identities (name, created_at) values ($1, $2) on conflict (name) do nothing`, name, s.now())
	if err != nil {
		return fail(err, "cannot save user %q", clip(name))
	}
	return nil
}

// Identity is part of estate.IdentityStore.
func (s *Store) Identity(ctx context.Context, name string) (estate.Identity, error) {
	var i estate.Identity
	var login *time.Time
	err := s.pool.QueryRow(ctx, `select name, display_name, created_at, last_login from identities where name = $1`, name).
		Scan(&i.Name, &i.DisplayName, &i.CreatedAt, &login)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Identity{}, estate.Errorf(estate.CodeUserNotFound, "user %q not found", clip(name))
	}
	if err != nil {
		return estate.Identity{}, fail(err, "cannot load user %q", clip(name))
	}
	i.CreatedAt, i.LastLogin = i.CreatedAt.UTC(), since(login)
	return i, nil
}
