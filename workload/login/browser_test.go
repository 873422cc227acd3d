package login_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/login"
	"jimm/workload/postgres"
	"jimm/workload/sealed"
)

const redirectURL = "https://jimm.example.com/auth/callback"

// browsers makes a lab where people can log in by browser, for two hours and
// until they have been idle for half an hour.
func browsers(t *testing.T, changeProvider func(*idp.Config), change func(*login.Config)) (*lab, estate.Secrets) {
	t.Helper()
	var secrets estate.Secrets
	l := newLab(t, func(c *idp.Config) {
		c.Clients[0].RedirectURIs = []string{redirectURL}
		c.TokenLife = 10 * time.Minute
		if changeProvider != nil {
			changeProvider(c)
		}
	}, func(c *login.Config) {
		s, err := sealed.New(c.Sessions.(*postgres.Store).Pool(), []byte(strings.Repeat("k", 32)))
		check(t, err)
		secrets = s
		c.RedirectURL, c.BrowserLife, c.BrowserIdle, c.Secrets = redirectURL, 2*time.Hour, 30*time.Minute, s
		if change != nil {
			change(c)
		}
	})
	return l, secrets
}

// visit starts a login by browser, logs in at the provider, and returns what the
// browser comes back with.
func (l *lab) visit(t *testing.T, email string) login.Callback {
	t.Helper()
	started, err := l.StartBrowser(t.Context())
	check(t, err)
	arrived, err := idp.LogIn(t.Context(), nil, started.URL, redirectURL, email, password)
	check(t, err)
	q := arrived.Query()
	return login.Callback{Cookie: started.Cookie, State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")}
}

func TestAPersonLogsInByBrowser(t *testing.T) {
	l, secrets := browsers(t, nil, nil)
	started, err := l.StartBrowser(t.Context())
	check(t, err)
	u, err := url.Parse(started.URL)
	check(t, err)
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("state") == "" || q.Get("nonce") == "" ||
		q.Get("response_type") != "code" || q.Get("redirect_uri") != redirectURL || q.Get("scope") != "openid email profile offline_access" {
		t.Errorf("it starts at %s", started.URL)
	}
	cookie, alice, err := l.FinishBrowser(t.Context(), l.visit(t, "alice.liddell@example.com"))
	check(t, err)
	equal(t, "user", alice, estate.User{Name: "alice.liddell@example.com", Groups: []string{"engineering", "tea"}, Session: estate.BrowserSessionID(cookie)})
	again, until, err := l.VerifyCookie(t.Context(), cookie)
	check(t, err)
	equal(t, "user of the cookie", again, alice)
	if left := until.Sub(l.now()); left < 119*time.Minute || left > 2*time.Hour {
		t.Errorf("the session lasts for %v", left)
	}
	if secret, err := secrets.Get(t.Context(), estate.SessionSecretPath(alice.Session)); err != nil || secret["refresh-token"] == "" {
		t.Errorf("the refresh token is not where secrets are: %v", err)
	}
	session, err := l.store.UseSession(t.Context(), alice.Session)
	check(t, err)
	if session.Kind != estate.SessionBrowser || session.IdleLimit != 30*time.Minute || !session.Refreshable {
		t.Errorf("session is %+v", session)
	}

	check(t, l.EndBrowser(t.Context(), cookie))
	_, _, err = l.VerifyCookie(t.Context(), cookie)
	wantError(t, err, estate.CodeUnauthorized, "log in again")
	check(t, l.EndBrowser(t.Context(), cookie)) // no error
}

func TestALoginByBrowserEndsTheEarlierOneOfThisBrowser(t *testing.T) {
	l, _ := browsers(t, nil, nil)
	first, _, err := l.FinishBrowser(t.Context(), l.visit(t, "alice.liddell@example.com"))
	check(t, err)
	back := l.visit(t, "alice.liddell@example.com")
	back.Former = first
	second, _, err := l.FinishBrowser(t.Context(), back)
	check(t, err)
	if _, _, err := l.VerifyCookie(t.Context(), first); !estate.Is(err, estate.CodeUnauthorized) {
		t.Errorf("the earlier session goes on: %v", err)
	}
	_, _, err = l.VerifyCookie(t.Context(), second)
	check(t, err)
}

func TestOnlyTheBrowserThatStartedALoginFinishesIt(t *testing.T) {
	l, _ := browsers(t, nil, nil)
	other, err := l.StartBrowser(t.Context())
	check(t, err)
	otherURL, err := url.Parse(other.URL)
	check(t, err)
	flip := func(s string) string {
		if strings.HasPrefix(s, "A") {
			return "B" + s[1:]
		}
		return "A" + s[1:]
	}
	forged := base64.RawURLEncoding.EncodeToString(make([]byte, 40))
	for name, c := range map[string]struct {
		change func(*login.Callback)
		after  time.Duration
		code   string
		part   string
	}{
		"without a cookie":                      {func(c *login.Callback) { c.Cookie = "" }, 0, estate.CodeForbidden, "not begun in this browser"},
		"with the cookie of another login":      {func(c *login.Callback) { c.Cookie = other.Cookie }, 0, estate.CodeForbidden, "not begun in this browser"},
		"with the state of another login":       {func(c *login.Callback) { c.State = otherURL.Query().Get("state") }, 0, estate.CodeForbidden, "not begun"},
		"with another login, state and cookie":  {func(c *login.Callback) { c.Cookie, c.State = other.Cookie, otherURL.Query().Get("state") }, 0, estate.CodeForbidden, "did not confirm"},
		"with a forged cookie":                  {func(c *login.Callback) { c.Cookie = forged }, 0, estate.CodeForbidden, "not begun"},
		"with a cookie that was changed":        {func(c *login.Callback) { c.Cookie = flip(c.Cookie) }, 0, estate.CodeForbidden, "not begun"},
		"with a cookie that is too long":        {func(c *login.Callback) { c.Cookie = strings.Repeat("A", 1000) }, 0, estate.CodeForbidden, "not begun"},
		"with a state that was changed":         {func(c *login.Callback) { c.State = flip(c.State) }, 0, estate.CodeForbidden, "not begun"},
		"without a state":                       {func(c *login.Callback) { c.State = "" }, 0, estate.CodeForbidden, "not begun"},
		"without a code":                        {func(c *login.Callback) { c.Code = "" }, 0, estate.CodeForbidden, "not begun"},
		"with a code that was changed":          {func(c *login.Callback) { c.Code = flip(c.Code) }, 0, estate.CodeForbidden, "did not confirm"},
		"with the answer of another issuer":     {func(c *login.Callback) { c.Issuer = "https://evil.example.com" }, 0, estate.CodeForbidden, "not begun"},
		"that was denied":                       {func(c *login.Callback) { c.Code, c.Error = "", "access_denied" }, 0, estate.CodeForbidden, "denied"},
		"that failed at the issuer":             {func(c *login.Callback) { c.Code, c.Error = "", "server_error\x1b[31m" }, 0, estate.CodeForbidden, "did not log you in"},
		"that has taken too long":               {func(*login.Callback) {}, login.BrowserWait + time.Minute, estate.CodeForbidden, "taken too long"},
		"that has taken long, but not too long": {func(*login.Callback) {}, 9 * time.Minute, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			back := l.visit(t, "alice.liddell@example.com")
			c.change(&back)
			l.offset.Store(int64(c.after))
			defer l.offset.Store(0)
			cookie, u, err := l.FinishBrowser(t.Context(), back)
			if c.code == "" {
				check(t, err)
				return
			}
			wantError(t, err, c.code, c.part)
			if cookie != "" || u.Name != "" {
				t.Errorf("it gave cookie %q to %q", cookie, u.Name)
			}
		})
	}
}

