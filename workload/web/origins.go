package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Origins are the web pages that may use JIMM with a person's cookie.
type Origins struct {
	// Own is JIMM's own origin, scheme://host[:port], as browsers see it.
	Own string
	// Allowed returns those of other sites, such as the dashboard's; each exactly
	// as a browser sends it.
	Allowed func() []string
}

// Alone returns JIMM's own origin without those of other sites.
func (o Origins) Alone() Origins {
	return Origins{Own: o.Own, Allowed: func() []string { return nil }}
}

// Allows reports whether a page of this origin is one of ours.
func (o Origins) Allows(origin string) bool {
	return origin != "" && (origin == o.Own || slices.Contains(o.Allowed(), origin))
}

// CheckUpgrade decides about requests for a websocket: from pages of ours, and
// from clients that are no browsers, which send no origin.
func (o Origins) CheckUpgrade(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	return len(origins) == 1 && (origins[0] == streamOrigin || o.Allows(origins[0]))
}

// streamOrigin is what juju 3.5 sends with the websockets of debug-log
// (api/apiclient.go). No page can: the origin of one ends with its host or port.
const streamOrigin = "http://localhost/"

// SameSite is what cookies have to be for the pages of all these origins to send
// them: Lax if they are all of JIMM's own site (the scheme and the registrable
// domain), else None, which browsers take only with Secure.
func (o Origins) SameSite(secure bool) http.SameSite {
	if !secure {
		return http.SameSiteLaxMode
	}
	for _, origin := range o.Allowed() {
		if site(origin) != site(o.Own) {
			return http.SameSiteNoneMode
		}
	}
	return http.SameSiteLaxMode
}

func site(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	host := u.Hostname()
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil && strings.ContainsFunc(domain, isLetter) {
		host = domain
	}
	return u.Scheme + "://" + host
}

// isLetter tells names from IP addresses, which have no registrable domain.
func isLetter(r rune) bool { return r >= 'a' && r <= 'z' }

// Protect refuses what may change something if a page that is not one of ours
// has made a browser send it, by the headers Sec-Fetch-Site and Origin. A client
// that is no browser sends neither.
func (o Origins) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protection := http.NewCrossOriginProtection()
		for _, origin := range append([]string{o.Own}, o.Allowed()...) {
			// What is no origin matches none: it is refused when the settings are read.
			_ = protection.AddTrustedOrigin(origin)
		}
		if protection.Check(r) != nil {
			http.Error(w, "Forbidden - request of a page that is not allowed to: add its origin to CORS_ALLOWED_ORIGINS", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Share lets pages of the allowed origins read what GET answers, with the
// person's cookie (the Fetch standard, section 3.3). Others get no such headers,
// and the browser keeps the answer from them.
func (o Origins) Share(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if o.Allows(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		if r.Method == http.MethodOptions {
			if o.Allows(origin) {
				h.Set("Access-Control-Allow-Methods", http.MethodGet)
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				h.Set("Access-Control-Max-Age", "600")
			}
			h.Set("Allow", "GET, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
