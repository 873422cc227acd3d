package estate

import (
	"context"
	"slices"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

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

// IdPGroups tells which groups of the identity provider a user is in, where no
// token of the user says so.
type IdPGroups interface {
	// GroupsOf returns the ids of the groups, none for a user whom it does not
	// know. Errors have CodeConnectionFailed, or are those of ctx.
	GroupsOf(ctx context.Context, userName string) ([]string, error)
}

// CheckConsumer fails with CodeUnauthorized unless a user may consume an offer:
// what a controller wants to know when a relation to the offer is made. The
// user's groups at the identity provider count if there is a look-up for them,
// whose errors these are then, too; without one, what only they give is not seen.
func (e *Estate) CheckConsumer(ctx context.Context, userName, offerUUID string) error {
	if err := ValidateUser(userName); err != nil {
		return Errorf(CodeUnauthorized, "permission denied: %w", err)
	}
	if !names.IsValidApplicationOffer(offerUUID) {
		return Errorf(CodeBadRequest, "%q is not the UUID of an offer", clip(offerUUID))
	}
	u, offer := User{Name: userName}, Object{KindOffer, offerUUID}
	err := e.require(ctx, u, Consumer, offer)
	if e.IdPGroups == nil || !Is(err, CodeUnauthorized) {
		return err
	}
	if u.Groups, err = e.IdPGroups.GroupsOf(ctx, userName); err != nil {
		return err
	}
	return e.require(ctx, u, Consumer, offer)
}
