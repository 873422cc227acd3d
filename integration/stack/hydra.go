package stack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// scopes are what people's clients ask for.
const scopes = "openid profile email groups offline_access"

// startHydra starts the page where people log in, then Hydra, and makes the
// clients: JIMM, Dex, and the service accounts.
func (s *Stack) startHydra(ctx context.Context) error {
	o := s.options
	issuer := "https://" + s.address("hydra")
	page, err := net.Listen("tcp", s.address("signin"))
	if err != nil {
		return err
	}
	s.cleanups = append(s.cleanups, o.Serve(page, s.signIn()))
	certificate := map[string]any{"enabled": true, "cert": map[string]any{"path": o.CertFile}, "key": map[string]any{"path": o.KeyFile}}
	config, err := s.writeConfig("hydra.yml", map[string]any{
		"dsn": s.dsn("hydra") + "&max_conns=20",
		"serve": map[string]any{
			"public": map[string]any{"host": o.Host, "port": s.ports["hydra"], "tls": certificate},
			"admin":  map[string]any{"host": o.Host, "port": s.ports["hydra admin"]},
		},
		"urls": map[string]any{
			"self": map[string]any{"issuer": issuer, "public": issuer}, "login": s.SignInURL() + "/login", "consent": s.SignInURL() + "/consent",
			"error": s.SignInURL() + "/error", "logout": s.SignInURL() + "/logout", "post_logout_redirect": s.SignInURL() + "/",
		},
		"secrets": map[string]any{"system": []string{s.state.Secrets["hydra key"]}},
		"oidc":    map[string]any{"subject_identifiers": map[string]any{"supported_types": []string{"public"}}},
		// Dex and JIMM read e-mail and groups from the id token.
		"ttl": map[string]any{"access_token": (10 * time.Minute).String(), "login_consent_request": "10m"},
		"log": map[string]any{"level": "warn", "format": "json"},
	})
	if err != nil {
		return err
	}
	env := environment("DSN="+s.dsn("hydra"), "SQA_OPT_OUT=true")
	if err := run(ctx, env, o.Bin.Hydra, "migrate", "sql", "-e", "--yes"); err != nil {
		return fmt.Errorf("cannot make Hydra's tables: %w", err)
	}
	s.Hydra = NewService("hydra", o.Bin.Hydra, o.Dir, o.Client, issuer+"/health/ready", environment("SQA_OPT_OUT=true"), "serve", "all", "--config", config)
	if err := s.launch(ctx, s.Hydra); err != nil {
		return err
	}
	s.AtHydra = Client{Issuer: issuer, ID: "jimm", Secret: s.state.Secrets["jimm at hydra"], AuthStyle: "client_secret_basic"}
	var clients []hydraClient
	if o.JIMM != "" {
		clients = append(clients, application("jimm", "JIMM", s.AtHydra.Secret, "https://"+o.JIMM+"/auth/callback"))
	}
	if !o.WithoutDex {
		clients = append(clients, application("dex", "Dex", s.state.Secrets["dex at hydra"], s.dexURL()+"/callback"))
	}
	for _, a := range o.Accounts {
		clients = append(clients, a.client())
	}
	for _, c := range clients {
		if err := s.putClient(ctx, c); err != nil {
			return fmt.Errorf("cannot make client %q at Hydra: %w", c.ID, err)
		}
	}
	return nil
}

// hydraClient is a client as Hydra's API has it.
type hydraClient struct {
	ID            string   `json:"client_id,omitempty"`
	Name          string   `json:"client_name,omitempty"`
	Secret        string   `json:"client_secret,omitempty"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types,omitempty"`
	RedirectURIs  []string `json:"redirect_uris,omitempty"`
	Scope         string   `json:"scope"`
	AuthMethod    string   `json:"token_endpoint_auth_method"`
	// Strategy is of access tokens: jwt or opaque.
	Strategy string `json:"access_token_strategy,omitempty"`
	// SkipConsent is for applications of the company itself.
	SkipConsent bool `json:"skip_consent,omitempty"`
}

// application is a client that people log in to.
func application(id, name, secret, redirect string) hydraClient {
	return hydraClient{
		ID: id, Name: name, Secret: secret, RedirectURIs: []string{redirect}, Scope: scopes, AuthMethod: "client_secret_basic", SkipConsent: true,
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
	}
}

func (a Account) client() hydraClient {
	c := hydraClient{ID: a.ID, Secret: a.Secret, GrantTypes: []string{"client_credentials"}, AuthMethod: "client_secret_basic", Strategy: "jwt"}
	if a.Opaque {
		c.Strategy = "opaque"
	}
	return c
}

func (s *Stack) hydraAdminURL() string { return "http://" + s.address("hydra admin") }

func (s *Stack) hydraAdmin() rest { return rest{client: s.options.Client, url: s.hydraAdminURL()} }

// IntrospectionURL is where Hydra tells about opaque tokens; its discovery does not
// say.
func (s *Stack) IntrospectionURL() string { return s.hydraAdminURL() + "/admin/oauth2/introspect" }

// putClient makes a client at Hydra, or sets it anew.
func (s *Stack) putClient(ctx context.Context, c hydraClient) error {
	err := s.hydraAdmin().call(ctx, http.MethodPut, "/admin/clients/"+c.ID, c, nil)
	if isStatus(err, http.StatusNotFound) {
		err = s.hydraAdmin().call(ctx, http.MethodPost, "/admin/clients", c, nil)
	}
	return err
}

// Registration is what an application wants to be at Hydra.
type Registration struct {
	Name, RedirectURI, AuthMethod string
	Scopes, GrantTypes            []string
}

// Register makes an application a client of Hydra, which chooses its id and its
// secret, or changes the client of an id, which keeps its secret.
func (s *Stack) Register(ctx context.Context, id string, r Registration) (Client, error) {
	c := application(id, r.Name, "", r.RedirectURI)
	c.Scope, c.GrantTypes, c.AuthMethod = strings.Join(r.Scopes, " "), r.GrantTypes, r.AuthMethod
	method, path := http.MethodPost, "/admin/clients"
	if id != "" {
		method, path = http.MethodPut, path+"/"+url.PathEscape(id)
	}
	var made hydraClient
	err := s.hydraAdmin().call(ctx, method, path, c, &made)
	return Client{Issuer: s.AtHydra.Issuer, ID: made.ID, Secret: made.Secret, AuthStyle: made.AuthMethod}, err
}

// Redirects are the addresses that Hydra sends people back to from a login to a
// client.
func (s *Stack) Redirects(ctx context.Context, id string) ([]string, error) {
	var c hydraClient
	err := s.hydraAdmin().call(ctx, http.MethodGet, "/admin/clients/"+url.PathEscape(id), nil, &c)
	return c.RedirectURIs, err
}

// AddAccount makes a service account, or sets its secret anew.
func (s *Stack) AddAccount(ctx context.Context, a Account) error { return s.putClient(ctx, a.client()) }

// RemoveAccount withdraws a service account.
func (s *Stack) RemoveAccount(ctx context.Context, id string) error {
	return s.hydraAdmin().call(ctx, http.MethodDelete, "/admin/clients/"+id, nil, nil)
}
