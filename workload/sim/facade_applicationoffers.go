package sim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/juju/names/v6"
	"gopkg.in/macaroon.v2"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/domain/deployment/charm"
	"github.com/juju/juju/rpc/params"
)

// applicationOffers6 is ApplicationOffers of 4.x
// (apiserver/facades/client/applicationoffers).
var applicationOffers6 = methods{
	"Offer":                 write(makeOffer),
	"ListApplicationOffers": read(listOffers),
	"FindApplicationOffers": read(findOffers),
	"ApplicationOffers":     read(showOffers),
	"ModifyOfferAccess":     write(modifyOfferAccess),
	"DestroyOffers":         write(destroyOffers),
	"GetConsumeDetails":     read(getConsumeDetails),
	"RemoteApplicationInfo": read(remoteApplicationInfo),
}

// applicationOffers5 names the owner of a model where 6 has its qualifier.
var applicationOffers5 = applicationOffers6.with(methods{
	"ListApplicationOffers": read(func(cn *conn, args params.OfferFiltersLegacy) (params.QueryApplicationOffersResultsV5, error) {
		return listOffers(cn, modernFilters(args))
	}),
	"FindApplicationOffers": read(func(cn *conn, args params.OfferFiltersLegacy) (params.QueryApplicationOffersResultsV5, error) {
		return findOffers(cn, modernFilters(args))
	}),
})

func modernFilters(legacy params.OfferFiltersLegacy) params.OfferFilters {
	var filters params.OfferFilters
	for _, f := range legacy.Filters {
		filters.Filters = append(filters.Filters, params.OfferFilter{
			ModelQualifier: f.OwnerName, ModelName: f.ModelName, OfferName: f.OfferName, ApplicationName: f.ApplicationName,
			ApplicationDescription: f.ApplicationDescription, Endpoints: f.Endpoints,
			ConnectedUserTags: f.ConnectedUserTags, AllowedConsumerTags: f.AllowedConsumerTags,
		})
	}
	return filters
}

func (o *offer) tag() names.ApplicationOfferTag { return names.NewApplicationOfferTag(o.UUID) }

func makeOffer(cn *conn, args params.AddApplicationOffers) (params.ErrorResults, error) {
	if n := len(args.Offers); n != 1 {
		return params.ErrorResults{}, fmt.Errorf("expected exactly one offer, got %d", n)
	}
	return each(args.Offers, func(arg params.AddApplicationOffer) error {
		uuid := cn.model
		if arg.ModelTag != "" {
			tag, err := names.ParseModelTag(arg.ModelTag)
			if err != nil {
				return err
			}
			uuid = tag.Id()
		}
		if err := cn.onModel(permission.AdminAccess, uuid); err != nil {
			return annotate(errPerm, fmt.Sprintf("checking user %q has admin permission on model %q", cn.caller.tag.String(), uuid))
		}
		m := cn.ctl.state.Models[uuid]
		if m == nil {
			return coded(params.CodeModelNotFound, "model %q not found", uuid)
		}
		owner := cn.caller.tag
		if arg.OwnerTag != "" {
			tag, err := names.ParseUserTag(arg.OwnerTag)
			if err != nil {
				return err
			}
			owner = tag
		}
		return cn.ctl.addOffer(m, arg, owner.Id())
	}), nil
}

