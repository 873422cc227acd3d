package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// MovingModel is part of estate.ModelStore.
func (s *Store) MovingModel(ctx context.Context, uuid, controllerUUID string) error {
	return s.changeModel(ctx, "move", uuid, `update models set moving_to = $2, updated_at = $3 where uuid = $1 and state <> 'creating'`,
		uuid, controllerUUID, s.now())
}

// MovedModel is part of estate.ModelStore.
func (s *Store) MovedModel(ctx context.Context, uuid, controllerUUID string) error {
	return s.changeModel(ctx, "move", uuid, `update models set controller_uuid = $2, gone_since = null, updated_at = $3
		where uuid = $1 and moving_to = $2`, uuid, controllerUUID, s.now())
}

// SettledModel is part of estate.ModelStore.
func (s *Store) SettledModel(ctx context.Context, uuid, controllerUUID string) error {
	return s.changeModel(ctx, "settle", uuid, `update models set moving_to = null, updated_at = $3
		where uuid = $1 and moving_to = $2 and controller_uuid = $2`, uuid, controllerUUID, s.now())
}

// MovingModels is part of estate.ModelStore.
func (s *Store) MovingModels(ctx context.Context, before time.Time) (map[string]string, error) {
	rows, _ := s.pool.Query(ctx, `select uuid, moving_to from models where moving_to is not null and updated_at < $1`, before)
	moving := map[string]string{}
	var uuid, controller string
	_, err := pgx.ForEachRow(rows, []any{&uuid, &controller}, func() error {
		moving[uuid] = controller
		return nil
	})
	if err != nil {
		return nil, fail(err, "cannot list models that move")
	}
	return moving, nil
}

var _ estate.ModelStore = (*Store)(nil)
