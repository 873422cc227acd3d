package server_test

import (
	"net/http"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/login"
	"jimm/workload/web"
)

// browse logs a person in by browser, and returns the cookie.
func (h *house) browse(u *instance, email string) string {
	h.Helper()
	started, err := u.logins.StartBrowser(h.Context())
	check(h.T, err)
	arrived, err := idp.LogIn(h.Context(), nil, started.URL, redirectURL, email, password)
	check(h.T, err)
	q := arrived.Query()
	cookie, _, err := u.logins.FinishBrowser(h.Context(), login.Callback{Cookie: started.Cookie, State: q.Get("state"), Code: q.Get("code")})
	check(h.T, err)
	return cookie
}

// page is a connection that a page makes, whose browser has a cookie.
func (h *house) page(u *instance, path, name, origin, cookie string) *connection {
	h.Helper()
	return h.dialWith(u, path, name, http.Header{"Origin": {origin}, "Cookie": {web.SessionCookie + "=" + cookie}})
}

const dashboard = "https://dashboard.example.com"

func TestACookieLogsInOnAModel(t *testing.T) {
	h := newHouse(t, func(h *house) { h.config.Origins = []string{dashboard} })
	a, b := h.units[0], h.units[1]
	boss := h.page(a, "/api", "boss", dashboard, h.browse(a, "boss@example.com"))
	boss.must("Admin", 4, "LoginWithSessionCookie", nil, nil)
	model := h.modelOf(boss, "tea")
	cookie, path := h.browse(a, "alice@example.com"), "/model/"+model+"/api"

	alice := h.page(b, path, "alice's dashboard", dashboard, cookie)
	var logged struct {
		Model string `json:"model-tag"`
		User  struct {
			Identity string `json:"identity"`
		} `json:"user-info"`
	}
	alice.must("Admin", 4, "LoginWithSessionCookie", nil, &logged)
	if logged.Model != "model-"+model || logged.User.Identity != "user-alice@example.com" {
		t.Errorf("the login says %+v", logged)
	}
	// The controller of the model answers.
	alice.must("Client", 8, "FullStatus", map[string]any{}, nil)

	for name, c := range map[string]*connection{
		"a page without a cookie":     h.dialWith(b, path, "", http.Header{"Origin": {dashboard}}),
		"another cookie":              h.page(b, path, "", dashboard, "another"),
		"a page that may not have it": h.dialWith(b, path, "", http.Header{"Origin": {"http://localhost/"}, "Cookie": {web.SessionCookie + "=" + cookie}}),
		"two cookies":                 h.dialWith(b, path, "", http.Header{"Origin": {dashboard}, "Cookie": {web.SessionCookie + "=" + cookie + "; " + web.SessionCookie + "=" + cookie}}),
	} {
		if got := c.call("Admin", 4, "LoginWithSessionCookie", nil, nil); got != "not logged in, or the session has ended: log in again ("+estate.CodeUnauthorized+")" {
			t.Errorf("%s: %s", name, got)
		}
	}
	other := h.page(b, path, "boss on the model", dashboard, h.browse(b, "boss@example.com"))
	other.must("Admin", 4, "LoginWithSessionCookie", nil, nil)

	since := time.Now()
	check(t, a.logins.EndBrowser(t.Context(), cookie))
	wantClosed(t, since, map[string]<-chan struct{}{"alice's dashboard": alice.closed})
	other.must("Client", 8, "FullStatus", map[string]any{}, nil)
}

func TestAnOpenConnectionOfABrowserIsRefreshed(t *testing.T) {
	h := newHouse(t, func(h *house) {
		h.tokenLife, h.config.SessionCheck, h.config.Origins = 40*time.Second, 100*time.Millisecond, []string{dashboard}
	})
	cookie := h.browse(h.units[0], "boss@example.com")
	closed := map[string]<-chan struct{}{}
	for name, u := range map[string]*instance{"a": h.units[0], "b": h.units[1]} {
		c := h.page(u, "/api", "boss at "+name, dashboard, cookie)
		c.must("Admin", 4, "LoginWithSessionCookie", nil, nil)
		closed[c.name] = c.closed
	}
	// The token has expired, and 45 s have passed since the issuer was asked last:
	// one of the units asks again, once. A refresh token is good once.
	pass := func() { h.ahead.Add(int64(46 * time.Second)) }
	good := func() time.Time {
		t.Helper()
		session, err := h.units[0].Estate.Store.UseSession(t.Context(), estate.BrowserSessionID(cookie))
		check(t, err)
		return session.AccessUntil
	}
	for range 2 {
		before := good()
		pass()
		eventually(t, "there is a new token", func() bool { return good().After(before) })
	}
	for name, c := range closed {
		select {
		case <-c:
			t.Fatalf("%s is closed while the issuer says yes", name)
		default:
		}
	}
	h.refusing.Store(true)
	asked := h.exchanges.Load()
	pass()
	eventually(t, "the issuer is asked again", func() bool { return h.exchanges.Load() > asked })
	wantClosed(t, time.Now(), closed)
	if _, _, err := h.units[1].logins.VerifyCookie(t.Context(), cookie); !estate.Is(err, estate.CodeUnauthorized) {
		t.Errorf("the cookie is still good: %v", err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
