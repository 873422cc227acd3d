package operator

import "jimm/charm/relation"

// planDashboard tells the Juju dashboard where JIMM is.
func (p *planner) planDashboard() {
	for _, r := range p.on(endpointDashboard) {
		if !p.address.known() {
			p.keep(r)
			continue
		}
		scheme := "wss://"
		if p.address.url.Scheme == "http" {
			scheme = "ws://"
		}
		p.app(r, relation.Dashboard{ControllerURL: scheme + p.address.name()}.Bag())
	}
}
