package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"jimm/workload/estate"
)

const (
	// BrowserWait is for how long a login by browser may take, from its start
	// until the issuer sends the browser back.
	BrowserWait = 15 * time.Minute

	// randomSize is of what is random in cookies, in bytes.
	randomSize = 32
	// maxCookie is the length of the longest cookie value that is looked at.
	maxCookie = 128
	// defaultAccess is for issuers that do not say how long an access token is good.
	defaultAccess = time.Hour
	// refreshGrace is for how long after an access token has expired its session
	// goes on while the issuer does not answer, and refreshPause how long is
	// waited until it is asked again: longer than requestTimeout, so that no two
	// ask with the same refresh token.
	refreshGrace = 2 * time.Minute
	refreshPause = requestTimeout + 15*time.Second
)

// Browser is a login by browser that has been started.
type Browser struct {
	// URL is where the browser goes now.
	URL string
	// Cookie is what it brings along when it comes back.
	Cookie string
}

// Callback is what a browser brings when it comes back from the issuer (RFC
// 6749, section 4.1.2, and RFC 9207). All of it may be forged.
type Callback struct {
	Cookie string
	// State, Code, Issuer and Error are the parameters of the URL.
	State, Code, Issuer, Error string
	// Former is the cookie of an earlier session of this browser, if it has one.
	Former string
}

// StartBrowser starts a login by browser: authorization code with PKCE, state
// and nonce. All three are made from a random cookie with a key of ours, so that
// any unit can finish what another has started, and nothing is kept for those
// who never come back. Errors have CodeConnectionFailed.
func (s *Service) StartBrowser(ctx context.Context) (Browser, error) {
	provider, err := s.discover(ctx)
	if err != nil {
		return Browser{}, err
	}
	random, err := s.random()
	if err != nil {
		return Browser{}, err
	}
	issued := binary.BigEndian.AppendUint64(nil, uint64(s.config.Now().Unix()))
	cookie := base64.RawURLEncoding.EncodeToString(append(issued, random...))
	config := s.browserClient(provider)
	return Browser{
		URL: config.AuthCodeURL(s.derive("state", cookie),
			oidc.Nonce(s.derive("nonce", cookie)), oauth2.S256ChallengeOption(s.derive("verifier", cookie))),
		Cookie: cookie,
	}, nil
}

// browserClient is our own client at the issuer for logins by browser. A refresh
// token is asked for where the issuer says that this is the way to.
func (s *Service) browserClient(p *oidc.Provider) *oauth2.Config {
	config := s.own(p)
	config.RedirectURL = s.config.RedirectURL
	var offers struct {
		Scopes []string `json:"scopes_supported"`
	}
	if p.Claims(&offers) == nil && slices.Contains(offers.Scopes, oidc.ScopeOfflineAccess) && !slices.Contains(config.Scopes, oidc.ScopeOfflineAccess) {
		config.Scopes = append(slices.Clone(config.Scopes), oidc.ScopeOfflineAccess)
	}
	return config
}

// derive makes what only we can make of a cookie.
func (s *Service) derive(purpose, cookie string) string {
	key := hmac.New(sha256.New, s.config.SessionKey)
	key.Write([]byte("jimm login by browser"))
	sum := digest(key.Sum(nil), purpose, cookie)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *Service) random() ([]byte, error) {
	b := make([]byte, randomSize)
	if _, err := io.ReadFull(s.config.Random, b); err != nil {
		return nil, fmt.Errorf("cannot make a cookie: %w", err)
	}
	return b, nil
}

// FinishBrowser begins the session of a person whom the issuer has sent back,
// and returns the cookie that it is known by. CodeForbidden: it is not the login
// that this browser has started, or it has been used, or the issuer says no;
// CodeNotValid for a person whom we do not take; CodeConnectionFailed if the
// issuer gives no usable answer; CodeTryAgain if too many have failed, and then
// the browser may come back once more.
func (s *Service) FinishBrowser(ctx context.Context, c Callback) (cookie string, u estate.User, err error) {
	// What is forged costs nobody anything, and any page can make a browser bring it.
	issued, err := s.checkState(c)
	if err != nil {
		return "", estate.User{}, err
	}
	err = s.attempt(ctx, "", refusedBrowser, func() error {
		cookie, u, err = s.finishBrowser(ctx, c, issued)
		return err
	})
	return cookie, u, err
}

