package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// Resources is part of estate.ResourceStore.
func (s *Store) Resources(ctx context.Context, self estate.Resource, f estate.ResourceFilter, limit, offset int) ([]estate.Resource, int, error) {
	const all = `with resources (kind, id, name, parent_kind, parent_id, parent_name) as (
			select 'controller', $1::text, $2::text, '', '', ''
			union all select 'controller', uuid, name, 'controller', $1, $2 from controllers where state = 'live'
			union all select 'cloud', name, name, '', '', '' from clouds
			union all select 'model', m.uuid, m.owner || '/' || m.name, 'controller', c.uuid, c.name
				from models m join controllers c on c.uuid = m.controller_uuid where m.state = 'live'
			union all select 'applicationoffer', o.uuid, m.owner || '/' || m.name || '.' || o.name, 'model', m.uuid, m.owner || '/' || m.name
				from offers o join models m on m.id = o.model_id where o.state = 'live'
		), matching as (select * from resources where ($3 = '' or kind = $3) and strpos(name, $4) > 0) `
	var total int
	if err := s.pool.QueryRow(ctx, all+`select count(*) from matching`, self.Object.ID, self.Name, string(f.Kind), f.Name).Scan(&total); err != nil {
		return nil, 0, fail(err, "cannot count resources")
	}
	rows, _ := s.pool.Query(ctx, all+`select * from matching order by kind, name collate "C", id limit $5 offset $6`,
		self.Object.ID, self.Name, string(f.Kind), f.Name, limit, offset)
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (estate.Resource, error) {
		var r estate.Resource
		return r, row.Scan(&r.Object.Kind, &r.Object.ID, &r.Name, &r.Parent.Kind, &r.Parent.ID, &r.ParentName)
	})
	if err != nil {
		return nil, 0, fail(err, "cannot list resources")
	}
	return page, total, nil
}
