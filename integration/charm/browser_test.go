//go:build integration

package charm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// browser is a person's, as far as a login needs one.
type browser struct {
	w      *world
	client *http.Client
}

// signIn has Alice log in at JIMM: JIMM sends her to Hydra, that to the company's
// page, which takes her password, and so back.
func (w *world) signIn() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{w: w, client: &http.Client{Jar: jar, Transport: w.client.Transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Hostname() != w.host {
			return http.ErrUseLastResponse // the dashboard
		}
		return nil
	}}}
	var challenge string
	w.eventually("the company asks for a password", func() error {
		page, at, err := b.ask(http.MethodGet, w.public("/auth/login"), nil)
		if err != nil {
			return err
		}
		if challenge = at.Query().Get("login_challenge"); challenge == "" {
			return fmt.Errorf("there is no question at %s: %.300s", at, page)
		}
		return nil
	})
	page, at, err := b.ask(http.MethodPost, w.stack.SignInURL()+"/login", url.Values{"challenge": {challenge}, "email": {"alice@example.com"}, "password": {"alice-password"}})
	if err != nil || !strings.HasPrefix(at.String(), w.public("/auth/")) {
		w.t.Fatalf("the login ends at %s: %v, %.300s", at, err, page)
	}
	return b
}

// isAlice checks that JIMM knows who this is.
func (b *browser) isAlice() {
	b.w.t.Helper()
	b.w.eventually("JIMM knows who this is", func() error {
		page, _, err := b.ask(http.MethodGet, b.w.public("/auth/whoami"), nil)
		if err == nil && !strings.Contains(page, "alice@example.com") {
			err = fmt.Errorf("whoami says %.300s", page)
		}
		return err
	})
}

// ask gives a page and its address.
func (b *browser) ask(method, address string, form url.Values) (page string, at *url.URL, err error) {
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.client.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), answer.Request.URL, err
}

// public is the URL of something at JIMM's public address.
func (s *services) public(path string) string {
	return "https://" + s.traefik.Host + "/jimm-jimm" + path
}

// signingKeys are the ids of the keys that JIMM publishes.
func (w *world) signingKeys() string {
	w.t.Helper()
	var ids []string
	w.eventually("JIMM publishes its keys", func() error {
		answer, err := w.client.Get(w.public("/.well-known/jwks.json"))
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		var set struct{ Keys []struct{ Kid string } }
		if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
			return err
		}
		ids = nil
		for _, key := range set.Keys {
			ids = append(ids, key.Kid)
		}
		if len(ids) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	return strings.Join(ids, " ")
}
