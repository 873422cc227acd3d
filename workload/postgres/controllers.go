package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

const controllerColumns = `uuid, name, state, public_address, addresses, ca_certificate, tls_hostname,
	agent_version, cloud, region, deprecated, unavailable_since, created_at, updated_at`

func scanController(row pgx.CollectableRow) (estate.Controller, error) {
	var c estate.Controller
	var unavailable *time.Time
	err := row.Scan(&c.UUID, &c.Name, &c.State, &c.PublicAddress, &c.Addresses, &c.CACertificate, &c.TLSHostname,
		&c.AgentVersion, &c.Cloud, &c.Region, &c.Deprecated, &unavailable, &c.CreatedAt, &c.UpdatedAt)
	c.Addresses, c.UnavailableSince = orNil(c.Addresses), since(unavailable)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, err
}

// InsertController is part of estate.ControllerStore.
func (s *Store) InsertController(ctx context.Context, c estate.Controller) error {
	_, err := s.pool.Exec(ctx, `insert into controllers (`+controllerColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		c.UUID, c.Name, string(c.State), c.PublicAddress, list(c.Addresses), c.CACertificate, c.TLSHostname,
		c.AgentVersion, c.Cloud, c.Region, c.Deprecated, instant(c.UnavailableSince), c.CreatedAt, c.UpdatedAt)
	if err != nil {
		return fail(err, "cannot save controller %q", clip(c.Name))
	}
	return nil
}

// SetControllerState is part of estate.ControllerStore.
func (s *Store) SetControllerState(ctx context.Context, uuid string, from, to estate.ControllerState) error {
	tag, err := s.pool.Exec(ctx, `update controllers set state = $3, updated_at = $4 where uuid = $1 and state = $2`,
		uuid, string(from), string(to), s.now())
	if err != nil {
		return fail(err, "cannot make controller %q %s", clip(uuid), to)
	}
	if tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeNotFound, "cannot make controller %q %s: there is no such controller that is %s", clip(uuid), to, from)
	}
	return nil
}

// UpdateController is part of estate.ControllerStore.
func (s *Store) UpdateController(ctx context.Context, c estate.Controller) error {
	tag, err := s.pool.Exec(ctx, `update controllers set public_address = $2, addresses = $3, ca_certificate = $4,
		tls_hostname = $5, agent_version = $6, deprecated = $7, updated_at = $8 where uuid = $1`,
		c.UUID, c.PublicAddress, list(c.Addresses), c.CACertificate, c.TLSHostname, c.AgentVersion,
		c.Deprecated, s.now())
	if err != nil {
		return fail(err, "cannot save controller %q", clip(c.Name))
	}
	if tag.RowsAffected() == 0 {
		return controllerNotFound(c.UUID)
	}
	return nil
}

// SetUnavailable is part of estate.Store.
func (s *Store) SetUnavailable(ctx context.Context, uuid string, since time.Time) error {
	tag, err := s.pool.Exec(ctx, `update controllers set unavailable_since = $2, updated_at = $3 where uuid = $1`,
		uuid, instant(since), s.now())
	if err != nil {
		return fail(err, "cannot save whether controller %q answers", clip(uuid))
	}
	if tag.RowsAffected() == 0 {
		return controllerNotFound(uuid)
	}
	return nil
}

// DeleteController is part of estate.ControllerStore.
func (s *Store) DeleteController(ctx context.Context, uuid string) error {
	tag, err := s.pool.Exec(ctx, `delete from controllers where uuid = $1`, uuid)
	if violates(err, "models_controller_fkey") {
		return &estate.Error{Code: estate.CodeStillAlive, Message: "cannot delete controller: models are on it", Cause: err}
	}
	if err != nil {
		return fail(err, "cannot delete controller %q", clip(uuid))
	}
	if tag.RowsAffected() == 0 {
		return controllerNotFound(uuid)
	}
	return nil
}

// Controller is part of estate.ControllerStore.
func (s *Store) Controller(ctx context.Context, uuid string) (estate.Controller, error) {
	return s.controllerBy(ctx, "uuid", uuid)
}

// ControllerByName is part of estate.ControllerStore.
func (s *Store) ControllerByName(ctx context.Context, name string) (estate.Controller, error) {
	return s.controllerBy(ctx, "name", name)
}

func (s *Store) controllerBy(ctx context.Context, column, value string) (estate.Controller, error) {
	rows, _ := s.pool.Query(ctx, `select `+controllerColumns+` from controllers where `+column+` = $1`, value)
	c, err := pgx.CollectExactlyOneRow(rows, scanController)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Controller{}, controllerNotFound(value)
	}
	if err != nil {
		return estate.Controller{}, fail(err, "cannot load controller %q", clip(value))
	}
	return c, nil
}

func controllerNotFound(which string) error {
	return estate.Errorf(estate.CodeNotFound, "controller %q not found", clip(which))
}

// Controllers is part of estate.ControllerStore.
func (s *Store) Controllers(ctx context.Context, states ...estate.ControllerState) ([]estate.Controller, error) {
	wanted := []string{string(estate.ControllerLive)}
	if len(states) > 0 {
		wanted = wanted[:0]
		for _, state := range states {
			wanted = append(wanted, string(state))
		}
	}
	rows, _ := s.pool.Query(ctx, `select `+controllerColumns+` from controllers where state = any($1) order by name`, wanted)
	controllers, err := pgx.CollectRows(rows, scanController)
	if err != nil {
		return nil, fail(err, "cannot list controllers")
	}
	return controllers, nil
}
