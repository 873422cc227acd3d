package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// SecretState is part of estate.SecretStates.
func (s *Store) SecretState(ctx context.Context) (estate.SecretState, error) {
	var state estate.SecretState
	err := s.pool.QueryRow(ctx, `select place, target, leftover from secret_state`).Scan(&state.Place, &state.Target, &state.Leftover)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return estate.SecretState{}, fail(err, "cannot see where the secrets are")
	}
	return state, nil
}

// SwapSecretState is part of estate.SecretStates.
func (s *Store) SwapSecretState(ctx context.Context, old, state estate.SecretState) (bool, error) {
	sql := `update secret_state set place = $1, target = $2, leftover = $3 where place = $4 and target = $5 and leftover = $6`
	args := []any{state.Place, state.Target, state.Leftover, old.Place, old.Target, old.Leftover}
	if old == (estate.SecretState{}) {
		sql, args = `insert into secret_state (place, target, leftover) values ($1, $2, $3) on conflict (single) do nothing`, args[:3]
	}
	tag, err := s.pool.Exec(ctx, sql, args...)
	if err != nil {
		return false, fail(err, "cannot write down where the secrets are")
	}
	return tag.RowsAffected() == 1, nil
}
