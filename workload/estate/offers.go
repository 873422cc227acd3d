package estate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
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
		e.Log.Error("cannot undo the making of an offer yet", "offer", o.URL(), "error", err)
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

// offerAt finds a live offer by URL and what u may do with it, as an access
// word. CodeNotFound if there is none or u may not read it, CodeBadRequest if
// it is not a URL of an offer in this estate.
func (e *Estate) offerAt(ctx context.Context, u User, url string) (Offer, string, error) {
	parsed, err := parseOfferURL(u, url)
	if err != nil {
		return Offer{}, "", err
	}
	o, err := e.Store.OfferByName(ctx, parsed.ModelQualifier, parsed.ModelName, parsed.Name)
	if Is(err, CodeNotFound) || err == nil && o.UUID == "" {
		return Offer{}, "", errNoOffer(parsed.String())
	}
	if err != nil {
		return Offer{}, "", err
	}
	access, err := e.offerAccess(ctx, u, o)
	if err == nil && access == "" {
		err = errNoOffer(parsed.String())
	}
	return o, access, err
}

// parseOfferURL reads [owner/]model.offer. The owner is u if left out.
func parseOfferURL(u User, text string) (crossmodel.OfferURL, error) {
	if len(text) > 1024 {
		return crossmodel.OfferURL{}, Errorf(CodeBadRequest, "%q is not the URL of an offer: it is too long", clip(text))
	}
	url, err := crossmodel.ParseOfferURL(text)
	switch {
	case err != nil:
		return url, Errorf(CodeBadRequest, "%q is not the URL of an offer, [owner/]model.offer", clip(text))
	case url.HasEndpoint():
		return url, Errorf(CodeNotSupported, "%q names an endpoint, not an offer: leave out what follows the last colon", clip(text))
	case url.Source != "":
		return url, Errorf(CodeNotSupported, "%q is an offer of another controller: log in there", clip(text))
	}
	if url.ModelQualifier == "" {
		url.ModelQualifier = u.Name
	}
	return url, nil
}

// offerAccess returns what u may do with an offer, "" if not even find it.
func (e *Estate) offerAccess(ctx context.Context, u User, o Offer) (string, error) {
	l := accessLevels[KindOffer]
	questions := make([]Question, len(l))
	for i, level := range l {
		questions[i] = Question{level.relation, o.Object()}
	}
	has, err := e.Permissions.CheckEach(ctx, u, questions)
	if err != nil {
		return "", err
	}
	access := ""
	for i, level := range l {
		if has[i] {
			access = level.word
		}
	}
	return access, nil
}

// ShowOffer returns one offer, from what its controller last said, with the
// users that OpenFGA knows: all for its administrators, the caller for others.
// Needs reader. CodeNotFound if there is none or u may not read it.
func (e *Estate) ShowOffer(ctx context.Context, u User, url string) (params.ApplicationOfferAdminDetailsV5, error) {
	o, access, err := e.offerAt(ctx, u, url)
	if err != nil {
		return params.ApplicationOfferAdminDetailsV5{}, err
	}
	return e.describeOffer(ctx, u, o, access, true)
}

// describeOffer is an offer as a client sees it; allUsers asks for the users
// that its administrators may see.
func (e *Estate) describeOffer(ctx context.Context, u User, o Offer, access string, allUsers bool) (params.ApplicationOfferAdminDetailsV5, error) {
	d := o.Details
	d.OfferUUID, d.OfferName, d.OfferURL, d.SourceModelTag = o.UUID, o.Name, o.URL(), o.Model.tag()
	d.Connections = nil // as old as the details
	d.Users = []params.OfferUserDetails{{UserName: u.Name, Access: access}}
	if access != AccessAdmin || !allUsers {
		return d, nil
	}
	held := map[string]string{}
	for _, level := range accessLevels[KindOffer] {
		users, err := e.Permissions.ListUsers(ctx, level.relation, o.Object())
		if err != nil {
			return d, err
		}
		for _, name := range users {
			if name == EveryoneID {
				name = EveryoneUser
			}
			held[name] = level.word
		}
	}
	held[u.Name] = access
	d.Users = nil
	for name, word := range held {
		d.Users = append(d.Users, params.OfferUserDetails{UserName: name, Access: word})
	}
	slices.SortFunc(d.Users, func(a, b params.OfferUserDetails) int { return strings.Compare(a.UserName, b.UserName) })
	return d, nil
}

