package relation

import "strings"

// OAuthRequest is what the requirer of oauth writes into its application databag.
type OAuthRequest struct {
	RedirectURI string
	Scopes      []string
	GrantTypes  []string
	Audience    []string
	// AuthMethod is client_secret_basic or client_secret_post.
	AuthMethod string
}

// Bag encodes the request.
func (r OAuthRequest) Bag() Bag {
	bag := Bag{}
	put(bag, "redirect_uri", r.RedirectURI)
	put(bag, "scope", strings.Join(r.Scopes, " "))
	putJSON(bag, "grant_types", append([]string{}, r.GrantTypes...))
	putJSON(bag, "audience", append([]string{}, r.Audience...))
	put(bag, "token_endpoint_auth_method", r.AuthMethod)
	return bag
}

// ParseOAuthRequest decodes it.
func ParseOAuthRequest(bag Bag) (r OAuthRequest, err error) {
	if r.RedirectURI, err = address("redirect_uri", bag["redirect_uri"], "https", "http"); err != nil {
		return r, err
	}
	r.Scopes, r.AuthMethod = strings.Fields(bag["scope"]), bag["token_endpoint_auth_method"]
	if err := getJSON(bag, "grant_types", "a JSON list", &r.GrantTypes); err != nil {
		return r, err
	}
	return r, getJSON(bag, "audience", "a JSON list", &r.Audience)
}

// OAuthAnswer is what the provider writes into its application databag: first
// where it is, later the client that it has registered.
type OAuthAnswer struct {
	Issuer, AuthorizationEndpoint, TokenEndpoint, IntrospectionEndpoint, UserinfoEndpoint, JWKSEndpoint string
	Scopes                                                                                              []string
	ClientID                                                                                            string
	// ClientSecret is the id of a secret with the key "secret".
	ClientSecret string
	// JWTAccessToken is Python's truth.
	JWTAccessToken string
}

// Bag encodes the answer.
func (a OAuthAnswer) Bag() Bag {
	bag := Bag{}
	put(bag, "issuer_url", a.Issuer)
	put(bag, "authorization_endpoint", a.AuthorizationEndpoint)
	put(bag, "token_endpoint", a.TokenEndpoint)
	put(bag, "introspection_endpoint", a.IntrospectionEndpoint)
	put(bag, "userinfo_endpoint", a.UserinfoEndpoint)
	put(bag, "jwks_endpoint", a.JWKSEndpoint)
	put(bag, "scope", strings.Join(a.Scopes, " "))
	put(bag, "client_id", a.ClientID)
	put(bag, "client_secret_id", a.ClientSecret)
	put(bag, "jwt_access_token", a.JWTAccessToken)
	return bag
}

// ParseOAuthAnswer decodes it. An answer that is not complete yet is no error.
func ParseOAuthAnswer(bag Bag) (a OAuthAnswer, err error) {
	for key, to := range map[string]*string{
		"issuer_url": &a.Issuer, "authorization_endpoint": &a.AuthorizationEndpoint, "token_endpoint": &a.TokenEndpoint,
		"introspection_endpoint": &a.IntrospectionEndpoint, "userinfo_endpoint": &a.UserinfoEndpoint, "jwks_endpoint": &a.JWKSEndpoint,
	} {
		value, wrong := address(key, bag[key], "https", "http")
		if wrong != nil {
			// The issuer is the one that JIMM uses; report it before the others.
			if err == nil || key == "issuer_url" {
				err = wrong
			}
			continue
		}
		*to = value
	}
	if err != nil {
		return a, err
	}
	if a.ClientID, err = word("client_id", bag["client_id"]); err != nil {
		return a, err
	}
	if a.ClientSecret, err = secretID("client_secret_id", bag["client_secret_id"]); err != nil {
		return a, err
	}
	a.Scopes, a.JWTAccessToken = strings.Fields(bag["scope"]), bag["jwt_access_token"]
	return a, nil
}
