// Package idp is a small OpenID Connect provider for development and tests, on
// zitadel/oidc: authorization code with PKCE, device flow, client credentials
// and refresh tokens, with pages where people log in and say yes or no.
//
// Its users and clients are given when it is made. All else is in memory, except
// the signing key, which outlives the process where a directory is given for it.
// It is never part of a production server.
package idp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The paths of our own pages, below the issuer's. The others are the library's.
const (
	loginPath  = "/login"
	devicePath = "/device"
)

// Config says who there is.
type Config struct {
	// Issuer is the URL that the provider is reached at, perhaps with a path,
	// which requests then have too.
	Issuer          string
	Users           []User
	Clients         []Client
	ServiceAccounts []ServiceAccount
	// KeyDir is where the signing key is kept; it is made if it is missing.
	// Empty: a new key each time.
	KeyDir string
	// DeviceLife is how long a device code is good (default 10 m), and
	// DeviceInterval how often it may be asked for, in whole seconds (default 1 s).
	DeviceLife, DeviceInterval time.Duration
	// OpaqueTokens makes access tokens that say nothing, which others ask about.
	OpaqueTokens bool
	// TokenLife is how long access and id tokens are good (default 1 h).
	TokenLife time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// User is a person.
type User struct {
	Email    string
	Name     string
	Password string
	// Groups are told in the claim "groups" of access tokens.
	Groups []string
	// Unverified makes the e-mail address one that the provider does not vouch for.
	Unverified bool
}

// Client is an application that people log in to.
type Client struct {
	ID string
	// Secret is empty for an application that cannot keep one.
	Secret string
	// Name is what people know it by (default: the ID).
	Name         string
	RedirectURIs []string
}

// ServiceAccount is a client that acts for itself.
type ServiceAccount struct {
	ID, Secret string
	Groups     []string
}

// Provider is an OpenID Connect provider.
type Provider struct {
	issuer   *url.URL
	storage  *storage
	formKey  [sha256.Size]byte
	handler  http.Handler
	callback func(context.Context, string) string
	log      *slog.Logger
}

// New makes a provider. Whoever serves it decides about TLS; the issuer's URL
// says which it is.
func New(c Config) (*Provider, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Scheme != "https" && issuer.Scheme != "http" || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return nil, fmt.Errorf("cannot make identity provider: issuer must be an http or https URL, not %q", c.Issuer)
	}
	if c.DeviceLife <= 0 {
		c.DeviceLife = 10 * time.Minute
	}
	if c.DeviceInterval < time.Second {
		c.DeviceInterval = time.Second
	}
	if c.TokenLife <= 0 {
		c.TokenLife = time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	storage, err := newStorage(c)
	if err != nil {
		return nil, fmt.Errorf("cannot make identity provider: %w", err)
	}
	prefix := strings.TrimSuffix(issuer.Path, "/")
	p := &Provider{issuer: issuer, storage: storage, log: c.Log}
	_, _ = rand.Read(p.formKey[:]) // never fails
	config := &op.Config{
		CodeMethodS256:        true,
		AuthMethodPost:        true,
		GrantTypeRefreshToken: true,
		SupportedScopes:       []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess, scopeGroups},
		SupportedClaims:       []string{"sub", "aud", "exp", "iat", "iss", "auth_time", "nonce", "name", "email", "email_verified", claimGroups},
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: c.DeviceLife, PollInterval: c.DeviceInterval, UserFormPath: prefix + devicePath, UserCode: op.UserCodeBase20,
		},
	}
	_, _ = rand.Read(config.CryptoKey[:]) // never fails
	options := []op.Option{op.WithLogger(c.Log), op.WithCORSOptions(nil)}
	if issuer.Scheme == "http" {
		options = append(options, op.WithAllowInsecure())
	}
	protocol, err := op.NewProvider(config, storage, op.StaticIssuer(c.Issuer), options...)
	if err != nil {
		return nil, fmt.Errorf("cannot make identity provider: %w", err)
	}
	p.callback = op.AuthCallbackURL(protocol)

	mux := http.NewServeMux()
	mux.HandleFunc("GET "+loginPath, p.showLogin)
	mux.HandleFunc("POST "+loginPath, p.login)
	mux.HandleFunc("GET "+devicePath, p.showDevice)
	mux.HandleFunc("POST "+devicePath, p.device)
	mux.Handle("/", acceptSecretInForm(protocol))
	p.handler = http.StripPrefix(prefix, p.identifyBrowser(mux))
	return p, nil
}

// ServeHTTP serves the protocol and the pages.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// acceptSecretInForm moves a client's secret from the form, where OAuth lets it
// be too, to where the library looks for it in the device flow.
func acceptSecretInForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get("Authorization") == "" {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if id, secret := r.PostFormValue("client_id"), r.PostFormValue("client_secret"); id != "" && secret != "" {
				r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// A browser is known by a random cookie from its first visit, so that what one
// browser has begun no other can go on with.
const (
	browserCookie = "idp_browser"
	sessionCookie = "idp_session"
)

type browserKey struct{}

// identifyBrowser gives a browser its cookie when it starts something.
func (p *Provider) identifyBrowser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case op.DefaultEndpoints.Authorization.Relative(), loginPath, devicePath:
			browser := cookieValue(r, browserCookie)
			if browser == "" {
				browser = rand.Text()
				p.setCookie(w, browserCookie, browser)
			}
			r = r.WithContext(context.WithValue(r.Context(), browserKey{}, browser))
		}
		next.ServeHTTP(w, r)
	})
}

func browserOf(ctx context.Context) string {
	browser, _ := ctx.Value(browserKey{}).(string)
	return browser
}

func cookieValue(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

func (p *Provider) setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: strings.TrimSuffix(p.issuer.Path, "/") + "/",
		Secure: p.issuer.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// formToken is what a form of this browser and session must bring along.
func (p *Provider) formToken(r *http.Request) string {
	mac := hmac.New(sha256.New, p.formKey[:])
	fmt.Fprintf(mac, "%q %q", browserOf(r.Context()), cookieValue(r, sessionCookie))
	return hex.EncodeToString(mac.Sum(nil))
}

// errForm is of a form that another site, or an earlier session, has sent.
var errForm = errors.New("this form is out of date: load the page again")

// readForm parses the form of a page of ours.
func (p *Provider) readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return errForm
	}
	if !hmac.Equal([]byte(r.PostForm.Get("form_token")), []byte(p.formToken(r))) {
		return errForm
	}
	return nil
}

// maxForm is the largest form that is read, in bytes.
const maxForm = 64 << 10
