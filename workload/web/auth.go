package web

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"jimm/workload/estate"
	"jimm/workload/login"
	"jimm/workload/page"
)

// The cookies of a login by browser, as the Juju dashboard knows them.
const (
	// SessionCookie is of a session that has begun.
	SessionCookie = "jimm-browser-session"
	// stateCookie is of one that has not.
	stateCookie = "jimm-oauth-state"
)

// CallbackPath is where the identity provider sends browsers back to.
const CallbackPath = "/auth/callback"

// Browsers logs people in by browser; login.Service does.
type Browsers interface {
	StartBrowser(ctx context.Context) (login.Browser, error)
	FinishBrowser(ctx context.Context, c login.Callback) (cookie string, u estate.User, err error)
	VerifyCookie(ctx context.Context, cookie string) (u estate.User, until time.Time, err error)
	EndBrowser(ctx context.Context, cookie string) error
}

// Auth serves /auth/...: logins by browser, for the Juju dashboard.
type Auth struct {
	Browsers Browsers
	Tokens   Tokens
	// Person returns what is known of a user who has logged in.
	Person func(ctx context.Context, u estate.User) (estate.Identity, error)
	// Dashboard is where browsers land after a login: this URL and no other.
	Dashboard string
	// Prefix is the path below which browsers know us.
	Prefix string
	// MaxAge is for how long a browser keeps the cookie of a session, from when
	// it was last used.
	MaxAge time.Duration
	// Secure keeps cookies off connections without TLS.
	Secure  bool
	Origins Origins
	// Now and Log must be set.
	Now func() time.Time
	Log *slog.Logger
}

// Handler serves the paths below /auth/.
func (a *Auth) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/login", a.login)
	mux.HandleFunc("GET "+CallbackPath, a.callback)
	mux.Handle("/auth/whoami", a.Origins.Share(methods(a.whoami, http.MethodGet)))
	mux.Handle("/auth/logout", a.Origins.Share(methods(a.logout, http.MethodGet, http.MethodPost)))
	mux.HandleFunc("/auth/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, http.StatusNotFound, "not found", message{Title: "Nothing here", Message: "There is no such page at JIMM."})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Protect(w.Header())
		if a.Secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		mux.ServeHTTP(w, r)
	})
}

func methods(serve http.HandlerFunc, allowed ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range allowed {
			if r.Method == method {
				serve(w, r)
				return
			}
		}
		for _, method := range allowed {
			w.Header().Add("Allow", method)
		}
		http.Error(w, "Method Not Allowed - use "+allowed[0], http.StatusMethodNotAllowed)
	})
}

// login sends a browser to the identity provider.
func (a *Auth) login(w http.ResponseWriter, r *http.Request) {
	started, err := a.Browsers.StartBrowser(r.Context())
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.setCookie(w, stateCookie, started.Cookie, CallbackPath, http.SameSiteLaxMode, login.BrowserWait)
	http.Redirect(w, r, started.URL, http.StatusTemporaryRedirect)
}

// callback begins the session of a browser that the identity provider has sent
// back.
func (a *Auth) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	cookie, _, err := a.Browsers.FinishBrowser(r.Context(), login.Callback{
		Cookie: cookieValue(r, stateCookie), Former: cookieValue(r, SessionCookie),
		State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"),
	})
	if !login.Limited(err) {
		// It is of use once, whatever comes of it.
		a.setCookie(w, stateCookie, "", CallbackPath, http.SameSiteLaxMode, -1)
	}
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.setSession(w, cookie, a.MaxAge)
	http.Redirect(w, r, a.Dashboard, http.StatusPermanentRedirect)
}

// whoami tells the page whose session its browser has, or the person.
func (a *Auth) whoami(w http.ResponseWriter, r *http.Request) {
	u, ok := a.Authenticate(w, r)
	if !ok {
		return
	}
	person, err := a.Person(r.Context(), u)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if page.Wanted(r) {
		a.show(w, http.StatusOK, message{Title: "You are logged in", Message: "JIMM knows this browser as " + u.Name + ".", Form: a.Prefix + "/auth/logout", Button: "Log out"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		DisplayName string `json:"display-name"`
		Email       string `json:"email"`
	}{person.DisplayName, u.Name})
}

// Authenticate returns whose session a request's browser has, and lets the
// browser keep its cookie for longer. Without one it answers, and ok is false.
func (a *Auth) Authenticate(w http.ResponseWriter, r *http.Request) (u estate.User, ok bool) {
	cookie := a.Origins.SessionCookieOf(r)
	u, until, err := a.Browsers.VerifyCookie(r.Context(), cookie)
	if err != nil {
		if estate.Is(err, estate.CodeUnauthorized) && cookie != "" {
			a.setSession(w, "", -1)
		}
		a.failed(w, r, err)
		return estate.User{}, false
	}
	a.setSession(w, cookie, min(a.MaxAge, until.Sub(a.Now())))
	return u, true
}

// logout ends a browser's session. A page of another site cannot do that: a link
// there leads to a page that asks.
func (a *Auth) logout(w http.ResponseWriter, r *http.Request) {
	cookie := cookieValue(r, SessionCookie)
	if r.Method == http.MethodGet && !a.meant(r) {
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" {
			http.Error(w, "Forbidden - request of a page that is not allowed to: add its origin to CORS_ALLOWED_ORIGINS", http.StatusForbidden)
			return
		}
		a.show(w, http.StatusOK, message{Title: "Log out?", Message: "Another site has sent you here.", Form: a.Prefix + "/auth/logout", Button: "Log out"})
		return
	}
	if cookie == "" {
		a.fail(w, r, http.StatusForbidden, "no session", message{
			Title: "You are not logged in", Message: "There is no session to end in this browser.", Link: a.Prefix + "/auth/login", Button: "Log in",
		})
		return
	}
	if err := a.Browsers.EndBrowser(r.Context(), cookie); err != nil {
		a.failed(w, r, err)
		return
	}
	a.setSession(w, "", -1)
	if page.Wanted(r) {
		a.show(w, http.StatusOK, message{Title: "You are logged out", Message: "You can close this page.", Link: a.Prefix + "/auth/login", Button: "Log in again"})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("logged out\n"))
}

