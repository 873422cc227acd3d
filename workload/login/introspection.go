package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxIntrospection is the longest answer that is read, in bytes.
const maxIntrospection = 1 << 20

// errInactive is the error of an access token that the issuer does not know.
var errInactive = errors.New("the identity provider calls the access token inactive")

// introspectionURL is where the issuer tells about tokens; empty if nowhere.
func (s *Service) introspectionURL(provider *oidc.Provider) string {
	if s.config.IntrospectionURL != "" {
		return s.config.IntrospectionURL
	}
	var endpoints struct {
		Introspection string `json:"introspection_endpoint"`
	}
	_ = provider.Claims(&endpoints) // no endpoint then
	return endpoints.Introspection
}

// introspect asks the issuer about an access token that says nothing itself
// (RFC 7662). ok is false if it cannot be asked; errInactive if the token is
// not valid.
func (s *Service) introspect(ctx context.Context, provider *oidc.Provider, token string) (claims map[string]json.RawMessage, ok bool, err error) {
	endpoint := s.introspectionURL(provider)
	if endpoint == "" {
		return nil, false, nil
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if s.config.AuthStyle == AuthStylePost {
		form.Set("client_id", s.config.ClientID)
		form.Set("client_secret", s.config.ClientSecret)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if s.config.AuthStyle != AuthStylePost {
		request.SetBasicAuth(url.QueryEscape(s.config.ClientID), url.QueryEscape(s.config.ClientSecret))
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, false, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxIntrospection))
	if err != nil {
		return nil, false, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("identity provider answers %s when asked about a token", answer.Status)
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		return nil, false, errors.New("identity provider answers no JSON when asked about a token")
	}
	if string(claims["active"]) != "true" {
		return nil, false, errInactive
	}
	return claims, true, nil
}
