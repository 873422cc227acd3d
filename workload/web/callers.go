package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// callers notes with each request where it comes from (estate.CallerOf).
func callers(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := estate.Caller{Address: clientAddress(r, trusted), Client: clientName(r)}
		next.ServeHTTP(w, r.WithContext(estate.WithCaller(r.Context(), c)))
	})
}

// clientAddress is whoever connected to us or, where that is a trusted proxy,
// whom it says it speaks for: the last in X-Forwarded-For that is not itself a
// trusted proxy. What stands before that one anybody could have written.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	client := plainAddress(peer.Addr())
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !isTrusted(client, trusted) {
			break
		}
		before, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		client = before
	}
	return client.String()
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseHop reads an address that may have a port, as some proxies write it.
func parseHop(hop string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(hop, "[]")); err == nil {
		return plainAddress(a), nil
	}
	with, err := netip.ParseAddrPort(hop)
	return plainAddress(with.Addr()), err
}

// plainAddress writes an address in one way.
func plainAddress(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// maxClientName is in runes.
const maxClientName = 120

// clientName is what a client calls itself, fit to be shown.
func clientName(r *http.Request) string {
	name := r.UserAgent()
	if v := r.Header.Get(params.JujuClientVersion); v != "" {
		name = "juju " + v
	}
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	if runes := []rune(name); len(runes) > maxClientName {
		name = string(runes[:maxClientName])
	}
	return name
}
