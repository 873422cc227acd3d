package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Authority answers tls-certificates on the endpoint certificates and
// certificate_transfer on send-ca-cert, as self-signed-certificates does.
type Authority struct {
	// Life is how long a certificate is good, from Now on.
	Life time.Duration
	Now  func() time.Time
	// Old speaks only version 0 of certificate_transfer.
	Old bool
	// More are further certificates to send.
	More []string

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
	signed      map[string]relation.TLSCertificate
}

// NewAuthority makes a CA.
func NewAuthority() (*Authority, error) {
	a := &Authority{Life: 90 * 24 * time.Hour, Now: time.Now, signed: map[string]relation.TLSCertificate{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.pem = encode("CERTIFICATE", der)
	return a, nil
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// CA is the authority's certificate in PEM.
func (a *Authority) CA() string { return a.pem }

// Sign signs a request in PEM, once.
func (a *Authority) Sign(csr string) (relation.TLSCertificate, error) {
	if done, ok := a.signed[csr]; ok {
		return done, nil
	}
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		return relation.TLSCertificate{}, errors.New("the request is not PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return relation.TLSCertificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.signed) + 2)), Subject: request.Subject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses,
		NotBefore: a.Now().Add(-time.Minute), NotAfter: a.Now().Add(a.Life), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, request.PublicKey, a.key)
	if err != nil {
		return relation.TLSCertificate{}, err
	}
	certificate := encode("CERTIFICATE", der)
	a.signed[csr] = relation.TLSCertificate{CSR: csr, Certificate: certificate, CA: a.pem, Chain: []string{certificate, a.pem}}
	return a.signed[csr], nil
}

// Handle is the charm.
func (a *Authority) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	err := leader(ctx, tools, event, "certificates", func(l link) error {
		units, err := l.units(ctx)
		if err != nil {
			return err
		}
		answer := relation.TLSAnswer{}
		for _, bag := range units {
			request, err := relation.ParseTLSRequest(bag)
			if err != nil {
				return err
			}
			for _, csr := range request {
				certificate, err := a.Sign(csr)
				if err != nil {
					return err
				}
				answer = append(answer, certificate)
			}
		}
		return l.answer(ctx, answer.Bag())
	})
	if err != nil {
		return err
	}
	return sendCertificates(ctx, tools, event, append([]string{a.pem}, a.More...), a.Old)
}

// Certificates answers certificate_transfer on send-ca-cert with certificates in PEM.
func Certificates(pems []string) func(context.Context, hook.Tools, hook.Event) error {
	return func(ctx context.Context, tools hook.Tools, event hook.Event) error {
		return sendCertificates(ctx, tools, event, pems, false)
	}
}

func sendCertificates(ctx context.Context, tools hook.Tools, event hook.Event, pems []string, old bool) error {
	all, err := links(ctx, tools, event, "send-ca-cert")
	if err != nil {
		return err
	}
	leads, err := tools.IsLeader(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		bag, err := l.theirs(ctx)
		if err != nil {
			return err
		}
		if bag["version"] == "1" && !old {
			if leads {
				if err := l.answer(ctx, relation.CertificateTransferAnswer(pems).Bag()); err != nil {
					return err
				}
			}
			continue
		}
		if err := l.answerUnit(ctx, relation.CertificateTransferUnit{CA: pems[0], Certificate: pems[0], Chain: pems[:1], Quoted: !old}.Bag()); err != nil {
			return err
		}
	}
	return nil
}
