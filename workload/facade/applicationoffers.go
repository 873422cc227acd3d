package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/crossmodel"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// applicationOffersCommon are the methods whose types never changed.
var applicationOffersCommon = methods{
	"Offer":             call(makeOffers),
	"ApplicationOffers": call(showOffers),
	"GetConsumeDetails": call(consumeDetails),
	"ModifyOfferAccess": call(modifyOfferAccess),
	"DestroyOffers":     call(removeOffers),
	"RemoteApplicationInfo": refuse(estate.CodeNotSupported,
		"no client asks for the icon of an offer any more; ApplicationOffers describes the offer"),
}

// applicationOffersMethods are version 6, where a filter has a qualifier.
var applicationOffersMethods = applicationOffersCommon.also(methods{
	"ListApplicationOffers": call(listOffers),
	"FindApplicationOffers": call(findOffers),
})

// applicationOffersLegacyMethods are version 5, where a filter has an owner.
var applicationOffersLegacyMethods = applicationOffersCommon.also(methods{
	"ListApplicationOffers": call(listOffersLegacy),
	"FindApplicationOffers": call(findOffersLegacy),
})

func makeOffers(ctx context.Context, c *Connection, args params.AddApplicationOffers) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Offers, func(a params.AddApplicationOffer) params.ErrorResult {
		return params.ErrorResult{Error: c.wireError(ctx, c.makeOffer(ctx, a))}
	})}, nil
}

func (c *Connection) makeOffer(ctx context.Context, a params.AddApplicationOffer) error {
	uuid, err := modelUUID(a.ModelTag)
	if err != nil {
		return err
	}
	owner := ""
	if a.OwnerTag != "" {
		tag, err := names.ParseUserTag(a.OwnerTag)
		if err != nil {
			return estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(a.OwnerTag))
		}
		owner = tag.Id()
	}
	return c.server.Estate.MakeOffer(ctx, *c.User(), estate.OfferArgs{
		ModelUUID: uuid, Name: a.OfferName, Application: a.ApplicationName,
		Description: a.ApplicationDescription, Endpoints: a.Endpoints, Owner: owner,
	})
}

func showOffers(ctx context.Context, c *Connection, args params.OfferURLs) (params.ApplicationOffersResults, error) {
	return params.ApplicationOffersResults{Results: each(args.OfferURLs, func(url string) params.ApplicationOfferResult {
		offer, err := c.server.Estate.ShowOffer(ctx, *c.User(), url)
		if err != nil {
			return params.ApplicationOfferResult{Error: c.wireError(ctx, err)}
		}
		return params.ApplicationOfferResult{Result: &offer}
	})}, nil
}

func listOffers(ctx context.Context, c *Connection, args params.OfferFilters) (params.QueryApplicationOffersResultsV5, error) {
	offers, err := c.server.Estate.ListOffers(ctx, *c.User(), args.Filters)
	return params.QueryApplicationOffersResultsV5{Results: offers}, err
}

func findOffers(ctx context.Context, c *Connection, args params.OfferFilters) (params.QueryApplicationOffersResultsV5, error) {
	offers, err := c.server.Estate.FindOffers(ctx, *c.User(), args.Filters)
	return params.QueryApplicationOffersResultsV5{Results: offers}, err
}

func listOffersLegacy(ctx context.Context, c *Connection, args params.OfferFiltersLegacy) (params.QueryApplicationOffersResultsV5, error) {
	return listOffers(ctx, c, modernFilters(args))
}

func findOffersLegacy(ctx context.Context, c *Connection, args params.OfferFiltersLegacy) (params.QueryApplicationOffersResultsV5, error) {
	return findOffers(ctx, c, modernFilters(args))
}

// modernFilters puts the owner of a model in the place of its qualifier.
func modernFilters(args params.OfferFiltersLegacy) params.OfferFilters {
	return params.OfferFilters{Filters: each(args.Filters, func(f params.OfferFilterLegacy) params.OfferFilter {
		return params.OfferFilter{
			ModelQualifier: f.OwnerName, ModelName: f.ModelName, OfferName: f.OfferName,
			ApplicationName: f.ApplicationName, ApplicationDescription: f.ApplicationDescription,
			ApplicationUser: f.ApplicationUser, Endpoints: f.Endpoints,
			ConnectedUserTags: f.ConnectedUserTags, AllowedConsumerTags: f.AllowedConsumerTags,
		}
	})}
}

func consumeDetails(ctx context.Context, c *Connection, args params.ConsumeOfferDetailsArg) (params.ConsumeOfferDetailsResults, error) {
	consumer := ""
	if args.UserTag != "" {
		tag, err := names.ParseUserTag(args.UserTag)
		if err != nil {
			return params.ConsumeOfferDetailsResults{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.UserTag))
		}
		consumer = tag.Id()
	}
	return params.ConsumeOfferDetailsResults{Results: each(args.OfferURLs.OfferURLs, func(url string) params.ConsumeOfferDetailsResult {
		details, err := c.server.Estate.ConsumeDetails(ctx, *c.User(), consumer, url, args.OfferURLs.BakeryVersion)
		return params.ConsumeOfferDetailsResult{ConsumeOfferDetails: details, Error: c.wireError(ctx, err)}
	})}, nil
}

func modifyOfferAccess(ctx context.Context, c *Connection, args params.ModifyOfferAccessRequest) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Changes, func(change params.ModifyOfferAccess) params.ErrorResult {
		access, err := accessChange(change.UserTag, string(change.Action), string(change.Access))
		if err == nil {
			err = c.server.Estate.ModifyOfferAccess(ctx, *c.User(), change.OfferURL, access)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func removeOffers(ctx context.Context, c *Connection, args params.DestroyApplicationOffers) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.OfferURLs, func(url string) params.ErrorResult {
		return params.ErrorResult{Error: c.wireError(ctx, c.server.Estate.RemoveOffer(ctx, *c.User(), local(url), args.Force))}
	})}, nil
}

// local is the URL of an offer without the controller it names: juju
// remove-offer sends what was typed, with the client's own name for us.
func local(url string) string {
	parsed, err := crossmodel.ParseOfferURL(url)
	if err != nil {
		return url
	}
	return parsed.AsLocal().String()
}
