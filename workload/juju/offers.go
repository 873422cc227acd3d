package juju

import (
	"context"
	"errors"
	"regexp"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/juju/names/v6"

	"github.com/juju/juju/core/crossmodel"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// The versions of facade ApplicationOffers that we speak. Up to 5 a filter
// names a model's owner, from 6 on its qualifier; everything else is the same.
const (
	applicationOffers         = "ApplicationOffers"
	offersLeast, offersMost   = 5, 6
	applicationOffersOwnerMax = 5
)

// MakeOffer implements estate.Peer.
func (p *peer) MakeOffer(ctx context.Context, args params.AddApplicationOffer) error {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return estate.Errorf(estate.CodeBadRequest, "cannot make offer: %w", err)
	}
	args.OwnerTag = "" // the caller
	call := estate.Call{Facade: applicationOffers, Method: "Offer", Least: offersLeast, Most: offersMost, About: uuid}
	return p.change(ctx, call, params.AddApplicationOffers{Offers: []params.AddApplicationOffer{args}})
}

func modelUUID(tag string) (string, error) {
	parsed, err := names.ParseModelTag(tag)
	return parsed.Id(), err
}

// ModelOffers implements estate.Peer. CodeNotFound if the controller has no
// such model.
func (p *peer) ModelOffers(ctx context.Context, path estate.OfferPath) ([]params.ApplicationOfferAdminDetailsV5, error) {
	filter := params.OfferFilter{ModelQualifier: path.Qualifier, ModelName: path.Model}
	if path.Name != "" {
		// 3.x takes any expression, 4.x only a name in this form.
		filter.OfferName = "^" + regexp.QuoteMeta(path.Name) + "$"
	}
	found, err := p.offers(ctx, estate.Call{Facade: applicationOffers, Method: "ListApplicationOffers", About: path.ModelUUID}, filter)
	if err != nil {
		return nil, err
	}
	// The controller looks for the model by name.
	of := found[:0]
	for _, d := range found {
		if uuid, err := modelUUID(d.SourceModelTag); err == nil && uuid == path.ModelUUID {
			of = append(of, d)
		}
	}
	return of, nil
}

// AllOffers implements estate.Peer.
func (p *peer) AllOffers(ctx context.Context) ([]params.ApplicationOfferAdminDetailsV5, error) {
	// One filter without a model stands for one for each model.
	return p.offers(ctx, estate.Call{Facade: applicationOffers, Method: "FindApplicationOffers"}, params.OfferFilter{})
}

func (p *peer) offers(ctx context.Context, call estate.Call, f params.OfferFilter) ([]params.ApplicationOfferAdminDetailsV5, error) {
	version, err := p.version(applicationOffers, offersLeast, offersMost)
	if err != nil {
		return nil, err
	}
	var args any = params.OfferFilters{Filters: []params.OfferFilter{f}}
	if version <= applicationOffersOwnerMax {
		args = params.OfferFiltersLegacy{Filters: []params.OfferFilterLegacy{{
			OwnerName: f.ModelQualifier, ModelName: f.ModelName, OfferName: f.OfferName,
		}}}
	}
	var results params.QueryApplicationOffersResultsV5
	call.Least, call.Most = version, version
	err = p.Call(ctx, call, args, &results)
	return results.Results, err
}

// ConsumeDetails implements estate.Peer. CodeNotFound if the controller has no
// such offer.
func (p *peer) ConsumeDetails(ctx context.Context, uuid string, path estate.OfferPath, version bakery.Version) (params.ConsumeOfferDetails, error) {
	call := estate.Call{Facade: applicationOffers, Method: "GetConsumeDetails", Least: offersLeast, Most: offersMost, About: uuid}
	args := params.ConsumeOfferDetailsArg{OfferURLs: params.OfferURLs{
		OfferURLs: []string{crossmodel.MakeURL(path.Qualifier, path.Model, path.Name, "")}, BakeryVersion: version,
	}}
	var results params.ConsumeOfferDetailsResults
	if err := p.Call(ctx, call, args, &results); err != nil {
		return params.ConsumeOfferDetails{}, err
	}
	result, err := one(p, applicationOffers+".GetConsumeDetails", results.Results)
	if err == nil {
		err = paramsError(result.Error)
	}
	if err == nil && (result.Offer == nil || result.Macaroon == nil) {
		err = badReply(p.controller, applicationOffers+".GetConsumeDetails", errors.New("the result is empty"))
	}
	return result.ConsumeOfferDetails, err
}

// RemoveOffer implements estate.Peer. CodeNotFound if the controller has no
// such offer.
func (p *peer) RemoveOffer(ctx context.Context, path estate.OfferPath, force bool) error {
	args := params.DestroyApplicationOffers{
		OfferURLs: []string{crossmodel.MakeURL(path.Qualifier, path.Model, path.Name, "")}, Force: force,
	}
	call := estate.Call{Facade: applicationOffers, Method: "DestroyOffers", Least: offersLeast, Most: offersMost, About: path.ModelUUID}
	err := p.change(ctx, call, args)
	var refused *estate.Error
	if !errors.As(err, &refused) || refused.Code != "" {
		return err
	}
	// 4.1 has no code for an offer that is not there.
	if left, listErr := p.ModelOffers(ctx, path); listErr == nil && len(left) == 0 {
		return &estate.Error{Code: estate.CodeNotFound, Message: err.Error(), Cause: err}
	}
	return err
}