func TestLoginsByBrowserThatFailAreLimited(t *testing.T) {
	l, _ := browsers(t, nil, func(c *login.Config) { c.Limits = login.Limits{PerAddress: 3} })
	l.stop()
	ctx := estate.WithCaller(t.Context(), estate.Caller{Address: "10.0.0.1"})
	forged := func(change func(*login.Callback)) error {
		started, err := l.StartBrowser(ctx)
		check(t, err)
		arrived, err := url.Parse(started.URL)
		check(t, err)
		c := login.Callback{Cookie: started.Cookie, State: arrived.Query().Get("state"), Code: "a code of nobody"}
		change(&c)
		_, _, err = l.FinishBrowser(ctx, c)
		return err
	}
	for range 10 { // any page can make a browser do this
		wantError(t, forged(func(c *login.Callback) { c.State = "another" }), estate.CodeForbidden, "not begun in this browser")
	}
	for range 3 {
		wantError(t, forged(func(*login.Callback) {}), estate.CodeForbidden, "did not confirm")
	}
	asked := l.tokens.Load()
	real := l.visit(t, "alice.liddell@example.com")
	_, _, err := l.FinishBrowser(ctx, real)
	wantError(t, err, login.CodeTryAgain, "too many attempts with your address; try again in 20 s")
	equal(t, "requests to the issuer meanwhile", l.tokens.Load()-asked, int64(0))
	l.offset.Store(int64(21 * time.Second))
	_, u, err := l.FinishBrowser(ctx, real)
	check(t, err)
	equal(t, "user", u.Name, "alice.liddell@example.com")
}

