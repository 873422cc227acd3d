package stack

import (
	"context"
	"net/url"
	"strconv"
)

func (s *Stack) dexURL() string { return "https://" + s.address("dex") }

// startDex starts Dex, where JIMM is a client that has the login by device, and
// people log in by way of Hydra.
func (s *Stack) startDex(ctx context.Context) error {
	o := s.options
	database, err := url.Parse(s.dsn("dex"))
	if err != nil {
		return err
	}
	password, _ := database.User.Password()
	port, err := strconv.Atoi(database.Port())
	if err != nil {
		return err
	}
	// A public client: in a login by device Dex shows a client's secret to the
	// browser, as part of a URL. Logins by browser are safe by PKCE.
	s.AtDex = Client{Issuer: s.dexURL(), ID: "jimm", AuthStyle: "client_secret_post"}
	config, err := s.writeConfig("dex.yml", map[string]any{
		"issuer": s.dexURL(),
		"storage": map[string]any{"type": "postgres", "config": map[string]any{
			"host": database.Hostname(), "port": port, "database": o.Prefix + "dex", "user": database.User.Username(), "password": password,
			"ssl": map[string]any{"mode": "disable"}, "maxOpenConns": 10,
		}},
		"web":    map[string]any{"https": s.address("dex"), "tlsCert": o.CertFile, "tlsKey": o.KeyFile},
		"oauth2": map[string]any{"skipApprovalScreen": true},
		"expiry": map[string]any{"deviceRequests": "5m"},
		"logger": map[string]any{"level": "warn", "format": "json"},
		"staticClients": []any{map[string]any{
			"id": s.AtDex.ID, "name": "JIMM", "public": true,
			"redirectURIs": []string{"/device/callback", "https://" + o.JIMM + "/auth/callback"},
		}},
		"connectors": []any{map[string]any{"type": "oidc", "id": "company", "name": "the company's accounts", "config": map[string]any{
			"issuer": s.AtHydra.Issuer, "clientID": "dex", "clientSecret": s.state.Secrets["dex at hydra"],
			"redirectURI": s.dexURL() + "/callback", "rootCAs": []string{o.CAFile},
			"scopes": []string{"profile", "email", "groups"}, "insecureEnableGroups": true,
		}}},
	})
	if err != nil {
		return err
	}
	// Passwords must not be taken for variables.
	s.Dex = NewService("dex", o.Bin.Dex, o.Dir, o.Client, s.dexURL()+"/healthz", environment("DEX_EXPAND_ENV=false"), "serve", config)
	return s.launch(ctx, s.Dex)
}
