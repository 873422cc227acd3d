package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

const (
	offerColumns = `o.id, o.uuid, o.name, o.state, o.admins, o.public, o.force, o.details, o.created_at, o.updated_at,
	m.id, m.uuid, m.owner, m.name, m.state, m.controller_uuid,
	coalesce(m.summary->>'qualifier', ''), coalesce(m.summary->>'name', '')`
	fromOffers = ` from offers o join models m on m.id = o.model_id`
)

func scanOffer(row pgx.CollectableRow) (estate.Offer, error) {
	var o estate.Offer
	var uuid, modelUUID *string
	var details []byte
	m := &o.Model
	err := row.Scan(&o.ID, &uuid, &o.Name, &o.State, &o.Admins, &o.Public, &o.Force, &details, &o.CreatedAt, &o.UpdatedAt,
		&m.ID, &modelUUID, &m.Owner, &m.Name, &m.State, &m.ControllerUUID, &m.Summary.Qualifier, &m.Summary.Name)
	if err != nil {
		return o, err
	}
	if uuid != nil {
		o.UUID = *uuid
	}
	if modelUUID != nil {
		m.UUID = *modelUUID
	}
	o.Admins = orNil(o.Admins)
	o.CreatedAt, o.UpdatedAt = o.CreatedAt.UTC(), o.UpdatedAt.UTC()
	if details != nil {
		err = json.Unmarshal(details, &o.Details)
	}
	return o, err
}

