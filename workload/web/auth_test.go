package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/login"
	"jimm/workload/web"
)

// browsers knows one cookie, good, and one login, ours.
type browsers struct {
	failure error
	ended   []string
	got     login.Callback
}

func (b *browsers) StartBrowser(context.Context) (login.Browser, error) {
	return login.Browser{URL: "https://idp.example.com/authorize?state=s", Cookie: "ours"}, b.failure
}

func (b *browsers) FinishBrowser(_ context.Context, c login.Callback) (string, estate.User, error) {
	b.got = c
	if b.failure == nil && (c.Cookie != "ours" || c.State != "s") {
		return "", estate.User{}, estate.Errorf(estate.CodeForbidden, "this login was not begun in this browser")
	}
	return "good", estate.User{Name: "alice@example.com"}, b.failure
}

func (b *browsers) VerifyCookie(_ context.Context, cookie string) (estate.User, time.Time, error) {
	if b.failure == nil && cookie != "good" {
		return estate.User{}, time.Time{}, estate.Errorf(estate.CodeUnauthorized, "not logged in, or the session has ended: log in again")
	}
	return estate.User{Name: "alice@example.com"}, noon.Add(time.Hour), b.failure
}

func (b *browsers) EndBrowser(_ context.Context, cookie string) error {
	b.ended = append(b.ended, cookie)
	return b.failure
}

var noon = time.Date(2026, 7, 13, 12, 0, 0, 0, time.UTC)

// site is all of JIMM's public paths, below /blue.
func site(b *browsers) http.Handler {
	auth := &web.Auth{
		Browsers: b, Dashboard: "https://dashboard.example.com/models", Prefix: "/blue", MaxAge: 24 * time.Hour, Secure: true, Origins: origins,
		Person: func(_ context.Context, u estate.User) (estate.Identity, error) {
			return estate.Identity{Name: u.Name, DisplayName: "Alice <b>"}, nil
		},
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	}
	nothing := http.NotFoundHandler()
	return web.Handler(web.Routes{
		Prefix: "/blue", Origins: origins, Auth: auth.Handler(), API: nothing, Admin: nothing, Log: nothing, Transfer: nothing, Macaroons: nothing,
		Model: func(http.ResponseWriter, *http.Request, string) {},
	})
}

// request is one to the site; a header of several lines is written with |.
type request struct {
	method, target, cookies string
	headers                 map[string]string
}

