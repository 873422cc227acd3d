package operator

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juju/names/v6"
)

// Options are the charm's options, checked.
type Options struct {
	AuditDays         int
	AuthMethod        string
	Admins            []string
	Origins           []string
	DNSName           *url.URL // nil if it is not set
	DashboardLocation string
	TokenLife         string
	LogLevel          string
	ClientScopes      []string
	GroupClaim        string
	HookService       string // empty: groups are not looked up
	OptionalScopes    []string
	SecretsInPostgres bool
	TrustEmail        bool
	Proxies           []string
	SecureCookies     bool
	CookieLife        int
	SessionLife       string
	UUID              string
	// WithoutEffect are the names of those that are set and that JIMM has no use for.
	WithoutEffect []string
}

// reader reads options and collects what is wrong with them.
type reader struct {
	options map[string]any
	wrong   []string
}

func (r *reader) fail(name string, value any, want string) {
	text := fmt.Sprintf("%q", fmt.Sprint(value))
	if len(text) > 80 {
		text = text[:76] + `…"`
	}
	r.wrong = append(r.wrong, fmt.Sprintf("%s=%s must be %s", name, text, want))
}

func (r *reader) text(name, fallback string) string {
	switch value := r.options[name].(type) {
	case nil:
		return fallback
	case string:
		if value = strings.TrimSpace(value); value != "" {
			return value
		}
	default:
		r.fail(name, value, "text")
	}
	return fallback
}

func (r *reader) oneOf(name, fallback string, values ...string) string {
	value := r.text(name, fallback)
	if !slices.Contains(values, value) {
		r.fail(name, value, strings.Join(values, " or "))
		return fallback
	}
	return value
}

func (r *reader) number(name string, fallback, least, most int) int {
	var n float64
	switch value := r.options[name].(type) {
	case nil:
		return fallback
	case float64:
		n = value
	case int:
		n = float64(value)
	default:
		r.fail(name, value, "a number")
		return fallback
	}
	if n != math.Trunc(n) || n < float64(least) || n > float64(most) {
		r.fail(name, strconv.FormatFloat(n, 'f', -1, 64), fmt.Sprintf("a number from %d to %d", least, most))
		return fallback
	}
	return int(n)
}

func (r *reader) boolean(name string, fallback bool) bool {
	switch value := r.options[name].(type) {
	case nil:
	case bool:
		return value
	default:
		r.fail(name, value, "true or false")
	}
	return fallback
}

func (r *reader) duration(name, fallback string) string {
	value := r.text(name, fallback)
	if d, err := time.ParseDuration(value); err != nil || d <= 0 {
		r.fail(name, value, "a duration such as 5m or 24h")
		return fallback
	}
	return value
}

// words are separated by spaces; each must match.
func (r *reader) words(name, want string, match func(string) bool) []string {
	var good []string
	for _, word := range strings.Fields(r.text(name, "")) {
		if !match(word) {
			r.fail(name, word, want)
			continue
		}
		good = append(good, word)
	}
	return good
}

var (
	// scopeWord is a scope of RFC 6749.
	scopeWord = regexp.MustCompile(`^[!#-\[\]-~]+$`)
	// hostPort may be a URL of these.
	hostPort  = regexp.MustCompile(`^(https?://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+/?$`)
	claimName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)
)

// validOrigin tells whether browsers write an origin so; JIMM compares theirs
// letter by letter.
func validOrigin(word string) bool {
	u, ok := parseAddress(word)
	return ok && word == u.Scheme+"://"+strings.ToLower(u.Host) && u.Port() != map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// validUser tells whether somebody can be named administrator: users of JIMM
// have a domain.
func validUser(name string) bool {
	return len(name) <= 255 && names.IsValidUser(name) && !names.NewUserTag(name).IsLocal()
}

func validNetwork(word string) bool {
	_, err := netip.ParsePrefix(word)
	if err != nil {
		_, err = netip.ParseAddr(word)
	}
	return err == nil
}

// parseAddress reads where something is: a URL with no more than a host, a port
// and a plain path, or the same without https://.
func parseAddress(text string) (*url.URL, bool) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, false
		}
	}
	if strings.ContainsAny(u.Host, " \t_%") {
		return nil, false
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path != "" && (u.EscapedPath() != u.Path || path.Clean(u.Path) != u.Path) {
		return nil, false
	}
	return u, true
}

