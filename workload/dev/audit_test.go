package dev_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"jimm/workload/dev"
	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/web"
)

// TestLoginsAreInTheAuditLogAndNoSecretOfThem logs in by every way there is,
// rightly and wrongly.
func TestLoginsAreInTheAuditLogAndNoSecretOfThem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	stack, err := dev.Start(ctx, dev.Options{Dir: t.TempDir(), Juju: "sim"})
	ok(t, err)
	t.Cleanup(func() { ok(t, stack.Close()) })
	secrets := []string{dev.ServiceSecret, dev.Alice.Password, "wrong-secret", "wrong-token", "wrong-state"}

	// Client credentials.
	_, err = connect(t, stack, dev.ServiceSecret)
	ok(t, err)
	if _, err := connect(t, stack, "wrong-secret"); err == nil {
		t.Fatal("a wrong secret logs in")
	}
	// By device, and then with the session token.
	stranger, _ := connect(t, stack, "wrong-secret")
	var device struct {
		UserCode string `json:"user-code"`
		URI      string `json:"verification-uri"`
	}
	var session struct {
		Token string `json:"session-token"`
	}
	ok(t, stranger.Call(ctx, "Admin", 4, "", "LoginDevice", nil, &device))
	ok(t, idp.ApproveDevice(ctx, stack.Client(), device.URI, device.UserCode, dev.Alice.Email, dev.Alice.Password))
	ok(t, stranger.Call(ctx, "Admin", 4, "", "GetDeviceSessionToken", nil, &session))
	if err := stranger.Call(ctx, "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "wrong-token"}, nil); err == nil {
		t.Fatal("a wrong token logs in")
	}
	ok(t, stranger.Call(ctx, "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": session.Token}, nil))
	secrets = append(secrets, session.Token, device.UserCode)
	// By browser.
	jar, err := cookiejar.New(nil)
	ok(t, err)
	browser := *stack.Client()
	browser.Jar = jar
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	visit := func(url string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		ok(t, err)
		response, err := browser.Do(request)
		ok(t, err)
		_ = response.Body.Close()
		return response
	}
	callback := "https://" + stack.Address + web.CallbackPath
	visit(callback + "?state=wrong-state&code=wrong-secret")
	begun := visit("https://" + stack.Address + "/auth/login").Header.Get("Location")
	back, err := idp.LogIn(ctx, stack.Client(), begun, callback, dev.Alice.Email, dev.Alice.Password)
	ok(t, err)
	visit(back.String())
	secrets = append(secrets, back.Query().Get("code"), back.Query().Get("state"))
	for _, c := range jar.Cookies(back) {
		secrets = append(secrets, c.Value)
	}
	// Over HTTP.
	transfer := func(token string) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+stack.Address+"/model/0dd73d67-3d5c-4f7a-8a52-3a4d2a3ee6f4/charms?url=local:x", nil)
		ok(t, err)
		request.SetBasicAuth("", token)
		response, err := stack.Client().Do(request)
		ok(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	transfer(session.Token)
	transfer("wrong-token")

	robot := dev.ServiceAccount + "@serviceaccount"
	alice := strings.ToLower(dev.Alice.Email)
	want := []string{
		"Admin.LoginWithClientCredentials " + robot, "Admin.LoginWithClientCredentials nobody refused",
		"Admin.LoginDevice nobody", "Admin.GetDeviceSessionToken nobody",
		"Admin.LoginWithSessionToken " + alice, "Admin.LoginWithSessionToken nobody refused",
		"HTTP.BrowserLogin " + alice, "HTTP.BrowserLogin nobody refused",
		"HTTP.DownloadCharm " + alice + " refused", "HTTP.DownloadCharm nobody refused",
	}
	var events []estate.AuditEvent
	var got []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		events, err = stack.Store.AuditEvents(ctx, estate.AuditFilter{Limit: 1000})
		ok(t, err)
		got = nil
		for _, e := range events {
			if !e.IsResponse || e.Address == "" {
				continue
			}
			line := e.Facade + "." + e.Method + " " + e.User
			if e.User == "" {
				line += "nobody"
			}
			if e.Error != "" {
				line += " refused"
			}
			got = append(got, line)
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return slices.Contains(got, line) })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("missing are %q among %q", missing, got)
		}
	}
	for _, e := range events {
		row := fmt.Sprintf("%+v %s", e, e.Params)
		for _, secret := range secrets {
			if secret != "" && strings.Contains(row, secret) {
				t.Errorf("a secret is in the event %s.%s", e.Facade, e.Method)
			}
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
