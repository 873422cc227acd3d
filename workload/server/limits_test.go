package server_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"jimm/workload/login"
)

func TestTooManyLoginsAreToldWhenToComeBack(t *testing.T) {
	h := newHouse(t, func(h *house) {
		h.limits, h.stopped = login.Limits{PerAddress: 3}, time.Now()
		h.config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	u := h.units[0]
	ask := func(from, path, secret string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(u.url, "ws", "http", 1)+path, nil)
		check(t, err)
		r.Header.Set("X-Forwarded-For", "127.0.0.1, "+from)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("robot:"+secret)))
		w, err := http.DefaultClient.Do(r)
		check(t, err)
		body, err := io.ReadAll(w.Body)
		check(t, err)
		w.Body.Close()
		w.Status = string(body)
		return w
	}
	const models, admin = "/model/" + jimmUUID + "/charms", "/rebac/v1/identities"
	for range 3 {
		if w := ask("203.0.113.9", models, "wrong"); w.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong secret: %d %s", w.StatusCode, w.Status)
		}
	}
	for _, path := range []string{models, admin} {
		w := ask("203.0.113.9", path, "wrong")
		if w.StatusCode != http.StatusTooManyRequests || w.Header.Get("Retry-After") != "20" ||
			!strings.Contains(w.Status, "cannot log in: too many attempts with your address; try again in ") {
			t.Errorf("%s answers %d, retry after %q: %s", path, w.StatusCode, w.Header.Get("Retry-After"), w.Status)
		}
	}
	if w := ask("203.0.113.10", models, "wrong"); w.StatusCode != http.StatusUnauthorized {
		t.Errorf("another address: %d %s", w.StatusCode, w.Status)
	}
	w := httptest.NewRecorder()
	u.InternalHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `jimm_auth_rate_limited_total{method="basic"} 2`; !strings.Contains(w.Body.String(), want+"\n") {
		t.Errorf("%s is not among the metrics", want)
	}
}
