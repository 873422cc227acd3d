package idp

import (
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// authRequest is a login by browser that is under way.
type authRequest struct {
	id        string
	browser   string
	asked     oidc.AuthRequest
	expires   time.Time
	subject   string
	authTime  time.Time
	freshOnly bool
	silent    bool
}

var _ op.AuthRequest = (*authRequest)(nil)

func (r *authRequest) GetID() string                      { return r.id }
func (r *authRequest) GetACR() string                     { return "" }
func (r *authRequest) GetAMR() []string                   { return passwordUsed }
func (r *authRequest) GetAudience() []string              { return []string{r.asked.ClientID} }
func (r *authRequest) GetAuthTime() time.Time             { return r.authTime }
func (r *authRequest) GetClientID() string                { return r.asked.ClientID }
func (r *authRequest) GetNonce() string                   { return r.asked.Nonce }
func (r *authRequest) GetRedirectURI() string             { return r.asked.RedirectURI }
func (r *authRequest) GetResponseType() oidc.ResponseType { return r.asked.ResponseType }
func (r *authRequest) GetResponseMode() oidc.ResponseMode { return r.asked.ResponseMode }
func (r *authRequest) GetScopes() []string                { return r.asked.Scopes }
func (r *authRequest) GetState() string                   { return r.asked.State }
func (r *authRequest) GetSubject() string                 { return r.subject }
func (r *authRequest) Done() bool                         { return r.subject != "" }
func (r *authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	if r.asked.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.asked.CodeChallenge, Method: r.asked.CodeChallengeMethod}
}

// passwordUsed is how people authenticate here (RFC 8176).
var passwordUsed = []string{"pwd"}

// grant is what tokens are made from after the first time: a refresh token, or
// a service account's own right.
type grant struct {
	subject, client string
	scopes          []string
	authTime        time.Time
	expires         time.Time
}

var _ op.RefreshTokenRequest = (*grant)(nil)

func (g *grant) GetAMR() []string                 { return passwordUsed }
func (g *grant) GetAudience() []string            { return []string{g.client} }
func (g *grant) GetAuthTime() time.Time           { return g.authTime }
func (g *grant) GetClientID() string              { return g.client }
func (g *grant) GetScopes() []string              { return g.scopes }
func (g *grant) GetSubject() string               { return g.subject }
func (g *grant) SetCurrentScopes(scopes []string) { g.scopes = slices.Clone(scopes) }

// accessGrant is a service account's: of another type, because the library gives
// every op.RefreshTokenRequest a refresh token.
type accessGrant struct {
	subject string
	scopes  []string
}

var _ op.TokenRequest = (*accessGrant)(nil)

func (g *accessGrant) GetSubject() string    { return g.subject }
func (g *accessGrant) GetAudience() []string { return []string{g.subject} }
func (g *accessGrant) GetScopes() []string   { return g.scopes }

// device is a login by device that is under way.
type device struct {
	client, code, userCode string
	scopes                 []string
	expires, polled        time.Time
	subject                string
	authTime               time.Time
	denied                 bool
}

func (d *device) decided() bool { return d.denied || d.subject != "" }

// session is a browser in which somebody has logged in.
type session struct {
	user     *user
	authTime time.Time
	expires  time.Time
}
