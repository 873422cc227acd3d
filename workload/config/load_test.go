package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file writes a configuration file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jimm.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// source finds where a setting came from.
func source(l *Loaded, name string) Source {
	for _, s := range l.Settings {
		if s.Name == name {
			return s.Source
		}
	}
	return ""
}

func TestAFileHasWhatTheEnvironmentHasNot(t *testing.T) {
	secret := file(t, strings.Repeat("k", 64)+"\n")
	path := file(t, `
# a comment
JIMM_DNS_NAME: https://other.example.com
JIMM_ADMINS: [alice@example.com, bob@example.com]
CORS_ALLOWED_ORIGINS: https://a.example.com https://b.example.com
JIMM_OAUTH_TRUST_EMAIL: true
OPENFGA_PORT: 8081
JIMM_JWT_EXPIRY: 3m
JIMM_SESSION_SECRET_KEY_FILE: `+secret+`
`)
	environ := slices.DeleteFunc(good(), func(s string) bool { return strings.HasPrefix(s, "JIMM_SESSION") })
	l, err := Load(append(environ, "JIMM_CONFIG_FILE="+path), "")
	if err != nil {
		t.Fatal(err)
	}
	if l.DNSName != "jimm.example.com" || source(l, "JIMM_DNS_NAME") != FromEnvironment {
		t.Errorf("the environment does not win: %s from %s", l.DNSName, source(l, "JIMM_DNS_NAME"))
	}
	if len(l.Admins) != 2 || len(l.Origins) != 2 || !l.TrustEmail || l.OpenFGAURL != "http://fga:8081" || l.SessionKey != strings.Repeat("k", 64) {
		t.Errorf("got %+v", l.Config)
	}
	if s := source(l, "JIMM_ADMINS"); s != FromFile {
		t.Errorf("administrators come from %s", s)
	}
	if s := source(l, "JIMM_SESSION_SECRET_KEY"); s != FromSecretFile {
		t.Errorf("the session key comes from %s", s)
	}
	if s := source(l, "JIMM_OAUTH_SCOPES"); s != FromDefault {
		t.Errorf("scopes come from %s", s)
	}
}

