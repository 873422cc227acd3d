// Package login tells who is calling: it turns what an OpenID Connect issuer
// says about people and service accounts into users of the estate, and gives
// people a session token to come back with.
//
// A person logs in once per session, by the device flow (RFC 8628) or with a
// browser (OpenID Connect's authorization code flow with PKCE). A service
// account shows its client id and secret each time; they are exchanged at the
// issuer's token endpoint. Nothing is asked of the issuer for a session token,
// which is good while its session is there (estate.Session).
package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// CodeLoginFailed is the code of a device login that cannot succeed any more.
// Juju clients from 4.1 on then stop; with any other they try a login with a
// password next, whose error hides this one.
const CodeLoginFailed = params.CodeFatalLoginError

// The ways a client can show its secret to the issuer, as OpenID Connect
// Discovery calls them.
const (
	AuthStyleBasic = "client_secret_basic"
	AuthStylePost  = "client_secret_post"
)

// minSessionKey is how many bytes a session key must have.
const minSessionKey = 64

// requestTimeout limits each request to the issuer, if the HTTP client given
// does not.
const requestTimeout = 30 * time.Second

// Config says who the issuer is and how sessions are made.
type Config struct {
	// Issuer is the issuer's URL, exactly as its discovery document has it.
	Issuer string
	// ClientID and ClientSecret are our own at the issuer.
	ClientID, ClientSecret string
	// Scopes are asked for when a person logs in; openid is always among them.
	Scopes []string
	// ClientCredentialScopes are asked for when a service account does.
	ClientCredentialScopes []string
	// AuthStyle is how secrets are shown to the issuer: AuthStyleBasic, which
	// empty means too, or AuthStylePost.
	AuthStyle string
	// GroupClaim names the claim with the ids of a user's groups, a list of
	// strings in the access token, else in the id token. Empty: no groups.
	GroupClaim string
	// IdPGroups is asked for the groups of those about whom no token has the
	// claim; it may be nil.
	IdPGroups estate.IdPGroups
	// TrustEmail takes an e-mail address about whose verification the issuer
	// says nothing as verified. One it calls unverified is always refused.
	TrustEmail bool
	// Reserved are user names that nobody may log in as, such as JIMM's own.
	Reserved []string

	// SessionKey signs session tokens; it has at least 64 bytes.
	SessionKey []byte
	// SessionLife is how long a session lasts, however much it is used, and
	// SessionIdle for how long it may be unused; 0 is without a limit.
	SessionLife, SessionIdle time.Duration

	// RedirectURL is where the issuer sends browsers back to; empty where nobody
	// logs in by browser. BrowserLife is how long such a session lasts, however
	// much it is used, and BrowserIdle for how long it may be unused.
	RedirectURL              string
	BrowserLife, BrowserIdle time.Duration
	// Secrets is where refresh tokens of browsers' sessions are.
	Secrets estate.Secrets

	// IntrospectionURL is where the issuer tells about opaque access tokens, if its
	// discovery document does not say so.
	IntrospectionURL string
	// Limits bound how often a login may be tried.
	Limits Limits

	Identities estate.IdentityStore
	Sessions   estate.SessionStore
	// HTTPClient talks to the issuer; nil means a plain one.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Random is where session ids and keys come from; nil means crypto/rand.
	Random io.Reader
	// Log may be nil.
	Log *slog.Logger
}

// Service tells who is calling. It is safe for concurrent use.
type Service struct {
	config Config
	client *http.Client
	signer jose.Signer

	// providerMu guards provider, which is nil until the issuer has answered.
	providerMu sync.Mutex
	provider   *oidc.Provider
	discovery  flights[struct{}, *oidc.Provider]

	accounts accounts

	addresses, clients *buckets
}

