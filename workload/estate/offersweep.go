package estate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// sweepOffers finishes or undoes the making and removing of offers.
func (e *Estate) sweepOffers(ctx context.Context) error {
	var failed error
	for _, state := range []OfferState{OfferCreating, OfferDying} {
		stale, err := e.Store.StaleOffers(ctx, state, e.Now().Add(-e.intentAge()))
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, o := range stale {
			if err := e.settleOffer(ctx, o); err != nil {
				failed = errors.Join(failed, fmt.Errorf("offer %s: %w", o.URL(), err))
			}
		}
	}
	return failed
}

func (e *Estate) settleOffer(ctx context.Context, o Offer) error {
	c, err := e.Store.Controller(ctx, o.Model.ControllerUUID)
	if err != nil {
		return err
	}
	if o.State == OfferDying {
		// The right to remove was checked when it was asked for.
		if err := e.sendRemoveOffer(ctx, c, o); err != nil && !isGone(err) {
			return err
		}
		return e.confirmOfferGone(ctx, c, o)
	}
	found, err := e.findOffer(ctx, c, o)
	if err != nil {
		return err
	}
	if found == nil {
		e.Log.InfoContext(ctx, "undoing the making of an offer that its controller has not made", "offer", o.URL(), "controller", c.Name)
		return e.forgetOffer(ctx, o)
	}
	e.Log.InfoContext(ctx, "finishing the making of an offer", "offer", o.URL(), "controller", c.Name)
	return e.completeOffer(ctx, o, *found)
}

// RefreshAllOffers asks all controllers that answer for their offers, some at a
// time: one that is slow delays few others.
func (e *Estate) RefreshAllOffers(ctx context.Context) error {
	controllers, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return err
	}
	failed := make([]error, len(controllers))
	var running sync.WaitGroup
	places := make(chan struct{}, 8)
	for i, c := range controllers {
		if !c.UnavailableSince.IsZero() {
			continue
		}
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := e.RefreshOffers(ctx, c); err != nil {
				failed[i] = fmt.Errorf("controller %q: %w", c.Name, err)
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// RefreshOffers asks a controller for its offers and saves what it says. Those
// that were made there without us, such as before its models were imported,
// are taken in; those that went with their application are forgotten.
func (e *Estate) RefreshOffers(ctx context.Context, c Controller) error {
	said, err := e.controllerOffers(ctx, c)
	if err != nil {
		return err
	}
	known, err := e.Store.OffersOn(ctx, c.UUID)
	if err != nil {
		return err
	}
	byUUID := make(map[string]params.ApplicationOfferAdminDetailsV5, len(said))
	for _, d := range said {
		byUUID[d.OfferUUID] = d
	}
	var failed error
	for _, o := range known {
		d, there := byUUID[o.UUID]
		delete(byUUID, o.UUID)
		switch {
		case o.State != OfferLive:
		case there:
			err = e.Store.SaveOffer(ctx, o.UUID, d)
		default:
			// The list may be older than the offer, and leaves out models of
			// the same name: ask for this one.
			err = e.confirmOfferGone(ctx, c, o)
		}
		if err != nil && !Is(err, CodeNotFound) {
			failed = errors.Join(failed, fmt.Errorf("offer %s: %w", o.URL(), err))
		}
		err = nil
	}
	for _, d := range byUUID {
		if err := e.adoptOffer(ctx, c, d); err != nil {
			failed = errors.Join(failed, fmt.Errorf("offer %s: %w", clip(d.OfferURL), err))
		}
	}
	return failed
}

func (e *Estate) controllerOffers(ctx context.Context, c Controller) ([]params.ApplicationOfferAdminDetailsV5, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	// Only a superuser is told about the offers of all models.
	peer, err := e.Peers.Connect(ctx, c, e.Self, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	return peer.AllOffers(ctx)
}

// adoptOffer takes in an offer that was made without us.
func (e *Estate) adoptOffer(ctx context.Context, c Controller, d params.ApplicationOfferAdminDetailsV5) error {
	tag, err := names.ParseModelTag(d.SourceModelTag)
	if err != nil || !names.IsValidApplicationOffer(d.OfferUUID) || !names.IsValidApplication(d.OfferName) {
		return Errorf(CodeConnectionFailed, "controller %q describes an offer in a way that cannot be read", c.Name)
	}
	m, err := e.Store.Model(ctx, tag.Id())
	if Is(err, CodeModelNotFound) || err == nil && (m.ControllerUUID != c.UUID || m.State != ModelLive) {
		return nil // not one of ours
	}
	if err != nil {
		return err
	}
	now := e.Now()
	o := Offer{
		ID: e.NewUUID(), Model: m, Name: d.OfferName, State: OfferCreating, CreatedAt: now, UpdatedAt: now,
		// 3.x says so. 4.1 never does: then it is for the model's people, until
		// they give it to others.
		Public: slices.ContainsFunc(d.Users, func(u params.OfferUserDetails) bool {
			return u.UserName == EveryoneUser && u.Access != ""
		}),
	}
	// It may have been removed since the list was made.
	found, err := e.findOffer(ctx, c, o)
	if err != nil || found == nil || found.OfferUUID != d.OfferUUID {
		return err
	}
	err = e.Store.InsertOffer(ctx, o)
	if Is(err, CodeAlreadyExists) {
		return nil // somebody is at it
	}
	if err != nil {
		return err
	}
	e.Log.InfoContext(ctx, "taking in an offer that was made without us", "offer", o.URL(), "controller", c.Name)
	return e.completeOffer(ctx, o, *found)
}