// FindOffers returns the offers u may read that any of the filters is for, by
// URL, from what their controllers last said. A filter without a model is for
// all models; then each offer comes with the caller's own access only.
func (e *Estate) FindOffers(ctx context.Context, u User, filters []params.OfferFilter) ([]params.ApplicationOfferAdminDetailsV5, error) {
	return e.queryOffers(ctx, u, filters, false)
}

// ListOffers is FindOffers for the owners of offers: each filter names a model,
// and of offers that u administers the controller is asked who is connected.
// If it does not answer, they come without that.
func (e *Estate) ListOffers(ctx context.Context, u User, filters []params.OfferFilter) ([]params.ApplicationOfferAdminDetailsV5, error) {
	for _, f := range filters {
		if f.ModelName == "" {
			return nil, Errorf(CodeBadRequest, "application offer filter must specify a model name")
		}
	}
	return e.queryOffers(ctx, u, filters, true)
}

// maxOfferFilters bounds one query.
const maxOfferFilters = 1000

func (e *Estate) queryOffers(ctx context.Context, u User, filters []params.OfferFilter, connections bool) ([]params.ApplicationOfferAdminDetailsV5, error) {
	if len(filters) == 0 {
		return nil, Errorf(CodeBadRequest, "at least one offer filter is required")
	}
	if len(filters) > maxOfferFilters {
		return nil, Errorf(CodeBadRequest, "%d offer filters in one request, at most %d are taken", len(filters), maxOfferFilters)
	}
	var matches []offerMatch
	everywhere := false
	for _, f := range filters {
		match, err := newOfferMatch(u, f)
		if err != nil {
			return nil, err
		}
		matches = append(matches, match)
		everywhere = everywhere || f.ModelName == ""
	}
	candidates, err := e.offersFor(ctx, u, matches, everywhere)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	access, err := e.accessToOffers(ctx, u, candidates)
	if err != nil {
		return nil, err
	}
	ask := offerAsker{estate: e, answers: map[string]map[string]params.ApplicationOfferAdminDetailsV5{}}
	var found []params.ApplicationOfferAdminDetailsV5
	for _, o := range candidates {
		if access[o.UUID] == "" || !slices.ContainsFunc(matches, func(m offerMatch) bool { return m.before(o) }) {
			continue
		}
		var current params.ApplicationOfferAdminDetailsV5
		if connections && access[o.UUID] == AccessAdmin {
			answer, known, err := ask.about(ctx, o)
			if err != nil {
				return nil, err
			}
			if known && answer == nil {
				continue // it went with its application
			}
			if known {
				o.Details, current = *answer, *answer
			}
		}
		d, err := e.describeOffer(ctx, u, o, access[o.UUID], !everywhere)
		if err != nil {
			return nil, err
		}
		d.Connections = current.Connections
		if slices.ContainsFunc(matches, func(m offerMatch) bool { return m.before(o) && m.after(d) }) {
			found = append(found, d)
		}
	}
	return found, nil
}

