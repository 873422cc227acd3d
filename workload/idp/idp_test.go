package idp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"jimm/workload/idp"
)

const callback = "https://jimm.example.com/auth/callback"

var (
	alice = idp.User{Email: "Alice@example.com", Name: "Alice A.", Password: "wonder & land", Groups: []string{"engineering", "tea"}}
	bob   = idp.User{Email: "bob@example.com", Name: "Bob", Password: "builder", Unverified: true}
	jimm  = idp.Client{ID: "jimm", Secret: "s3cret/+%", Name: "JIMM <1>", RedirectURIs: []string{callback}}
	other = idp.Client{ID: "other", Secret: "other-secret"}
	robot = idp.ServiceAccount{ID: "robot", Secret: "beep", Groups: []string{"machines"}}
)

// issuer is a provider that is being served.
type issuer struct {
	url      string
	provider *oidc.Provider
}

func serve(t *testing.T, prefix string, change func(*idp.Config)) issuer {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	c := idp.Config{
		Issuer: server.URL + prefix, Users: []idp.User{alice, bob}, Clients: []idp.Client{jimm, other}, ServiceAccounts: []idp.ServiceAccount{robot},
	}
	if change != nil {
		change(&c)
	}
	var err error
	handler, err = idp.New(c)
	check(t, err)
	provider, err := oidc.NewProvider(t.Context(), c.Issuer)
	check(t, err)
	return issuer{c.Issuer, provider}
}

func (i issuer) client(scopes ...string) *oauth2.Config {
	endpoint := i.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	return &oauth2.Config{ClientID: jimm.ID, ClientSecret: jimm.Secret, Endpoint: endpoint, RedirectURL: callback, Scopes: append([]string{"openid"}, scopes...)}
}

// claims returns what a token says, after checking that the issuer made it.
func (i issuer) claims(t *testing.T, token string) map[string]any {
	t.Helper()
	verified, err := i.provider.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(t.Context(), token)
	check(t, err)
	var claims map[string]any
	check(t, verified.Claims(&claims))
	return claims
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %#v\nwant %#v", what, got, want)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want one with %q", err, part)
	}
}

// oauthError returns the OAuth error code of an answer.
func oauthError(t *testing.T, err error) string {
	t.Helper()
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		t.Fatalf("got error %v, want an answer of OAuth", err)
	}
	return answer.ErrorCode
}

func TestAPersonApprovesADevice(t *testing.T) {
	for name, prefix := range map[string]string{"at the root": "", "below a path": "/realms/lab"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := serve(t, prefix, nil)
			config := i.client("email", "profile", "groups", "offline_access")
			device, err := config.DeviceAuth(t.Context())
			check(t, err)
			equal(t, "verification URI", device.VerificationURI, i.url+"/device")
			check(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURIComplete, "", "alice@EXAMPLE.com", alice.Password))
			token, err := config.DeviceAccessToken(t.Context(), device)
			check(t, err)

			idClaims := i.claims(t, token.Extra("id_token").(string))
			equal(t, "e-mail", idClaims["email"], any(alice.Email))
			equal(t, "verified", idClaims["email_verified"], any(true))
			equal(t, "name", idClaims["name"], any(alice.Name))
			equal(t, "audience", idClaims["aud"], any([]any{jimm.ID}))
			accessClaims := i.claims(t, token.AccessToken)
			equal(t, "groups", accessClaims["groups"], any([]any{"engineering", "tea"}))
			if accessClaims["sub"] == alice.Email {
				t.Error("the subject is the e-mail address")
			}
			info, err := i.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			check(t, err)
			equal(t, "user info", info.Email, alice.Email)

			_, err = config.DeviceAccessToken(t.Context(), device)
			equal(t, "the same code again", oauthError(t, err), "access_denied")
		})
	}
}

func TestAPersonTypesTheCodeAsTheyLike(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	config := i.client("email")
	device, err := config.DeviceAuth(t.Context())
	check(t, err)
	typed := " " + strings.ToLower(strings.ReplaceAll(device.UserCode, "-", "")) + " "
	check(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURI, typed, alice.Email, alice.Password))
	_, err = config.DeviceAccessToken(t.Context(), device)
	check(t, err)
	wantError(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURI, typed, alice.Email, alice.Password), "not known")
	wantError(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURI, "nonsense", alice.Email, alice.Password), "not known")
}

