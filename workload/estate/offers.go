package estate

import (
	"context"
	"errors"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/crossmodel"
	"github.com/juju/juju/rpc/params"
)

// OfferState says how far an offer's creation or removal has come.
type OfferState string

// The states of an offer: creating and dying are intents that a sweep finishes
// or undoes.
const (
	OfferCreating OfferState = "creating"
	OfferLive     OfferState = "live"
	OfferDying    OfferState = "dying"
)

// Offer is an application offer of the estate: endpoints of an application that
// models of other people, on other controllers, can relate to.
type Offer struct {
	// ID is ours, from the intent on; UUID is the controller's, empty while
	// creating.
	ID   string
	UUID string
	// Model is the model of the application: of it only what it is called and
	// where it is.
	Model Model
	Name  string
	State OfferState
	// Admins administer the offer from its creation on, by name; Public says
	// whether everyone may find it from then on. Who may later is in OpenFGA.
	Admins []string
	Public bool
	// Force says whether a dying offer is removed with its relations.
	Force bool
	// Details are the last its controller said of it, zero before that.
	Details   params.ApplicationOfferAdminDetailsV5
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Object returns the offer as an object of the authorization model.
func (o Offer) Object() Object { return Object{KindOffer, o.UUID} }

// URL returns owner/model.name, by which the offer is known in the estate.
func (o Offer) URL() string { return crossmodel.MakeURL(o.Model.Owner, o.Model.Name, o.Name, "") }

// path returns the offer as its controller names it, which may know its model
// by another owner.
func (o Offer) path() OfferPath {
	p := o.Model.offerPath()
	p.Name = o.Name
	return p
}

func (m Model) offerPath() OfferPath {
	p := OfferPath{ModelUUID: m.UUID, Qualifier: m.Owner, Model: m.Name}
	if m.Summary.Qualifier != "" && m.Summary.Name != "" {
		p.Qualifier, p.Model = m.Summary.Qualifier, m.Summary.Name
	}
	return p
}

// OfferStore remembers offers. Lookups of what is not there give an Error with
// CodeNotFound. Every change sets UpdatedAt.
type OfferStore interface {
	// InsertOffer inserts the row; CodeAlreadyExists if the model has an offer
	// of that name, CodeNotFound if there is no such model.
	InsertOffer(ctx context.Context, o Offer) error
	// CompleteOffer makes a creating offer live, with its UUID and details.
	CompleteOffer(ctx context.Context, id, uuid string, details params.ApplicationOfferAdminDetailsV5) error
	// SaveOffer saves what a controller says of a live offer; UpdatedAt stays.
	SaveOffer(ctx context.Context, uuid string, details params.ApplicationOfferAdminDetailsV5) error
	// DyingOffer records that an offer shall be removed, and how.
	DyingOffer(ctx context.Context, uuid string, force bool) error
	// ReviveOffer makes a dying offer live again: the controller refused.
	ReviveOffer(ctx context.Context, uuid string) error
	// DeleteOffer removes the row if it is in that state.
	DeleteOffer(ctx context.Context, id string, state OfferState) error

	Offer(ctx context.Context, uuid string) (Offer, error)
	// OfferByName finds an offer, in any state, by its model's owner and name.
	OfferByName(ctx context.Context, owner, model, name string) (Offer, error)
	// Offers returns those with these UUIDs (nil: all), creating ones left out,
	// by URL.
	Offers(ctx context.Context, uuids []string) ([]Offer, error)
	// OffersOf returns a model's offers in any state, by name.
	OffersOf(ctx context.Context, modelID string) ([]Offer, error)
	// OffersOn returns a controller's offers in any state.
	OffersOn(ctx context.Context, controllerUUID string) ([]Offer, error)
	// StaleOffers returns those in a state that were last changed before a time.
	StaleOffers(ctx context.Context, state OfferState, before time.Time) ([]Offer, error)
}

// OfferArgs says what to offer.
type OfferArgs struct {
	ModelUUID string
	// Name is the offer's; the application's if empty.
	Name        string
	Application string
	Description string
	// Endpoints are the application's, by the name they are offered under.
	Endpoints map[string]string
	// Owner is who else administers the offer, name@domain; the caller if empty.
	Owner string
}

// errNoOffer is the same for an offer that is not there and for one that the
// user may not see.
func errNoOffer(url string) *Error {
	return Errorf(CodeNotFound, "application offer %q not found", clip(url))
}

// MakeOffer offers endpoints of an application to other models. Needs
// administrator of the model, of the owner too. CodeAlreadyExists if the model
// has an offer of that name; where the controller can change an offer (Juju 3),
// it is changed instead.
func (e *Estate) MakeOffer(ctx context.Context, u User, args OfferArgs) error {
	if args.Name == "" {
		args.Name = args.Application
	}
	fail := func(err error) error { return reword(err, "cannot make offer %q", clip(args.Name)) }
	if !names.IsValidApplication(args.Name) || len(args.Name) > 255 {
		return fail(Errorf(CodeBadRequest, "an offer's name is like an application's: lowercase letters, digits and hyphens"))
	}
	if !names.IsValidApplication(args.Application) {
		return fail(Errorf(CodeBadRequest, "%q is not an application's name", clip(args.Application)))
	}
	if len(args.Endpoints) == 0 {
		return fail(Errorf(CodeBadRequest, "name the endpoints of application %q to offer", args.Application))
	}
	r, err := e.routeAs(ctx, u, args.ModelUUID, AccessAdmin)
	if err != nil {
		return fail(err)
	}
	admins, err := e.offerAdmins(ctx, u, r.Model, args.Owner)
	if err != nil {
		return fail(err)
	}
	known, err := e.offerNamed(ctx, r.Model, args.Name)
	if err != nil {
		return fail(err)
	}
	if known != nil {
		if known.State != OfferLive {
			return fail(Errorf(CodeAlreadyExists, "model %q has an offer of this name, which is just being made or removed", r.Model.Path()))
		}
		return fail(e.changeOffer(ctx, u, r, *known, args))
	}
	now := e.Now()
	o := Offer{
		ID: e.NewUUID(), Model: r.Model, Name: args.Name, State: OfferCreating,
		Admins: admins, Public: true, CreatedAt: now, UpdatedAt: now,
	}
	if err := e.Store.InsertOffer(ctx, o); err != nil {
		return fail(err)
	}
	e.step("offer inserted")
	return fail(e.createOffer(ctx, u, r, o, args))
}

// offerAdmins returns who administers a new offer.
func (e *Estate) offerAdmins(ctx context.Context, u User, m Model, owner string) ([]string, error) {
	if owner == "" || owner == u.Name {
		return []string{u.Name}, nil
	}
	if err := ValidateUser(owner); err != nil {
		return nil, err
	}
	ok, err := e.Permissions.Check(ctx, User{Name: owner}, Administrator, m.Object())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, Errorf(CodeNotValid, "its owner %q is not an administrator of model %q", owner, m.Path())
	}
	return []string{u.Name, owner}, e.Store.EnsureIdentity(ctx, owner)
}

