package operator

import "jimm/charm/relation"

// planDashboard tells the Juju dashboard where JIMM is, and JIMM where logins in a
// browser end: without a dashboard at its own page that says who is logged in.
func (p *planner) planDashboard() {
	location := p.options.DashboardLocation
	if location == "" && p.address.known() {
		location = p.address.path("/auth/whoami")
	}
	p.set("JIMM_DASHBOARD_FINAL_REDIRECT_URL", location)
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
