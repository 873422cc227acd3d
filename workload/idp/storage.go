package idp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	scopeGroups = "groups"
	claimGroups = "groups"

	authRequestLife = 15 * time.Minute
	sessionLife     = 8 * time.Hour
	refreshLife     = 24 * time.Hour
)

// digest stands for a password or secret.
type digest [sha256.Size]byte

// user is a User with its password hidden.
type user struct {
	User
	subject  string
	password digest
}

// storage is what the provider knows.
type storage struct {
	key           *key
	digestKey     [sha256.Size]byte
	users         map[string]*user // by lower-case e-mail address
	subjects      map[string]*user
	clients       map[string]*client
	tokenLife     time.Duration
	pollInterval  time.Duration
	opaque        bool
	now           func() time.Time
	nobody        digest // the password of users there are not
	mu            sync.Mutex
	authRequests  map[string]*authRequest
	codes         map[string]string // authorization code to request
	devices       map[string]*device
	userCodes     map[string]*device
	access        map[string]*grant // by token id
	refresh       map[string]*grant // by token
	loginSessions map[string]*session
}

var (
	_ op.Storage                    = (*storage)(nil)
	_ op.DeviceAuthorizationStorage = (*storage)(nil)
	_ op.ClientCredentialsStorage   = (*storage)(nil)
	_ op.CanSetUserinfoFromRequest  = (*storage)(nil)
)

func newStorage(c Config) (*storage, error) {
	key, err := openKey(c.KeyDir)
	if err != nil {
		return nil, err
	}
	s := &storage{
		key:           key,
		users:         map[string]*user{},
		subjects:      map[string]*user{},
		clients:       map[string]*client{},
		tokenLife:     c.TokenLife,
		pollInterval:  c.DeviceInterval,
		opaque:        c.OpaqueTokens,
		now:           time.Now,
		authRequests:  map[string]*authRequest{},
		codes:         map[string]string{},
		devices:       map[string]*device{},
		userCodes:     map[string]*device{},
		access:        map[string]*grant{},
		refresh:       map[string]*grant{},
		loginSessions: map[string]*session{},
	}
	_, _ = rand.Read(s.digestKey[:]) // never fails
	s.nobody = s.digest(rand.Text())
	for _, u := range c.Users {
		email := strings.ToLower(u.Email)
		if !strings.Contains(email, "@") || u.Password == "" {
			return nil, fmt.Errorf("user %q needs an e-mail address and a password", u.Email)
		}
		if s.users[email] != nil {
			return nil, fmt.Errorf("user %q is there twice", u.Email)
		}
		// A subject means nothing to others, and is the same after a restart.
		sum := sha256.Sum256([]byte("subject:" + email))
		known := &user{User: u, subject: hex.EncodeToString(sum[:12]), password: s.digest(u.Password)}
		known.Password = ""
		s.users[email], s.subjects[known.subject] = known, known
	}
	loginURL := strings.TrimSuffix(c.Issuer, "/") + loginPath
	for _, given := range c.Clients {
		add := &client{
			id: given.ID, name: given.Name, public: given.Secret == "", secret: s.digest(given.Secret), redirectURIs: given.RedirectURIs,
			grants: []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeDeviceCode, oidc.GrantTypeRefreshToken}, loginURL: loginURL, idTokenLife: c.TokenLife,
		}
		if add.name == "" {
			add.name = add.id
		}
		if err := s.addClient(add); err != nil {
			return nil, err
		}
	}
	for _, given := range c.ServiceAccounts {
		if given.Secret == "" {
			return nil, fmt.Errorf("service account %q needs a secret", given.ID)
		}
		err := s.addClient(&client{
			id: given.ID, name: given.ID, secret: s.digest(given.Secret), grants: []oidc.GrantType{oidc.GrantTypeClientCredentials},
			loginURL: loginURL, idTokenLife: c.TokenLife, serviceGroups: given.Groups,
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *storage) addClient(c *client) error {
	if c.id == "" || s.clients[c.id] != nil {
		return fmt.Errorf("client id %q is empty or there twice", c.id)
	}
	c.opaque = s.opaque
	s.clients[c.id] = c
	return nil
}

func (s *storage) digest(secret string) digest {
	mac := hmac.New(sha256.New, s.digestKey[:])
	mac.Write([]byte(secret))
	return digest(mac.Sum(nil))
}

// authenticate returns the user with this e-mail address and password, in the
// same time whichever is wrong.
func (s *storage) authenticate(email, password string) (*user, bool) {
	known, expected := s.users[strings.ToLower(strings.TrimSpace(email))], s.nobody
	if known != nil {
		expected = known.password
	}
	given := s.digest(password)
	same := hmac.Equal(given[:], expected[:])
	return known, same && known != nil
}

// expire forgets what is over. The caller holds mu.
func (s *storage) expire() {
	now := s.now()
	for id, r := range s.authRequests {
		if now.After(r.expires) {
			delete(s.authRequests, id)
		}
	}
	for code, id := range s.codes {
		if s.authRequests[id] == nil {
			delete(s.codes, code)
		}
	}
	for code, d := range s.devices {
		// Kept for a while, so that who asks learns that it is expired.
		if now.After(d.expires.Add(time.Minute)) {
			delete(s.devices, code)
			delete(s.userCodes, d.userCode)
		}
	}
	for _, grants := range []map[string]*grant{s.access, s.refresh} {
		for id, g := range grants {
			if now.After(g.expires) {
				delete(grants, id)
			}
		}
	}
	for id, l := range s.loginSessions {
		if now.After(l.expires) {
			delete(s.loginSessions, id)
		}
	}
}

// beginSession returns the id of a new session.
func (s *storage) beginSession(u *user) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	id, now := rand.Text(), s.now()
	s.loginSessions[id] = &session{user: u, authTime: now, expires: now.Add(sessionLife)}
	return id
}

func (s *storage) endSession(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loginSessions, id)
}