// offerNamed returns a model's offer of a name, nil if it has none. What a dead
// process left of it is settled first.
func (e *Estate) offerNamed(ctx context.Context, m Model, name string) (*Offer, error) {
	for range 2 {
		o, err := e.Store.OfferByName(ctx, m.Owner, m.Name, name)
		if Is(err, CodeNotFound) {
			return nil, nil
		}
		if err != nil || o.State == OfferLive || !o.UpdatedAt.Before(e.Now().Add(-e.intentAge())) {
			return &o, err
		}
		if err := e.settleOffer(ctx, o); err != nil {
			return nil, err
		}
	}
	o, err := e.Store.OfferByName(ctx, m.Owner, m.Name, name)
	if Is(err, CodeNotFound) {
		return nil, nil
	}
	return &o, err
}

// createOffer makes the offer on its controller. When it fails, the row is
// gone, or left for the sweep if nobody can tell whether it was made.
func (e *Estate) createOffer(ctx context.Context, u User, r Route, o Offer, args OfferArgs) error {
	sent, err := e.sendOffer(ctx, u, r, args)
	switch {
	case err == nil:
		e.step("offer made")
	case !sent || isAnswer(err) && ctx.Err() == nil:
		return e.undoOffer(ctx, o, err)
	}
	// Only the list tells the UUID; and, where the connection broke, whether
	// there is an offer.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	found, findErr := e.findOffer(asking, r.Controller, o)
	switch {
	case findErr != nil && err == nil:
		return Errorf(CodeConnectionFailed, "the controller has made it, but does not say its UUID: %w; it will appear in the list within minutes", findErr)
	case findErr != nil:
		return Errorf(CodeConnectionFailed, "the connection broke while it was being made: %w; it will appear in the list within minutes if it was, else its name is free again", err)
	case found == nil && err == nil:
		return e.undoOffer(ctx, o, Errorf(CodeNotFound, "controller %q has taken it, but does not list it", r.Controller.Name))
	case found == nil:
		return e.undoOffer(ctx, o, err)
	}
	return e.completeOffer(asking, o, *found)
}

