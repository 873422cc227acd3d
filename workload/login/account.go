package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/juju/names/v6"
	"golang.org/x/oauth2/clientcredentials"

	"jimm/workload/estate"
)

const (
	// accountLife is how long an exchange that succeeded counts, so how long a
	// secret works on after the issuer has withdrawn it. Clients such as
	// Terraform connect anew for each operation.
	accountLife = 50 * time.Second
	// maxAccounts is how many exchanges are remembered.
	maxAccounts = 10_000
)

// accounts are the service accounts that have shown their secret lately. They
// are found by a digest of the id and the secret under a random key of this
// process: no secret is kept.
type accounts struct {
	key     [sha256.Size]byte
	flights flights[[sha256.Size]byte, estate.User]

	mu    sync.Mutex
	known map[[sha256.Size]byte]account
}

type account struct {
	user  estate.User
	until time.Time
}

// ClientCredentials tells which service account shows these credentials; its
// name is <client-id>@serviceaccount. Errors: CodeUnauthorized, whether the id
// or the secret is wrong; CodeNotValid if the id cannot be a user name of Juju;
// CodeConnectionFailed if the issuer does not answer; CodeTryAgain if too many
// attempts have failed.
func (s *Service) ClientCredentials(ctx context.Context, id, secret string) (estate.User, error) {
	if id == "" || secret == "" {
		return estate.User{}, wrongCredentials(nil)
	}
	// The id is not shown: it may be a secret in the wrong place.
	if !names.IsValidUserName(id) || len(id)+1+len(serviceAccountDomain) > maxName {
		return estate.User{}, estate.Errorf(estate.CodeNotValid, "client id cannot be a Juju user name: it must be two or more letters, digits and .+-, with a letter or digit first and last")
	}
	key := digest(s.accounts.key[:], id, secret)
	if u, ok := s.accounts.get(key, s.config.Now()); ok {
		return u, nil
	}
	u, err := s.accounts.flights.do(ctx, key, func() (estate.User, error) {
		if u, ok := s.accounts.get(key, s.config.Now()); ok {
			return u, nil // of the flight before
		}
		client := id
		if s.accounts.seen(key) {
			client = "" // nobody's guesses keep it out
		}
		var u estate.User
		var until time.Time
		err := s.attempt(ctx, client, refusedLogin, func() (err error) {
			u, until, err = s.exchange(ctx, id, secret)
			return err
		})
		if err != nil {
			return estate.User{}, err
		}
		if err := s.config.Identities.SaveLogin(ctx, u.Name, "", s.config.Now()); err != nil {
			return estate.User{}, err
		}
		s.accounts.put(key, account{u, until}, s.config.Now())
		return u, nil
	})
	u.Groups = slices.Clone(u.Groups)
	return u, err
}

// exchange asks the issuer for a token, and returns whose it is and until when
// that need not be asked again.
func (s *Service) exchange(ctx context.Context, id, secret string) (estate.User, time.Time, error) {
	provider, err := s.discover(ctx)
	if err != nil {
		return estate.User{}, time.Time{}, err
	}
	ctx = s.clientContext(ctx)
	config := &clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: provider.Endpoint().TokenURL,
		Scopes: s.config.ClientCredentialScopes, AuthStyle: s.authStyle(),
	}
	now := s.config.Now()
	granted, err := config.Token(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return estate.User{}, time.Time{}, ctx.Err()
		}
		code, status, cause, answered := answerOf(err, secret)
		if answered && refused(code, status) {
			s.config.Log.WarnContext(ctx, "a service account was refused", "client-id", id, "error", cause)
			return estate.User{}, time.Time{}, wrongCredentials(cause)
		}
		s.config.Log.ErrorContext(ctx, "cannot ask the identity provider about a service account", "client-id", id, "error", cause)
		return estate.User{}, time.Time{}, unreachable(cause)
	}
	until := now.Add(accountLife)
	if !granted.Expiry.IsZero() && granted.Expiry.Before(until) {
		until = granted.Expiry
	}
	u := estate.User{Name: id + "@" + serviceAccountDomain}
	u.Groups, err = s.groups(ctx, provider, u.Name, granted, nil)
	if errors.Is(err, errInactive) {
		s.config.Log.WarnContext(ctx, "a service account was refused", "client-id", id, "error", err)
		return estate.User{}, time.Time{}, wrongCredentials(err)
	}
	return u, until, err
}

// refused reports whether an answer is about the credentials (RFC 6749, section
// 5.2), not about our request.
func refused(code string, status int) bool {
	switch code {
	case "invalid_client", "invalid_grant", "unauthorized_client", "access_denied":
		return true
	case "":
		return status == http.StatusUnauthorized || status == http.StatusForbidden
	}
	return false
}

func wrongCredentials(cause error) error {
	return &estate.Error{Code: estate.CodeUnauthorized, Message: "invalid client id or client secret", Cause: cause}
}

// seen reports whether these credentials have been right before.
func (a *accounts) seen(key [sha256.Size]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.known[key]
	return ok
}

func (a *accounts) get(key [sha256.Size]byte, now time.Time) (estate.User, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.known[key]
	if !ok || !now.Before(found.until) {
		return estate.User{}, false
	}
	u := found.user
	u.Groups = slices.Clone(u.Groups)
	return u, true
}

// ForgetAccount makes the credentials of a service account, by its user name, be
// exchanged anew when they are shown next; those of all accounts for "".
func (s *Service) ForgetAccount(user string) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	for key, known := range s.accounts.known {
		if user == "" || known.user.Name == user {
			known.until = time.Time{}
			s.accounts.known[key] = known
		}
	}
}

func (a *accounts) put(key [sha256.Size]byte, found account, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[[sha256.Size]byte]account{}
	}
	if len(a.known) >= maxAccounts {
		for k, old := range a.known {
			if !now.Before(old.until) {
				delete(a.known, k)
			}
		}
		if len(a.known) >= maxAccounts {
			return
		}
	}
	a.known[key] = found
}
