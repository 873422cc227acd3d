package gateway

import (
	"net/http/httptest"
	"testing"
)

func TestBothKindsOfConnectionGiveTheSameAddress(t *testing.T) {
	for path, want := range map[string]string{
		"/api": "jimm.example.com:8443",
		"/":    "jimm.example.com:8443",
		"/model/11111111-1111-4111-8111-111111111111/api": "jimm.example.com:8443",
		"/blue/api": "jimm.example.com:8443/blue",
		"/blue/model/11111111-1111-4111-8111-111111111111/api": "jimm.example.com:8443/blue",
	} {
		r := httptest.NewRequest("GET", "https://jimm.example.com:8443"+path, nil)
		if got := RequestAddress(r); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if servers := Servers(RequestAddress(r)); want == "jimm.example.com:8443" && (len(servers) != 1 || len(servers[0]) != 1 || servers[0][0].Scope != "public") {
			t.Errorf("%s: servers are %v", path, servers)
		}
	}
}
