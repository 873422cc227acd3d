// Package config is what jimmsrv, and jimmctl beside it, are told by their
// environment.
package config

import (
	"encoding/base64"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/juju/names/v6"

	"jimm/workload/estate"
	"jimm/workload/secrets"
)

// Config are the settings. docs/reference/configuration.md explains each
// variable to people; keep the two together.
type Config struct {
	UUID          string
	DNSName       string // host[:port], without the path
	Prefix        string // the path of JIMM_DNS_NAME
	ListenAddress string
	// Grace is for how long requests may go on after a signal to stop.
	Grace time.Duration
	// InternalAddress is for those who run JIMM, empty for no such listener.
	InternalAddress string
	TLSCertificate  string // file
	TLSKey          string // file
	DSN             string
	Admins          []string
	LogLevel        slog.Level
	// LogText writes the log for people, not as JSON.
	LogText bool
	Origins []string
	// CAFile has certificates to trust beside the system's, PEM.
	CAFile string

	Issuer, ClientID, ClientSecret string
	Scopes, ClientScopes           []string
	TrustEmail                     bool
	AuthStyle                      string
	GroupClaim                     string
	// HookService looks up groups where no token has that claim.
	HookService              HookService
	SessionKey               string
	SessionLife, SessionIdle time.Duration
	IntrospectionURL         string
	// AddressAttempts and ClientAttempts are logins that may fail in a minute.
	AddressAttempts, ClientAttempts int
	Browsers                        Browsers
	TrustedProxies                  []netip.Prefix
	TokenLife                       time.Duration
	KeyMaxAge                       time.Duration
	QueryTimeout                    time.Duration

	OpenFGAURL, OpenFGAToken       string
	OpenFGAStore, OpenFGAAuthModel string
	// OpenFGAObjects is how many objects the server lists; negative: all.
	OpenFGAObjects int

	// SecretPlace is where secrets are kept. SecretKeys seal those in PostgreSQL.
	SecretPlace secrets.Place
	SecretKeys  [][]byte
	Vault       Vault
	// AuditRetention is for how long audit events are kept; 0 is for ever.
	AuditRetention time.Duration
}

