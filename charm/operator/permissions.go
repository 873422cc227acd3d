package operator

import "jimm/charm/relation"

// storeName is what OpenFGA's charm is asked to make. JIMM writes its
// authorization model into the store by itself.
const storeName = "jimm"

func (p *planner) planPermissions() {
	const component = endpointOpenFGA
	for _, r := range p.on(component) {
		p.app(r, relation.OpenFGARequest{StoreName: storeName}.Bag())
	}
	r, ok := p.one(component)
	if !ok {
		p.missing(component, "run juju integrate %s:openfga openfga-k8s", p.Event.App)
		return
	}
	answer, err := relation.ParseOpenFGAAnswer(r.Theirs)
	if err != nil {
		p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	token := answer.Token
	if answer.TokenSecret != "" {
		content, ok := p.secret(component, answer.TokenSecret)
		if !ok {
			return
		}
		token = content["token"]
	}
	if answer.HTTPURL == "" || answer.StoreID == "" {
		p.wait(component, "waiting for %s to make the store", r.App)
		return
	}
	u, ok := parseAddress(answer.HTTPURL)
	if !ok {
		p.wrong(component, "%s gives an address that cannot be used: %.80q", r.App, answer.HTTPURL)
		return
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	p.set("OPENFGA_SCHEME", u.Scheme)
	p.set("OPENFGA_HOST", u.Hostname())
	p.set("OPENFGA_PORT", port)
	p.set("OPENFGA_PATH", u.Path)
	p.set("OPENFGA_STORE", answer.StoreID)
	p.secretly("OPENFGA_TOKEN", token)
}