// ParseOptions checks all options; wrong names those that cannot be, each with
// its value and what it should be. What is wrong has its default.
func ParseOptions(options map[string]any) (o Options, wrong []string) {
	r := &reader{options: options}
	o = Options{
		AuthMethod:        r.oneOf("client-authentication-method", "client_secret_basic", "client_secret_basic", "client_secret_post"),
		Admins:            r.words("controller-admins", "a list of e-mail addresses or CLIENT-ID@serviceaccount", validUser),
		Origins:           r.words("cors-allowed-origins", "origins as browsers send them, such as https://dashboard.example.com", validOrigin),
		TokenLife:         r.duration("jwt-expiry", "5m"),
		LogLevel:          r.oneOf("log-level", "info", "debug", "info", "warn", "error", "warning", "fatal", "panic", "dpanic"),
		ClientScopes:      r.words("oauth-client-credential-scopes", "a list of scopes", scopeWord.MatchString),
		GroupClaim:        r.text("oauth-group-claim-key", ""),
		OptionalScopes:    r.words("oauth-optional-scopes", "a list of scopes", scopeWord.MatchString),
		SecretsInPostgres: r.boolean("postgres-secret-storage", false),
		TrustEmail:        r.boolean("oauth-trust-email", false),
		Proxies:           r.words("trusted-proxies", "addresses and networks such as 10.1.0.0/16", validNetwork),
		SecureCookies:     r.boolean("secure-session-cookies", true),
		CookieLife:        r.number("session-cookie-max-age", 86400, 1, 10*365*86400),
		SessionLife:       r.duration("session-expiry-duration", "6h"),
		UUID:              r.text("uuid", ""),
		DashboardLocation: r.text("juju-dashboard-location", ""),
	}
	// Upstream's other names of levels.
	switch o.LogLevel {
	case "warning":
		o.LogLevel = "warn"
	case "fatal", "panic", "dpanic":
		o.LogLevel = "error"
	}
	days := r.text("audit-log-retention-period-in-days", "0")
	var err error
	if o.AuditDays, err = strconv.Atoi(days); err != nil || o.AuditDays < 0 || o.AuditDays > 36500 {
		o.AuditDays = 0
		r.fail("audit-log-retention-period-in-days", days, "a number of days up to 36500, 0 for ever")
	}
	if name := r.text("dns-name", ""); name != "" {
		var ok bool
		if o.DNSName, ok = parseAddress(name); !ok {
			o.DNSName = nil
			r.fail("dns-name", name, "a host name, with a port and a path if need be")
		}
	}
	if o.GroupClaim != "" && !claimName.MatchString(o.GroupClaim) {
		r.fail("oauth-group-claim-key", o.GroupClaim, "the name of a claim")
		o.GroupClaim = ""
	}
	switch lookup, address := r.text("idp-group-fetcher-type", ""), r.text("idp-hook-service-address", ""); {
	case lookup == "":
	case lookup != "hook-service":
		r.fail("idp-group-fetcher-type", lookup, "hook-service or empty")
	case !hostPort.MatchString(address):
		r.fail("idp-hook-service-address", address, "the host:port of hook-service")
	default:
		o.HookService = address
	}
	if o.UUID != "" && !names.IsValidController(o.UUID) {
		r.fail("uuid", o.UUID, "a UUID such as uuidgen prints")
		o.UUID = ""
	}
	if location := o.DashboardLocation; location != "" {
		if u, err := url.Parse(location); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(location, " \n") {
			r.fail("juju-dashboard-location", location, "a URL such as https://dashboard.example.com/models")
			o.DashboardLocation = ""
		}
	}
	hostKey := r.text("ssh-host-key-secret-id", "")
	if hostKey != "" && !strings.HasPrefix(hostKey, "secret:") {
		r.fail("ssh-host-key-secret-id", hostKey, "the id of a secret, secret:…")
	}
	private, public := r.text("private-key", ""), r.text("public-key", "")
	if (private == "") != (public == "") {
		// The values are keys: they are not shown.
		r.wrong = append(r.wrong, "private-key and public-key must be set together, or better not at all: JIMM makes its own")
	}
	for _, option := range []struct {
		name string
		set  bool
	}{
		{"macaroon-expiry-duration", r.duration("macaroon-expiry-duration", "24h") != "24h"},
		{"private-key", private != ""},
		{"public-key", public != ""},
		{"ssh-host-key-secret-id", hostKey != ""},
		{"ssh-max-concurrent-connections", r.number("ssh-max-concurrent-connections", 100, 1, 100000) != 100},
		{"ssh-port", r.number("ssh-port", 17022, 1, 65535) != 17022},
	} {
		if option.set {
			o.WithoutEffect = append(o.WithoutEffect, option.name)
		}
	}
	return o, r.wrong
}

func (p *planner) planOptions() {
	var wrong []string
	p.options, wrong = ParseOptions(p.Options)
	o := p.options
	if len(wrong) > 0 {
		more := ""
		if len(wrong) > 1 {
			more = fmt.Sprintf(" (and %d more options)", len(wrong)-1)
		}
		p.wrong("config", "%s%s", wrong[0], more)
	} else if len(o.WithoutEffect) > 0 {
		p.find(Active, "config", "without effect: %s; run juju config %s --reset %s", strings.Join(o.WithoutEffect, " "), p.Event.App, strings.Join(o.WithoutEffect, ","))
	}
	admins := slices.Concat(o.Admins, p.peer().Admins)
	slices.Sort(admins)
	p.set("JIMM_ADMINS", strings.Join(slices.Compact(admins), " "))
	p.set("CORS_ALLOWED_ORIGINS", strings.Join(o.Origins, " "))
	p.set("JIMM_LOG_LEVEL", o.LogLevel)
	p.set("JIMM_TRUSTED_PROXIES", strings.Join(o.Proxies, " "))
	p.set("JIMM_JWT_EXPIRY", o.TokenLife)
	p.set("JIMM_ACCESS_TOKEN_EXPIRY_DURATION", o.SessionLife)
	p.set("JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS", strconv.Itoa(o.AuditDays))
	p.set("JIMM_SESSION_COOKIE_MAX_AGE", strconv.Itoa(o.CookieLife))
	p.set("JIMM_SECURE_SESSION_COOKIES", strconv.FormatBool(o.SecureCookies))
}