// refusedBrowser reports whether an error is about what a browser brought.
func refusedBrowser(err error) bool {
	return estate.Is(err, estate.CodeForbidden) || estate.Is(err, estate.CodeNotValid)
}

func (s *Service) finishBrowser(ctx context.Context, c Callback, issued time.Time) (cookie string, u estate.User, err error) {
	if err := s.spendState(ctx, c, issued); err != nil {
		return "", estate.User{}, err
	}
	provider, err := s.discover(ctx)
	if err != nil {
		return "", estate.User{}, err
	}
	config := s.browserClient(provider)
	granted, err := config.Exchange(s.clientContext(ctx), c.Code, oauth2.VerifierOption(s.derive("verifier", c.Cookie)))
	if err != nil {
		return "", estate.User{}, s.notGranted(ctx, err)
	}
	p, err := s.person(ctx, provider, granted, s.derive("nonce", c.Cookie))
	if err != nil {
		return "", estate.User{}, err
	}
	random, err := s.random()
	if err != nil {
		return "", estate.User{}, err
	}
	cookie = base64.RawURLEncoding.EncodeToString(random)
	session, err := s.beginBrowser(ctx, p, estate.BrowserSessionID(cookie), granted)
	if err != nil {
		return "", estate.User{}, err
	}
	if c.Former != "" {
		if err := s.EndBrowser(ctx, c.Former); err != nil {
			s.config.Log.WarnContext(ctx, "cannot end the earlier session of a browser", "error", err)
		}
	}
	p.Session = session.ID
	return cookie, p.User, nil
}

// beginBrowser begins a session by browser. Its refresh token, if there is one,
// is saved before it.
func (s *Service) beginBrowser(ctx context.Context, p person, id string, granted *oauth2.Token) (estate.Session, error) {
	n := estate.Session{ID: id, Kind: estate.SessionBrowser, IdleLimit: s.config.BrowserIdle, Expires: s.config.Now().Add(s.config.BrowserLife)}
	until := s.accessUntil(granted)
	if granted.RefreshToken == "" {
		// Nobody can be asked later whether the person still may.
		if until.Before(n.Expires) {
			n.Expires = until
		}
		return s.begin(ctx, p, n)
	}
	n.Refreshable, n.AccessUntil = true, until
	if err := s.config.Secrets.Put(ctx, estate.SessionSecretPath(id), map[string]string{refreshTokenKey: granted.RefreshToken}); err != nil {
		return estate.Session{}, fmt.Errorf("cannot save a refresh token: %w", err)
	}
	session, err := s.begin(ctx, p, n)
	if err != nil {
		return estate.Session{}, errors.Join(err, s.config.Secrets.Delete(context.WithoutCancel(ctx), estate.SessionSecretPath(id)))
	}
	return session, nil
}

// refreshTokenKey is where a session's secret has its refresh token.
const refreshTokenKey = "refresh-token"

func (s *Service) accessUntil(granted *oauth2.Token) time.Time {
	if granted.Expiry.IsZero() {
		return s.config.Now().Add(defaultAccess)
	}
	return granted.Expiry
}

func notOurs(why string) error {
	return &estate.Error{Code: estate.CodeForbidden, Message: "this login was not begun in this browser, has taken too long, or has been used before", Cause: errors.New(why)}
}

// checkState checks that a browser comes back from a login that it started, and
// returns when that was.
func (s *Service) checkState(c Callback) (issued time.Time, err error) {
	if c.Cookie == "" || len(c.Cookie) > maxCookie || c.State == "" {
		return issued, notOurs("no state, or no cookie")
	}
	if !hmac.Equal([]byte(c.State), []byte(s.derive("state", c.Cookie))) {
		return issued, notOurs("state is not of this cookie")
	}
	// From here on the cookie is ours.
	raw, err := base64.RawURLEncoding.DecodeString(c.Cookie)
	if err != nil || len(raw) != 8+randomSize {
		return issued, notOurs("cookie is not of this version")
	}
	issued = time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	now := s.config.Now()
	if now.After(issued.Add(BrowserWait)) || issued.After(now.Add(BrowserWait)) {
		return issued, notOurs("state has expired")
	}
	if c.Issuer != "" && c.Issuer != s.config.Issuer {
		return issued, notOurs("answer is of another issuer")
	}
	return issued, nil
}

