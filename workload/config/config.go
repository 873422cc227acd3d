// Package config is what jimmsrv, and jimmctl beside it, are told by their
// environment.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juju/names/v6"

	"jimm/workload/estate"
)

// Config are the settings. docs/reference/configuration.md explains each
// variable to people; keep the two together.
type Config struct {
	UUID          string
	DNSName       string // host[:port], without the path
	Prefix        string // the path of JIMM_DNS_NAME
	ListenAddress string
	// InternalAddress is for those who run JIMM, empty for no such listener.
	InternalAddress string
	TLSCertificate  string // file
	TLSKey          string // file
	DSN             string
	Admins          []string
	LogLevel        slog.Level
	Origins         []string

	Issuer, ClientID, ClientSecret string
	Scopes, ClientScopes           []string
	TrustEmail                     bool
	AuthStyle                      string
	GroupClaim                     string
	SessionKey                     string
	SessionLife, SessionIdle       time.Duration
	TrustedProxies                 []netip.Prefix
	TokenLife                      time.Duration
	KeyMaxAge                      time.Duration

	OpenFGAURL, OpenFGAToken       string
	OpenFGAStore, OpenFGAAuthModel string
	// OpenFGAObjects is how many objects the server lists; negative: all.
	OpenFGAObjects int

	SecretKeys [][]byte
}

// variables reads settings from an environment and collects what is wrong.
type variables struct {
	env  map[string]string
	read map[string]bool
	bad  []error
}

func (v *variables) fail(name, format string, args ...any) {
	v.bad = append(v.bad, fmt.Errorf("%s %s", name, fmt.Sprintf(format, args...)))
}

func (v *variables) text(name, fallback string) string {
	v.read[name] = true
	if s, ok := v.env[name]; ok && s != "" {
		return s
	}
	return fallback
}

func (v *variables) required(name, what string) string {
	s := v.text(name, "")
	if s == "" {
		v.fail(name, "is missing: set it to %s", what)
	}
	return s
}

func (v *variables) words(name string) []string { return strings.Fields(v.text(name, "")) }

func (v *variables) boolean(name string) bool {
	s := v.text(name, "false")
	b, err := strconv.ParseBool(s)
	if err != nil {
		v.fail(name, "must be true or false, not %q", s)
	}
	return b
}

func (v *variables) duration(name string, fallback time.Duration) time.Duration {
	s := v.text(name, "")
	if s == "" {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		v.fail(name, "must be a positive duration such as 5m or 6h, not %q", s)
	}
	return d
}

// prefixes reads networks; an address alone is one.
func (v *variables) prefixes(name string) []netip.Prefix {
	var list []netip.Prefix
	for _, word := range v.words(name) {
		if a, err := netip.ParseAddr(word); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(word)
		if err != nil {
			v.fail(name, "must be addresses and networks such as 10.1.0.0/16, not %q", word)
			continue
		}
		list = append(list, p)
	}
	return list
}

