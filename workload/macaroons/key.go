package macaroons

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"

	"jimm/workload/estate"
)

// keyPath is where the key pair is kept in the secrets, by which all units have
// the same. Controllers keep the public key as long as they run, so it never
// changes.
const keyPath = "juju/macaroon-key"

const (
	publicField  = "public"
	privateField = "private"
)

// openKey loads the key pair, or makes it.
func openKey(ctx context.Context, secrets estate.Secrets) (*bakery.KeyPair, error) {
	// Of several units that make one at once, one wins.
	for range 5 {
		stored, version, err := secrets.GetVersion(ctx, keyPath)
		if err != nil {
			return nil, fmt.Errorf("cannot load the key for macaroons: %w", err)
		}
		if version > 0 && len(stored) > 0 {
			return parseKey(stored)
		}
		key, err := bakery.GenerateKey()
		if err != nil {
			return nil, fmt.Errorf("cannot make a key for macaroons: %w", err)
		}
		value, err := formatKey(key)
		if err != nil {
			return nil, err
		}
		won, err := secrets.PutIfVersion(ctx, keyPath, version, value)
		if err != nil {
			return nil, fmt.Errorf("cannot store the key for macaroons: %w", err)
		}
		if won {
			return key, nil
		}
	}
	return nil, errors.New("cannot make a key for macaroons: others keep changing it")
}

func formatKey(key *bakery.KeyPair) (map[string]string, error) {
	public, err := key.Public.MarshalText()
	if err != nil {
		return nil, err
	}
	private, err := key.Private.MarshalText()
	if err != nil {
		return nil, err
	}
	return map[string]string{publicField: string(public), privateField: string(private)}, nil
}

func parseKey(stored map[string]string) (*bakery.KeyPair, error) {
	// The causes stay out: they may quote what they cannot read.
	var key bakery.KeyPair
	if key.Private.UnmarshalText([]byte(stored[privateField])) != nil || key.Public.UnmarshalText([]byte(stored[publicField])) != nil {
		return nil, errors.New("cannot load the key for macaroons: what is stored is not a key pair")
	}
	return &key, nil
}