// spendState makes sure that a browser comes back for the first time, and with
// a login.
func (s *Service) spendState(ctx context.Context, c Callback, issued time.Time) error {
	// It is spent before anything is asked with it: a code that is shown twice
	// may cost the issuer's first answer, too (RFC 6749, section 4.1.2).
	first, err := s.config.Sessions.SpendState(ctx, s.derive("spent", c.Cookie), issued.Add(2*BrowserWait))
	if err != nil {
		return err
	}
	if !first {
		return notOurs("state has been used")
	}
	switch {
	case c.Error == "access_denied":
		return estate.Errorf(estate.CodeForbidden, "login was denied at the identity provider")
	case c.Error != "":
		s.config.Log.ErrorContext(ctx, "the identity provider sent a browser back without a login", "error", clean(c.Error))
		return estate.Errorf(estate.CodeForbidden, "the identity provider did not log you in")
	case c.Code == "":
		return notOurs("no code")
	}
	return nil
}

// notGranted is the error of an exchange at the token endpoint.
func (s *Service) notGranted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, status, cause, answered := answerOf(err, s.config.ClientSecret)
	s.config.Log.ErrorContext(ctx, "cannot finish a login by browser", "error", cause)
	if answered && status < 500 {
		return &estate.Error{Code: estate.CodeForbidden, Message: "the identity provider did not confirm the login", Cause: cause}
	}
	return unreachable(cause)
}

// clean makes what somebody else wrote fit for a log.
func clean(text string) string {
	if len(text) > 100 {
		text = text[:100]
	}
	return fmt.Sprintf("%q", text)
}

// VerifyCookie tells whose session by browser this is. Its session is in use
// then, and whatever the issuer knew of the person is asked anew when the access
// token has expired. CodeUnauthorized, and the same text whatever is wrong with
// the cookie; CodeConnectionFailed if the issuer has to be asked and does not
// answer.
func (s *Service) VerifyCookie(ctx context.Context, cookie string) (estate.User, time.Time, error) {
	if cookie == "" || len(cookie) > maxCookie {
		return estate.User{}, time.Time{}, notLoggedIn(errors.New("no cookie"))
	}
	session, err := s.config.Sessions.UseSession(ctx, estate.BrowserSessionID(cookie))
	switch {
	case estate.Is(err, estate.CodeNotFound):
		return estate.User{}, time.Time{}, notLoggedIn(err)
	case err != nil:
		return estate.User{}, time.Time{}, err
	case session.Kind != estate.SessionBrowser:
		return estate.User{}, time.Time{}, notLoggedIn(errors.New("session is not of a browser"))
	}
	if session, err = s.refreshed(ctx, session); err != nil {
		return estate.User{}, time.Time{}, err
	}
	return estate.User{Name: session.User, Groups: session.Groups, Session: session.ID}, session.Expires, nil
}

func notLoggedIn(cause error) error {
	return &estate.Error{Code: estate.CodeUnauthorized, Message: "not logged in, or the session has ended: log in again", Cause: cause}
}

// EndBrowser ends the session of a cookie; it is no error if there is none.
func (s *Service) EndBrowser(ctx context.Context, cookie string) error {
	if cookie == "" || len(cookie) > maxCookie {
		return nil
	}
	ended, err := s.config.Sessions.EndSessions(ctx, estate.SessionFilter{IDs: []string{estate.BrowserSessionID(cookie)}})
	if err != nil {
		return err
	}
	for _, session := range ended {
		s.config.Log.InfoContext(ctx, "a user has logged out", "user", session.User, "session", session.ID)
	}
	return nil
}

