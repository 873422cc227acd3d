package operator

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"jimm/charm/relation"
)

// Where JIMM listens inside its pod.
const (
	publicPort   = 8080
	internalPort = 9090
)

// publicAddress is where clients reach JIMM.
type publicAddress struct {
	url *url.URL // nil if it is not known
}

func (a publicAddress) known() bool { return a.url != nil }

// name is the address without scheme, as JIMM_DNS_NAME has it.
func (a publicAddress) name() string { return a.url.Host + a.url.Path }

// path is the URL of something at the address.
func (a publicAddress) path(path string) string {
	return a.url.Scheme + "://" + a.name() + path
}

// fqdn is this unit's name inside Kubernetes.
func (s *Snapshot) fqdn() string {
	return fmt.Sprintf("%s.%s-endpoints.%s.svc.cluster.local", strings.ReplaceAll(s.Event.Unit, "/", "-"), s.Event.App, s.Event.Model)
}

func (p *planner) planAddress() {
	p.set("JIMM_LISTEN_ADDR", fmt.Sprintf(":%d", publicPort))
	p.set("JIMM_INTERNAL_LISTEN_ADDR", fmt.Sprintf(":%d", internalPort))
	for endpoint, port := range map[string]int{endpointIngress: publicPort, endpointInternalIngress: internalPort} {
		for _, r := range p.on(endpoint) {
			request := relation.IngressRequest{Model: p.Event.Model, Name: p.Event.App, Port: port, StripPrefix: true}
			if p.tls && port == publicPort {
				request.Scheme = "https"
			}
			p.app(r, request.Bag())
			p.unit(r, relation.IngressUnit{Host: p.fqdn(), IP: p.Address}.Bag())
		}
	}
	if r, ok := p.one(endpointInternalIngress); ok {
		if _, err := relation.ParseIngressAnswer(r.Theirs); err != nil {
			p.find(Blocked, endpointInternalIngress, "%s gives no address: %v", r.App, err)
		}
	}

	if r, ok := p.one(endpointIngress); ok {
		answer, err := relation.ParseIngressAnswer(r.Theirs)
		switch {
		case err != nil:
			p.wrong(endpointIngress, "%s gives no address: %v", r.App, err)
		case answer.URL == "":
			p.wait(endpointIngress, "waiting for %s to give an address", r.App)
		default:
			u, ok := parseAddress(answer.URL)
			if !ok {
				p.wrong(endpointIngress, "%s gives an address that cannot be used: %.80q", r.App, answer.URL)
				break
			}
			p.address.url = u
		}
	} else {
		p.address.url = p.options.DNSName
		// One that cannot be is told of by planOptions.
		if set, _ := p.Options["dns-name"].(string); p.address.url == nil && strings.TrimSpace(set) == "" {
			p.missing(endpointIngress, "JIMM has no address; run juju integrate %s:ingress traefik-k8s, or juju config %s dns-name=NAME", p.Event.App, p.Event.App)
		}
	}
	for _, r := range p.on(endpointNginx) {
		if p.options.DNSName == nil {
			p.wrong(endpointNginx, "it needs a host name; run juju config %s dns-name=NAME", p.Event.App)
			p.keep(r)
			continue
		}
		p.app(r, relation.NginxRouteRequest{Hostname: p.options.DNSName.Hostname(), Service: p.Event.App, Namespace: p.Event.Model, Port: publicPort}.Bag())
	}
	if !p.address.known() {
		return
	}
	p.set("JIMM_DNS_NAME", p.address.name())
	if p.address.url.Scheme == "http" {
		p.find(Blocked, endpointIngress, "juju clients do not log in over plain http at %s; give the ingress a certificate", p.address.path(""))
	}
}

// validRedirect tells whether providers take the host as that of a redirect.
func (a publicAddress) validRedirect() bool {
	host := a.url.Hostname()
	return a.url.Scheme == "http" || strings.Contains(host, ".") || net.ParseIP(host) != nil
}
