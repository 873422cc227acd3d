package sim

import (
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"
)

// offer is endpoints of an application that other models may relate to.
type offer struct {
	UUID, Name, Application, Description string
	// Endpoints maps offered names to the application's endpoints.
	Endpoints map[string]params.RemoteEndpoint
}

func (o *offer) status(m *model) params.ApplicationOfferStatus {
	status := params.ApplicationOfferStatus{
		OfferName: o.Name, ApplicationName: o.Application, Endpoints: o.Endpoints,
	}
	if a := m.Applications[o.Application]; a != nil {
		status.CharmURL = a.Charm
	}
	return status
}

// remote is an offer that a model consumes.
type remote struct {
	Name, OfferURL, OfferName string
	Endpoints                 []params.RemoteEndpoint
	Since                     time.Time
}

func (r *remote) status(c *Controller) params.RemoteApplicationStatus {
	return params.RemoteApplicationStatus{
		OfferURL: r.OfferURL, OfferName: r.OfferName, Endpoints: r.Endpoints, Life: life.Alive,
		Relations: map[string][]string{}, Status: c.detail("active", "", r.Since),
	}
}