func TestAPersonDeniesADevice(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	config := i.client("email")
	device, err := config.DeviceAuth(t.Context())
	check(t, err)
	check(t, idp.DenyDevice(t.Context(), nil, device.VerificationURIComplete, "", alice.Email, alice.Password))
	_, err = config.DeviceAccessToken(t.Context(), device)
	equal(t, "answer", oauthError(t, err), "access_denied")
}

func TestAWrongPasswordAndAnUnknownPersonLookTheSame(t *testing.T) {
	i := serve(t, "", nil)
	device, err := i.client("email").DeviceAuth(t.Context())
	check(t, err)
	wrong := idp.ApproveDevice(t.Context(), nil, device.VerificationURIComplete, "", alice.Email, "wrong")
	unknown := idp.ApproveDevice(t.Context(), nil, device.VerificationURIComplete, "", "nobody@example.com", "wrong")
	wantError(t, wrong, "do not belong together")
	equal(t, "error", strings.ReplaceAll(unknown.Error(), "nobody@example.com", alice.Email), wrong.Error())
}

// poll asks once for the token of a device, and returns the error code.
func poll(t *testing.T, config *oauth2.Config, device *oauth2.DeviceAuthResponse) string {
	t.Helper()
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device.DeviceCode}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, config.Endpoint.TokenURL, strings.NewReader(form.Encode()))
	check(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(config.ClientID), url.QueryEscape(config.ClientSecret))
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	var answer struct{ Error string }
	check(t, json.NewDecoder(resp.Body).Decode(&answer))
	return answer.Error
}

func TestADeviceThatAsksTooOftenIsToldToSlowDown(t *testing.T) {
	i := serve(t, "", func(c *idp.Config) { c.DeviceInterval = time.Hour })
	config := i.client()
	device, err := config.DeviceAuth(t.Context())
	check(t, err)
	equal(t, "interval", device.Interval, int64(3600))
	equal(t, "first", poll(t, config, device), "authorization_pending")
	equal(t, "at once again", poll(t, config, device), "slow_down")
}

func TestADeviceCodeExpires(t *testing.T) {
	i := serve(t, "", func(c *idp.Config) { c.DeviceLife = 1 })
	config := i.client()
	device, err := config.DeviceAuth(t.Context())
	check(t, err)
	wantError(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURIComplete, "", alice.Email, alice.Password), "expired")
	equal(t, "answer", poll(t, config, device), "expired_token")
}

func TestADeviceCodeIsOfOneClient(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	device, err := i.client().DeviceAuth(t.Context())
	check(t, err)
	stranger := i.client()
	stranger.ClientID, stranger.ClientSecret = other.ID, other.Secret
	equal(t, "of another client", poll(t, stranger, device), "access_denied")
	unauthenticated := i.client()
	unauthenticated.ClientSecret = "wrong"
	if got := poll(t, unauthenticated, device); got != "unauthorized_client" && got != "invalid_client" {
		t.Errorf("with a wrong secret: %q", got)
	}
	equal(t, "of the right one", poll(t, i.client(), device), "authorization_pending")
}

func TestASecretMayBeInTheForm(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	config := i.client("email")
	config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	device, err := config.DeviceAuth(t.Context(), oauth2.SetAuthURLParam("client_secret", jimm.Secret))
	check(t, err)
	check(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURIComplete, "", alice.Email, alice.Password))
	_, err = config.DeviceAccessToken(t.Context(), device)
	check(t, err)
}

func TestAPersonLogsInWithABrowser(t *testing.T) {
	t.Parallel()
	i := serve(t, "/idp", nil)
	config := i.client("email", "groups", "offline_access")
	verifier := oauth2.GenerateVerifier()
	arrived, err := idp.LogIn(t.Context(), nil, config.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier), oidc.Nonce("once")), callback, alice.Email, alice.Password)
	check(t, err)
	equal(t, "state", arrived.Query().Get("state"), "st&te")
	token, err := config.Exchange(t.Context(), arrived.Query().Get("code"), oauth2.VerifierOption(verifier))
	check(t, err)
	idClaims := i.claims(t, token.Extra("id_token").(string))
	equal(t, "nonce", idClaims["nonce"], any("once"))
	equal(t, "e-mail", idClaims["email"], any(alice.Email))
	_, err = config.Exchange(t.Context(), arrived.Query().Get("code"), oauth2.VerifierOption(verifier))
	equal(t, "the same code again", oauthError(t, err), "invalid_grant")

	refresh := func(token string) (*oauth2.Token, error) {
		return config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token}).Token()
	}
	fresh, err := refresh(token.RefreshToken)
	check(t, err)
	equal(t, "groups after refresh", i.claims(t, fresh.AccessToken)["groups"], any([]any{"engineering", "tea"}))
	_, err = refresh(token.RefreshToken)
	equal(t, "the same refresh token again", oauthError(t, err), "invalid_grant")
	_, err = refresh(fresh.RefreshToken)
	check(t, err)
}