// RefreshSession asks the issuer about the user of a session if its access token
// has expired, as any use of its cookie does. Errors are those of VerifyCookie.
func (s *Service) RefreshSession(ctx context.Context, session estate.Session) error {
	_, err := s.refreshed(ctx, session)
	return err
}

// refreshed returns a session about which the issuer has been asked since its
// access token expired. One of all units asks; until it knows, the others go on
// with what was known, for no longer than refreshGrace.
func (s *Service) refreshed(ctx context.Context, session estate.Session) (estate.Session, error) {
	now := s.config.Now()
	if !session.Refreshable || now.Before(session.AccessUntil) {
		return session, nil
	}
	mine, err := s.config.Sessions.ClaimRefresh(ctx, session.ID, now.Add(-refreshPause))
	if err != nil {
		return estate.Session{}, err
	}
	if !mine {
		if now.Before(session.AccessUntil.Add(refreshGrace)) {
			return session, nil
		}
		return estate.Session{}, unreachable(errors.New("access token has expired, and the issuer did not answer when it was asked last"))
	}
	// What has been begun is finished, also if the browser goes away: the issuer
	// may take a refresh token only once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	err = s.refresh(ctx, &session)
	switch {
	case err == nil:
		return session, nil
	case estate.Is(err, estate.CodeUnauthorized):
		if _, failed := s.config.Sessions.EndSessions(ctx, estate.SessionFilter{IDs: []string{session.ID}}); failed != nil {
			return estate.Session{}, failed
		}
		s.config.Log.InfoContext(ctx, "a session was ended: it cannot be refreshed", "user", session.User, "session", session.ID, "error", errors.Unwrap(err))
		return estate.Session{}, err
	case estate.Is(err, estate.CodeConnectionFailed) && now.Before(session.AccessUntil.Add(refreshGrace)):
		return session, nil
	}
	return estate.Session{}, err
}

// refresh asks the issuer for new tokens, and so whether the person still may.
// CodeUnauthorized if not.
func (s *Service) refresh(ctx context.Context, session *estate.Session) error {
	provider, err := s.discover(ctx)
	if err != nil {
		return err
	}
	path := estate.SessionSecretPath(session.ID)
	secret, err := s.config.Secrets.Get(ctx, path)
	if estate.Is(err, estate.CodeNotFound) {
		return notLoggedIn(err)
	}
	if err != nil {
		return err
	}
	old := &oauth2.Token{RefreshToken: secret[refreshTokenKey]}
	granted, err := s.browserClient(provider).TokenSource(s.clientContext(ctx), old).Token()
	if err != nil {
		code, _, cause, answered := answerOf(err, s.config.ClientSecret)
		if answered && (code == "invalid_grant" || code == "access_denied") {
			return notLoggedIn(cause)
		}
		s.config.Log.ErrorContext(ctx, "cannot refresh a session", "session", session.ID, "error", cause)
		return unreachable(cause)
	}
	if granted.RefreshToken != old.RefreshToken {
		if err := s.config.Secrets.Put(ctx, path, map[string]string{refreshTokenKey: granted.RefreshToken}); err != nil {
			return fmt.Errorf("cannot save a refresh token: %w", err)
		}
	}
	// An id token need not come along (OpenID Connect Core 1.0, section 12.2).
	if raw, _ := granted.Extra("id_token").(string); raw != "" {
		p, err := s.person(ctx, provider, granted, "")
		if estate.Is(err, estate.CodeNotValid) || err == nil && p.Name != session.User {
			return notLoggedIn(errors.Join(err, errors.New("the account is not the one that logged in")))
		}
		if err != nil {
			return err
		}
		session.Groups = p.Groups
	} else if groups, err := s.groups(ctx, provider, session.User, granted, nil); errors.Is(err, errInactive) {
		return notLoggedIn(err)
	} else if err != nil {
		return err
	} else if groups != nil {
		session.Groups = groups
	}
	session.AccessUntil = s.accessUntil(granted)
	return s.config.Sessions.SaveRefresh(ctx, session.ID, session.Groups, session.AccessUntil)
}
