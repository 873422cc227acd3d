package relation

import "strings"

// TLSRequest is what a unit of the requirer of tls-certificates writes into its
// own databag: certificate signing requests in PEM.
type TLSRequest []string

type signingRequest struct {
	CSR string `json:"certificate_signing_request"`
	CA  bool   `json:"ca"`
}

// Bag encodes the request.
func (r TLSRequest) Bag() Bag {
	requests := []signingRequest{}
	for _, csr := range r {
		requests = append(requests, signingRequest{CSR: strings.TrimSpace(csr)})
	}
	bag := Bag{}
	putJSON(bag, "certificate_signing_requests", requests)
	return bag
}

// ParseTLSRequest decodes it.
func ParseTLSRequest(bag Bag) (r TLSRequest, err error) {
	var requests []signingRequest
	if err := getJSON(bag, "certificate_signing_requests", "a JSON list of requests", &requests); err != nil {
		return nil, err
	}
	for _, request := range requests {
		r = append(r, request.CSR)
	}
	return r, nil
}

// TLSCertificate is a certificate that the provider has signed.
type TLSCertificate struct {
	CSR         string   `json:"certificate_signing_request"`
	Certificate string   `json:"certificate"`
	CA          string   `json:"ca"`
	Chain       []string `json:"chain"`
	Revoked     bool     `json:"revoked,omitempty"`
}

// TLSAnswer is what the provider writes into its application databag.
type TLSAnswer []TLSCertificate

// Bag encodes the answer.
func (a TLSAnswer) Bag() Bag {
	bag := Bag{}
	putJSON(bag, "certificates", append(TLSAnswer{}, a...))
	return bag
}

// ParseTLSAnswer decodes it.
func ParseTLSAnswer(bag Bag) (a TLSAnswer, err error) {
	if err := getJSON(bag, "certificates", "a JSON list of certificates", &a); err != nil {
		return nil, err
	}
	for i, c := range a {
		if a[i].Certificate, err = certificates("certificates", c.Certificate); err != nil {
			return nil, err
		}
		if a[i].CA, err = certificates("certificates", c.CA); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// For gives the certificate of a request, which providers name by its exact text.
func (a TLSAnswer) For(csr string) (TLSCertificate, bool) {
	for _, c := range a {
		if strings.TrimSpace(c.CSR) == strings.TrimSpace(csr) && !c.Revoked && c.Certificate != "" {
			return c, true
		}
	}
	return TLSCertificate{}, false
}