// InsertOffer is part of estate.OfferStore. Of the offer's model only the ID
// counts.
func (s *Store) InsertOffer(ctx context.Context, o estate.Offer) error {
	var details []byte
	if o.Details.OfferUUID != "" {
		var err error
		if details, err = document(o.Details); err != nil {
			return estate.Errorf(estate.CodeNotValid, "cannot save offer %q: %v", clip(o.URL()), err)
		}
	}
	_, err := s.pool.Exec(ctx, `insert into offers (id, uuid, model_id, name, state, admins, public, force, details, created_at, updated_at)
		values ($1, nullif($2, ''), $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		o.ID, o.UUID, o.Model.ID, o.Name, string(o.State), list(o.Admins), o.Public, o.Force, details, o.CreatedAt, o.UpdatedAt)
	if violates(err, "offers_model_fkey") {
		return &estate.Error{Code: estate.CodeNotFound, Message: fmt.Sprintf("cannot save offer %q: its model is not known", clip(o.URL())), Cause: err}
	}
	if err != nil {
		return fail(err, "cannot save offer %q", clip(o.URL()))
	}
	return nil
}

// CompleteOffer is part of estate.OfferStore. Doing it again with the same UUID
// is no error.
func (s *Store) CompleteOffer(ctx context.Context, id, uuid string, details params.ApplicationOfferAdminDetailsV5) error {
	b, err := document(details)
	if err != nil {
		return estate.Errorf(estate.CodeNotValid, "cannot complete offer %q: %v", clip(id), err)
	}
	return s.changeOffer(ctx, "complete", id, `update offers set uuid = $2, state = 'live', details = $3, updated_at = $4
		where id = $1 and (state = 'creating' or state = 'live' and uuid = $2)`, id, uuid, b, s.now())
}

// SaveOffer is part of estate.OfferStore. A row that says the same already is
// not written.
func (s *Store) SaveOffer(ctx context.Context, uuid string, details params.ApplicationOfferAdminDetailsV5) error {
	b, err := document(details)
	if err != nil {
		return estate.Errorf(estate.CodeNotValid, "cannot save offer %q: %v", clip(uuid), err)
	}
	_, err = s.pool.Exec(ctx, `update offers set details = $2
		where uuid = $1 and state = 'live' and details is distinct from $2::jsonb`, uuid, b)
	if err != nil {
		return fail(err, "cannot save offer %q", clip(uuid))
	}
	return nil
}

// DyingOffer is part of estate.OfferStore.
func (s *Store) DyingOffer(ctx context.Context, uuid string, force bool) error {
	return s.changeOffer(ctx, "remove", uuid, `update offers set state = 'dying', force = $2, updated_at = $3
		where uuid = $1 and state in ('live', 'dying')`, uuid, force, s.now())
}

// ReviveOffer is part of estate.OfferStore.
func (s *Store) ReviveOffer(ctx context.Context, uuid string) error {
	return s.changeOffer(ctx, "revive", uuid, `update offers set state = 'live', force = false, updated_at = $2
		where uuid = $1 and state = 'dying'`, uuid, s.now())
}

// DeleteOffer is part of estate.OfferStore.
func (s *Store) DeleteOffer(ctx context.Context, id string, state estate.OfferState) error {
	return s.changeOffer(ctx, "delete", id, `delete from offers where id = $1 and state = $2`, id, string(state))
}

// changeOffer runs a statement that must change one offer.
func (s *Store) changeOffer(ctx context.Context, verb, which, sql string, args ...any) error {
	tag, err := s.pool.Exec(ctx, sql, args...)
	if err != nil {
		return fail(err, "cannot %s offer %q", verb, clip(which))
	}
	if tag.RowsAffected() == 0 {
		return estate.Errorf(estate.CodeNotFound, "cannot %s offer %q: there is no such offer in a state for that", verb, clip(which))
	}
	return nil
}

// Offer is part of estate.OfferStore.
func (s *Store) Offer(ctx context.Context, uuid string) (estate.Offer, error) {
	return s.oneOffer(ctx, uuid, `o.uuid = $1`, uuid)
}

// OfferByName is part of estate.OfferStore.
func (s *Store) OfferByName(ctx context.Context, owner, model, name string) (estate.Offer, error) {
	return s.oneOffer(ctx, owner+"/"+model+"."+name, `m.owner = $1 and m.name = $2 and o.name = $3`, owner, model, name)
}

func (s *Store) oneOffer(ctx context.Context, which, where string, args ...any) (estate.Offer, error) {
	rows, _ := s.pool.Query(ctx, `select `+offerColumns+fromOffers+` where `+where, args...)
	o, err := pgx.CollectExactlyOneRow(rows, scanOffer)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Offer{}, estate.Errorf(estate.CodeNotFound, "offer %q not found", clip(which))
	}
	if err != nil {
		return estate.Offer{}, fail(err, "cannot load offer %q", clip(which))
	}
	return o, nil
}

// Offers is part of estate.OfferStore.
func (s *Store) Offers(ctx context.Context, uuids []string) ([]estate.Offer, error) {
	const order = ` order by m.owner, m.name, o.name`
	if uuids == nil {
		return s.listOffers(ctx, `o.state <> 'creating'`+order)
	}
	return s.listOffers(ctx, `o.state <> 'creating' and o.uuid = any($1)`+order, uuids)
}

// OffersOf is part of estate.OfferStore.
func (s *Store) OffersOf(ctx context.Context, modelID string) ([]estate.Offer, error) {
	return s.listOffers(ctx, `o.model_id = $1 order by o.name`, modelID)
}

// OffersOn is part of estate.OfferStore.
func (s *Store) OffersOn(ctx context.Context, controllerUUID string) ([]estate.Offer, error) {
	return s.listOffers(ctx, `m.controller_uuid = $1 order by m.owner, m.name, o.name`, controllerUUID)
}

// StaleOffers is part of estate.OfferStore.
func (s *Store) StaleOffers(ctx context.Context, state estate.OfferState, before time.Time) ([]estate.Offer, error) {
	return s.listOffers(ctx, `o.state = $1 and o.updated_at < $2 order by o.updated_at`, string(state), before)
}

func (s *Store) listOffers(ctx context.Context, where string, args ...any) ([]estate.Offer, error) {
	rows, _ := s.pool.Query(ctx, `select `+offerColumns+fromOffers+` where `+where, args...)
	offers, err := pgx.CollectRows(rows, scanOffer)
	if err != nil {
		return nil, fail(err, "cannot list offers")
	}
	return offers, nil
}
