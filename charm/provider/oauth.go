package provider

import (
	"context"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// OAuth answers oauth on the endpoint oauth, as Hydra's charm does: first where
// it is, then, in a later hook that tells of the request, the client.
type OAuth struct {
	// Issuer is where Hydra is, Introspection where it tells about tokens.
	Issuer, Introspection string
	// Register makes a client with its redirect, or changes that, and gives its
	// id and secret.
	Register func(ctx context.Context, relation string, request relation.OAuthRequest) (id, secret string, err error)
}

// Handle is the charm.
func (o *OAuth) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	return leader(ctx, tools, event, "oauth", func(l link) error {
		answer := relation.OAuthAnswer{
			Issuer: o.Issuer, AuthorizationEndpoint: o.Issuer + "/oauth2/auth", TokenEndpoint: o.Issuer + "/oauth2/token",
			IntrospectionEndpoint: o.Introspection, UserinfoEndpoint: o.Issuer + "/userinfo", JWKSEndpoint: o.Issuer + "/.well-known/jwks.json",
			Scopes: []string{"openid", "profile", "email", "offline_access"}, JWTAccessToken: "True",
		}
		bag, err := tools.RelationAppData(ctx, l.id, event.App)
		if err != nil {
			return err
		}
		ours, err := relation.ParseOAuthAnswer(bag)
		if err != nil {
			return err
		}
		answer.ClientID, answer.ClientSecret = ours.ClientID, ours.ClientSecret
		if ours.Issuer == "" || event.Name != "oauth-relation-changed" || event.Relation != l.id {
			// Juju 4.1 drops the grant of a secret that comes in the hook that makes it.
			if ours.ClientSecret != "" {
				if err := l.grant(ctx, ours.ClientSecret); err != nil {
					return err
				}
			}
			return l.answer(ctx, answer.Bag())
		}
		if bag, err = l.theirs(ctx); err != nil {
			return err
		}
		request, err := relation.ParseOAuthRequest(bag)
		if err != nil {
			return err
		}
		if request.RedirectURI != "" {
			id, secret, err := o.Register(ctx, l.id, request)
			if err != nil {
				return err
			}
			answer.ClientID = id
			if answer.ClientSecret, err = l.secret(ctx, "client_secret_"+l.number(), relation.Bag{"secret": secret}); err != nil {
				return err
			}
		}
		return l.answer(ctx, answer.Bag())
	})
}
