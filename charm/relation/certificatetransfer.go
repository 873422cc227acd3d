package relation

import (
	"encoding/json"
	"slices"
)

// CertificateTransferRequest is what the requirer of certificate_transfer
// writes into its application databag: that it understands version 1. Without
// it, providers use version 0.
func CertificateTransferRequest() Bag { return Bag{"version": "1"} }

// CertificateTransferAnswer is a set of certificates, PEM each.
type CertificateTransferAnswer []string

// Bag encodes version 1, which is in the provider's application databag.
func (a CertificateTransferAnswer) Bag() Bag {
	bag := Bag{"version": "1"}
	putJSON(bag, "certificates", append([]string{}, a...))
	return bag
}

// CertificateTransferUnit is version 0, which is in the databag of each unit of
// the provider.
type CertificateTransferUnit struct {
	CA, Certificate string
	Chain           []string
	// Quoted writes JSON strings, as the library of version 1 does for a requirer
	// of version 0; older ones write plain PEM.
	Quoted bool
}

// Bag encodes version 0.
func (u CertificateTransferUnit) Bag() Bag {
	bag := Bag{"version": "0"}
	for key, value := range map[string]string{"ca": u.CA, "certificate": u.Certificate} {
		if value == "" {
			continue
		}
		if bag[key] = value; u.Quoted {
			putJSON(bag, key, value)
		}
	}
	if u.Chain != nil {
		putJSON(bag, "chain", u.Chain)
	}
	return bag
}

// ParseCertificateTransfer collects what providers of both versions have
// written: sorted, without doubles.
func ParseCertificateTransfer(app Bag, units ...Bag) (CertificateTransferAnswer, error) {
	var texts []string
	if err := getJSON(app, "certificates", "a JSON list of certificates", &texts); err != nil {
		return nil, err
	}
	for _, unit := range units {
		ca := unit["ca"]
		var unquoted string
		if json.Unmarshal([]byte(ca), &unquoted) == nil {
			ca = unquoted
		}
		texts = append(texts, ca)
		var chain []string
		if err := getJSON(unit, "chain", "a JSON list of certificates", &chain); err != nil {
			return nil, err
		}
		// A chain starts with the certificate of the provider itself, which is
		// nothing to trust in general.
		if len(chain) > 1 {
			texts = append(texts, chain[1:]...)
		}
	}
	var a CertificateTransferAnswer
	for _, text := range texts {
		text, err := certificates("certificates", text)
		if err != nil {
			return nil, err
		}
		if text != "" {
			a = append(a, text)
		}
	}
	slices.Sort(a)
	return slices.Compact(a), nil
}
