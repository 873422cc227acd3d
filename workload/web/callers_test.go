package web

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyTrustedProxiesSayWhereARequestComesFrom(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8:1::/48")}
	const proxy = "10.1.0.1:4711"
	for name, test := range map[string]struct {
		peer string
		// headers are X-Forwarded-For, one a line.
		headers string
		want    string
	}{
		"without a proxy":                              {"203.0.113.9:1", "", "203.0.113.9"},
		"a stranger who says who it is":                {"203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		"a stranger who claims a proxy's address":      {"203.0.113.9:1", "10.1.0.1, 10.1.0.2", "203.0.113.9"},
		"a proxy that says nothing":                    {proxy, "", "10.1.0.1"},
		"a proxy":                                      {proxy, "203.0.113.9", "203.0.113.9"},
		"a proxy behind a proxy":                       {proxy, "203.0.113.9, 192.0.2.7", "203.0.113.9"},
		"a proxy behind one that is not trusted":       {proxy, "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		"what the client wrote itself":                 {proxy, "127.0.0.1, 203.0.113.9", "203.0.113.9"},
		"what the client wrote in a header of its own": {proxy, "127.0.0.1\n203.0.113.9", "203.0.113.9"},
		"a client that writes a trusted address":       {proxy, "192.0.2.7, 203.0.113.9, 10.1.9.9", "203.0.113.9"},
		"only proxies":                                 {proxy, "10.1.0.3, 10.1.0.2", "10.1.0.3"},
		"something that is no address":                 {proxy, "203.0.113.9, unknown", "10.1.0.1"},
		"something hidden":                             {proxy, "203.0.113.9, _hidden, 10.1.0.2", "10.1.0.2"},
		"an empty hop":                                 {proxy, "203.0.113.9, , 10.1.0.2", "10.1.0.2"},
		"only commas":                                  {proxy, ",,,,", "10.1.0.1"},
		"a line break":                                 {proxy, "203.0.113.9\r\nX: y", "10.1.0.1"},
		"markup":                                       {proxy, "<script>", "10.1.0.1"},
		"a port":                                       {proxy, "203.0.113.9:5000", "203.0.113.9"},
		"IPv6":                                         {proxy, "2001:db8::1", "2001:db8::1"},
		"IPv6 in brackets":                             {proxy, "[2001:db8::1]", "2001:db8::1"},
		"IPv6 with a port":                             {proxy, "[2001:db8::1]:5000", "2001:db8::1"},
		"IPv6 with a zone":                             {proxy, "fe80::1%eth0", "fe80::1"},
		"a proxy of IPv6":                              {"[2001:db8:1::1]:4711", "203.0.113.9", "203.0.113.9"},
		"a proxy of IPv4, as IPv6":                     {"[::ffff:10.1.0.1]:4711", "203.0.113.9", "203.0.113.9"},
		"a client of IPv4, as IPv6":                    {proxy, "::ffff:203.0.113.9", "203.0.113.9"},
		"a trusted address, as IPv6, by a stranger":    {"203.0.113.9:1", "::ffff:10.1.0.1", "203.0.113.9"},
		"an octal spelling":                            {proxy, "0313.0.113.011", "10.1.0.1"},
		"very many hops":                               {proxy, strings.Repeat("127.0.0.1, ", 10_000) + "203.0.113.9", "203.0.113.9"},
		"a peer that is no address":                    {"@", "203.0.113.9", "@"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.peer
		if test.headers != "" {
			for line := range strings.SplitSeq(test.headers, "\n") {
				// As a header that has been read may be, whatever wrote it.
				r.Header["X-Forwarded-For"] = append(r.Header["X-Forwarded-For"], line)
			}
		}
		if got := clientAddress(r, trusted); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestWithoutTrustedProxiesNobodyIsBelieved(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Real-Ip", "203.0.113.9")
	r.Header.Set("Forwarded", "for=203.0.113.9")
	if got := clientAddress(r, nil); got != "127.0.0.1" {
		t.Errorf("it comes from %s", got)
	}
}
