package provider

import (
	"context"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// OpenFGA answers openfga on the endpoint openfga, as openfga-k8s does.
type OpenFGA struct {
	// URL is of the HTTP API, GRPC of the other.
	URL, GRPC, Token string
	// Store makes a store, or finds it by its name, and gives its id.
	Store func(ctx context.Context, name string) (id string, err error)
}

// Handle is the charm.
func (o *OpenFGA) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	return leader(ctx, tools, event, "openfga", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil || bag["store_name"] == "" {
			return err
		}
		answer := relation.OpenFGAAnswer{HTTPURL: o.URL, GRPCURL: o.GRPC}
		if answer.StoreID, err = o.Store(ctx, bag["store_name"]); err != nil {
			return err
		}
		if answer.TokenSecret, err = l.secret(ctx, "openfga-token-"+l.number(), relation.Bag{"token": o.Token}); err != nil {
			return err
		}
		return l.answer(ctx, answer.Bag())
	})
}