// parseConfig reads the configuration from an environment, in the form of
// os.Environ. The error lists every problem, one a line; it never quotes a
// secret. The settings hold all that could be read, also with an error.
func Parse(environ []string) (Config, error) {
	v := &variables{env: map[string]string{}, read: map[string]bool{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		v.env[name] = value
	}
	c := Config{
		UUID:             v.required("JIMM_UUID", "a UUID that never changes, such as uuidgen prints"),
		ListenAddress:    v.text("JIMM_LISTEN_ADDR", ":8080"),
		InternalAddress:  v.text("JIMM_INTERNAL_LISTEN_ADDR", ":9090"),
		TLSCertificate:   v.text("JIMM_TLS_CERT", ""),
		TLSKey:           v.text("JIMM_TLS_KEY", ""),
		DSN:              v.required("JIMM_DSN", "a PostgreSQL connection string such as postgres://user@host/jimm"),
		Admins:           v.words("JIMM_ADMINS"),
		Origins:          v.words("CORS_ALLOWED_ORIGINS"),
		Issuer:           v.required("JIMM_OAUTH_ISSUER_URL", "the identity provider's issuer URL"),
		ClientID:         v.required("JIMM_OAUTH_CLIENT_ID", "JIMM's client id at the identity provider"),
		ClientSecret:     v.text("JIMM_OAUTH_CLIENT_SECRET", ""),
		Scopes:           v.words("JIMM_OAUTH_SCOPES"),
		ClientScopes:     v.words("JIMM_OAUTH_CLIENT_CREDENTIAL_SCOPES"),
		TrustEmail:       v.boolean("JIMM_OAUTH_TRUST_EMAIL"),
		AuthStyle:        v.text("JIMM_OAUTH_AUTH_STYLE", "client_secret_basic"),
		GroupClaim:       v.text("JIMM_OAUTH_GROUP_CLAIM_KEY", ""),
		SessionKey:       v.required("JIMM_SESSION_SECRET_KEY", "64 or more random characters"),
		SessionLife:      v.duration("JIMM_ACCESS_TOKEN_EXPIRY_DURATION", 6*time.Hour),
		SessionIdle:      v.duration("JIMM_SESSION_IDLE_DURATION", 0),
		TrustedProxies:   v.prefixes("JIMM_TRUSTED_PROXIES"),
		TokenLife:        v.duration("JIMM_JWT_EXPIRY", 5*time.Minute),
		KeyMaxAge:        v.duration("JIMM_JWKS_CACHE_MAX_AGE", 10*time.Minute),
		OpenFGAToken:     v.text("OPENFGA_TOKEN", ""),
		OpenFGAStore:     v.text("OPENFGA_STORE", ""),
		OpenFGAAuthModel: v.text("OPENFGA_AUTH_MODEL", ""),
	}
	if c.UUID != "" && !names.IsValidController(c.UUID) {
		v.fail("JIMM_UUID", "must be a UUID, not %q", c.UUID)
	}
	if name := v.required("JIMM_DNS_NAME", "the host name clients know JIMM by"); name != "" {
		u, err := url.Parse("https://" + name)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
			v.fail("JIMM_DNS_NAME", "must be a host name, with a port or path if need be, and without a scheme, not %q", name)
		} else {
			c.DNSName, c.Prefix = u.Host, strings.TrimSuffix(u.Path, "/")
		}
	}
	for name, address := range map[string]string{"JIMM_LISTEN_ADDR": c.ListenAddress, "JIMM_INTERNAL_LISTEN_ADDR": c.InternalAddress} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			v.fail(name, "must be host:port or :port, not %q", address)
		}
	}
	if (c.TLSCertificate == "") != (c.TLSKey == "") {
		v.fail("JIMM_TLS_CERT", "and JIMM_TLS_KEY go together: set both, or neither where a proxy in front ends TLS")
	}
	if c.DSN != "" && !strings.HasPrefix(c.DSN, "postgres://") && !strings.HasPrefix(c.DSN, "postgresql://") && !strings.Contains(c.DSN, "=") {
		v.fail("JIMM_DSN", "must be a PostgreSQL connection string")
	}
	for _, name := range c.Admins {
		if err := estate.ValidateUser(name); err != nil {
			v.fail("JIMM_ADMINS", "%v", err)
		}
	}
	if c.Issuer != "" {
		if u, err := url.Parse(c.Issuer); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			v.fail("JIMM_OAUTH_ISSUER_URL", "must be a URL with its scheme, not %q", c.Issuer)
		}
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"openid", "profile", "email", "offline_access"}
	}
	if c.AuthStyle != "client_secret_basic" && c.AuthStyle != "client_secret_post" {
		v.fail("JIMM_OAUTH_AUTH_STYLE", "must be client_secret_basic or client_secret_post, not %q", c.AuthStyle)
	}
	if c.SessionKey != "" && len(c.SessionKey) < 64 {
		v.fail("JIMM_SESSION_SECRET_KEY", "must have 64 characters or more; it has %d", len(c.SessionKey))
	}
	if err := c.LogLevel.UnmarshalText([]byte(v.text("JIMM_LOG_LEVEL", "info"))); err != nil {
		v.fail("JIMM_LOG_LEVEL", "must be debug, info, warn or error, not %q", v.env["JIMM_LOG_LEVEL"])
	}
	for i, word := range v.words("JIMM_SECRET_STORAGE_KEYS") {
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(key) < 32 {
			v.fail("JIMM_SECRET_STORAGE_KEYS", "must be base64 keys of 32 bytes or more; number %d is not", i+1)
		}
		c.SecretKeys = append(c.SecretKeys, key)
	}
	if len(c.SecretKeys) == 0 {
		v.fail("JIMM_SECRET_STORAGE_KEYS", "is missing: set it to a base64 key of 32 random bytes, such as openssl rand -base64 32 prints; further keys after it open what they sealed before")
	}
	scheme := v.text("OPENFGA_SCHEME", "http")
	host := v.required("OPENFGA_HOST", "the host of the OpenFGA server")
	port := v.text("OPENFGA_PORT", "8080")
	if scheme != "http" && scheme != "https" {
		v.fail("OPENFGA_SCHEME", "must be http or https, not %q", scheme)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		v.fail("OPENFGA_PORT", "must be a port number, not %q", port)
	}
	objects, err := strconv.Atoi(v.text("OPENFGA_LIST_OBJECTS_MAX_RESULTS", "1000"))
	if err != nil || objects < 0 {
		v.fail("OPENFGA_LIST_OBJECTS_MAX_RESULTS", "must be the number that the OpenFGA server is set to, 0 for no limit")
	}
	if c.OpenFGAObjects = objects; objects == 0 {
		c.OpenFGAObjects = -1
	}
	c.OpenFGAURL = scheme + "://" + net.JoinHostPort(host, port)
	v.unknown()
	return c, errors.Join(v.bad...)
}

// unknown reports variables that look like ours and are not, each with the
// nearest right one: a misspelt setting must not be passed over in silence.
func (v *variables) unknown() {
	for name := range v.env {
		if !strings.HasPrefix(name, "JIMM_") && !strings.HasPrefix(name, "OPENFGA_") || v.read[name] {
			continue
		}
		// Kubernetes makes such variables for services of the same name.
		if strings.Contains(name, "_PORT_") || strings.Contains(name, "_SERVICE_") {
			continue
		}
		best, distance := "", 4
		for known := range v.read {
			if d := editDistance(name, known); d < distance {
				best, distance = known, d
			}
		}
		if best != "" {
			v.fail(name, "is not a setting; did you mean %s?", best)
		} else {
			v.fail(name, "is not a setting")
		}
	}
	slices.SortFunc(v.bad, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Environment reads the configuration from the process's environment.
func Environment() (Config, error) { return Parse(os.Environ()) }