func (s *storage) session(id string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.loginSessions[id]
	if found == nil || s.now().After(found.expires) {
		return session{}, false
	}
	return *found, true
}

// CreateAuthRequest is part of op.Storage.
func (s *storage) CreateAuthRequest(ctx context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if asked.CodeChallenge != "" && asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	r := &authRequest{
		id: rand.Text(), browser: browserOf(ctx), asked: *asked, expires: s.now().Add(authRequestLife),
		freshOnly: asked.MaxAge != nil || slices.Contains(asked.Prompt, oidc.PromptLogin),
		silent:    slices.Contains(asked.Prompt, oidc.PromptNone),
	}
	s.authRequests[r.id] = r
	copied := *r
	return &copied, nil
}

// AuthRequestByID is part of op.Storage.
func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	r, ok := s.authRequest(id)
	if !ok {
		return nil, oidc.ErrInvalidRequest().WithDescription("the login has taken too long: start again")
	}
	return &r, nil
}

func (s *storage) authRequest(id string) (authRequest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.authRequests[id]
	if r == nil || s.now().After(r.expires) {
		return authRequest{}, false
	}
	return *r, true
}

// completeAuthRequest says who it is that logs in.
func (s *storage) completeAuthRequest(id string, l session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.authRequests[id]; r != nil && !r.Done() {
		r.subject, r.authTime = l.user.subject, l.authTime
	}
}

// SaveAuthCode is part of op.Storage.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

// AuthRequestByCode is part of op.Storage. A code is good for one attempt.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.authRequests[s.codes[code]]
	delete(s.codes, code)
	if r == nil || s.now().After(r.expires) {
		return nil, errors.New("no such authorization code")
	}
	copied := *r
	return &copied, nil
}

// DeleteAuthRequest is part of op.Storage.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.authRequests, id)
	return nil
}

// CreateAccessToken is part of op.Storage.
func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, g := s.newAccess(r)
	return id, g.expires, nil
}

func (s *storage) newAccess(r op.TokenRequest) (string, *grant) {
	s.expire()
	g := &grant{subject: r.GetSubject(), client: r.GetSubject(), scopes: slices.Clone(r.GetScopes()), expires: s.now().Add(s.tokenLife)}
	if of, ok := r.(interface {
		GetClientID() string
		GetAuthTime() time.Time
	}); ok {
		g.client, g.authTime = of.GetClientID(), of.GetAuthTime()
	}
	id := rand.Text()
	s.access[id] = g
	return id, g
}

