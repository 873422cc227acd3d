package web

import (
	"context"
	"net/http"
	"strings"

	"jimm/workload/estate"
)

// Tokens tells who shows credentials in a request's header; login.Service does.
type Tokens interface {
	VerifyToken(ctx context.Context, token string) (estate.User, error)
	Basic(ctx context.Context, username, password string) (estate.User, error)
}

// Identify tells who makes a request: by a session token ("Authorization:
// Bearer"), as juju clients do ("Basic"), or by the cookie of a session by
// browser, which a page of JIMM's own origin or no page has sent. Errors are
// those of login.Service.
func (a *Auth) Identify(w http.ResponseWriter, r *http.Request) (estate.User, error) {
	if username, password, ok := r.BasicAuth(); ok {
		return a.Tokens.Basic(r.Context(), username, password)
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); token != "" && strings.EqualFold(scheme, "Bearer") {
		return a.Tokens.VerifyToken(r.Context(), token)
	}
	cookie := a.Origins.Alone().SessionCookieOf(r)
	u, until, err := a.Browsers.VerifyCookie(r.Context(), cookie)
	if err == nil {
		a.setSession(w, cookie, min(a.MaxAge, until.Sub(a.Now())))
	}
	return u, err
}
