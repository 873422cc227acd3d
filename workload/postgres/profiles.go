package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

const profileColumns = `name, description, juju_version, version, cloud_name, region_name, cloud, options, created_at, updated_at`

func scanProfile(row pgx.CollectableRow) (estate.Profile, error) {
	var p estate.Profile
	err := row.Scan(&p.Name, &p.Description, &p.JujuVersion, &p.Version, &p.CloudName, &p.RegionName, &p.Cloud, &p.Options, &p.CreatedAt, &p.UpdatedAt)
	return p, err
}

// InsertProfile is part of estate.ProfileStore.
func (s *Store) InsertProfile(ctx context.Context, p estate.Profile) (estate.Profile, error) {
	rows, _ := s.pool.Query(ctx, `insert into profiles (`+profileColumns+`)
		values ($1, $2, $3, 1, $4, $5, $6, $7, $8, $8) returning `+profileColumns,
		p.Name, p.Description, p.JujuVersion, p.CloudName, p.RegionName, p.Cloud, p.Options, s.now())
	return s.oneProfile(rows, p.Name, "save")
}

// UpdateProfile is part of estate.ProfileStore.
func (s *Store) UpdateProfile(ctx context.Context, p estate.Profile) (estate.Profile, error) {
	rows, _ := s.pool.Query(ctx, `update profiles set description = $2, juju_version = $3, version = version + 1,
		cloud_name = $4, region_name = $5, cloud = $6, options = $7, updated_at = $8
		where name = $1 and version = $9 returning `+profileColumns,
		p.Name, p.Description, p.JujuVersion, p.CloudName, p.RegionName, p.Cloud, p.Options, s.now(), p.Version)
	return s.oneProfile(rows, p.Name, "save")
}

// Profile is part of estate.ProfileStore.
func (s *Store) Profile(ctx context.Context, name string) (estate.Profile, error) {
	rows, _ := s.pool.Query(ctx, `select `+profileColumns+` from profiles where name = $1`, name)
	return s.oneProfile(rows, name, "load")
}

func (s *Store) oneProfile(rows pgx.Rows, name, doing string) (estate.Profile, error) {
	p, err := pgx.CollectExactlyOneRow(rows, scanProfile)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Profile{}, estate.Errorf(estate.CodeNotFound, "controller profile %q not found", clip(name))
	}
	if err != nil {
		return estate.Profile{}, fail(err, "cannot %s controller profile %q", doing, clip(name))
	}
	return p, nil
}

// Profiles is part of estate.ProfileStore.
func (s *Store) Profiles(ctx context.Context) ([]estate.Profile, error) {
	rows, _ := s.pool.Query(ctx, `select `+profileColumns+` from profiles order by name`)
	list, err := pgx.CollectRows(rows, scanProfile)
	if err != nil {
		return nil, fail(err, "cannot list controller profiles")
	}
	return list, nil
}

// DeleteProfile is part of estate.ProfileStore.
func (s *Store) DeleteProfile(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, `delete from profiles where name = $1`, name)
	if err != nil {
		return fail(err, "cannot remove controller profile %q", clip(name))
	}
	if tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeNotFound, "controller profile %q not found", clip(name))
	}
	return nil
}