// read reads all settings. To add one, read it here with the method for its kind
// (v.secret for what nobody may see) and describe it in the reference.
func read(v *variables) Config {
	c := Config{
		UUID:             v.required("JIMM_UUID", "a UUID that never changes, such as uuidgen prints"),
		ListenAddress:    v.text("JIMM_LISTEN_ADDR", ":8080"),
		InternalAddress:  v.text("JIMM_INTERNAL_LISTEN_ADDR", ":9090"),
		Grace:            v.duration("JIMM_SHUTDOWN_GRACE_DURATION", 10*time.Second),
		TLSCertificate:   v.text("JIMM_TLS_CERT", ""),
		TLSKey:           v.text("JIMM_TLS_KEY", ""),
		DSN:              v.requiredSecret("JIMM_DSN", "a PostgreSQL connection string such as postgres://user@host/jimm"),
		Admins:           v.words("JIMM_ADMINS"),
		LogText:          v.boolean("JIMM_LOG_DEV_MODE"),
		Origins:          v.origins("CORS_ALLOWED_ORIGINS"),
		CAFile:           v.text("JIMM_CA_FILE", ""),
		Issuer:           v.required("JIMM_OAUTH_ISSUER_URL", "the identity provider's issuer URL"),
		ClientID:         v.required("JIMM_OAUTH_CLIENT_ID", "JIMM's client id at the identity provider"),
		ClientSecret:     v.secret("JIMM_OAUTH_CLIENT_SECRET"),
		Scopes:           strings.Fields(v.text("JIMM_OAUTH_SCOPES", "openid profile email offline_access")),
		ClientScopes:     v.words("JIMM_OAUTH_CLIENT_CREDENTIAL_SCOPES"),
		TrustEmail:       v.boolean("JIMM_OAUTH_TRUST_EMAIL"),
		AuthStyle:        v.text("JIMM_OAUTH_AUTH_STYLE", "client_secret_basic"),
		GroupClaim:       v.text("JIMM_OAUTH_GROUP_CLAIM_KEY", ""),
		SessionKey:       v.requiredSecret("JIMM_SESSION_SECRET_KEY", "64 or more random characters"),
		SessionLife:      v.duration("JIMM_ACCESS_TOKEN_EXPIRY_DURATION", 6*time.Hour),
		SessionIdle:      v.duration("JIMM_SESSION_IDLE_DURATION", 0),
		IntrospectionURL: v.text("JIMM_OAUTH_INTROSPECTION_URL", ""),
		AddressAttempts:  v.count("JIMM_LOGIN_ATTEMPTS_PER_ADDRESS", 60),
		ClientAttempts:   v.count("JIMM_LOGIN_ATTEMPTS_PER_CLIENT", 10),
		Browsers:         v.browsers(),
		TrustedProxies:   v.prefixes("JIMM_TRUSTED_PROXIES"),
		TokenLife:        v.duration("JIMM_JWT_EXPIRY", 5*time.Minute),
		KeyMaxAge:        v.duration("JIMM_JWKS_CACHE_MAX_AGE", 10*time.Minute),
		QueryTimeout:     v.duration("JIMM_CROSS_MODEL_QUERY_TIMEOUT", 5*time.Second),
		OpenFGAToken:     v.secret("OPENFGA_TOKEN"),
		OpenFGAStore:     v.text("OPENFGA_STORE", ""),
		OpenFGAAuthModel: v.text("OPENFGA_AUTH_MODEL", ""),
	}
	if u, err := url.Parse(c.IntrospectionURL); c.IntrospectionURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		v.fail("JIMM_OAUTH_INTROSPECTION_URL", "must be a URL with its scheme, not %q", c.IntrospectionURL)
	}
	if c.UUID != "" && !names.IsValidController(c.UUID) {
		v.fail("JIMM_UUID", "must be a UUID, not %q", c.UUID)
	}
	if c.DSN != "" {
		v.known["JIMM_DSN"].Value = maskedDSN(c.DSN)
	}
	if name := strings.TrimPrefix(v.required("JIMM_DNS_NAME", "the host name clients know JIMM by"), "https://"); name != "" {
		u, err := url.Parse("https://" + name)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
			v.fail("JIMM_DNS_NAME", "must be a host name, with a port or path if need be, not %q", name)
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
	if c.DSN != "" && !strings.HasPrefix(c.DSN, "postgres://") && !strings.HasPrefix(c.DSN, "postgresql://") && !strings.HasPrefix(c.DSN, "pgx:") && !strings.Contains(c.DSN, "=") {
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
	if c.AuthStyle != "client_secret_basic" && c.AuthStyle != "client_secret_post" {
		v.fail("JIMM_OAUTH_AUTH_STYLE", "must be client_secret_basic or client_secret_post, not %q", c.AuthStyle)
	}
	if c.SessionKey != "" && len(c.SessionKey) < 64 {
		v.fail("JIMM_SESSION_SECRET_KEY", "must have 64 characters or more; it has %d", len(c.SessionKey))
	}
	c.HookService = v.hookService(c.ClientSecret)
	c.LogLevel = v.level("JIMM_LOG_LEVEL")
	for i, word := range strings.Fields(v.secret("JIMM_SECRET_STORAGE_KEYS")) {
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(key) < 32 {
			v.fail("JIMM_SECRET_STORAGE_KEYS", "must be base64 keys of 32 bytes or more; number %d is not", i+1)
		}
		c.SecretKeys = append(c.SecretKeys, key)
	}
	c.Vault = v.vault()
	c.SecretPlace = v.secretPlace(c.Vault)
	if len(c.SecretKeys) == 0 && c.SecretPlace == secrets.Sealed {
		v.fail("JIMM_SECRET_STORAGE_KEYS", "is missing, and Vault is not used: set it to a base64 key of 32 random bytes, such as openssl rand -base64 32 prints (further keys after it open what they sealed before), or let VAULT_ADDR say where Vault is")
	}
	retention := v.text("JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS", "0")
	days, err := strconv.Atoi(retention)
	if err != nil || days < 0 || days > 36500 {
		v.fail("JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS", "must be a number of days, 0 to keep everything, not %q", retention)
	}
	c.AuditRetention = time.Duration(days) * 24 * time.Hour
	scheme := v.text("OPENFGA_SCHEME", "http")
	host := v.required("OPENFGA_HOST", "the host of the OpenFGA server")
	port := v.text("OPENFGA_PORT", "8080")
	if scheme != "http" && scheme != "https" {
		v.fail("OPENFGA_SCHEME", "must be http or https, not %q", scheme)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		v.fail("OPENFGA_PORT", "must be a port number, not %q", port)
	}
	prefix := strings.TrimSuffix(v.text("OPENFGA_PATH", ""), "/")
	if prefix != "" && (!strings.HasPrefix(prefix, "/") || path.Clean(prefix) != prefix || (&url.URL{Path: prefix}).EscapedPath() != prefix) {
		v.fail("OPENFGA_PATH", "must be a path such as /openfga, not %q", prefix)
	}
	objects, err := strconv.Atoi(v.text("OPENFGA_LIST_OBJECTS_MAX_RESULTS", "1000"))
	if err != nil || objects < 0 {
		v.fail("OPENFGA_LIST_OBJECTS_MAX_RESULTS", "must be the number that the OpenFGA server is set to, 0 for no limit")
	}
	if c.OpenFGAObjects = objects; objects == 0 {
		c.OpenFGAObjects = -1
	}
	c.OpenFGAURL = scheme + "://" + net.JoinHostPort(host, port) + prefix
	elsewhere(v)
	return c
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