func TestABadFileIsRefused(t *testing.T) {
	const hush = "hush-do-not-show"
	for _, test := range []struct {
		name, text, want string
	}{
		{"a name that is none", "JIMM_ADMIN: x", "is not a setting; did you mean JIMM_ADMINS?"},
		{"a name in lower case", "jimm_admins: x", "is not a setting; did you mean JIMM_ADMINS?"},
		{"something else", "colour: red", "colour in "},
		{"a value in a value", "JIMM_ADMINS: {a: " + hush + "}", "line 1: it must be a value or a list of words"},
		{"no YAML", "JIMM_ADMINS: [" + hush, "it must be YAML, with lines NAME: value"},
		{"a list at the top", "- " + hush, "it must be YAML, with lines NAME: value"},
		{"a name twice", "JIMM_ADMINS: " + hush + "\nJIMM_ADMINS: b", "it must be YAML"},
		{"another file", "JIMM_CONFIG_FILE: /etc/x", "cannot be set in a configuration file"},
		{"a secret's file that is not there", "OPENFGA_TOKEN_FILE: /nowhere", "OPENFGA_TOKEN_FILE cannot be used: open /nowhere"},
		{"a secret's file beside the secret", "OPENFGA_TOKEN_FILE: /nowhere\nOPENFGA_TOKEN: " + hush, "OPENFGA_TOKEN and OPENFGA_TOKEN_FILE are both set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(good(), file(t, test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, not %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), hush) {
				t.Errorf("it quotes what may be a secret: %v", err)
			}
		})
	}
	t.Run("one that is not there", func(t *testing.T) {
		if _, err := Load(good(), "/nowhere.yaml"); err == nil || !strings.Contains(err.Error(), "cannot read the configuration file: open /nowhere.yaml") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoSecretIsShown(t *testing.T) {
	const hush = "hush-do-not-show"
	for _, dsn := range []string{
		"postgres://jimm:" + hush + "@db/jimm", "pgx://jimm:" + hush + "@db/jimm", "postgres://db/jimm?user=jimm&password=" + hush,
		"host=db user=jimm password=" + hush, "host=db password='" + hush + " \\'more'", "postgres://jimm:%zz" + hush + "@db/jimm",
	} {
		l, err := Load(append(good(), "JIMM_DSN="+dsn, "OPENFGA_TOKEN="+hush, "JIMM_OAUTH_CLIENT_SECRET="+hush, "BAKERY_PRIVATE_KEY="+hush), "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(l.Settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{hush, "more", strings.Repeat("x", 64), strings.Repeat("A", 43)} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s is shown of %s: %s", secret, dsn, b)
			}
		}
	}
	l, err := Load(append(good(), "JIMM_DSN=postgres://jimm:"+hush+"@db/jimm"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.Settings {
		if s.Name == "JIMM_DSN" && s.Value != "postgres://jimm:********@db/jimm" {
			t.Errorf("the connection string is shown as %s", s.Value)
		}
	}
}

func TestTheEnvironmentOfJIMMElsewhereIsTaken(t *testing.T) {
	l, err := Load(append(good(), "JIMM_DNS_NAME=https://jimm.example.com/model-jimm", "JIMM_IS_LEADER=True", "JIMM_JWKS_PATH=/x", "JIMM_SSH_PORT=17022",
		"JIMM_LOG_LEVEL=fatal", "BAKERY_PUBLIC_KEY=k", "JIMM_PORT=tcp://10.1.2.3:80", "JIMM_SERVICE_HOST=10.1.2.3"), "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range l.Ignored() {
		names = append(names, s.Name)
	}
	if got, want := strings.Join(names, " "), "BAKERY_PUBLIC_KEY JIMM_IS_LEADER JIMM_JWKS_PATH JIMM_SSH_PORT"; got != want {
		t.Errorf("without effect are %s, not %s", got, want)
	}
	if l.Prefix != "/model-jimm" {
		t.Errorf("the path is %q", l.Prefix)
	}
}

func TestChangesAreNamed(t *testing.T) {
	before, err := Load(good(), file(t, "JIMM_ADMINS: alice@example.com\nJIMM_LOG_LEVEL: debug\nOPENFGA_TOKEN: one"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := Load(good(), file(t, "JIMM_ADMINS: alice@example.com\nOPENFGA_TOKEN: two\nJIMM_TLS_CERT: /c\nJIMM_TLS_KEY: /k"))
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(before.Changed(after)))
	want := []string{"JIMM_CONFIG_FILE", "JIMM_LOG_LEVEL", "JIMM_TLS_CERT", "JIMM_TLS_KEY", "OPENFGA_TOKEN"}
	if !slices.Equal(got, want) {
		t.Errorf("changed are %v, not %v", got, want)
	}
}

func TestEveryNameOfJIMMElsewhereIsKnown(t *testing.T) {
	v := newVariables(nil)
	read(v)
	for _, name := range strings.Fields(`JIMM_UUID JIMM_DNS_NAME JIMM_LISTEN_ADDR JIMM_INTERNAL_LISTEN_ADDR JIMM_DSN JIMM_ADMINS
		JIMM_LOG_LEVEL JIMM_LOG_DEV_MODE JIMM_LOG_SQL JIMM_IS_LEADER JIMM_OAUTH_ISSUER_URL JIMM_OAUTH_CLIENT_ID JIMM_OAUTH_CLIENT_SECRET
		JIMM_OAUTH_SCOPES JIMM_OAUTH_AUTH_STYLE JIMM_OAUTH_GROUP_CLAIM_KEY JIMM_OAUTH_CLIENT_CREDENTIAL_SCOPES
		JIMM_ACCESS_TOKEN_EXPIRY_DURATION JIMM_MACAROON_EXPIRY_DURATION JIMM_JWT_EXPIRY JIMM_SESSION_SECRET_KEY
		JIMM_SESSION_COOKIE_MAX_AGE JIMM_SECURE_SESSION_COOKIES JIMM_DASHBOARD_FINAL_REDIRECT_URL JIMM_DASHBOARD_LOCATION
		CORS_ALLOWED_ORIGINS JIMM_CROSS_MODEL_QUERY_TIMEOUT JIMM_SSH_PORT JIMM_SSH_HOST_KEY JIMM_SSH_MAX_CONCURRENT_CONNECTIONS
		JIMM_BOOTSTRAP_LOGIN_TOKEN_REFRESH_URL JIMM_JWKS JIMM_JWKS_PRIVATE_KEY JIMM_JWKS_CACHE_MAX_AGE JIMM_JWKS_PATH
		JIMM_JWKS_PRIVATE_KEY_PATH BAKERY_PRIVATE_KEY BAKERY_PUBLIC_KEY OPENFGA_SCHEME OPENFGA_HOST OPENFGA_PORT OPENFGA_STORE
		OPENFGA_AUTH_MODEL OPENFGA_TOKEN INSECURE_SECRET_STORAGE`) {
		if !v.isKnown(name) {
			t.Errorf("%s is not a setting", name)
		}
	}
}