// undoOffer removes the row of an offer that its controller has not made.
func (e *Estate) undoOffer(ctx context.Context, o Offer, why error) error {
	undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	if err := e.Store.DeleteOffer(undoing, o.ID, OfferCreating); err != nil && !Is(err, CodeNotFound) {
		e.Log.ErrorContext(ctx, "cannot undo the making of an offer yet", "offer", o.URL(), "error", err)
	}
	return why
}

// changeOffer lets the controller change an offer, or refuse that.
func (e *Estate) changeOffer(ctx context.Context, u User, r Route, o Offer, args OfferArgs) error {
	if _, err := e.sendOffer(ctx, u, r, args); err != nil {
		if Is(err, CodeBadRequest) {
			err = &Error{Code: CodeAlreadyExists, Message: err.Error(), Cause: err}
		}
		return err
	}
	found, err := e.findOffer(ctx, r.Controller, o)
	if err != nil || found == nil {
		return err
	}
	return e.Store.SaveOffer(ctx, o.UUID, *found)
}

// sendOffer asks the controller to make an offer, as the caller: there it is to
// belong to somebody of whom the controller has heard. sent is false if nothing
// can have come of it.
func (e *Estate) sendOffer(ctx context.Context, u User, r Route, args OfferArgs) (sent bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, r.Controller, u, r.Claims)
	if err != nil {
		return false, err
	}
	defer peer.Close()
	return true, peer.MakeOffer(ctx, params.AddApplicationOffer{
		ModelTag: r.Model.tag(), OfferName: args.Name, ApplicationName: args.Application,
		ApplicationDescription: args.Description, Endpoints: args.Endpoints,
	})
}

// findOffer asks a controller for an offer; nil if it has none.
func (e *Estate) findOffer(ctx context.Context, c Controller, o Offer) (*params.ApplicationOfferAdminDetailsV5, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	// As of an administrator of the model: the list answers nobody else.
	peer, err := e.Peers.Connect(ctx, c, e.Self, Claims{c.tag(): AccessLogin, o.Model.tag(): AccessAdmin})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	list, err := peer.ModelOffers(ctx, o.path())
	if isGone(err) {
		return nil, nil // with its model
	}
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.OfferName != o.Name {
			continue
		}
		if !names.IsValidApplicationOffer(d.OfferUUID) {
			return nil, Errorf(CodeConnectionFailed, "controller %q says %q is the UUID of an offer", c.Name, clip(d.OfferUUID))
		}
		return &d, nil
	}
	return nil, nil
}

// completeOffer writes the tuples of an offer that its controller has made, and
// makes its row live; both can be repeated.
func (e *Estate) completeOffer(ctx context.Context, o Offer, found params.ApplicationOfferAdminDetailsV5) error {
	object := Object{KindOffer, found.OfferUUID}
	tuples := []Tuple{{Subject{Object: o.Model.Object()}, InModel, object}}
	for _, name := range o.Admins {
		tuples = append(tuples, Tuple{User{Name: name}.Subject(), Administrator, object})
	}
	if o.Public {
		tuples = append(tuples, Tuple{Subject{Object: Object{KindUser, EveryoneID}}, Reader, object})
	}
	if err := e.Permissions.Write(ctx, tuples, nil); err != nil {
		return err
	}
	e.step("offer tuples written")
	return e.Store.CompleteOffer(ctx, o.ID, found.OfferUUID, found)
}

