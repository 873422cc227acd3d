package operator

import "jimm/charm/relation"

// planSSH asks for an address of the SSH server. An ingress cannot give the same
// port to two units, so only the leader asks, and takes it back when it is none.
func (p *planner) planSSH() {
	for _, r := range p.on(endpointIngressSSH) {
		if p.Leader {
			p.unit(r, relation.IngressPerUnitRequest{
				Model: p.Event.Model, Unit: p.Event.Unit, Host: p.fqdn(), Port: p.options.SSHPort, Mode: "tcp",
			}.Bag())
		}
		if _, err := relation.ParseIngressPerUnitAnswer(r.Theirs); err != nil {
			p.find(Blocked, endpointIngressSSH, "%s gives no address: %v", r.App, err)
		}
	}
}
