package estate

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/crossmodel"
	"github.com/juju/juju/rpc/params"
)

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
	held, err := e.usersWithAccess(ctx, o.Object())
	if err != nil {
		return d, err
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
			a.estate.Log.WarnContext(ctx, "cannot ask a controller for the connections of offers", "model", o.Model.UUID, "error", err)
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
