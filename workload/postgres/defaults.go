package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// ModelDefaults is part of estate.Store.
func (s *Store) ModelDefaults(ctx context.Context, owner, cloud string) (map[string]map[string]any, error) {
	rows, err := s.pool.Query(ctx, `select region, config from model_defaults where owner = $1 and cloud = $2`, owner, cloud)
	if err != nil {
		return nil, fail(err, "cannot read model defaults of %q", clip(owner))
	}
	defaults := map[string]map[string]any{}
	var region string
	var config map[string]any
	_, err = pgx.ForEachRow(rows, []any{&region, &config}, func() error {
		defaults[region], config = config, nil
		return nil
	})
	if err != nil {
		return nil, fail(err, "cannot read model defaults of %q", clip(owner))
	}
	return defaults, nil
}

// ChangeModelDefaults is part of estate.Store.
func (s *Store) ChangeModelDefaults(ctx context.Context, owner, cloud, region string, set map[string]any, unset []string) error {
	if set == nil {
		set = map[string]any{}
	}
	if unset == nil {
		unset = []string{}
	}
	_, err := s.pool.Exec(ctx, `insert into model_defaults as d (owner, cloud, region, config) values ($1, $2, $3, $4)
		on conflict (owner, cloud, region) do update set config = (d.config || excluded.config) - $5::text[]`,
		owner, cloud, region, set, unset)
	if err != nil {
		return fail(err, "cannot save model defaults of %q", clip(owner))
	}
	_, err = s.pool.Exec(ctx, `delete from model_defaults where owner = $1 and cloud = $2 and region = $3 and config = '{}'`, owner, cloud, region)
	if err != nil {
		return fail(err, "cannot save model defaults of %q", clip(owner))
	}
	return nil
}

var _ estate.DefaultsStore = (*Store)(nil)