// CreateAccessAndRefreshTokens is part of op.Storage. A refresh token is good
// once.
func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, r op.TokenRequest, current string) (string, string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	granted := r.GetScopes()
	if current != "" {
		before := s.refresh[current]
		if before == nil {
			return "", "", time.Time{}, oidc.ErrInvalidGrant()
		}
		// The access token may have fewer scopes now; the next one need not.
		granted = before.scopes
		delete(s.refresh, current)
	}
	id, g := s.newAccess(r)
	token := rand.Text()
	s.refresh[token] = &grant{subject: g.subject, client: g.client, scopes: slices.Clone(granted), authTime: g.authTime, expires: s.now().Add(refreshLife)}
	return id, token, g.expires, nil
}

// TokenRequestByRefreshToken is part of op.Storage.
func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.refresh[token]
	if g == nil || s.now().After(g.expires) {
		return nil, op.ErrInvalidRefreshToken
	}
	copied := *g
	return &copied, nil
}

// TerminateSession is part of op.Storage.
func (s *storage) TerminateSession(_ context.Context, subject, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.loginSessions {
		if l.user.subject == subject {
			delete(s.loginSessions, id)
		}
	}
	return nil
}

// RevokeToken is part of op.Storage.
func (s *storage) RevokeToken(_ context.Context, token, _, clientID string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, grants := range []map[string]*grant{s.access, s.refresh} {
		if g := grants[token]; g != nil {
			if g.client != clientID {
				return oidc.ErrInvalidClient().WithDescription("token is not of this client")
			}
			delete(grants, token)
		}
	}
	return nil
}

// GetRefreshTokenInfo is part of op.Storage.
func (s *storage) GetRefreshTokenInfo(_ context.Context, clientID, token string) (string, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.refresh[token]
	if g == nil || g.client != clientID {
		return "", "", op.ErrInvalidRefreshToken
	}
	return g.subject, token, nil
}

// SigningKey is part of op.Storage.
func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }

// SignatureAlgorithms is part of op.Storage.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.key.SignatureAlgorithm()}, nil
}

// KeySet is part of op.Storage.
func (s *storage) KeySet(context.Context) ([]op.Key, error) { return []op.Key{publicKey{s.key}}, nil }

// GetClientByClientID is part of op.Storage.
func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if c := s.clients[id]; c != nil {
		return c, nil
	}
	return nil, oidc.ErrInvalidClient().WithDescription("no such client")
}

// AuthorizeClientIDSecret is part of op.Storage.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	c, expected := s.clients[id], s.nobody
	if c != nil && !c.public {
		expected = c.secret
	}
	given := s.digest(secret)
	if !hmac.Equal(given[:], expected[:]) {
		return oidc.ErrInvalidClient().WithDescription("wrong client id or secret")
	}
	return nil
}

// ClientCredentials is part of op.ClientCredentialsStorage.
func (s *storage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return s.clients[id], nil
}

// ClientCredentialsTokenRequest is part of op.ClientCredentialsStorage.
func (s *storage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &accessGrant{subject: id, scopes: scopes}, nil
}

// SetUserinfoFromScopes is part of op.Storage; SetUserinfoFromRequest is the one
// that counts.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest is part of op.CanSetUserinfoFromRequest.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	return s.describe(info, r.GetSubject(), scopes)
}

// SetUserinfoFromToken is part of op.Storage.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, tokenID, subject, _ string) error {
	g, ok := s.accessGrant(tokenID)
	if !ok || g.subject != subject {
		return oidc.ErrAccessDenied().WithDescription("token is not valid any more")
	}
	if err := s.describe(info, subject, g.scopes); err != nil {
		return err
	}
	if groups := s.groups(subject); len(groups) > 0 {
		info.AppendClaims(claimGroups, groups)
	}
	return nil
}

