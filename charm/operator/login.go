package operator

import (
	"slices"
	"strconv"
	"strings"

	"jimm/charm/relation"
)

// What JIMM asks the identity provider for.
var (
	loginScopes = []string{"openid", "profile", "email", "offline_access"}
	loginGrants = []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"}
)

func (p *planner) planLogin() {
	const component = endpointOAuth
	scopes := slices.Concat(loginScopes, p.options.OptionalScopes)
	p.set("JIMM_OAUTH_AUTH_STYLE", p.options.AuthMethod)
	p.set("JIMM_OAUTH_GROUP_CLAIM_KEY", p.options.GroupClaim)
	p.set("JIMM_OAUTH_TRUST_EMAIL", strconv.FormatBool(p.options.TrustEmail))
	grants := loginGrants
	if p.options.HookService != "" {
		p.set("JIMM_IDP_GROUP_FETCHER_TYPE", "hook-service")
		p.set("JIMM_IDP_HOOK_SERVICE_ADDRESS", p.options.HookService)
		// JIMM shows it a token of its own.
		grants = append(slices.Clone(grants), "client_credentials")
	}
	p.set("JIMM_OAUTH_CLIENT_CREDENTIAL_SCOPES", strings.Join(p.options.ClientScopes, " "))

	// A provider registers the first address it sees: it is told one only when
	// the final one is known.
	usable := p.address.known() && p.address.validRedirect()
	for _, r := range p.on(component) {
		if !usable {
			p.keep(r)
			continue
		}
		p.app(r, relation.OAuthRequest{
			RedirectURI: p.address.path("/auth/callback"), Scopes: scopes, GrantTypes: grants, AuthMethod: p.options.AuthMethod,
		}.Bag())
	}
	r, ok := p.one(component)
	if !ok {
		p.missing(component, "run juju integrate %s:oauth hydra", p.Event.App)
		return
	}
	if p.address.known() && !usable {
		p.wrong(component, "identity providers refuse the host %q, which has no dot; give JIMM a full host name", p.address.url.Hostname())
		return
	}
	answer, err := relation.ParseOAuthAnswer(r.Theirs)
	if err != nil {
		p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	if answer.Issuer == "" || answer.ClientID == "" {
		p.wait(component, "waiting for %s to register JIMM", r.App)
		return
	}
	if answer.ClientSecret == "" {
		p.wait(component, "waiting for %s to give the client's secret", r.App)
		return
	}
	content, ok := p.secret(component, answer.ClientSecret)
	if !ok {
		return
	}
	if content["secret"] == "" {
		p.wrong(component, "the secret of %s has no key \"secret\"", r.App)
		return
	}
	offered := slices.DeleteFunc(slices.Clone(loginScopes), func(scope string) bool {
		return len(answer.Scopes) > 0 && !slices.Contains(answer.Scopes, scope)
	})
	if !slices.Contains(offered, "openid") {
		p.wrong(component, "%s does not offer the scope openid, without which nobody can log in", r.App)
		return
	}
	p.set("JIMM_OAUTH_ISSUER_URL", answer.Issuer)
	// No discovery of Hydra's says where it tells about opaque tokens.
	p.set("JIMM_OAUTH_INTROSPECTION_URL", answer.IntrospectionEndpoint)
	p.set("JIMM_OAUTH_CLIENT_ID", answer.ClientID)
	p.secretly("JIMM_OAUTH_CLIENT_SECRET", content["secret"])
	p.set("JIMM_OAUTH_SCOPES", strings.Join(slices.Concat(offered, p.options.OptionalScopes), " "))
}
