//go:build integration

package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"jimm/integration/browser"
	"jimm/workload/dev"
	"jimm/workload/estate"
	"jimm/workload/web"
)

// artefacts is where pictures of the pages go; git ignores it.
const artefacts = "../../bin/artefacts"

// start starts a whole JAAS with simulated controllers, and a browser that also
// takes the certificates of other servers. Pictures go into a folder of artefacts.
func start(t *testing.T, o dev.Options, pictures string, others ...string) (*dev.Stack, *browser.Browser) {
	t.Helper()
	dir, err := os.MkdirTemp("", "jimm-browser-")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o711)) // PostgreSQL runs as another user
	o.Dir, o.Juju = filepath.Join(dir, "jaas"), "sim"
	s, err := dev.Start(t.Context(), o)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	b, err := browser.Start(t.Context(), browser.Options{
		Trust:     append(others, s.Address, host(s.Issuer), host(s.Dashboard)),
		Artefacts: filepath.Join(artefacts, pictures),
	})
	check(t, err)
	t.Cleanup(b.Close)
	return s, b
}

// evil is the page of another site, on another port of the same host, so that
// browsers do send it JIMM's cookie.
var evil struct{ url, jimm string }

func startEvil(t *testing.T) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>evil</title><a id="link" href="https://%[1]s/auth/logout">kittens</a>
<form id="form" method="post" action="https://%[1]s/auth/logout"><button>more kittens</button></form>
<img src="https://%[1]s/auth/logout"><iframe src="https://%[1]s/auth/logout"></iframe>`, evil.jimm)
	}))
	t.Cleanup(server.Close)
	evil.url = server.URL
}

func TestInABrowser(t *testing.T) {
	startEvil(t)
	s, b := start(t, dev.Options{}, "", host(evil.url))
	evil.jimm = s.Address
	for name, test := range map[string]func(*testing.T, *dev.Stack, *browser.Browser){
		"a person uses the dashboard":       aPersonUsesTheDashboard,
		"an administrator uses the API":     anAdministratorUsesTheAPI,
		"another site cannot use the login": anotherSiteCannotUseTheLogin,
		"pages say what went wrong":         pagesSayWhatWentWrong,
		"a person approves a device":        aPersonApprovesADevice,
		"pages are readable in the dark":    pagesAreReadableInTheDark,
	} {
		t.Run(name, func(t *testing.T) { test(t, s, b) })
	}
}

// The real Hydra, with a page of ours that asks Kratos for the password.
func TestInABrowserAtHydra(t *testing.T) {
	s, b := start(t, dev.Options{Stack: dev.StackReal, Issuer: dev.IssuerHydra, Repository: "../..", Out: os.Stderr}, "hydra")
	t.Run("a wrong password is refused", func(t *testing.T) {
		ctx, p := t.Context(), open(t, b)
		check(t, p.Open(ctx, "https://"+s.Address+"/auth/login"))
		check(t, p.WaitURL(ctx, loginPage(s)))
		check(t, p.Fill(ctx, "#email", dev.Alice.Email))
		check(t, p.Fill(ctx, "#password", "not-her-password"))
		check(t, p.Click(ctx, "button"))
		check(t, p.WaitTrue(ctx, says("#error", "do not belong together")))
		check(t, p.Screenshot(ctx, "wrong-password"))
	})
	t.Run("a person uses the dashboard", func(t *testing.T) { aPersonUsesTheDashboard(t, s, b) })
}

// loginPage is where the identity provider asks for passwords.
func loginPage(s *dev.Stack) string {
	if s.Services != nil {
		return s.Services.SignInURL() + "/login"
	}
	return s.Issuer + "/login"
}

func host(url string) string { return strings.Trim(strings.TrimPrefix(url, "https://"), "/") }

// open opens a window for a person.
func open(t *testing.T, b *browser.Browser) *browser.Person {
	t.Helper()
	p, err := b.Person()
	check(t, err)
	t.Cleanup(p.Close)
	return p
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fine fails if pages have had errors, such as what their policy forbids.
func fine(t *testing.T, p *browser.Person) {
	t.Helper()
	if problems := p.Problems(); len(problems) > 0 {
		t.Errorf("pages had errors: %q", problems)
	}
}

// logIn does what a person does who is at the dashboard and not logged in.
func logIn(ctx context.Context, s *dev.Stack, p *browser.Person, picture string) error {
	for _, step := range []func() error{
		func() error { return p.Click(ctx, "#login a") },
		func() error { return p.WaitURL(ctx, loginPage(s)) },
		func() error { return p.Screenshot(ctx, picture) },
		func() error { return p.Fill(ctx, "#email", dev.Alice.Email) },
		func() error { return p.Fill(ctx, "#password", dev.Alice.Password) },
		func() error { return p.Click(ctx, "button") },
		func() error { return p.WaitURL(ctx, s.Dashboard) },
		func() error { return p.WaitTrue(ctx, says("#connection", "Connected to JIMM")) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// says is true of a page when an element says something.
func says(selector, text string) string {
	return fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, text)
}

const whoami = `fetch("https://" + document.getElementById("jimm").dataset.address + "/auth/whoami", {credentials: "include"}).then((r) => r.ok ? r.text() : String(r.status))`

func aPersonUsesTheDashboard(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	p := open(t, b)
	check(t, p.Open(ctx, s.Dashboard))
	check(t, p.WaitTrue(ctx, says("#who", "You are not logged in")))
	check(t, p.Screenshot(ctx, "dashboard-logged-out"))
	check(t, logIn(ctx, s, p, "login"))
	check(t, p.Screenshot(ctx, "dashboard"))

	var who string
	check(t, p.Evaluate(ctx, whoami, &who))
	if want := `{"display-name":"Alice","email":"alice@example.com"}`; strings.TrimSpace(who) != want {
		t.Errorf("whoami is %q, want %s", who, want)
	}
	cookie, err := p.Cookie(ctx, web.SessionCookie)
	check(t, err)
	if cookie == nil || !cookie.HTTPOnly || !cookie.Secure || cookie.Path != "/" || cookie.SameSite != "Lax" {
		t.Fatalf("cookie is %+v", cookie)
	}
	if leftover, err := p.Cookie(ctx, "jimm-oauth-state"); err != nil || leftover != nil {
		t.Errorf("the cookie of the login is still there: %v %v", leftover, err)
	}
	var readable string
	check(t, p.Evaluate(ctx, "document.cookie", &readable))
	if readable != "" {
		t.Errorf("pages can read cookies: %q", readable)
	}

	// The session is one that can be seen, and ended from elsewhere.
	sessions, err := s.Server.Estate.ListSessions(ctx, dev.Admin, "")
	check(t, err)
	if len(sessions) != 1 || sessions[0].Kind != estate.SessionBrowser || !strings.Contains(sessions[0].Client, "Mozilla") || sessions[0].ID != estate.BrowserSessionID(cookie.Value) {
		t.Fatalf("sessions are %+v", sessions)
	}
	_, err = s.Server.Estate.EndSessions(ctx, dev.Admin, []string{sessions[0].ID})
	check(t, err)
	check(t, p.WaitTrue(ctx, says("#connection", "The connection is closed")))
	check(t, p.Screenshot(ctx, "dashboard-session-ended"))
	check(t, p.Open(ctx, s.Dashboard))
	check(t, p.WaitTrue(ctx, says("#who", "You are not logged in")))

	// The identity provider still knows who this is: one click is enough.
	check(t, p.Click(ctx, "#login a"))
	check(t, p.WaitTrue(ctx, says("#connection", "Connected to JIMM")))
	check(t, p.Click(ctx, "#logout"))
	check(t, p.WaitTrue(ctx, says("#who", "You are not logged in")))
	check(t, p.Evaluate(ctx, whoami, &who))
	if who != "403" {
		t.Errorf("whoami after a logout is %q", who)
	}
	if left, err := s.Server.Estate.ListSessions(ctx, dev.Admin, ""); err != nil || len(left) != 0 {
		t.Errorf("sessions after a logout are %+v, %v", left, err)
	}
	fine(t, p)
}

func anotherSiteCannotUseTheLogin(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	jimm := s.Address
	p := open(t, b)
	check(t, p.Open(ctx, s.Dashboard))
	check(t, logIn(ctx, s, p, "login"))

	alive := func(after string) {
		t.Helper()
		if left, err := s.Server.Estate.ListSessions(ctx, dev.Admin, ""); err != nil || len(left) != 1 {
			t.Fatalf("sessions after %s: %+v, %v", after, left, err)
		}
	}
	check(t, p.Open(ctx, evil.url)) // with an image and a frame
	alive("a visit")
	for what, script := range map[string]string{
		"read who this is":   `fetch("https://` + jimm + `/auth/whoami", {credentials: "include"}).then((r) => r.text(), () => "refused")`,
		"log out by a fetch": `fetch("https://` + jimm + `/auth/logout", {credentials: "include", mode: "no-cors"}).then(() => "refused", () => "refused")`,
		"post a change":      `fetch("https://` + jimm + `/auth/logout", {method: "POST", credentials: "include", mode: "no-cors", body: "x"}).then(() => "refused", () => "refused")`,
		"open a connection":  `new Promise((done) => { const s = new WebSocket("wss://` + jimm + `/api"); s.onopen = () => done("open"); s.onerror = () => done("refused"); })`,
	} {
		var got string
		check(t, p.Evaluate(ctx, script, &got))
		if got != "refused" {
			t.Errorf("another site can %s: %s", what, got)
		}
		alive(what)
	}
	check(t, p.Click(ctx, "#form button"))
	check(t, p.WaitTrue(ctx, says("body", "Forbidden")))
	alive("a form")
	check(t, p.Open(ctx, evil.url))
	check(t, p.Click(ctx, "#link"))
	check(t, p.WaitTrue(ctx, says("h1", "Log out?")))
	check(t, p.Screenshot(ctx, "logout-asks"))
	alive("a link")
	check(t, p.Click(ctx, "button")) // the person means it
	check(t, p.WaitTrue(ctx, says("h1", "You are logged out")))
	check(t, p.Screenshot(ctx, "logged-out"))
	if left, err := s.Server.Estate.ListSessions(ctx, dev.Admin, ""); err != nil || len(left) != 0 {
		t.Errorf("sessions after a logout are %+v, %v", left, err)
	}
}

// From a page of JIMM's own origin the cookie is enough for the admin API; from
// the dashboard's it is not, although that may use JIMM otherwise.
func anAdministratorUsesTheAPI(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	p := open(t, b)
	check(t, p.Open(ctx, s.Dashboard))
	check(t, logIn(ctx, s, p, "login"))
	add := func(name string) (got string) {
		t.Helper()
		check(t, p.Evaluate(ctx, fmt.Sprintf(`fetch("https://%s/rebac/v1/groups", {method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: '{"name":"%s"}'})
			.then((r) => String(r.status), () => "refused")`, s.Address, name), &got))
		return got
	}
	if got := add("from-the-dashboard"); got != "refused" {
		t.Errorf("the dashboard's page got %s", got)
	}
	// A page of JIMM whose policy does not keep scripts from asking.
	check(t, p.Open(ctx, "https://"+s.Address+"/.well-known/jwks.json"))
	if got := add("from-jimm"); got != "201" {
		t.Errorf("JIMM's own page got %s", got)
	}
	groups, _, err := s.Server.Estate.ListUsersets(ctx, dev.Admin, estate.KindGroup, "", 0, 0)
	check(t, err)
	if len(groups) != 1 || groups[0].Name != "from-jimm" {
		t.Errorf("groups are %+v", groups)
	}
	check(t, s.Server.Estate.RemoveUserset(ctx, dev.Admin, estate.KindGroup, "from-jimm"))
	_, err = s.Server.Estate.EndUserSessions(ctx, dev.Admin, dev.Alice.Email)
	check(t, err)
	if got := add("after-the-session"); got != "401" {
		t.Errorf("after the session has ended JIMM's own page got %s", got)
	}
}

func pagesSayWhatWentWrong(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	p := open(t, b)
	check(t, p.Open(ctx, "https://"+s.Address+"/auth/callback?code=stolen&state=forged"))
	check(t, p.WaitTrue(ctx, says("h1", "Start again")))
	check(t, p.Screenshot(ctx, "login-start-again"))
	check(t, p.Click(ctx, "a.button"))
	check(t, p.WaitURL(ctx, loginPage(s)))
	check(t, p.Fill(ctx, "#email", dev.Alice.Email))
	check(t, p.Fill(ctx, "#password", "guess"))
	check(t, p.Click(ctx, "button"))
	check(t, p.WaitTrue(ctx, says("#error", "do not belong together")))
	check(t, p.Screenshot(ctx, "login-wrong-password"))
	check(t, p.Open(ctx, "https://"+s.Address+"/auth/logout"))
	check(t, p.WaitTrue(ctx, says("h1", "You are not logged in")))
	check(t, p.Screenshot(ctx, "not-logged-in"))
	fine(t, p)
}

func aPersonApprovesADevice(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	dialer := websocket.Dialer{TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig}
	conn, resp, err := dialer.DialContext(ctx, "wss://"+s.Address+"/api", nil)
	check(t, err)
	_ = resp.Body.Close()
	defer conn.Close()
	ask := func(id int, method string, result any) error {
		if err := conn.WriteJSON(map[string]any{"request-id": id, "type": "Admin", "version": 4, "request": method}); err != nil {
			return err
		}
		var reply struct {
			Error    string          `json:"error"`
			Response json.RawMessage `json:"response"`
		}
		if err := conn.ReadJSON(&reply); err != nil {
			return err
		}
		if reply.Error != "" {
			return errors.New(reply.Error)
		}
		return json.Unmarshal(reply.Response, result)
	}
	var device struct {
		UserCode        string `json:"user-code"`
		VerificationURI string `json:"verification-uri"`
	}
	check(t, ask(1, "LoginDevice", &device))
	// As juju does: a connection that waits for a person is kept open.
	var token struct {
		SessionToken string `json:"session-token"`
	}
	got := make(chan error, 1)
	go func() { got <- ask(2, "GetDeviceSessionToken", &token) }()

	p := open(t, b)
	check(t, p.Open(ctx, s.Issuer+"/device"))
	check(t, p.Screenshot(ctx, "device-code"))
	check(t, p.Fill(ctx, "#user_code", device.UserCode))
	check(t, p.Click(ctx, "button"))
	check(t, p.WaitTrue(ctx, "document.querySelector('#password')"))
	check(t, p.Screenshot(ctx, "device-login"))
	check(t, p.Fill(ctx, "#email", dev.Bob.Email))
	check(t, p.Fill(ctx, "#password", dev.Bob.Password))
	check(t, p.Click(ctx, "button"))
	check(t, p.WaitTrue(ctx, says(".code", device.UserCode)))
	check(t, p.Screenshot(ctx, "device-approve"))
	check(t, p.Click(ctx, "button[value=approve]"))
	check(t, p.WaitTrue(ctx, says("h1", "You are logged in")))
	check(t, p.Screenshot(ctx, "device-done"))
	check(t, <-got)
	if token.SessionToken == "" {
		t.Error("the client got no session token")
	}
	fine(t, p)
}

func pagesAreReadableInTheDark(t *testing.T, s *dev.Stack, b *browser.Browser) {
	ctx := t.Context()
	p := open(t, b)
	check(t, p.Dark(ctx))
	check(t, p.Open(ctx, s.Issuer+"/device?user_code=XXXX-XXXX"))
	check(t, p.Screenshot(ctx, "device-unknown-code-dark"))
	check(t, p.Open(ctx, "https://"+s.Address+"/auth/callback"))
	check(t, p.Screenshot(ctx, "login-start-again-dark"))
	for _, selector := range []string{"h1", "p", "a.button"} {
		var contrast float64
		check(t, p.Evaluate(ctx, fmt.Sprintf(contrastOf, selector), &contrast))
		if contrast < 4.5 {
			t.Errorf("%s has a contrast of %.1f", selector, contrast)
		}
	}
}

// contrastOf is the contrast of an element's text to what is behind it (WCAG
// 2.1, section 1.4.3).
const contrastOf = `(() => {
  const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const element = document.querySelector(%q);
  let behind = element;
  while (behind && (rgb(getComputedStyle(behind).backgroundColor)[3] === 0)) behind = behind.parentElement;
  const [a, b] = [light(rgb(getComputedStyle(element).color)), light(rgb(getComputedStyle(behind).backgroundColor))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
})()`