func TestAStateIsGoodOnce(t *testing.T) {
	l, _ := browsers(t, nil, nil)
	back := l.visit(t, "alice.liddell@example.com")
	cookie, _, err := l.FinishBrowser(t.Context(), back)
	check(t, err)
	asked := l.tokens.Load()
	_, _, err = l.FinishBrowser(t.Context(), back)
	wantError(t, err, estate.CodeForbidden, "has been used before")
	if l.tokens.Load() != asked {
		t.Error("the issuer was asked about a state that has been used")
	}
	_, _, err = l.VerifyCookie(t.Context(), cookie) // the first login is none the worse
	check(t, err)
}

func TestWhoCannotLogInByDeviceCannotByBrowser(t *testing.T) {
	l, _ := browsers(t, nil, nil)
	for email, part := range map[string]string{"mallory@example.com": "not verified", "everyone@external": "not one that people can have", "robot@serviceaccount": "not one that"} {
		_, _, err := l.FinishBrowser(t.Context(), l.visit(t, email))
		wantError(t, err, estate.CodeNotValid, part)
	}
}

func TestCookiesThatAreNone(t *testing.T) {
	l, _ := browsers(t, nil, nil)
	token, _, err := l.logIn(t, "alice.liddell@example.com")
	check(t, err)
	cookie, u, err := l.FinishBrowser(t.Context(), l.visit(t, "alice.liddell@example.com"))
	check(t, err)
	for name, value := range map[string]string{
		"empty": "", "garbage": "garbage", "a session token": token, "the id of a session": u.Session, "too long": strings.Repeat(cookie, 10),
		"cut": cookie[:len(cookie)-1], "changed": "~" + cookie[1:], "of another kind": "\x00'; drop table sessions",
	} {
		if _, _, err := l.VerifyCookie(t.Context(), value); !estate.Is(err, estate.CodeUnauthorized) || err.Error() != "not logged in, or the session has ended: log in again" {
			t.Errorf("a cookie that is %s: %v", name, err)
		}
	}
	if _, err := l.VerifyToken(t.Context(), cookie); !estate.Is(err, estate.CodeSessionTokenInvalid) {
		t.Errorf("a cookie is taken for a session token: %v", err)
	}
}