func (c *Controller) addOffer(m *model, arg params.AddApplicationOffer, owner string) error {
	name := arg.OfferName
	if name == "" {
		name = arg.ApplicationName
	}
	known := m.Offers[name]
	if known != nil && c.config.Generation != Juju36 {
		return coded(params.CodeBadRequest, "offer %q already exists, updating offers is not supported", name)
	}
	a := m.Applications[arg.ApplicationName]
	if a == nil {
		return coded(params.CodeNotFound, "application %q not found in model %q", arg.ApplicationName, m.UUID)
	}
	f, err := m.charmOf(a)
	if err != nil {
		return err
	}
	o := &offer{
		UUID: newUUID(), Name: name, Application: a.Name, Description: arg.ApplicationDescription,
		Endpoints: make(map[string]params.RemoteEndpoint),
	}
	if o.Description == "" {
		o.Description = f.Charm.Meta.Description
	}
	for alias, endpoint := range arg.Endpoints {
		r, ok := f.endpoint(endpoint)
		if !ok {
			return notFound("endpoint %q of application %q", endpoint, a.Name)
		}
		o.Endpoints[alias] = params.RemoteEndpoint{Name: alias, Role: charm.RelationRole(r.Role), Interface: r.Interface, Limit: r.Limit}
	}
	if known != nil {
		o.UUID = known.UUID // 3.6 changes it
	}
	if m.Offers == nil {
		m.Offers = make(map[string]*offer)
	}
	m.Offers[name] = o
	c.grant(owner, o.tag(), permission.AdminAccess)
	c.changed(m)
	return nil
}

// splitURL splits [controller:][owner/]model.offer. The owner defaults to the
// caller.
func (cn *conn) splitURL(url string) (m *model, name string, err error) {
	path := url[strings.Index(url, ":")+1:]
	owner, rest, ok := strings.Cut(path, "/")
	if !ok {
		owner, rest = cn.caller.tag.Id(), path
	}
	modelName, name, ok := strings.Cut(rest, ".")
	if !ok {
		return nil, "", coded(params.CodeNotValid, "application offer URL is missing name")
	}
	m = cn.ctl.modelNamed(owner, modelName)
	if m == nil {
		return nil, "", notFound("model %q", owner+"/"+modelName)
	}
	return m, name, nil
}

func (c *Controller) modelNamed(owner, name string) *model {
	return c.state.Models[c.state.byName[[2]string{owner, name}]]
}

// offerAt returns the offer a URL names, if the caller has access to it.
func (cn *conn) offerAt(url string, access permission.Access) (*model, *offer, error) {
	m, name, err := cn.splitURL(url)
	if err != nil {
		return nil, nil, err
	}
	o := m.Offers[name]
	if o == nil {
		return nil, nil, notFound("application offer %q", url)
	}
	if cn.onModel(permission.AdminAccess, m.UUID) == nil {
		return m, o, nil
	}
	return m, o, cn.has(access, o.tag())
}

func (cn *conn) details(m *model, o *offer) params.ApplicationOfferAdminDetailsV5 {
	d := params.ApplicationOfferAdminDetailsV5{
		ApplicationOfferDetailsV5: params.ApplicationOfferDetailsV5{
			SourceModelTag: m.tag().String(), OfferUUID: o.UUID, OfferURL: m.Owner + "/" + m.Name + "." + o.Name,
			OfferName: o.Name, ApplicationDescription: o.Description,
		},
		ApplicationName: o.Application,
	}
	if a := m.Applications[o.Application]; a != nil {
		d.CharmURL = a.Charm
	}
	for _, alias := range sortedKeys(o.Endpoints) {
		d.Endpoints = append(d.Endpoints, o.Endpoints[alias])
	}
	all := cn.onModel(permission.AdminAccess, m.UUID) == nil
	for _, id := range sortedKeys(cn.ctl.state.Users) {
		u := cn.ctl.state.Users[id]
		access := u.Access[o.tag().String()]
		if id == adminName {
			access = string(permission.AdminAccess)
		}
		if access != "" && (all || id == cn.caller.tag.Id()) {
			d.Users = append(d.Users, params.OfferUserDetails{UserName: id, DisplayName: u.DisplayName, Access: access})
		}
	}
	return d
}

