package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"jimm/workload/web"
)

var origins = web.Origins{Own: "https://jimm.example.com", Allowed: func() []string { return []string{"https://dashboard.example.com"} }}

func TestOnlyOurPagesAndClientsThatAreNoBrowsersGetIn(t *testing.T) {
	for _, test := range []struct {
		name    string
		origins []string
		want    bool
		// cookie: its session cookie counts.
		cookie bool
	}{
		{"a client that is no browser", nil, true, true},
		{"a log stream of juju 3.5", []string{"http://localhost/"}, true, false},
		{"a page of ours", []string{"https://dashboard.example.com"}, true, true},
		{"a page of JIMM itself", []string{"https://jimm.example.com"}, true, true},
		{"a page on the same machine", []string{"http://localhost"}, false, false},
		{"a page of ours on another port", []string{"https://dashboard.example.com:8443"}, false, false},
		{"a page of ours without TLS", []string{"http://dashboard.example.com"}, false, false},
		{"a page whose name begins with ours", []string{"https://dashboard.example.com.evil.example"}, false, false},
		{"a page whose name ends with ours", []string{"https://evil-dashboard.example.com"}, false, false},
		{"another page", []string{"https://example.com"}, false, false},
		{"a page without an origin", []string{"null"}, false, false},
		{"an empty origin", []string{""}, false, false},
		{"two origins", []string{"https://dashboard.example.com", "https://evil.example"}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "https://jimm.example.com/api", nil)
			r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "c"})
			for _, origin := range test.origins {
				r.Header.Add("Origin", origin)
			}
			if got := origins.CheckUpgrade(r); got != test.want {
				t.Errorf("it gets in: %v", got)
			}
			if got := origins.SessionCookieOf(r) != ""; got != test.cookie {
				t.Errorf("its cookie counts: %v", got)
			}
		})
	}
}

func TestPagesOfOthersCannotChangeAnything(t *testing.T) {
	handler := origins.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, test := range []struct {
		name, method, site, origin string
		want                       int
	}{
		{"a client that is no browser", http.MethodPost, "", "", 204},
		{"a page of JIMM itself", http.MethodPost, "same-origin", "https://jimm.example.com", 204},
		{"a page of JIMM itself behind a proxy", http.MethodPost, "", "https://jimm.example.com", 204},
		{"the dashboard", http.MethodPost, "same-site", "https://dashboard.example.com", 204},
		{"another page", http.MethodPost, "cross-site", "https://evil.example", 403},
		{"another page that deletes", http.MethodDelete, "cross-site", "https://evil.example", 403},
		{"another page in an old browser", http.MethodPatch, "", "https://evil.example", 403},
		{"another page of the same site", http.MethodPost, "same-site", "https://blog.example.com", 403},
		{"a page without an origin", http.MethodPost, "cross-site", "null", 403},
		{"a link", http.MethodGet, "cross-site", "", 204},
	} {
		t.Run(test.name, func(t *testing.T) {
			// A proxy may call us by another name than browsers do.
			r := httptest.NewRequest(test.method, "http://10.0.0.1:8080/anything", nil)
			if test.site != "" {
				r.Header.Set("Sec-Fetch-Site", test.site)
			}
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestCookiesAreAsStrictAsTheDashboardAllows(t *testing.T) {
	for _, test := range []struct {
		name, own string
		allowed   []string
		secure    bool
		want      http.SameSite
	}{
		{"no other pages", "https://jimm.example.com", nil, true, http.SameSiteLaxMode},
		{"a page of the same domain", "https://jimm.example.com", []string{"https://dashboard.example.com:8443"}, true, http.SameSiteLaxMode},
		{"a page of another domain", "https://jimm.example.com", []string{"https://dashboard.example.org"}, true, http.SameSiteNoneMode},
		{"neighbours under a public suffix", "https://jimm.github.io", []string{"https://dashboard.github.io"}, true, http.SameSiteNoneMode},
		{"a page without TLS", "https://jimm.example.com", []string{"http://dashboard.example.com"}, true, http.SameSiteNoneMode},
		{"another port of an address", "https://127.0.0.1:8443", []string{"https://127.0.0.1:8446"}, true, http.SameSiteLaxMode},
		{"another address", "https://10.0.0.1", []string{"https://10.1.0.1"}, true, http.SameSiteNoneMode},
		{"cookies that are not secure", "https://jimm.example.com", []string{"https://dashboard.example.org"}, false, http.SameSiteLaxMode},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (web.Origins{Own: test.own, Allowed: func() []string { return test.allowed }}).SameSite(test.secure); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