func TestACodeNeedsTheVerifierOfItsChallenge(t *testing.T) {
	i := serve(t, "", nil)
	config := i.client("email")
	for name, options := range map[string][]oauth2.AuthCodeOption{
		"none": nil, "another": {oauth2.VerifierOption(oauth2.GenerateVerifier())},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, err := idp.LogIn(t.Context(), nil, config.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), callback, alice.Email, alice.Password)
			check(t, err)
			_, err = config.Exchange(t.Context(), arrived.Query().Get("code"), options...)
			oauthError(t, err)
		})
	}
	t.Run("plain", func(t *testing.T) {
		arrived, err := idp.LogIn(t.Context(), nil, config.AuthCodeURL("s", oauth2.SetAuthURLParam("code_challenge", "abc"),
			oauth2.SetAuthURLParam("code_challenge_method", "plain")), callback, alice.Email, alice.Password)
		check(t, err)
		equal(t, "error", arrived.Query().Get("error"), "invalid_request")
	})
}

func TestALoginGoesOnOnlyInTheBrowserThatBeganIt(t *testing.T) {
	i := serve(t, "", nil)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{CheckRedirect: stay}).Get(i.client("email").AuthCodeURL("s"))
	check(t, err)
	resp.Body.Close()
	link := resp.Header.Get("Location")
	if !strings.HasPrefix(link, i.url+"/login?request=") {
		t.Fatalf("redirected to %q", link)
	}
	_, err = idp.LogIn(t.Context(), nil, link, callback, alice.Email, alice.Password)
	wantError(t, err, "not begun in this browser")
}

// browse returns a browser and a function that gets a page.
func browse(t *testing.T) (*http.Client, func(string) (*http.Response, string)) {
	jar, err := cookiejar.New(nil)
	check(t, err)
	browser := &http.Client{Jar: jar}
	return browser, func(url string) (*http.Response, string) {
		t.Helper()
		resp, err := browser.Get(url)
		check(t, err)
		return resp, body(t, resp)
	}
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(t, err)
	return string(text)
}

var formToken = regexp.MustCompile(`name="form_token" value="([0-9a-f]+)"`)

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	config := i.client("email")
	device, err := config.DeviceAuth(t.Context())
	check(t, err)
	browser, get := browse(t)
	_, text := get(device.VerificationURIComplete)
	token := formToken.FindStringSubmatch(text)
	if token == nil {
		t.Fatalf("no form token in %s", text)
	}
	post := func(browser *http.Client, values url.Values) *http.Response {
		t.Helper()
		values.Set("user_code", device.UserCode)
		resp, err := browser.PostForm(device.VerificationURI, values)
		check(t, err)
		return resp
	}
	login := url.Values{"action": {"login"}, "email": {alice.Email}, "password": {alice.Password}}
	resp := post(browser, login)
	body(t, resp)
	equal(t, "without the token", resp.StatusCode, http.StatusForbidden)
	login.Set("form_token", token[1])
	resp = post(browser, login)
	_, consent := resp, body(t, resp)
	if !strings.Contains(consent, "Approve") {
		t.Fatalf("no consent page after login: %s", consent)
	}
	resp = post(browser, url.Values{"action": {"approve"}, "form_token": token[1:2]})
	body(t, resp)
	equal(t, "with the token from before the login", resp.StatusCode, http.StatusForbidden)
	stranger, _ := browse(t)
	resp = post(stranger, url.Values{"action": {"approve"}, "form_token": formToken.FindStringSubmatch(consent)[1:2]})
	body(t, resp)
	equal(t, "in another browser", resp.StatusCode, http.StatusForbidden)
	equal(t, "nothing has been approved", poll(t, config, device), "authorization_pending")
}

