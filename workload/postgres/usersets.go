package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

const usersetColumns = `uuid, kind, name, state, created_at, updated_at`

func scanUserset(row pgx.CollectableRow) (estate.Userset, error) {
	var u estate.Userset
	err := row.Scan(&u.UUID, &u.Kind, &u.Name, &u.State, &u.CreatedAt, &u.UpdatedAt)
	u.CreatedAt, u.UpdatedAt = u.CreatedAt.UTC(), u.UpdatedAt.UTC()
	return u, err
}

// InsertUserset is part of estate.UsersetStore.
func (s *Store) InsertUserset(ctx context.Context, u estate.Userset) error {
	_, err := s.pool.Exec(ctx, `insert into usersets (`+usersetColumns+`) values ($1, $2, $3, $4, $5, $6)`,
		u.UUID, string(u.Kind), u.Name, string(u.State), u.CreatedAt, u.UpdatedAt)
	if err != nil {
		return fail(err, "cannot add %s %q", u.Kind, clip(u.Name))
	}
	return nil
}

// RenameUserset is part of estate.UsersetStore.
func (s *Store) RenameUserset(ctx context.Context, kind estate.Kind, uuid, name string) error {
	return s.changeUserset(ctx, "rename", kind, uuid, `update usersets set name = $3, updated_at = $4
		where kind = $1 and uuid = $2 and state = 'live'`, string(kind), uuid, name, s.now())
}

// RemovingUserset is part of estate.UsersetStore.
func (s *Store) RemovingUserset(ctx context.Context, kind estate.Kind, uuid string) error {
	return s.changeUserset(ctx, "remove", kind, uuid, `update usersets set state = 'removing', updated_at = $3
		where kind = $1 and uuid = $2 and state = 'live'`, string(kind), uuid, s.now())
}

// DeleteUserset is part of estate.UsersetStore.
func (s *Store) DeleteUserset(ctx context.Context, uuid string) error {
	return s.changeUserset(ctx, "delete", "group or role", uuid, `delete from usersets where uuid = $1 and state = 'removing'`, uuid)
}

// changeUserset runs a statement that must change one.
func (s *Store) changeUserset(ctx context.Context, verb string, kind estate.Kind, uuid, sql string, args ...any) error {
	tag, err := s.pool.Exec(ctx, sql, args...)
	if err != nil {
		return fail(err, "cannot %s %s %q", verb, kind, clip(uuid))
	}
	if tag.RowsAffected() == 0 {
		return usersetNotFound(kind, uuid)
	}
	return nil
}

func usersetNotFound(kind estate.Kind, which string) error {
	return estate.Errorf(estate.CodeNotFound, "%s %q not found", kind, clip(which))
}

// Userset is part of estate.UsersetStore.
func (s *Store) Userset(ctx context.Context, kind estate.Kind, uuid string) (estate.Userset, error) {
	return s.oneUserset(ctx, kind, uuid, `uuid = $2`)
}

// UsersetByName is part of estate.UsersetStore.
func (s *Store) UsersetByName(ctx context.Context, kind estate.Kind, name string) (estate.Userset, error) {
	return s.oneUserset(ctx, kind, name, `name = $2`)
}

func (s *Store) oneUserset(ctx context.Context, kind estate.Kind, which, where string) (estate.Userset, error) {
	rows, _ := s.pool.Query(ctx, `select `+usersetColumns+` from usersets where state = 'live' and kind = $1 and `+where, string(kind), which)
	u, err := pgx.CollectExactlyOneRow(rows, scanUserset)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Userset{}, usersetNotFound(kind, which)
	}
	if err != nil {
		return estate.Userset{}, fail(err, "cannot load %s %q", kind, clip(which))
	}
	return u, nil
}

// Usersets is part of estate.UsersetStore.
func (s *Store) Usersets(ctx context.Context, kind estate.Kind, match string, limit, offset int) ([]estate.Userset, int, error) {
	const from = ` from usersets where state = 'live' and kind = $1 and strpos(name, $2) > 0`
	var total int
	if err := s.pool.QueryRow(ctx, `select count(*)`+from, string(kind), match).Scan(&total); err != nil {
		return nil, 0, fail(err, "cannot count %ss", kind)
	}
	var bound *int // null is none
	if limit > 0 {
		bound = &limit
	}
	rows, _ := s.pool.Query(ctx, `select `+usersetColumns+from+` order by name limit $3 offset $4`, string(kind), match, bound, offset)
	page, err := pgx.CollectRows(rows, scanUserset)
	if err != nil {
		return nil, 0, fail(err, "cannot list %ss", kind)
	}
	return page, total, nil
}

// UsersetsByUUID is part of estate.UsersetStore.
func (s *Store) UsersetsByUUID(ctx context.Context, uuids []string) ([]estate.Userset, error) {
	return s.listUsersets(ctx, `state = 'live' and uuid = any($1)`, uuids)
}

// RemovingUsersets is part of estate.UsersetStore.
func (s *Store) RemovingUsersets(ctx context.Context, before time.Time) ([]estate.Userset, error) {
	return s.listUsersets(ctx, `state = 'removing' and updated_at < $1 order by updated_at`, before)
}

func (s *Store) listUsersets(ctx context.Context, where string, arg any) ([]estate.Userset, error) {
	rows, _ := s.pool.Query(ctx, `select `+usersetColumns+` from usersets where `+where, arg)
	found, err := pgx.CollectRows(rows, scanUserset)
	if err != nil {
		return nil, fail(err, "cannot list groups and roles")
	}
	return found, nil
}