// New makes a Service. It asks the issuer for its endpoints; when that fails it
// is only logged, and asked again whenever they are needed.
func New(ctx context.Context, c Config) (*Service, error) {
	if u, err := url.Parse(c.Issuer); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("cannot set up logins: issuer must be an http or https URL, not %q", c.Issuer)
	}
	if c.ClientID == "" {
		return nil, errors.New("cannot set up logins: no client id")
	}
	if len(c.SessionKey) < minSessionKey {
		return nil, fmt.Errorf("cannot set up logins: session key must have at least %d characters, not %d", minSessionKey, len(c.SessionKey))
	}
	if c.SessionLife <= 0 {
		return nil, fmt.Errorf("cannot set up logins: session life must be positive, not %v", c.SessionLife)
	}
	if c.SessionIdle < 0 {
		return nil, fmt.Errorf("cannot set up logins: idle limit of sessions must not be negative, not %v", c.SessionIdle)
	}
	if c.RedirectURL != "" && (c.BrowserLife <= 0 || c.BrowserIdle <= 0 || c.Secrets == nil) {
		return nil, errors.New("cannot set up logins by browser: their sessions need a length, an idle limit and a place for secrets")
	}
	if c.Identities == nil || c.Sessions == nil {
		return nil, errors.New("cannot set up logins: no place to save identities and sessions")
	}
	switch c.AuthStyle {
	case "":
		c.AuthStyle = AuthStyleBasic
	case AuthStyleBasic, AuthStylePost:
	default:
		return nil, fmt.Errorf("cannot set up logins: authentication style must be %s or %s, not %q", AuthStyleBasic, AuthStylePost, c.AuthStyle)
	}
	if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		c.Scopes = append([]string{oidc.ScopeOpenID}, c.Scopes...)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: c.SessionKey}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("cannot set up logins: %w", err)
	}
	s := &Service{config: c, client: secretKeeping(c.HTTPClient), signer: signer}
	s.addresses, s.clients = newBuckets(c.Limits.PerAddress), newBuckets(c.Limits.PerClient)
	if _, err := io.ReadFull(c.Random, s.accounts.key[:]); err != nil {
		return nil, fmt.Errorf("cannot set up logins: %w", err)
	}
	if _, err := s.discover(ctx); err != nil {
		c.Log.Warn("nobody can log in until the identity provider answers", "issuer", c.Issuer, "error", errors.Unwrap(err))
	}
	return s, nil
}

// Basic tells who shows these credentials of HTTP basic authentication, as
// Juju clients use it for streams and uploads: no user name and a session token,
// or a client id and its secret. Errors are those of VerifyToken and
// ClientCredentials.
func (s *Service) Basic(ctx context.Context, username, password string) (estate.User, error) {
	if username == "" {
		return s.VerifyToken(ctx, password)
	}
	return s.ClientCredentials(ctx, username, password)
}

// secretKeeping returns a client that repeats no request with a secret
// somewhere else, and whose requests end.
func secretKeeping(c *http.Client) *http.Client {
	if c == nil {
		c = &http.Client{}
	}
	keeping := *c
	if keeping.Timeout == 0 {
		keeping.Timeout = requestTimeout
	}
	follow := c.CheckRedirect
	keeping.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if via[0].Method != http.MethodGet || via[0].Header.Get("Authorization") != "" {
			return http.ErrUseLastResponse
		}
		if follow != nil {
			return follow(req, via)
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	return &keeping
}

// discover returns the issuer's endpoints and keys. Errors have
// CodeConnectionFailed, and the reason as their cause.
func (s *Service) discover(ctx context.Context) (*oidc.Provider, error) {
	s.providerMu.Lock()
	provider := s.provider
	s.providerMu.Unlock()
	if provider != nil {
		return provider, nil
	}
	provider, err := s.discovery.do(ctx, struct{}{}, func() (*oidc.Provider, error) {
		return oidc.NewProvider(s.clientContext(ctx), s.config.Issuer)
	})
	if err != nil {
		return nil, unreachable(err)
	}
	s.providerMu.Lock()
	s.provider = provider
	s.providerMu.Unlock()
	return provider, nil
}

// Ping makes sure that the issuer answers. It asks for the discovery document
// each time; what is known of the issuer stays.
func (s *Service) Ping(ctx context.Context) error {
	if _, err := oidc.NewProvider(s.clientContext(ctx), s.config.Issuer); err != nil {
		return fmt.Errorf("the identity provider does not answer as it should: %w", err)
	}
	return nil
}

// clientContext makes the libraries use our HTTP client.
func (s *Service) clientContext(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, s.client)
}

// own is our own client at the issuer.
func (s *Service) own(p *oidc.Provider) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = s.authStyle()
	return &oauth2.Config{ClientID: s.config.ClientID, ClientSecret: s.config.ClientSecret, Endpoint: endpoint, Scopes: s.config.Scopes}
}

func (s *Service) authStyle() oauth2.AuthStyle {
	if s.config.AuthStyle == AuthStylePost {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// unreachable is the error of an issuer that gives no usable answer.
func unreachable(cause error) error {
	return &estate.Error{
		Code:    estate.CodeConnectionFailed,
		Message: "cannot log in: the identity provider does not answer as it should; try again later, or tell the administrator of JIMM",
		Cause:   cause,
	}
}

// answerOf returns what the issuer answered in place of a token: OAuth's error
// code, which may be empty, and an error for the log, without what was sent.
// ok is false if it did not answer.
func answerOf(err error, secret string) (code string, status int, cause error, ok bool) {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return "", 0, err, false
	}
	description := strings.ToValidUTF8(answer.ErrorDescription, "")
	if secret != "" {
		description = strings.ReplaceAll(description, secret, "(secret)")
	}
	if len(description) > 200 {
		description = description[:200] + "…"
	}
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	return answer.ErrorCode, status, fmt.Errorf("identity provider answered %d %s: %s", status, answer.ErrorCode, description), true
}

// digest names a secret without holding it.
func digest(key []byte, parts ...string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return [sha256.Size]byte(mac.Sum(nil))
}
