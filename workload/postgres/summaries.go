package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// ListedModels is part of estate.ModelStore.
func (s *Store) ListedModels(ctx context.Context, uuids []string, documents bool) ([]estate.ListedModel, error) {
	sql := `select uuid, owner, name, state, controller_uuid, cloud, region, credential, type, gone_since, created_at`
	if documents {
		sql += `, summary, pushed`
	}
	sql += ` from models where state <> 'creating'`
	var args []any
	if uuids != nil {
		sql, args = sql+` and uuid = any($1)`, append(args, uuids)
	}
	rows, _ := s.pool.Query(ctx, sql+` order by owner, name`, args...)
	models, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (estate.ListedModel, error) {
		var m estate.ListedModel
		var gone *time.Time
		fields := []any{&m.UUID, &m.Owner, &m.Name, &m.State, &m.ControllerUUID, &m.Cloud, &m.Region, &m.Credential, &m.Type, &gone, &m.CreatedAt}
		if documents {
			fields = append(fields, (*[]byte)(&m.Said), (*[]byte)(&m.Pushed))
		}
		err := row.Scan(fields...)
		m.GoneSince, m.CreatedAt = since(gone), m.CreatedAt.UTC()
		return m, err
	})
	if err != nil {
		return nil, fail(err, "cannot list models")
	}
	return models, nil
}

// SavePushed is part of estate.ModelStore.
func (s *Store) SavePushed(ctx context.Context, controllerUUID string, pushed []params.ModelAbstract) error {
	if len(pushed) == 0 {
		return nil
	}
	uuids := make([]string, len(pushed))
	documents := make([]string, len(pushed))
	for i, a := range pushed {
		b, err := document(a)
		if err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save what was pushed of model %q: %v", clip(a.UUID), err)
		}
		uuids[i], documents[i] = a.UUID, string(b)
	}
	batch := &pgx.Batch{}
	batch.Queue(`select from controllers where uuid = $1 for no key update`, controllerUUID)
	batch.Queue(`update models set pushed = said.pushed
		from unnest($2::text[], $3::text[]::jsonb[]) as said (uuid, pushed)
		where models.uuid = said.uuid and models.controller_uuid = $1 and models.pushed is distinct from said.pushed`,
		controllerUUID, uuids, documents)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fail(err, "cannot save what controller %q pushed of its models", clip(controllerUUID))
	}
	return nil
}

// SaveAgentVersion is part of estate.ControllerStore.
func (s *Store) SaveAgentVersion(ctx context.Context, uuid, version string) error {
	_, err := s.pool.Exec(ctx, `update controllers set agent_version = $2, updated_at = $3 where uuid = $1 and agent_version <> $2`,
		uuid, version, s.now())
	if err != nil {
		return fail(err, "cannot save the version of controller %q", clip(uuid))
	}
	return nil
}
