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

const identityColumns = `name, display_name, created_at, last_login`

func scanIdentity(row pgx.CollectableRow) (estate.Identity, error) {
	var i estate.Identity
	var login *time.Time
	err := row.Scan(&i.Name, &i.DisplayName, &i.CreatedAt, &login)
	i.CreatedAt, i.LastLogin = i.CreatedAt.UTC(), since(login)
	return i, err
}

// Identity is part of estate.IdentityStore.
func (s *Store) Identity(ctx context.Context, name string) (estate.Identity, error) {
	rows, _ := s.pool.Query(ctx, `select `+identityColumns+` from identities where name = $1`, name)
	i, err := pgx.CollectExactlyOneRow(rows, scanIdentity)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Identity{}, estate.Errorf(estate.CodeUserNotFound, "user %q not found", clip(name))
	}
	if err != nil {
		return estate.Identity{}, fail(err, "cannot load user %q", clip(name))
	}
	return i, nil
}

// Identities is part of estate.IdentityStore.
func (s *Store) Identities(ctx context.Context, match string, limit, offset int) ([]estate.Identity, int, error) {
	const from = ` from identities where strpos(name, $1) > 0 or strpos(display_name, $1) > 0`
	var total int
	if err := s.pool.QueryRow(ctx, `select count(*)`+from, match).Scan(&total); err != nil {
		return nil, 0, fail(err, "cannot count users")
	}
	rows, _ := s.pool.Query(ctx, `select `+identityColumns+from+` order by name limit $2 offset $3`, match, limit, offset)
	page, err := pgx.CollectRows(rows, scanIdentity)
	if err != nil {
		return nil, 0, fail(err, "cannot list users")
	}
	return page, total, nil
}

// IdentitiesNamed is part of estate.IdentityStore.
func (s *Store) IdentitiesNamed(ctx context.Context, names []string) ([]estate.Identity, error) {
	rows, _ := s.pool.Query(ctx, `select `+identityColumns+` from identities where name = any($1) order by name`, names)
	found, err := pgx.CollectRows(rows, scanIdentity)
	if err != nil {
		return nil, fail(err, "cannot list users")
	}
	return found, nil
}
