package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

const modelColumns = `id, uuid, owner, name, state, controller_uuid, cloud, region, credential, type,
	summary, destroy, gone_since, created_at, updated_at`

func scanModel(row pgx.CollectableRow) (estate.Model, error) {
	var m estate.Model
	var uuid *string
	var summary, destroy []byte
	var gone *time.Time
	err := row.Scan(&m.ID, &uuid, &m.Owner, &m.Name, &m.State, &m.ControllerUUID, &m.Cloud, &m.Region, &m.Credential, &m.Type,
		&summary, &destroy, &gone, &m.CreatedAt, &m.UpdatedAt)
	if err != nil {
		return m, err
	}
	if uuid != nil {
		m.UUID = *uuid
	}
	m.GoneSince = since(gone)
	m.CreatedAt, m.UpdatedAt = m.CreatedAt.UTC(), m.UpdatedAt.UTC()
	if summary != nil {
		if err := json.Unmarshal(summary, &m.Summary); err != nil {
			return m, err
		}
	}
	if destroy != nil {
		m.Destroy = &params.DestroyModelParams{}
		err = json.Unmarshal(destroy, m.Destroy)
	}
	return m, err
}

// InsertModel is part of estate.ModelStore. CodeUserNotFound if the owner, and
// CodeNotFound if the controller or cloud is not known.
func (s *Store) InsertModel(ctx context.Context, m estate.Model) error {
	var summary, destroy []byte
	var err error
	if m.Summary.UUID != "" {
		if summary, err = document(m.Summary); err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save model %q: %v", clip(m.Path()), err)
		}
	}
	if m.Destroy != nil {
		if destroy, err = document(m.Destroy); err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save model %q: %v", clip(m.Path()), err)
		}
	}
	_, err = s.pool.Exec(ctx, `insert into models (`+modelColumns+`)
		values ($1, nullif($2, ''), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		m.ID, m.UUID, m.Owner, m.Name, string(m.State), m.ControllerUUID, m.Cloud, m.Region, m.Credential, m.Type,
		summary, destroy, instant(m.GoneSince), m.CreatedAt, m.UpdatedAt)
	if err != nil {
		return fail(err, "cannot save model %q", clip(m.Path()))
	}
	return nil
}

// PlaceModel is part of estate.ModelStore.
func (s *Store) PlaceModel(ctx context.Context, id, controllerUUID, credential, region string) error {
	return s.changeModel(ctx, "place", id, `update models set controller_uuid = $2, credential = $3, region = $4, updated_at = $5
		where id = $1 and state = 'creating'`, id, controllerUUID, credential, region, s.now())
}

// CompleteModel is part of estate.ModelStore. Doing it again with the same
// UUID is no error.
func (s *Store) CompleteModel(ctx context.Context, id, uuid, modelType string) error {
	return s.changeModel(ctx, "complete", id, `update models set uuid = $2, type = $3,
		state = case state when 'creating' then 'live' else state end,
		updated_at = case state when 'creating' then $4 else updated_at end
		where id = $1 and (state = 'creating' or uuid = $2)`, id, uuid, modelType, s.now())
}

// DyingModel is part of estate.ModelStore.
func (s *Store) DyingModel(ctx context.Context, uuid string, p params.DestroyModelParams) error {
	destroy, err := document(p)
	if err != nil {
		return estate.Errorf(estate.CodeNotValid, "cannot destroy model %q: %v", clip(uuid), err)
	}
	return s.changeModel(ctx, "destroy", uuid, `update models set state = 'dying', destroy = $2, updated_at = $3
		where uuid = $1 and state in ('live', 'dying')`, uuid, destroy, s.now())
}

// ReviveModel is part of estate.ModelStore.
func (s *Store) ReviveModel(ctx context.Context, uuid string) error {
	return s.changeModel(ctx, "revive", uuid, `update models set state = 'live', destroy = null, updated_at = $2
		where uuid = $1 and state = 'dying'`, uuid, s.now())
}

// DeleteModel is part of estate.ModelStore. CodeModelNotFound if there is no
// such model in that state.
func (s *Store) DeleteModel(ctx context.Context, id string, state estate.ModelState) error {
	return s.changeModel(ctx, "delete", id, `delete from models where id = $1 and state = $2`, id, string(state))
}

// SaveModelGone is part of estate.ModelStore.
func (s *Store) SaveModelGone(ctx context.Context, uuid string, since time.Time) error {
	return s.changeModel(ctx, "mark", uuid, `update models set gone_since = $2, updated_at = $3 where uuid = $1`,
		uuid, instant(since), s.now())
}

// SaveModelCredential is part of estate.ModelStore.
func (s *Store) SaveModelCredential(ctx context.Context, uuid, credential string) error {
	return s.changeModel(ctx, "set the credential of", uuid, `update models set credential = $2, updated_at = $3 where uuid = $1`,
		uuid, credential, s.now())
}

// changeModel runs a statement that must change one model.
func (s *Store) changeModel(ctx context.Context, verb, which, sql string, args ...any) error {
	tag, err := s.pool.Exec(ctx, sql, args...)
	if err != nil {
		return fail(err, "cannot %s model %q", verb, clip(which))
	}
	if tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeModelNotFound, "cannot %s model %q: there is no such model in a state for that", verb, clip(which))
	}
	return nil
}

// SaveSummaries is part of estate.ModelStore. It is an observation, not a
// change of the model, so UpdatedAt stays: a model that is dying would else
// never become stale. Rows whose summary is the same are not written.
func (s *Store) SaveSummaries(ctx context.Context, controllerUUID string, summaries []params.ModelSummary) error {
	if len(summaries) == 0 {
		return nil
	}
	uuids := make([]string, len(summaries))
	documents := make([]string, len(summaries))
	for i, summary := range summaries {
		b, err := document(summary)
		if err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save the summary of model %q: %v", clip(summary.UUID), err)
		}
		uuids[i], documents[i] = summary.UUID, string(b)
	}
	// The lock keeps two refreshes of one controller from deadlocking.
	batch := &pgx.Batch{}
	batch.Queue(`select from controllers where uuid = $1 for no key update`, controllerUUID)
	batch.Queue(`update models set summary = said.summary
		from unnest($2::text[], $3::text[]::jsonb[]) as said (uuid, summary)
		where models.uuid = said.uuid and models.controller_uuid = $1 and models.summary is distinct from said.summary`,
		controllerUUID, uuids, documents)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fail(err, "cannot save what controller %q says of its models", clip(controllerUUID))
	}
	return nil
}

// Model is part of estate.ModelStore.
func (s *Store) Model(ctx context.Context, uuid string) (estate.Model, error) {
	return s.oneModel(ctx, uuid, `uuid = $1`, uuid)
}

// ModelByName is part of estate.ModelStore.
func (s *Store) ModelByName(ctx context.Context, owner, name string) (estate.Model, error) {
	return s.oneModel(ctx, owner+"/"+name, `owner = $1 and name = $2`, owner, name)
}

func (s *Store) oneModel(ctx context.Context, which, where string, args ...any) (estate.Model, error) {
	rows, _ := s.pool.Query(ctx, `select `+modelColumns+` from models where `+where, args...)
	m, err := pgx.CollectExactlyOneRow(rows, scanModel)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Model{}, estate.Errorf(estate.CodeModelNotFound, "model %q not found", clip(which))
	}
	if err != nil {
		return estate.Model{}, fail(err, "cannot load model %q", clip(which))
	}
	return m, nil
}

// Models is part of estate.ModelStore.
func (s *Store) Models(ctx context.Context, uuids []string) ([]estate.Model, error) {
	if uuids == nil {
		return s.listModels(ctx, `state <> 'creating' order by owner, name`)
	}
	return s.listModels(ctx, `state <> 'creating' and uuid = any($1) order by owner, name`, uuids)
}

// CountModels is part of estate.ModelStore.
func (s *Store) CountModels(ctx context.Context) (map[string]int, error) {
	rows, _ := s.pool.Query(ctx, `select controller_uuid, count(*) from models where state <> 'creating' group by controller_uuid`)
	counts := map[string]int{}
	var uuid string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&uuid, &n}, func() error { counts[uuid] = n; return nil })
	if err != nil {
		return nil, fail(err, "cannot count models")
	}
	return counts, nil
}

// ModelsOn is part of estate.ModelStore.
func (s *Store) ModelsOn(ctx context.Context, controllerUUID string) ([]estate.Model, error) {
	return s.listModels(ctx, `controller_uuid = $1 order by owner, name`, controllerUUID)
}

// ModelsUsing is part of estate.ModelStore.
func (s *Store) ModelsUsing(ctx context.Context, credential string) ([]estate.Model, error) {
	return s.listModels(ctx, `credential = $1 and credential <> '' order by owner, name`, credential)
}

// StaleModels is part of estate.ModelStore.
func (s *Store) StaleModels(ctx context.Context, state estate.ModelState, before time.Time) ([]estate.Model, error) {
	return s.listModels(ctx, `state = $1 and updated_at < $2 order by updated_at`, string(state), before)
}

func (s *Store) listModels(ctx context.Context, where string, args ...any) ([]estate.Model, error) {
	rows, _ := s.pool.Query(ctx, `select `+modelColumns+` from models where `+where, args...)
	models, err := pgx.CollectRows(rows, scanModel)
	if err != nil {
		return nil, fail(err, "cannot list models")
	}
	return models, nil
}
