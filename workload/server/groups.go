package server

import (
	"net/http"

	"jimm/workload/config"
	"jimm/workload/estate"
	"jimm/workload/hookservice"
	"jimm/workload/login"
	"jimm/workload/trust"
)

// OpenGroups returns the look-up of groups at the identity provider, nil if
// there is none.
func OpenGroups(c config.Config, roots *trust.Roots) estate.IdPGroups {
	if c.HookService.Address == "" {
		return nil
	}
	return hookservice.New(hookservice.Config{
		Address: c.HookService.Address, Plain: c.HookService.Plain, Roots: roots.Pool,
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.HookService.Scopes,
		SecretInForm: c.AuthStyle == login.AuthStylePost, HTTPClient: &http.Client{Transport: roots.Transport(nil)},
	})
}