// meant reports whether a GET request comes from a page of ours, from the person
// (a bookmark, an address typed in), or from a client that is no browser.
func (a *Auth) meant(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		return a.Origins.Allows(origin)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return false
}

// failed answers with an error of the estate or of a login.
func (a *Auth) failed(w http.ResponseWriter, r *http.Request, err error) {
	again := message{Message: sentence(err), Link: a.Prefix + "/auth/login", Button: "Log in"}
	switch estate.CodeOf(err) {
	case estate.CodeUnauthorized:
		again.Title = "You are not logged in"
		a.fail(w, r, http.StatusForbidden, err.Error(), again)
	case estate.CodeForbidden:
		again.Title = "Start again"
		a.fail(w, r, http.StatusForbidden, err.Error(), again)
	case estate.CodeNotValid:
		again.Title, again.Button = "You cannot log in", "Log in with another account"
		a.fail(w, r, http.StatusForbidden, err.Error(), again)
	case login.CodeTryAgain:
		again.Title, again.Button = "Too many attempts", "Start again"
		var coded *estate.Error
		if errors.As(err, &coded) {
			w.Header().Set("Retry-After", fmt.Sprint(coded.Info["retry-after"]))
		}
		a.fail(w, r, http.StatusTooManyRequests, err.Error(), again)
	case estate.CodeConnectionFailed:
		again.Title, again.Button = "JIMM cannot log you in now", "Try again"
		a.fail(w, r, http.StatusInternalServerError, err.Error(), again)
	default:
		if r.Context().Err() == nil {
			a.Log.ErrorContext(r.Context(), "cannot answer a browser", "path", r.URL.Path, "error", err)
		}
		a.fail(w, r, http.StatusInternalServerError, "internal error", message{
			Title: "Something went wrong", Message: "JIMM could not do this. Try again in a minute; if it goes on, tell the administrator of JIMM.",
			Link: a.Prefix + "/auth/login", Button: "Log in",
		})
	}
}

// fail answers with a page for a person, and with text for a script.
func (a *Auth) fail(w http.ResponseWriter, r *http.Request, status int, text string, m message) {
	if page.Wanted(r) {
		a.show(w, status, m)
		return
	}
	http.Error(w, http.StatusText(status)+" - "+text, status)
}

//go:embed pages/pages.html
var pagesHTML string

var templates = page.Templates(pagesHTML)

// message is a page that says something, with a link or a form to go on.
type message struct {
	Title, Error, Message string
	Link, Form, Button    string
}

func (a *Auth) show(w http.ResponseWriter, status int, m message) {
	if err := page.Show(w, status, page.Policy+"; form-action 'self'", templates, "message", m); err != nil {
		a.Log.Error("cannot show a page", "error", err)
	}
}

// sentence is an error's text as people read it.
func sentence(err error) string {
	text := []rune(err.Error())
	if len(text) == 0 {
		return ""
	}
	if text[0] >= 'a' && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
	}
	return string(text) + "."
}

func (a *Auth) setSession(w http.ResponseWriter, value string, life time.Duration) {
	a.setCookie(w, SessionCookie, value, "/", a.Origins.SameSite(a.Secure), life)
}

// setCookie sets a cookie for a time, or removes it if that is negative.
func (a *Auth) setCookie(w http.ResponseWriter, name, value, path string, sameSite http.SameSite, life time.Duration) {
	seconds := -1
	if life > 0 {
		seconds = max(1, int(life.Seconds()))
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: a.Prefix + path, MaxAge: seconds, HttpOnly: true, Secure: a.Secure, SameSite: sameSite,
	})
}

// cookieValue returns a cookie that is there once; of two of the same name one
// may have been put there by a neighbour.
func cookieValue(r *http.Request, name string) string {
	if all := r.CookiesNamed(name); len(all) == 1 {
		return all[0].Value
	}
	return ""
}

// SessionCookieOf returns the session cookie of a request that a page of ours,
// or no page at all, has sent; empty otherwise.
func (o Origins) SessionCookieOf(r *http.Request) string {
	for _, origin := range r.Header.Values("Origin") {
		if !o.Allows(origin) {
			return ""
		}
	}
	return cookieValue(r, SessionCookie)
}
