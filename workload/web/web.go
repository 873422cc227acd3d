// Package web is JIMM's HTTP surface: it finds the handler for a path, with or
// without the prefix of a proxy in front, and decides nothing else.
package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/juju/names/v6"
)

// Routes are the handlers of the public listener.
type Routes struct {
	// Prefix is the path below which clients know us, such as /blue, if a proxy
	// in front does not strip it; empty otherwise.
	Prefix string
	// TrustedProxies are those whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	// API serves controller connections.
	API http.Handler
	// Model serves model connections: /model/<uuid>/api.
	Model func(w http.ResponseWriter, r *http.Request, modelUUID string)
	// Log serves /model/<uuid>/log.
	Log http.Handler
	// Transfer carries charms, resources and the like, and refuses all other paths.
	Transfer http.Handler
	// KeySet returns the keys that controllers verify our tokens with, and for
	// how long they may be kept.
	KeySet func() (jwks []byte, maxAge time.Duration)
	// Origins are the web pages that may make requests.
	Origins Origins
	// Auth serves logins by browser, /auth/...; nil where there are none.
	Auth http.Handler
	// Admin serves the API of administrators, /rebac/...
	Admin http.Handler
	// Macaroons confirms to controllers who may consume an offer: /macaroons/...
	Macaroons http.Handler
	// Observe, where set, wraps all of it; it sees the pattern of a request.
	Observe func(http.Handler) http.Handler
}

func (r Routes) serve(mux *http.ServeMux) http.Handler {
	all := r.Origins.Protect(mux)
	if r.Observe != nil {
		all = r.Observe(all)
	}
	return hostile(callers(r.TrustedProxies, stripPrefix(r.Prefix, all)))
}

// Handler returns the handler of the public listener.
func Handler(r Routes) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /api", r.API)
	// Juju's own clients may leave out the path of a controller connection.
	mux.Handle("GET /{$}", r.API)
	mux.Handle("GET /model/{uuid}/api", model(r.Model))
	mux.Handle("GET /model/{uuid}/log", r.Log)
	mux.Handle("/", r.Transfer)
	mux.Handle("GET "+keySetPath, keySet(r.KeySet))
	mux.Handle(macaroonsPath, r.Macaroons)
	// Only pages of JIMM's own origin, whatever others may do elsewhere.
	mux.Handle("/rebac/", r.Origins.Alone().Protect(r.Admin))
	if r.Auth != nil {
		mux.Handle("/auth/", r.Auth)
	}
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	return r.serve(mux)
}

// What controllers ask us: keySetPath is the end of login-token-refresh-url, in
// place of which they put macaroonsPath.
const (
	keySetPath    = "/.well-known/jwks.json"
	macaroonsPath = "/macaroons/"
)

// ControllersHandler serves only what controllers ask for, which may be on a
// listener of its own.
func ControllersHandler(r Routes) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+keySetPath, keySet(r.KeySet))
	mux.Handle(macaroonsPath, r.Macaroons)
	return r.serve(mux)
}

func keySet(keySet func() (jwks []byte, maxAge time.Duration)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		jwks, maxAge := keySet()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())))
		_, _ = w.Write(jwks)
	}
}

// model refuses what is no model before a connection is made of it.
func model(serve func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		uuid := r.PathValue("uuid")
		if !names.IsValidModel(uuid) {
			http.Error(w, "Bad Request - not a model UUID", http.StatusBadRequest)
			return
		}
		serve(w, r, uuid)
	}
}

// stripPrefix takes a prefix off paths that have it.
func stripPrefix(prefix string, next http.Handler) http.Handler {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return next
	}
	stripped := http.StripPrefix(prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok && strings.HasPrefix(rest, "/") {
			stripped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostile refuses paths that are not what they seem.
func hostile(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if len(p) > 2048 || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f }) || p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/") {
			http.Error(w, "Bad Request - not a path", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