// offersFor returns the offers that filters may be for: those of the models
// they name, or all that u may read.
func (e *Estate) offersFor(ctx context.Context, u User, matches []offerMatch, everywhere bool) ([]Offer, error) {
	if everywhere {
		uuids, err := e.Permissions.ListObjects(ctx, u, Reader, KindOffer)
		if err != nil || len(uuids) == 0 {
			return nil, err
		}
		return e.Store.Offers(ctx, uuids)
	}
	var list []Offer
	seen := map[string]bool{}
	for _, match := range matches {
		m, err := e.Store.ModelByName(ctx, match.filter.ModelQualifier, match.filter.ModelName)
		if Is(err, CodeModelNotFound) || err == nil && seen[m.ID] {
			continue // one who may not read a model must not learn that it is there
		}
		if err != nil {
			return nil, err
		}
		seen[m.ID] = true
		offers, err := e.Store.OffersOf(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		list = append(list, slices.DeleteFunc(offers, func(o Offer) bool { return o.UUID == "" })...)
	}
	return list, nil
}

// accessToOffers returns what u may do with each of the offers, by UUID.
func (e *Estate) accessToOffers(ctx context.Context, u User, offers []Offer) (map[string]string, error) {
	access := make(map[string]string, len(offers))
	l := accessLevels[KindOffer]
	if len(offers) <= 50 {
		questions := make([]Question, 0, len(offers)*len(l))
		for _, o := range offers {
			for _, level := range l {
				questions = append(questions, Question{level.relation, o.Object()})
			}
		}
		has, err := e.Permissions.CheckEach(ctx, u, questions)
		if err != nil {
			return nil, err
		}
		for i, ok := range has {
			if ok {
				access[questions[i].Object.ID] = l[i%len(l)].word
			}
		}
		return access, nil
	}
	for _, level := range l {
		uuids, err := e.Permissions.ListObjects(ctx, u, level.relation, KindOffer)
		if err != nil {
			return nil, err
		}
		for _, uuid := range uuids {
			access[uuid] = level.word
		}
	}
	return access, nil
}

// offerAsker asks each model's controller once for its offers.
type offerAsker struct {
	estate  *Estate
	answers map[string]map[string]params.ApplicationOfferAdminDetailsV5
}

// about returns what the controller says of an offer now, nil if it has none;
// known is false if it does not answer.
func (a *offerAsker) about(ctx context.Context, o Offer) (_ *params.ApplicationOfferAdminDetailsV5, known bool, _ error) {
	answer, asked := a.answers[o.Model.ID]
	if !asked {
		list, err := a.estate.modelOffers(ctx, o.Model)
		if err != nil && ctx.Err() != nil {
			return nil, false, err
		}
		if err != nil {
			a.estate.Log.Warn("cannot ask a controller for the connections of offers", "model", o.Model.UUID, "error", err)
		} else {
			answer = map[string]params.ApplicationOfferAdminDetailsV5{}
			for _, d := range list {
				answer[d.OfferUUID] = d
			}
		}
		a.answers[o.Model.ID] = answer
	}
	if answer == nil {
		return nil, false, nil
	}
	if d, ok := answer[o.UUID]; ok {
		return &d, true, nil
	}
	return nil, true, nil
}

// modelOffers asks a model's controller for its offers.
func (e *Estate) modelOffers(ctx context.Context, m Model) ([]params.ApplicationOfferAdminDetailsV5, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	c, err := e.Store.Controller(ctx, m.ControllerUUID)
	if err != nil {
		return nil, err
	}
	peer, err := e.Peers.Connect(ctx, c, e.Self, Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	return peer.ModelOffers(ctx, m.offerPath())
}

// offerMatch tells whether an offer is one that a filter is for.
type offerMatch struct {
	filter             params.OfferFilter
	name               *regexp.Regexp
	connected, allowed map[string]bool
}

func newOfferMatch(u User, f params.OfferFilter) (offerMatch, error) {
	m := offerMatch{filter: f}
	if f.ModelQualifier == "" && f.ModelName != "" {
		m.filter.ModelQualifier = u.Name
	}
	if f.OfferName != "" {
		if len(f.OfferName) > 1024 {
			return m, Errorf(CodeBadRequest, "offer name %q is too long", clip(f.OfferName))
		}
		// Clients quote names for a regular expression, and controllers of
		// Juju 3 take any.
		pattern, err := regexp.Compile("^(?:" + f.OfferName + ")$")
		if err != nil {
			return m, Errorf(CodeBadRequest, "offer name %q is not a regular expression", clip(f.OfferName))
		}
		m.name = pattern
	}
	var err error
	if m.connected, err = userNames(f.ConnectedUserTags); err != nil {
		return m, err
	}
	m.allowed, err = userNames(f.AllowedConsumerTags)
	return m, err
}

func userNames(tags []string) (map[string]bool, error) {
	found := map[string]bool{}
	for _, text := range tags {
		tag, err := names.ParseUserTag(text)
		if err != nil {
			return nil, Errorf(CodeBadRequest, "%q is not a user tag", clip(text))
		}
		found[tag.Id()] = true
	}
	return found, nil
}

// before compares what never changes.
func (m offerMatch) before(o Offer) bool {
	f := m.filter
	return (f.ModelName == "" || f.ModelName == o.Model.Name) &&
		(f.ModelQualifier == "" || f.ModelQualifier == o.Model.Owner) &&
		(m.name == nil || m.name.MatchString(o.Name))
}

// after compares what the controller and OpenFGA say.
func (m offerMatch) after(d params.ApplicationOfferAdminDetailsV5) bool {
	f := m.filter
	if f.ApplicationName != "" && f.ApplicationName != d.ApplicationName || !strings.Contains(d.ApplicationDescription, f.ApplicationDescription) {
		return false
	}
	if len(m.connected) > 0 && !slices.ContainsFunc(d.Connections, func(c params.OfferConnection) bool { return m.connected[c.Username] }) {
		return false
	}
	if len(m.allowed) > 0 && !slices.ContainsFunc(d.Users, func(u params.OfferUserDetails) bool {
		return m.allowed[u.UserName] && (u.Access == AccessConsume || u.Access == AccessAdmin)
	}) {
		return false
	}
	// One of the endpoints asked for is enough.
	return len(f.Endpoints) == 0 || slices.ContainsFunc(f.Endpoints, func(want params.EndpointFilterAttributes) bool {
		return slices.ContainsFunc(d.Endpoints, func(have params.RemoteEndpoint) bool {
			return (want.Name == "" || want.Name == have.Name) && (want.Interface == "" || want.Interface == have.Interface) &&
				(want.Role == "" || want.Role == have.Role)
		})
	})
}

// ConsumeDetails returns what a model needs to relate to an offer: the way to
// its controller, and a macaroon that says that the consumer asked here. Needs
// consumer; for another consumer than the caller, administrator of JIMM too.
// CodeUnauthorized if the consumer may only find it, CodeNotFound if there is
// none or they may not even do that.
func (e *Estate) ConsumeDetails(ctx context.Context, u User, consumer, url string, version bakery.Version) (params.ConsumeOfferDetails, error) {
	none := params.ConsumeOfferDetails{}
	if consumer != "" && consumer != u.Name {
		if err := ValidateUser(consumer); err != nil {
			return none, err
		}
		if err := e.requireAdmin(ctx, u); err != nil {
			return none, err
		}
		u = User{Name: consumer}
	}
	o, access, err := e.offerAt(ctx, u, url)
	if err != nil {
		return none, err
	}
	if access == AccessRead {
		return none, Errorf(CodeUnauthorized, "permission denied: %s may find offer %q but not consume it", u.Name, o.URL())
	}
	c, err := e.Store.Controller(ctx, o.Model.ControllerUUID)
	if err != nil {
		return none, err
	}
	details, err := e.askConsumeDetails(ctx, u, c, o, version)
	if Is(err, CodeNotFound) || Is(err, CodeModelNotFound) {
		if err := e.confirmOfferGone(ctx, c, o); err != nil {
			return none, err
		}
		return none, errNoOffer(o.URL())
	}
	if err != nil {
		return none, reword(err, "cannot consume offer %q", o.URL())
	}
	if details.Offer == nil || details.Macaroon == nil || details.Offer.OfferUUID != o.UUID {
		return none, Errorf(CodeConnectionFailed, "cannot consume offer %q: controller %q answers with another offer or half of it", o.URL(), c.Name)
	}
	details.Offer.OfferURL, details.Offer.SourceModelTag = o.URL(), o.Model.tag()
	details.Offer.Users = []params.OfferUserDetails{{UserName: u.Name, Access: access}}
	details.ControllerInfo = externalController(c, details.ControllerInfo)
	return details, nil
}

// askConsumeDetails asks as the consumer with the right to consume this one
// offer, which no controller refuses. To ask in the consumer's name as a
// superuser would take more, and 3.x then tells nothing of an offer that the
// consumer has no right to in its own database.
func (e *Estate) askConsumeDetails(ctx context.Context, u User, c Controller, o Offer, version bakery.Version) (params.ConsumeOfferDetails, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, c, u, Claims{
		c.tag(): AccessLogin, names.NewApplicationOfferTag(o.UUID).String(): AccessConsume,
	})
	if err != nil {
		return params.ConsumeOfferDetails{}, err
	}
	defer peer.Close()
	return peer.ConsumeDetails(ctx, o.UUID, o.path(), version)
}

// externalController is how the controller of the consumer reaches that of the
// offer. It must have the controller's own UUID: they verify each other, and
// know by it when they are the same.
func externalController(c Controller, said *params.ExternalControllerInfo) *params.ExternalControllerInfo {
	info := params.ExternalControllerInfo{ControllerTag: c.tag(), Alias: c.Name, CACert: c.CACertificate}
	switch {
	case c.PublicAddress != "":
		info.Addrs = []string{c.PublicAddress}
	case said != nil && len(said.Addrs) > 0:
		// What it says of itself now, then what it was added with.
		info.Addrs = slices.Clone(said.Addrs)
	}
	if c.PublicAddress == "" {
		for _, address := range c.Addresses {
			if !slices.Contains(info.Addrs, address) {
				info.Addrs = append(info.Addrs, address)
			}
		}
	}
	if info.CACert == "" && c.PublicAddress == "" && said != nil {
		info.CACert = said.CACert
	}
	return &info
}

// CheckConsumer fails with CodeUnauthorized unless a user may consume an offer:
// what a controller wants to know when a relation to the offer is made. The
// user's groups are not known then: what only these give is not seen.
func (e *Estate) CheckConsumer(ctx context.Context, userName, offerUUID string) error {
	if err := ValidateUser(userName); err != nil {
		return Errorf(CodeUnauthorized, "permission denied: %w", err)
	}
	if !names.IsValidApplicationOffer(offerUUID) {
		return Errorf(CodeBadRequest, "%q is not the UUID of an offer", clip(offerUUID))
	}
	return e.require(ctx, User{Name: userName}, Consumer, Object{KindOffer, offerUUID})
}

// ModifyOfferAccess grants or revokes. Needs administrator of the offer. A
// consumer who loses the right keeps the relations that are there until the
// controller next asks.
func (e *Estate) ModifyOfferAccess(ctx context.Context, u User, url string, change AccessChange) error {
	o, access, err := e.offerAt(ctx, u, url)
	if err != nil {
		return err
	}
	if access != AccessAdmin && (change.Grant || change.User != u.Name) {
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
			e.Log.Error("cannot take back that an offer is dying", "offer", o.URL(), "error", revive)
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
		e.Log.Info("undoing the making of an offer that its controller has not made", "offer", o.URL(), "controller", c.Name)
		return e.forgetOffer(ctx, o)
	}
	e.Log.Info("finishing the making of an offer", "offer", o.URL(), "controller", c.Name)
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
	e.Log.Info("taking in an offer that was made without us", "offer", o.URL(), "controller", c.Name)
	return e.completeOffer(ctx, o, *found)
}