func (q request) send(b *browsers) *httptest.ResponseRecorder {
	if q.method == "" {
		q.method = http.MethodGet
	}
	r := httptest.NewRequest(q.method, "https://jimm.example.com"+q.target, nil)
	if q.cookies != "" {
		r.Header.Set("Cookie", q.cookies)
	}
	for name, value := range q.headers {
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	site(b).ServeHTTP(w, r)
	return w
}

const (
	session = "jimm-browser-session=good"
	state   = "jimm-oauth-state=ours"
)

func TestWhatBrowsersGet(t *testing.T) {
	page := map[string]string{"Accept": "text/html,*/*;q=0.8"}
	with := func(h map[string]string, name, value string) map[string]string {
		all := map[string]string{name: value}
		for n, v := range h {
			all[n] = v
		}
		return all
	}
	dashboard := map[string]string{"Origin": "https://dashboard.example.com", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
	evil := map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
	image := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
	link := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
	frame := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Accept": "text/html"}
	for _, test := range []struct {
		name     string
		request  request
		status   int
		location string
		// cookie is the start of the cookie that is set, text part of the answer.
		cookie, text string
		ended        bool
	}{
		{name: "a login", request: request{target: "/blue/auth/login"}, status: 307, location: "https://idp.example.com/authorize?state=s",
			cookie: "jimm-oauth-state=ours; Path=/blue/auth/callback; Max-Age=900; HttpOnly; Secure; SameSite=Lax"},
		{name: "a login where a proxy strips the prefix", request: request{target: "/auth/login"}, status: 307, location: "https://idp.example.com/authorize?state=s",
			cookie: "jimm-oauth-state=ours; Path=/blue/auth/callback"},
		{name: "a login that is told where to go", request: request{target: "/blue/auth/login?redirect_uri=https://evil.example&next=//evil.example&return_to=https://evil.example"},
			status: 307, location: "https://idp.example.com/authorize?state=s"},
		{name: "a login by another host", request: request{target: "/blue/auth/login", headers: map[string]string{"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example"}},
			status: 307, location: "https://idp.example.com/authorize?state=s"},

		{name: "a callback", request: request{target: "/blue/auth/callback?state=s&code=c", cookies: state}, status: 308, location: "https://dashboard.example.com/models",
			cookie: "jimm-browser-session=good; Path=/blue/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax"},
		{name: "a callback that is told where to go", request: request{target: "/blue/auth/callback?state=s&code=c&redirect=https://evil.example&next=https://evil.example", cookies: state,
			headers: map[string]string{"Host": "evil.example", "Referer": "https://evil.example", "X-Forwarded-Host": "evil.example"}}, status: 308, location: "https://dashboard.example.com/models"},
		{name: "a callback without the cookie", request: request{target: "/blue/auth/callback?state=s&code=c"}, status: 403, text: "Forbidden - this login was not begun"},
		{name: "a callback with two cookies", request: request{target: "/blue/auth/callback?state=s&code=c", cookies: state + "; jimm-oauth-state=theirs"}, status: 403},
		{name: "a callback with another state", request: request{target: "/blue/auth/callback?state=t&code=c", cookies: state, headers: page}, status: 403, text: "Start again",
			cookie: "jimm-oauth-state=; Path=/blue/auth/callback; Max-Age=0"},
		{name: "a callback by a form", request: request{method: "POST", target: "/blue/auth/callback?state=s&code=c", cookies: state}, status: 404},

		{name: "whoami", request: request{target: "/blue/auth/whoami", cookies: session}, status: 200, text: `{"display-name":"Alice \u003cb\u003e","email":"alice@example.com"}`,
			cookie: "jimm-browser-session=good; Path=/blue/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{name: "whoami of a person", request: request{target: "/blue/auth/whoami", cookies: session, headers: page}, status: 200, text: `JIMM knows this browser as alice@example.com.`},
		{name: "whoami of the dashboard", request: request{target: "/blue/auth/whoami", cookies: session, headers: dashboard}, status: 200, text: "alice@example.com"},
		{name: "whoami of another page", request: request{target: "/blue/auth/whoami", cookies: session, headers: evil}, status: 403},
		{name: "whoami without a cookie", request: request{target: "/blue/auth/whoami"}, status: 403, text: "Forbidden - not logged in"},
		{name: "whoami with a forged cookie", request: request{target: "/blue/auth/whoami", cookies: "jimm-browser-session=bad"}, status: 403,
			cookie: "jimm-browser-session=; Path=/blue/; Max-Age=0", text: "log in again"},
		{name: "whoami with two cookies", request: request{target: "/blue/auth/whoami", cookies: session + "; jimm-browser-session=bad"}, status: 403},
		{name: "whoami with a cookie of another name", request: request{target: "/blue/auth/whoami", cookies: "__Host-jimm-browser-session=good"}, status: 403},
		{name: "whoami by a form", request: request{method: "POST", target: "/blue/auth/whoami", cookies: session}, status: 405},

		{name: "a logout of the dashboard", request: request{target: "/blue/auth/logout", cookies: session, headers: dashboard}, status: 200, ended: true,
			cookie: "jimm-browser-session=; Path=/blue/; Max-Age=0", text: "logged out"},
		{name: "a logout of a script", request: request{target: "/blue/auth/logout", cookies: session}, status: 200, ended: true},
		{name: "a logout by address", request: request{target: "/blue/auth/logout", cookies: session, headers: with(page, "Sec-Fetch-Site", "none")}, status: 200, ended: true, text: "You are logged out"},
		{name: "a logout by our form", request: request{method: "POST", target: "/blue/auth/logout", cookies: session, headers: with(page, "Sec-Fetch-Site", "same-origin")}, status: 200, ended: true},
		{name: "a logout by a form of another page", request: request{method: "POST", target: "/blue/auth/logout", cookies: session, headers: evil}, status: 403},
		{name: "a logout by a script of another page", request: request{target: "/blue/auth/logout", cookies: session, headers: evil}, status: 403},
		{name: "a logout by an image in another page", request: request{target: "/blue/auth/logout", cookies: session, headers: image}, status: 403},
		{name: "a logout by a frame in another page", request: request{target: "/blue/auth/logout", cookies: session, headers: frame}, status: 403},
		{name: "a logout by a link in another page", request: request{target: "/blue/auth/logout", cookies: session, headers: link}, status: 200, text: `action="/blue/auth/logout"`},
		{name: "a logout without a cookie", request: request{target: "/blue/auth/logout"}, status: 403, text: "Forbidden - no session"},

		{name: "a path that is none", request: request{target: "/blue/auth/admin"}, status: 404},
		{name: "a path with a traversal", request: request{target: "/blue/auth/../auth/whoami", cookies: session}, status: 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &browsers{}
			w := test.request.send(b)
			if w.Code != test.status || w.Header().Get("Location") != test.location || !strings.Contains(w.Body.String(), test.text) {
				t.Errorf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
			}
			if set := strings.Join(w.Header().Values("Set-Cookie"), "\n"); test.cookie != "" && !strings.Contains(set, test.cookie) {
				t.Errorf("cookies are %s", set)
			}
			if got := len(b.ended) == 1 && b.ended[0] == "good"; got != test.ended {
				t.Errorf("sessions that ended: %q", b.ended)
			}
			if test.status != 400 && (w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store") && test.request.headers["Origin"] != "https://evil.example" {
				t.Errorf("headers are %v", w.Header())
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				policy := w.Header().Get("Content-Security-Policy")
				if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
					t.Errorf("policy is %q", policy)
				}
			}
		})
	}
}

func TestOnlyOurPagesReadAnswers(t *testing.T) {
	for origin, want := range map[string]string{
		"https://dashboard.example.com": "https://dashboard.example.com", "https://jimm.example.com": "https://jimm.example.com",
		"https://evil.example": "", "null": "", "https://dashboard.example.com.evil.example": "", "": "",
	} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			headers := map[string]string{"Access-Control-Request-Method": "PATCH"}
			if origin != "" {
				headers["Origin"] = origin
			}
			h := request{method: method, target: "/blue/auth/whoami", cookies: session, headers: headers}.send(&browsers{}).Header()
			credentials := map[bool]string{true: "true", false: ""}[want != ""]
			if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != credentials || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
				t.Errorf("%s for %q: %v", method, origin, h)
			}
			if allowed := h.Get("Access-Control-Allow-Methods"); strings.Contains(allowed, "PATCH") || strings.Contains(allowed, "POST") {
				t.Errorf("other pages may %s", allowed)
			}
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name         string
		failure      error
		status       int
		title, again string
	}{
		{"the issuer does not answer", estate.Errorf(estate.CodeConnectionFailed, "cannot log in: the identity provider does not answer"), 500, "JIMM cannot log you in now", "Try again"},
		{"a person we do not take", estate.Errorf(estate.CodeNotValid, "cannot log in: the e-mail address of the account is not verified"), 403, "You cannot log in", "Log in with another account"},
		{"a login that was denied", estate.Errorf(estate.CodeForbidden, "login was denied"), 403, "Start again", "Log in"},
		{"a fault of ours", errors.New("cannot dial db.internal:5432 as jimm"), 500, "Something went wrong", "Log in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, accept := range []string{"text/html", "*/*"} {
				w := request{target: "/blue/auth/callback?state=s&code=c", cookies: state, headers: map[string]string{"Accept": accept}}.send(&browsers{failure: test.failure})
				text := w.Body.String()
				if w.Code != test.status || strings.Contains(text, "db.internal") {
					t.Errorf("got %d %s", w.Code, text)
				}
				if accept == "text/html" && (!strings.Contains(text, "<h1>"+test.title+"</h1>") || !strings.Contains(text, `href="/blue/auth/login">`+test.again+"</a>")) {
					t.Errorf("the page is %s", text)
				}
				if accept != "text/html" && !strings.HasPrefix(text, http.StatusText(test.status)+" - ") {
					t.Errorf("the text is %s", text)
				}
			}
		})
	}
}

func TestTooManyLoginsByBrowserMayBeFinishedLater(t *testing.T) {
	service, err := login.New(t.Context(), login.Config{
		Issuer: "https://idp.invalid", ClientID: "jimm", SessionKey: []byte(strings.Repeat("k", 64)), SessionLife: time.Hour,
		HTTPClient: &http.Client{Transport: http.NewFileTransport(http.Dir(t.TempDir()))},
		Identities: struct{ estate.IdentityStore }{}, Sessions: struct{ estate.SessionStore }{}, Limits: login.Limits{PerAddress: 1},
		Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	from := estate.WithCaller(t.Context(), estate.Caller{Address: "10.0.0.1"})
	_, _ = service.StartDevice(from)
	_, limited := service.VerifyToken(from, "Z2FyYmFnZQ==")
	if !login.Limited(limited) {
		t.Fatalf("not limited: %v", limited)
	}
	for accept, want := range map[string]string{
		"text/html": "Cannot log in: too many attempts with your address; try again in 60 s.",
		"":          "Too Many Requests - cannot log in: too many attempts with your address; try again in 60 s\n",
	} {
		w := request{target: "/blue/auth/callback?state=s&code=c", cookies: state, headers: map[string]string{"Accept": accept}}.send(&browsers{failure: limited})
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %d, retry after %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
		if cookies := w.Header().Values("Set-Cookie"); len(cookies) > 0 {
			t.Errorf("the browser cannot come back: it gets %v", cookies)
		}
	}
}