// ModifyOfferAccess grants or revokes. Needs administrator of the offer. A
// consumer who loses the right keeps the relations that are there until the
// controller next asks.
func (e *Estate) ModifyOfferAccess(ctx context.Context, u User, url string, change AccessChange) error {
	o, access, err := e.offerAt(ctx, u, url)
	if err != nil {
		return err
	}
	if access != AccessAdmin && (change.Grant || spelling(change.User) != u.Name) {
		return errPermission
	}
	return e.modifyAccess(ctx, o.Object(), change)
}

// RemoveOffer asks an offer's controller to remove it, with force also its
// relations, and remembers that it was asked. Needs administrator of the offer.
func (e *Estate) RemoveOffer(ctx context.Context, u User, url string, force bool) error {
	o, access, err := e.offerAt(ctx, u, url)
	if err != nil {
		return err
	}
	if access != AccessAdmin {
		return errPermission
	}
	c, err := e.Store.Controller(ctx, o.Model.ControllerUUID)
	if err != nil {
		return err
	}
	if err := e.Store.DyingOffer(ctx, o.UUID, force); err != nil {
		return err
	}
	e.step("offer dying")
	wasLive := o.State == OfferLive
	o.State, o.Force = OfferDying, force
	err = e.sendRemoveOffer(ctx, c, o)
	switch {
	case err == nil:
		e.step("offer remove sent")
		return e.confirmOfferGone(ctx, c, o)
	case isGone(err):
		return e.confirmOfferGone(ctx, c, o)
	case !isAnswer(err) || ctx.Err() != nil:
		return err // whether it was heard nobody knows; the sweep asks again
	}
	// Refused, for instance because it is in use.
	if wasLive {
		if revive := e.Store.ReviveOffer(context.WithoutCancel(ctx), o.UUID); revive != nil {
			e.Log.ErrorContext(ctx, "cannot take back that an offer is dying", "offer", o.URL(), "error", revive)
		}
	}
	return reword(err, "cannot remove offer %q", o.URL())
}

// isAnswer reports whether an error is what a controller answered, which may
// have no code, and not that it did not.
func isAnswer(err error) bool {
	var answer *Error
	return errors.As(err, &answer) && !Is(err, CodeConnectionFailed)
}

// sendRemoveOffer asks as JIMM: controllers want an administrator of the model,
// where for us one of the offer is enough.
func (e *Estate) sendRemoveOffer(ctx context.Context, c Controller, o Offer) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, c, e.Self, Claims{c.tag(): AccessLogin, o.Model.tag(): AccessAdmin})
	if err != nil {
		return err
	}
	defer peer.Close()
	return peer.RemoveOffer(ctx, o.path(), o.Force)
}

// confirmOfferGone asks the controller itself whether an offer is gone, and
// only then forgets it.
func (e *Estate) confirmOfferGone(ctx context.Context, c Controller, o Offer) error {
	found, err := e.findOffer(ctx, c, o)
	if err != nil {
		return err
	}
	if found != nil && found.OfferUUID == o.UUID {
		return nil
	}
	e.step("offer gone")
	return e.forgetOffer(ctx, o)
}

// forgetOffer removes an offer's tuples and then its row.
func (e *Estate) forgetOffer(ctx context.Context, o Offer) error {
	if o.UUID != "" {
		if err := e.removeTuples(ctx, o.Object()); err != nil {
			return err
		}
		e.step("offer tuples removed")
	}
	err := e.Store.DeleteOffer(ctx, o.ID, o.State)
	if Is(err, CodeNotFound) {
		return nil
	}
	return err
}

// forgetOffersOf removes what belongs to the offers of a model that is gone.
func (e *Estate) forgetOffersOf(ctx context.Context, m Model) error {
	offers, err := e.Store.OffersOf(ctx, m.ID)
	if err != nil {
		return err
	}
	for _, o := range offers {
		if err := e.forgetOffer(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
