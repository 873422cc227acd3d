package sim

import (
	"maps"
	"slices"

	"github.com/juju/juju/rpc/params"
)

// What follows is done as by somebody who works on the controller itself,
// behind the backs of all clients.

// Provide deploys an application without units that provides endpoints,
// interfaces by name.
func (c *Controller) Provide(modelUUID, name string, endpoints map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[modelUUID]
	if m == nil {
		return notFound("model %q", modelUUID)
	}
	f := c.storeCharm(m, name, 1)
	f.Charm.Meta.Provides = map[string]params.CharmRelation{}
	for _, endpoint := range slices.Sorted(maps.Keys(endpoints)) {
		f.Charm.Meta.Provides[endpoint] = params.CharmRelation{
			Name: endpoint, Role: "provider", Interface: endpoints[endpoint], Scope: "global",
		}
	}
	c.addApplication(m, &application{Name: name, Charm: f.Charm.URL, Base: defaultBase}, 0)
	c.changed(m)
	return nil
}

// AddOffer makes an offer of the controller's administrator.
func (c *Controller) AddOffer(modelUUID, name, application, endpoint string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[modelUUID]
	if m == nil {
		return notFound("model %q", modelUUID)
	}
	return c.addOffer(m, params.AddApplicationOffer{
		OfferName: name, ApplicationName: application, Endpoints: map[string]string{endpoint: endpoint},
	}, adminName)
}

// RemoveOffer makes an offer vanish, as its application's removal by force does.
func (c *Controller) RemoveOffer(modelUUID, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.state.Models[modelUUID]
	if m == nil || m.Offers[name] == nil {
		return notFound("offer %q", name)
	}
	delete(m.Offers, name)
	c.changed(m)
	return nil
}