func TestPagesSayWhoAsksAndAreClosedToOthers(t *testing.T) {
	i := serve(t, "", nil)
	device, err := i.client("email", "groups").DeviceAuth(t.Context())
	check(t, err)
	browser, get := browse(t)
	resp, text := get(device.VerificationURIComplete)
	policy := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "style-src 'sha256-"} {
		if !strings.Contains(policy, part) {
			t.Errorf("policy %q lacks %q", policy, part)
		}
	}
	equal(t, "caching", resp.Header.Get("Cache-Control"), "no-store")
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %s is open", c.Name)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, " style=") {
		t.Error("the page has scripts or styles that the policy forbids")
	}
	for _, part := range []string{`<html lang="en">`, `<label for="email">`, `<label for="password">`, `autocomplete="current-password"`, "JIMM &lt;1&gt;"} {
		if !strings.Contains(text, part) {
			t.Errorf("login page lacks %q: %s", part, text)
		}
	}
	resp, err = browser.PostForm(device.VerificationURI, url.Values{
		"form_token": formToken.FindStringSubmatch(text)[1:2], "user_code": {device.UserCode}, "action": {"login"},
		"email": {alice.Email}, "password": {alice.Password},
	})
	check(t, err)
	consent := body(t, resp)
	for _, part := range []string{device.UserCode, "JIMM &lt;1&gt;", "your e-mail address", "the groups you are in", alice.Email, "Approve", "Deny"} {
		if !strings.Contains(consent, part) {
			t.Errorf("consent page lacks %q: %s", part, consent)
		}
	}
	if strings.Contains(consent, alice.Password) || strings.Contains(consent, "your name") {
		t.Errorf("consent page says too much: %s", consent)
	}
}

func TestServiceAccountsGetTokens(t *testing.T) {
	t.Parallel()
	i := serve(t, "", nil)
	account := clientcredentials.Config{ClientID: robot.ID, ClientSecret: robot.Secret, TokenURL: i.provider.Endpoint().TokenURL}
	for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "form": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			account := account
			account.AuthStyle = style
			token, err := account.Token(t.Context())
			check(t, err)
			claims := i.claims(t, token.AccessToken)
			equal(t, "subject", claims["sub"], any(robot.ID))
			equal(t, "groups", claims["groups"], any([]any{"machines"}))
			account.ClientSecret = "boop"
			_, err = account.Token(t.Context())
			equal(t, "wrong secret", oauthError(t, err), "invalid_client")
			account.ClientID = "nobody"
			_, err = account.Token(t.Context())
			equal(t, "unknown client", oauthError(t, err), "invalid_client")
			account.ClientID, account.ClientSecret = jimm.ID, jimm.Secret
			_, err = account.Token(t.Context())
			equal(t, "a client that acts for people", oauthError(t, err), "unauthorized_client")
		})
	}
}

func TestTheSigningKeyOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	keep := func(c *idp.Config) { c.KeyDir = dir }
	ids := map[string]bool{}
	for range 2 {
		i := serve(t, "", keep)
		resp, err := http.Get(i.url + "/keys")
		check(t, err)
		ids[body(t, resp)] = true
	}
	equal(t, "number of key sets", len(ids), 1)
	info, err := os.Stat(filepath.Join(dir, "signing-key.pem"))
	check(t, err)
	equal(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
	check(t, os.WriteFile(filepath.Join(dir, "signing-key.pem"), []byte("spoilt"), 0o600))
	_, err = idp.New(idp.Config{Issuer: "http://127.0.0.1", KeyDir: dir})
	wantError(t, err, "cannot open signing key")
}

func TestASettingThatCannotWorkIsRefused(t *testing.T) {
	for name, c := range map[string]idp.Config{
		"issuer must be":        {Issuer: "ftp://x"},
		"needs an e-mail":       {Issuer: "http://x", Users: []idp.User{{Email: "alice", Password: "x"}}},
		"is there twice":        {Issuer: "http://x", Users: []idp.User{alice, alice}},
		"needs a secret":        {Issuer: "http://x", ServiceAccounts: []idp.ServiceAccount{{ID: "x"}}},
		"is empty or there twi": {Issuer: "http://x", Clients: []idp.Client{jimm, jimm}},
	} {
		_, err := idp.New(c)
		wantError(t, err, name)
	}
}

func TestAVisitEndsWithItsContext(t *testing.T) {
	i := serve(t, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := idp.ApproveDevice(ctx, nil, i.url+"/device", "", alice.Email, alice.Password); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
