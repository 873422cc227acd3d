package web_test

import (
	"net/http"
	"testing"

	"jimm/workload/web"
)

func TestOnlyOurPagesAndClientsThatAreNoBrowsersGetIn(t *testing.T) {
	allowed := web.AllowOrigins([]string{"https://dashboard.example.com"})
	for _, test := range []struct {
		name, origin string
		want         bool
	}{
		{"a client that is no browser", "", true},
		{"a log stream of juju 3.5", "http://localhost/", true},
		{"a page of ours", "https://dashboard.example.com", true},
		{"a page on the same machine", "http://localhost", false},
		{"a page of ours on another port", "https://dashboard.example.com:8443", false},
		{"another page", "https://example.com", false},
		{"a page without an origin", "null", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://jimm.example.com/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			if got := allowed(r); got != test.want {
				t.Errorf("it gets in: %v", got)
			}
		})
	}
}