func TestASessionByBrowserIsRefreshed(t *testing.T) {
	const tokenLife = 10 * time.Minute
	for name, c := range map[string]struct {
		after time.Duration
		// answer is the issuer's status and error; 0 lets it answer by itself.
		status int
		code   string
		// asked is how often the issuer is, over two uses at once; groups are
		// those after it.
		asked int64
		want  string
	}{
		"not before its access token has expired":       {tokenLife - time.Minute, 0, "", 0, ""},
		"when its access token has expired":             {tokenLife + time.Minute, 0, "", 1, ""},
		"not if the issuer refuses it":                  {tokenLife + time.Minute, 400, "invalid_grant", 1, estate.CodeUnauthorized},
		"later if the issuer does not answer, soon":     {tokenLife + time.Minute, 503, "", 1, ""},
		"not if the issuer does not answer for longer":  {tokenLife + 5*time.Minute, 503, "", 1, estate.CodeConnectionFailed},
		"not if the issuer does not know us any longer": {tokenLife + 5*time.Minute, 401, "invalid_client", 1, estate.CodeConnectionFailed},
		"not when it has been idle for too long":        {31 * time.Minute, 0, "", 0, estate.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			l, secrets := browsers(t, nil, nil)
			cookie, u, err := l.FinishBrowser(t.Context(), l.visit(t, "alice.liddell@example.com"))
			check(t, err)
			path := estate.SessionSecretPath(u.Session)
			before, err := secrets.Get(t.Context(), path)
			check(t, err)
			if c.status != 0 {
				front := func(w http.ResponseWriter, _ *http.Request) bool {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(c.status)
					_ = json.NewEncoder(w).Encode(map[string]string{"error": c.code})
					return true
				}
				l.front.Store(&front)
			}
			l.offset.Store(int64(c.after))
			asked := l.tokens.Load()
			for range 2 {
				again, _, err := l.VerifyCookie(t.Context(), cookie)
				if c.want != "" {
					wantError(t, err, c.want, "")
					continue
				}
				check(t, err)
				equal(t, "user", again, u)
			}
			if n := l.tokens.Load() - asked; n != c.asked {
				t.Errorf("the issuer was asked %d times, want %d", n, c.asked)
			}
			if c.asked == 1 && c.status == 0 {
				after, err := secrets.Get(t.Context(), path)
				check(t, err)
				if after["refresh-token"] == before["refresh-token"] || after["refresh-token"] == "" {
					t.Error("the new refresh token was not saved")
				}
			}
			for _, token := range []string{before["refresh-token"]} {
				if strings.Contains(l.log.String(), token) {
					t.Error("a refresh token is in the log")
				}
			}
		})
	}
}

// A provider that gives no refresh token cannot be asked later.
func TestWithoutARefreshTokenASessionEndsWithItsAccessToken(t *testing.T) {
	l, secrets := browsers(t, nil, nil)
	plain := func(w http.ResponseWriter, r *http.Request) bool {
		front := l.front.Swap(nil)
		defer l.front.Store(front)
		req, err := http.NewRequestWithContext(r.Context(), r.Method, l.issuer+r.URL.Path, r.Body)
		check(t, err)
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		defer resp.Body.Close()
		var answer map[string]any
		check(t, json.NewDecoder(resp.Body).Decode(&answer))
		delete(answer, "refresh_token")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
		return true
	}
	l.front.Store(&plain)
	cookie, u, err := l.FinishBrowser(t.Context(), l.visit(t, "alice.liddell@example.com"))
	check(t, err)
	if _, err := secrets.Get(t.Context(), estate.SessionSecretPath(u.Session)); !estate.Is(err, estate.CodeNotFound) {
		t.Errorf("there is a refresh token: %v", err)
	}
	_, _, err = l.VerifyCookie(t.Context(), cookie)
	check(t, err)
	l.offset.Store(int64(11 * time.Minute))
	_, _, err = l.VerifyCookie(t.Context(), cookie)
	wantError(t, err, estate.CodeUnauthorized, "log in again")
}

func TestWhenTheIssuerDoesNotAnswerNobodyStartsALogin(t *testing.T) {
	l := emptyLab(t)
	l.issuer = "http://127.0.0.1:1"
	c := l.config()
	s, err := sealed.New(l.store.Pool(), []byte(strings.Repeat("k", 32)))
	check(t, err)
	c.RedirectURL, c.BrowserLife, c.BrowserIdle, c.Secrets = redirectURL, time.Hour, time.Hour, s
	l.Service, err = login.New(t.Context(), c)
	check(t, err)
	_, err = l.StartBrowser(t.Context())
	wantError(t, err, estate.CodeConnectionFailed, "does not answer")
}