// SetIntrospectionFromToken is part of op.Storage.
func (s *storage) SetIntrospectionFromToken(_ context.Context, response *oidc.IntrospectionResponse, tokenID, subject, _ string) error {
	g, ok := s.accessGrant(tokenID)
	if !ok || g.subject != subject {
		return errors.New("token is not valid any more")
	}
	if groups := s.groups(subject); len(groups) > 0 {
		response.Claims = map[string]any{claimGroups: groups}
	}
	response.ClientID, response.Scope, response.Subject = g.client, g.scopes, subject
	response.Expiration = oidc.FromTime(g.expires)
	return nil
}

func (s *storage) accessGrant(id string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.access[id]
	if g == nil || s.now().After(g.expires) {
		return grant{}, false
	}
	return *g, true
}

// describe tells what the scopes let be known of a person.
func (s *storage) describe(info *oidc.UserInfo, subject string, scopes []string) error {
	info.Subject = subject
	u := s.subjects[subject]
	if u == nil {
		return nil
	}
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = u.Email, oidc.Bool(!u.Unverified)
		case oidc.ScopeProfile:
			info.Name, info.PreferredUsername = u.Name, u.Email
		}
	}
	return nil
}

// GetPrivateClaimsFromScopes is part of op.Storage: the groups, in every access
// token.
func (s *storage) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, _ []string) (map[string]any, error) {
	if groups := s.groups(subject); len(groups) > 0 {
		return map[string]any{claimGroups: groups}, nil
	}
	return nil, nil
}

func (s *storage) groups(subject string) []string {
	if u := s.subjects[subject]; u != nil {
		return u.Groups
	}
	if c := s.clients[subject]; c != nil {
		return c.serviceGroups
	}
	return nil
}

// GetKeyByIDAndClientID is part of op.Storage; no client has a key here.
func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errors.New("clients have no keys here")
}

// ValidateJWTProfileScopes is part of op.Storage; there are no JWT grants.
func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, oidc.ErrUnsupportedGrantType()
}

// Health is part of op.Storage.
func (s *storage) Health(context.Context) error { return nil }

// StoreDeviceAuthorization is part of op.DeviceAuthorizationStorage.
func (s *storage) StoreDeviceAuthorization(_ context.Context, clientID, deviceCode, userCode string, expires time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if s.userCodes[userCode] != nil {
		return op.ErrDuplicateUserCode
	}
	d := &device{client: clientID, code: deviceCode, userCode: userCode, scopes: slices.Clone(scopes), expires: expires}
	s.devices[deviceCode], s.userCodes[userCode] = d, d
	return nil
}

// GetDeviceAuthorizatonState is part of op.DeviceAuthorizationStorage. The
// library makes a token of a state that is done, which therefore is given out
// once, and slow_down of an exceeded deadline.
func (s *storage) GetDeviceAuthorizatonState(_ context.Context, clientID, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[deviceCode]
	if d == nil || d.client != clientID {
		return nil, errors.New("no such device code")
	}
	// Clients measure the interval from their side; a tenth is for the network.
	now := s.now()
	early := now.Sub(d.polled) < s.pollInterval*9/10
	d.polled = now
	if early {
		return nil, context.DeadlineExceeded
	}
	state := &op.DeviceAuthorizationState{
		ClientID: d.client, Scopes: d.scopes, Expires: d.expires, Denied: d.denied,
		Done: d.subject != "" && now.Before(d.expires), Subject: d.subject, AuthTime: d.authTime, AMR: passwordUsed,
	}
	if d.decided() {
		delete(s.devices, deviceCode)
		delete(s.userCodes, d.userCode)
	}
	return state, nil
}

// deviceByUserCode returns a device that waits for a decision.
func (s *storage) deviceByUserCode(userCode string) (device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.userCodes[userCode]
	if d == nil || d.decided() || s.now().After(d.expires) {
		return device{}, false
	}
	return *d, true
}

// decide records what a person said, and reports whether the device still waited.
func (s *storage) decide(userCode string, l session, approved bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.userCodes[userCode]
	if d == nil || d.decided() || s.now().After(d.expires) {
		return false
	}
	if approved {
		d.subject, d.authTime = l.user.subject, l.authTime
	} else {
		d.denied = true
	}
	return true
}
