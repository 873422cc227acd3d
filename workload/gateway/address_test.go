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
		if got := RequestAddress(r, ""); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if servers := Servers(RequestAddress(r, "")); want == "jimm.example.com:8443" && (len(servers) != 1 || len(servers[0]) != 1 || servers[0][0].Scope != "public") {
			t.Errorf("%s: servers are %v", path, servers)
		}
	}
}

// A client that were told the host alone would try that in place of what it has
// dialled: it takes one address of a host and port.
func TestBehindAPrefixClientsAreToldNoServers(t *testing.T) {
	for _, path := range []string{"/api", "/", "/blue/api", "/model/11111111-1111-4111-8111-111111111111/api"} {
		r := httptest.NewRequest("GET", "https://jimm.example.com"+path, nil)
		if got := RequestAddress(r, "/blue"); got != "jimm.example.com:443/blue" || len(Servers(got)) != 0 {
			t.Errorf("%s: got %q, servers %v", path, got, Servers(got))
		}
	}
}