// offerMatches tells whether an offer is one a filter is for.
func offerMatches(o *offer, f params.OfferFilter) (bool, error) {
	if f.OfferName != "" {
		pattern, err := regexp.Compile("^(?:" + f.OfferName + ")$")
		if err != nil {
			return false, coded(params.CodeNotValid, "offer name %q: %s", f.OfferName, err)
		}
		if !pattern.MatchString(o.Name) {
			return false, nil
		}
	}
	if f.ApplicationName != "" && f.ApplicationName != o.Application || !strings.Contains(o.Description, f.ApplicationDescription) {
		return false, nil
	}
	for _, want := range f.Endpoints {
		found := false
		for _, e := range o.Endpoints {
			found = found || (want.Name == "" || want.Name == e.Name) && (want.Interface == "" || want.Interface == e.Interface) && (want.Role == "" || want.Role == e.Role)
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// query returns the offers that any filter is for and that see lets through.
func (cn *conn) query(filters params.OfferFilters, see func(*model, *offer) bool) ([]params.ApplicationOfferAdminDetailsV5, error) {
	var found []params.ApplicationOfferAdminDetailsV5
	seen := make(map[string]bool)
	for _, f := range filters.Filters {
		for _, m := range cn.ctl.state.sorted() {
			if f.ModelName != "" && f.ModelName != m.Name || f.ModelQualifier != "" && f.ModelQualifier != m.Owner {
				continue
			}
			for _, name := range sortedKeys(m.Offers) {
				o := m.Offers[name]
				ok, err := offerMatches(o, f)
				if err != nil {
					return nil, err
				}
				if ok && !seen[o.UUID] && see(m, o) {
					seen[o.UUID] = true
					found = append(found, cn.details(m, o))
				}
			}
		}
	}
	return found, nil
}

func listOffers(cn *conn, filters params.OfferFilters) (params.QueryApplicationOffersResultsV5, error) {
	var results params.QueryApplicationOffersResultsV5
	if len(filters.Filters) == 0 {
		return results, fmt.Errorf("at least one offer filter is required")
	}
	for i, f := range filters.Filters {
		if f.ModelName == "" {
			return results, fmt.Errorf("application offer filter must specify a model name")
		}
		if f.ModelQualifier == "" {
			filters.Filters[i].ModelQualifier = cn.caller.tag.Id()
		}
		m := cn.ctl.modelNamed(filters.Filters[i].ModelQualifier, f.ModelName)
		if m == nil {
			return results, notFound("model %q", filters.Filters[i].ModelQualifier+"/"+f.ModelName)
		}
		if err := cn.onModel(permission.AdminAccess, m.UUID); errors.Is(err, errLacking) {
			return results, errPerm
		} else if err != nil {
			return results, err
		}
	}
	found, err := cn.query(filters, func(*model, *offer) bool { return true })
	results.Results = found
	return results, err
}

func findOffers(cn *conn, filters params.OfferFilters) (params.QueryApplicationOffersResultsV5, error) {
	var results params.QueryApplicationOffersResultsV5
	if len(filters.Filters) == 0 {
		return results, fmt.Errorf("at least one offer filter is required")
	}
	found, err := cn.query(filters, func(m *model, o *offer) bool {
		return cn.onModel(permission.AdminAccess, m.UUID) == nil || cn.has(permission.ReadAccess, o.tag()) == nil
	})
	results.Results = found
	return results, err
}

func showOffers(cn *conn, urls params.OfferURLs) (params.ApplicationOffersResults, error) {
	results := params.ApplicationOffersResults{Results: make([]params.ApplicationOfferResult, len(urls.OfferURLs))}
	for i, url := range urls.OfferURLs {
		m, o, err := cn.offerAt(url, permission.ReadAccess)
		if errors.Is(err, errLacking) {
			err = notFound("application offer %q", url)
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		d := cn.details(m, o)
		results.Results[i].Result = &d
	}
	return results, nil
}

func modifyOfferAccess(cn *conn, args params.ModifyOfferAccessRequest) (params.ErrorResults, error) {
	return each(args.Changes, func(arg params.ModifyOfferAccess) error {
		m, name, err := cn.splitURL(arg.OfferURL)
		if err != nil {
			return err
		}
		o := m.Offers[name]
		if o == nil {
			return notFound("offer %q", arg.OfferURL)
		}
		if cn.onModel(permission.AdminAccess, m.UUID) != nil && cn.has(permission.AdminAccess, o.tag()) != nil {
			return errPerm
		}
		user, err := names.ParseUserTag(arg.UserTag)
		if err != nil {
			return err
		}
		return annotate(cn.ctl.modify(user.Id(), o.tag(), string(arg.Action), permission.Access(arg.Access)),
			fmt.Sprintf("could not %s offer access for %q", arg.Action, user.Id()))
	}), nil
}

func destroyOffers(cn *conn, args params.DestroyApplicationOffers) (params.ErrorResults, error) {
	return each(args.OfferURLs, func(url string) error {
		m, name, err := cn.splitURL(url)
		if err != nil {
			return err
		}
		o := m.Offers[name]
		if cn.onModel(permission.AdminAccess, m.UUID) != nil {
			return errPerm // admin of the offer is not enough
		}
		switch {
		case o == nil && cn.ctl.config.Generation == Juju41:
			return coded("", "%q: offer not found", name)
		case o == nil:
			return notFound("offer %q", url)
		}
		delete(m.Offers, o.Name)
		for _, u := range cn.ctl.state.Users {
			delete(u.Access, o.tag().String())
		}
		cn.ctl.changed(m)
		return nil
	}), nil
}

// getConsumeDetails answers for the caller, or for another user whom a
// superuser names: what a gateway does that has checked that user itself.
func getConsumeDetails(cn *conn, arg params.ConsumeOfferDetailsArg) (params.ConsumeOfferDetailsResults, error) {
	results := params.ConsumeOfferDetailsResults{Results: make([]params.ConsumeOfferDetailsResult, len(arg.OfferURLs.OfferURLs))}
	user := cn.caller.tag
	if arg.UserTag != "" {
		if err := cn.superuser(); err != nil {
			return params.ConsumeOfferDetailsResults{}, err
		}
		tag, err := names.ParseUserTag(arg.UserTag)
		if err != nil {
			return params.ConsumeOfferDetailsResults{}, err
		}
		user = tag
	}
	for i, url := range arg.OfferURLs.OfferURLs {
		m, o, err := cn.offerAt(url, permission.ConsumeAccess)
		var token *macaroon.Macaroon
		if err == nil {
			token, err = cn.ctl.offerMacaroon(o, m, user)
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		d := cn.details(m, o).ApplicationOfferDetailsV5
		results.Results[i].Offer = &d
		results.Results[i].Macaroon = token
		results.Results[i].ControllerInfo = &params.ExternalControllerInfo{
			ControllerTag: cn.ctl.state.tag().String(), Alias: cn.ctl.config.Name, Addrs: []string{cn.host}, CACert: cn.ctl.ca.certPEM,
		}
	}
	return results, nil
}

// offerMacaroon makes what a consuming controller would show when it relates
// to an offer. Nothing here accepts it: relations across models do not run.
func (c *Controller) offerMacaroon(o *offer, m *model, user names.UserTag) (*macaroon.Macaroon, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	token, err := macaroon.New(key, []byte(newUUID()), "juju model "+m.UUID, macaroon.V2)
	if err != nil {
		return nil, err
	}
	for _, caveat := range []string{
		"declared source-model-uuid " + m.UUID,
		"declared offer-uuid " + o.UUID,
		"declared username " + user.Id(),
	} {
		if err := token.AddFirstPartyCaveat([]byte(caveat)); err != nil {
			return nil, err
		}
	}
	return token, nil
}

func remoteApplicationInfo(_ *conn, urls params.OfferURLs) (params.RemoteApplicationInfoResults, error) {
	results := params.RemoteApplicationInfoResults{Results: make([]params.RemoteApplicationInfoResult, len(urls.OfferURLs))}
	for i := range results.Results {
		results.Results[i].Error = coded(params.CodeNotSupported, "not supported")
	}
	return results, nil
}
