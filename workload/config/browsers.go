package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Browsers are the settings of logins by browser.
type Browsers struct {
	// Dashboard is where browsers land after a login; empty where there is none
	// by browser.
	Dashboard string
	// CookieLife is how long a session may be unused, SessionLife how long it
	// lasts however much it is used.
	CookieLife, SessionLife time.Duration
	SecureCookies           bool
}

func (v *variables) browsers() Browsers {
	b := Browsers{
		Dashboard:   v.text("JIMM_DASHBOARD_FINAL_REDIRECT_URL", ""),
		CookieLife:  v.seconds("JIMM_SESSION_COOKIE_MAX_AGE", 24*time.Hour),
		SessionLife: v.duration("JIMM_BROWSER_SESSION_DURATION", 7*24*time.Hour),
	}
	secure := v.text("JIMM_SECURE_SESSION_COOKIES", "true")
	var err error
	if b.SecureCookies, err = strconv.ParseBool(secure); err != nil {
		v.fail("JIMM_SECURE_SESSION_COOKIES", "must be true or false, not %q", secure)
	}
	if b.Dashboard != "" {
		if u, err := url.Parse(b.Dashboard); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			v.fail("JIMM_DASHBOARD_FINAL_REDIRECT_URL", "must be the dashboard's URL with its scheme, not %q", b.Dashboard)
		}
	}
	return b
}

// origins reads a list of origins as browsers write them.
func (v *variables) origins(name string) []string {
	words := v.words(name)
	for _, word := range words {
		u, err := url.Parse(word)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || word != u.Scheme+"://"+strings.ToLower(u.Host) {
			v.fail(name, "must be origins such as https://dashboard.example.com, in lower case and without a path, not %q", word)
		} else if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
			v.fail(name, "must be origins as browsers send them: %s without its port", word)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(words)))
}

func (v *variables) seconds(name string, fallback time.Duration) time.Duration {
	s := v.text(name, "")
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n <= 0 {
		v.fail(name, "must be a positive number of seconds such as 86400, not %q", s)
	}
	return time.Duration(n) * time.Second
}
