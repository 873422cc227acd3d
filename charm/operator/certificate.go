package operator

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"jimm/charm/relation"
)

// planCertificate has JIMM end TLS itself, on the way from the ingress.
func (p *planner) planCertificate() {
	const component = endpointCertificates
	r, ok := p.one(component)
	if !ok {
		return
	}
	p.tls = true
	text := p.key(keyTLS)
	if text == "" {
		p.keep(r)
		return
	}
	csr, err := signingRequest(text, p.fqdn(), p.Address, p.ourRequests(r))
	if err != nil {
		p.wrong(component, "%v", err)
		return
	}
	p.unit(r, relation.TLSRequest{csr}.Bag())
	answer, err := relation.ParseTLSAnswer(r.Theirs)
	if err != nil {
		p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	certificate, ok := answer.For(csr)
	if !ok {
		p.wait(component, "waiting for %s to sign a certificate", r.App)
		return
	}
	if due(certificate.Certificate, p.Now) && p.Keys[keyTLS].ID != "" {
		// Providers sign once for each request: a new key makes a new request.
		p.plan.Make = append(p.plan.Make, Making{Label: keyTLS, Owner: keyKinds[keyTLS].owner, Replace: p.Keys[keyTLS].ID})
	}
	chain := certificate.Certificate
	if len(certificate.Chain) > 1 && strings.TrimSpace(certificate.Chain[0]) == strings.TrimSpace(chain) {
		chain = strings.Join(certificate.Chain, "\n")
	}
	p.set("JIMM_TLS_CERT", p.file("tls", "cert.pem", chain))
	p.set("JIMM_TLS_KEY", p.file("tls-key", "key.pem", text))
}

// ourRequests are the signing requests that this unit has written before.
func (p *planner) ourRequests(r Relation) []string {
	requests, err := relation.ParseTLSRequest(r.OurUnit)
	if err != nil {
		return nil
	}
	return requests
}

// signingRequest gives a certificate signing request for a key and names: one of
// those before if it fits, since providers know requests by their text.
func signingRequest(key, name, address string, before []string) (string, error) {
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return "", fmt.Errorf("the secret %s is no key in PEM", keyTLS)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the secret %s is no private key", keyTLS)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return "", fmt.Errorf("the secret %s is no key that signs", keyTLS)
	}
	// A common name has at most 64 characters.
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: fmt.Sprintf("%.64s", name)}, DNSNames: []string{name}}
	if ip := net.ParseIP(address); ip != nil {
		template.IPAddresses = []net.IP{ip}
	}
	for _, text := range before {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			continue
		}
		request, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			continue
		}
		public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
		if ok && public.Equal(request.PublicKey) && slices.Equal(request.DNSNames, template.DNSNames) &&
			slices.EqualFunc(request.IPAddresses, template.IPAddresses, net.IP.Equal) {
			return text, nil
		}
	}
	// Without a source of randomness the signature follows from key and content.
	der, err := x509.CreateCertificateRequest(nil, template, signer)
	if err != nil {
		return "", fmt.Errorf("cannot make a signing request: %w", err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))), nil
}

// due tells whether less than a third of a certificate's life is left.
func due(text string, now time.Time) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return err == nil && now.After(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore)/3))
}
