package operator

// planSSH is for deployments that come from the Python charm, which have the
// endpoint. What that charm has asked the ingress for is taken back: it would lead
// people to a port where nobody answers.
func (p *planner) planSSH() {
	if len(p.on(endpointIngressSSH)) > 0 {
		p.find(Active, endpointIngressSSH, "without effect, JIMM has no SSH server")
	}
}
