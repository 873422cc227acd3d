package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
)

// session is a token of ours, and a client that sends it.
type session struct {
	client *api.Client
	// life is what the token was made for, and expires when it ends, zero for
	// never; renewal is when to see to it that there is another by then.
	life             time.Duration
	expires, renewal time.Time
	renewable        bool
}

// call is what is done, for errors, and whether it may be done twice.
type call struct {
	verb, path string
	repeat     repeat
}

// repeat says whether a call whose end is not known may be repeated.
type repeat bool

const (
	repeatable repeat = true
	once       repeat = false
)

// pauses are between the attempts at a call that Vault could not answer.
var pauses = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond}

// do calls f with a client that is logged in. It repeats what Vault did not do,
// or if the call may be repeated, what it perhaps did not do. The error has a
// code unless it is one of ours.
func (s *Secrets) do(ctx context.Context, c call, f func(context.Context, *api.Client) error) error {
	fresh := false // whether this call has had to log in anew
	for attempt := 0; ; attempt++ {
		err := s.attempt(ctx, &fresh, f)
		if err == nil {
			s.well()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cannot %s secret: %w", c.verb, ctx.Err())
		}
		failure := classify(err)
		if failure.transient && (bool(c.repeat) || failure.undone) && attempt < len(pauses) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("cannot %s secret: %w", c.verb, ctx.Err())
			case <-time.After(pauses[attempt]):
			}
			continue
		}
		return s.failed(c, failure, err)
	}
}

// attempt calls f once, or if its token is refused, twice.
func (s *Secrets) attempt(ctx context.Context, fresh *bool, f func(context.Context, *api.Client) error) error {
	for {
		current, err := s.logIn(ctx)
		if err != nil {
			return &notSent{err}
		}
		calling, cancel := context.WithTimeout(ctx, s.config.Timeout)
		err = f(calling, current.client)
		cancel()
		if *fresh || statusOf(err) != http.StatusForbidden {
			return err
		}
		// Is it the token, or what it may do? One that is over is refused
		// everything, also to tell about itself.
		calling, cancel = context.WithTimeout(ctx, s.config.Timeout)
		_, probe := current.client.Auth().Token().LookupSelfWithContext(calling)
		cancel()
		if statusOf(probe) != http.StatusForbidden {
			return err
		}
		s.session.CompareAndSwap(current, nil)
		*fresh = true
	}
}

// notSent is why a call was not made.
type notSent struct{ error }

func (e *notSent) Unwrap() error { return e.error }

// logIn returns a session whose token is good, as far as is known here. A token
// that will end soon is replaced by the first who sees that. Where there is none,
// one of many callers logs in, and the others wait for it.
func (s *Secrets) logIn(ctx context.Context) (*session, error) {
	now := s.config.Now()
	current := s.session.Load()
	if current != nil && (current.expires.IsZero() || now.Before(current.expires)) {
		if current.expires.IsZero() || now.Before(current.renewal) || !s.renewing.TryLock() {
			return current, nil
		}
		defer s.renewing.Unlock()
		if latest := s.session.Load(); latest != nil && latest != current {
			return latest, nil
		}
		return s.replace(current)
	}
	flight := s.flights.DoChan("", func() (any, error) {
		if latest := s.session.Load(); latest != nil && latest != current {
			return latest, nil // of the flight before
		}
		return s.replace(nil)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*session), nil
	}
}

// replace makes a session whose token has its whole life before it: the current
// one's if it can be renewed for as long, else that of a new login. If neither
// can be had the current one serves on.
func (s *Secrets) replace(current *session) (*session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Timeout)
	defer cancel()
	if current != nil && current.renewable {
		secret, err := current.client.Auth().Token().RenewSelfWithContext(ctx, int(current.life.Seconds()))
		if err == nil && secret != nil && secret.Auth != nil {
			renewed := s.newSession(current.client, secret.Auth)
			// Near the end of what it may live, Vault grants less and less.
			if renewed.life >= current.life*3/4 {
				renewed.life = current.life
				s.session.Store(renewed)
				return renewed, nil
			}
		}
	}
	made, err := s.newLogin(ctx)
	if err != nil {
		if current != nil {
			s.failed(call{verb: "renew the token for"}, classify(err), err)
			// It may serve until it ends; the next try is not for every call.
			later := *current
			later.renewal = s.config.Now().Add(current.life/20 + time.Second)
			s.session.Store(&later)
			return &later, nil
		}
		return nil, err
	}
	s.session.Store(made)
	return made, nil
}

// newLogin logs in by the AppRole.
func (s *Secrets) newLogin(ctx context.Context) (*session, error) {
	client, err := s.client.CloneWithHeaders()
	if err != nil {
		return nil, err
	}
	auth, err := approle.NewAppRoleAuth(s.config.RoleID, &approle.SecretID{
		FromString: s.config.SecretID, FromFile: s.config.SecretIDFile,
	})
	if err != nil {
		return nil, &refusedLogin{err}
	}
	secret, err := client.Auth().Login(ctx, auth)
	switch status := statusOf(err); {
	case status == http.StatusBadRequest || status == http.StatusForbidden || status == http.StatusNotFound:
		return nil, &refusedLogin{err}
	case err != nil && status == 0 && s.config.SecretIDFile != "" && isFileError(err):
		return nil, &refusedLogin{err}
	case err != nil:
		return nil, err
	case secret.Auth == nil:
		return nil, &unreadable{errors.New("a login was answered without a token")}
	}
	client.SetToken(secret.Auth.ClientToken)
	if err := s.checkMount(ctx, client); err != nil {
		return nil, err
	}
	return s.newSession(client, secret.Auth), nil
}

func (s *Secrets) newSession(client *api.Client, auth *api.SecretAuth) *session {
	made := &session{client: client, life: time.Duration(auth.LeaseDuration) * time.Second, renewable: auth.Renewable}
	if made.life > 0 {
		now := s.config.Now()
		made.expires, made.renewal = now.Add(made.life), now.Add(made.life*2/3)
	}
	return made
}

// checkMount makes sure once that the mount is what it should be: one of KV
// version 1 would take our writes, and not know versions. A Vault that does not
// tell is not held against it.
func (s *Secrets) checkMount(ctx context.Context, client *api.Client) error {
	if s.checked.Load() {
		return nil
	}
	mount, err := client.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+s.config.Mount)
	if statusOf(err) == http.StatusForbidden {
		return &badMount{fmt.Sprintf("there is no mount %q that JIMM's policy gives access to", s.config.Mount)}
	}
	if err != nil || mount == nil {
		return nil
	}
	options, _ := mount.Data["options"].(map[string]any)
	if kind, _ := mount.Data["type"].(string); kind != "kv" || options["version"] != "2" {
		return &badMount{fmt.Sprintf("the mount %q is not a KV secrets engine of version 2", s.config.Mount)}
	}
	s.checked.Store(true)
	return nil
}
