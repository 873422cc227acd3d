package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

func scanCloud(row pgx.CollectableRow) (estate.Cloud, error) {
	var c estate.Cloud
	var details []byte
	if err := row.Scan(&c.Name, &details); err != nil {
		return c, err
	}
	return c, json.Unmarshal(details, &c.Details)
}

// SaveClouds is part of estate.CloudStore.
func (s *Store) SaveClouds(ctx context.Context, controllerUUID string, clouds []estate.Cloud, serves []estate.RegionController) error {
	// All writers lock the clouds in one order.
	clouds = slices.SortedFunc(slices.Values(clouds), func(a, b estate.Cloud) int { return cmp.Compare(a.Name, b.Name) })
	batch := &pgx.Batch{}
	for _, c := range clouds {
		details, err := document(c.Details)
		if err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save cloud %q: %v", clip(c.Name), err)
		}
		batch.Queue(`insert into clouds (name, details) values ($1, $2)
			on conflict (name) do update set details = excluded.details`, c.Name, details)
	}
	batch.Queue(`delete from region_controllers where controller_uuid = $1`, controllerUUID)
	for _, r := range serves {
		batch.Queue(`insert into region_controllers (cloud, region, controller_uuid, priority) values ($1, $2, $3, $4)`,
			r.Cloud, r.Region, controllerUUID, int(r.Priority))
	}
	// A batch outside a transaction is one by itself.
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fail(err, "cannot save the clouds of controller %q", clip(controllerUUID))
	}
	return nil
}

// Cloud is part of estate.CloudStore.
func (s *Store) Cloud(ctx context.Context, name string) (estate.Cloud, error) {
	rows, _ := s.pool.Query(ctx, `select name, details from clouds where name = $1`, name)
	c, err := pgx.CollectExactlyOneRow(rows, scanCloud)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Cloud{}, estate.Errorf(estate.CodeNotFound, "cloud %q not found", clip(name))
	}
	if err != nil {
		return estate.Cloud{}, fail(err, "cannot load cloud %q", clip(name))
	}
	return c, nil
}

// Clouds is part of estate.CloudStore.
func (s *Store) Clouds(ctx context.Context, names []string) ([]estate.Cloud, error) {
	// A nil slice is a null array.
	rows, _ := s.pool.Query(ctx, `select name, details from clouds where $1::text[] is null or name = any($1) order by name`, names)
	clouds, err := pgx.CollectRows(rows, scanCloud)
	if err != nil {
		return nil, fail(err, "cannot list clouds")
	}
	return clouds, nil
}

// RegionControllers is part of estate.CloudStore.
func (s *Store) RegionControllers(ctx context.Context, cloud, region string) ([]estate.RegionController, error) {
	rows, _ := s.pool.Query(ctx, `select r.cloud, r.region, r.controller_uuid, r.priority
		from region_controllers r join controllers c on c.uuid = r.controller_uuid
		where r.cloud = $1 and ($2 = '' or r.region = $2) and c.state = 'live'
		order by r.priority, r.region, c.name`, cloud, region)
	serving, err := pgx.CollectRows(rows, pgx.RowToStructByPos[estate.RegionController])
	if err != nil {
		return nil, fail(err, "cannot list the controllers of cloud %q", clip(cloud))
	}
	return serving, nil
}

// CloudsServedBy is part of estate.CloudStore.
func (s *Store) CloudsServedBy(ctx context.Context, controllerUUID string) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `select distinct cloud from region_controllers where controller_uuid = $1 order by cloud`, controllerUUID)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fail(err, "cannot list the clouds of controller %q", clip(controllerUUID))
	}
	return names, nil
}

// unserved is true of a cloud that no controller serves. A model that lives
// there counts as served, or its row would refer to nothing.
const unserved = `not exists (select from region_controllers r where r.cloud = clouds.name)
	and not exists (select from models m where m.cloud = clouds.name)`

// UnservedClouds is part of estate.CloudStore. A cloud with models in it is
// not among them.
func (s *Store) UnservedClouds(ctx context.Context) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `select name from clouds where `+unserved+` order by name`)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fail(err, "cannot list the clouds that no controller serves")
	}
	return names, nil
}

// DeleteCloud is part of estate.CloudStore.
func (s *Store) DeleteCloud(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, `delete from clouds where name = $1 and `+unserved, name)
	// The constraints catch a controller or model that comes at the same moment.
	served := violates(err, "region_controllers_cloud_fkey") || violates(err, "models_cloud_fkey")
	if err != nil && !served {
		return fail(err, "cannot delete cloud %q", clip(name))
	}
	if served || tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeNotFound, "cannot delete cloud %q: there is none, or it is served", clip(name))
	}
	return nil
}
