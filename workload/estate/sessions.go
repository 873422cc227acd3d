package estate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// SessionKind says how a person logged in.
type SessionKind string

// The kinds of sessions. A service account has none: it shows its credentials
// on each connection.
const (
	// SessionDevice is of a juju client, which holds a session token.
	SessionDevice SessionKind = "device"
	// SessionBrowser is of a browser, which holds a cookie.
	SessionBrowser SessionKind = "browser"
)

// SessionTouch is how exactly it is known when a session was last used.
const SessionTouch = time.Minute

// minSessionID is how many characters of an id people must give.
const minSessionID = 8

// Session is a login of a person. What the client holds, a token or a cookie,
// is good only while its session is there: who it is and until when is decided
// by the session, not by what the client shows.
type Session struct {
	// ID is no secret: the jti of a session token, or the BrowserSessionID of a
	// cookie. It is in hex.
	ID   string
	User string
	Kind SessionKind
	// Client and Address are the Caller's that logged in.
	Client, Address string
	StartedAt       time.Time
	// LastUsed is exact to SessionTouch. A session is in use while a connection
	// of it is open.
	LastUsed time.Time
	// Expires is when the session ends, however much it is used.
	Expires time.Time
	// IdleLimit is for how long it may be unused; 0 is without a limit.
	IdleLimit time.Duration
	// Groups are the ids of the user's groups at the identity provider, as of
	// RefreshedAt.
	Groups      []string
	RefreshedAt time.Time
	// Refreshable is set if Secrets has a refresh token at SessionSecretPath.
	Refreshable bool
	// AccessUntil is until when what the issuer has said of the user counts; zero
	// is without a limit. Then it is asked anew, with the refresh token.
	AccessUntil time.Time
}

// BrowserSessionID returns the id of the session that a cookie's random value
// belongs to. Who knows the id does not know the cookie.
func BrowserSessionID(cookie string) string {
	sum := sha256.Sum256([]byte("jimm browser session " + cookie))
	return hex.EncodeToString(sum[:16])
}

// SessionSecretPath is where the refresh token of a session is kept, under the
// key "refresh-token". It is put there before the session is inserted, and
// removed when the session has ended.
func SessionSecretPath(id string) string { return "sessions/" + id }

// SessionFilter picks sessions; what is empty matches any.
type SessionFilter struct {
	User string
	// IDs are whole ids, or the beginnings of ids.
	IDs []string
}

// SessionStore remembers sessions. A session is alive until it ends, expires or
// has been unused for too long, by the store's clock; of one that is not,
// every method says that it is not there: CodeNotFound.
type SessionStore interface {
	// InsertSession begins a session; its user must be known.
	InsertSession(ctx context.Context, s Session) error
	// UseSession returns a session, which is in use now.
	UseSession(ctx context.Context, id string) (Session, error)
	// UseSessions returns those of these that are alive, all of which are in use
	// now.
	UseSessions(ctx context.Context, ids []string) (alive []Session, err error)
	// ClaimRefresh lets one of all callers refresh what is known of a
	// session's user, if that has not been done since a time.
	ClaimRefresh(ctx context.Context, id string, since time.Time) (mine bool, err error)
	// SaveRefresh saves what a refresh has found.
	SaveRefresh(ctx context.Context, id string, groups []string, accessUntil time.Time) error
	// SpendState notes that a browser has come back from the issuer with a state,
	// and reports whether it was the first time; it is known until then.
	SpendState(ctx context.Context, digest string, until time.Time) (first bool, err error)
	// Sessions returns the sessions that match, by user, the newest first.
	Sessions(ctx context.Context, f SessionFilter) ([]Session, error)
	// EndSessions ends the sessions that match, and tells all units. With no
	// IDs in the filter the connections of service accounts end, too.
	EndSessions(ctx context.Context, f SessionFilter) (ended []Session, err error)
	// EndedUsers returns, of these users, when EndSessions without ids was last
	// called for them; those for whom it never was are left out.
	EndedUsers(ctx context.Context, users []string) (map[string]time.Time, error)
	// DeadSessions returns up to limit sessions that are not alive any more;
	// DeleteSession forgets one.
	DeadSessions(ctx context.Context, limit int) ([]Session, error)
	DeleteSession(ctx context.Context, id string) error
}

// SessionChannel is where all units hear of sessions that were ended; the
// payload is an EndedSessions.
const SessionChannel = "sessions"

// EndedSessions is what a unit hears. Its zero value stands for anything at all.
type EndedSessions struct {
	IDs []string `json:"ids,omitempty"`
	// User is whose sessions have all ended, and the connections without one.
	User string `json:"user,omitempty"`
	// All is set when that is so for everyone.
	All bool `json:"all,omitempty"`
}

// ListSessions returns the sessions of a user, one's own for "". Needs to be
// that user, or administrator of JIMM.
func (e *Estate) ListSessions(ctx context.Context, u User, of string) ([]Session, error) {
	if of == "" {
		of = u.Name
	}
	if err := e.requireSelf(ctx, u, of); err != nil {
		return nil, err
	}
	return e.Store.Sessions(ctx, SessionFilter{User: of})
}

// ListAllSessions returns everyone's. Needs administrator of JIMM.
func (e *Estate) ListAllSessions(ctx context.Context, u User) ([]Session, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	return e.Store.Sessions(ctx, SessionFilter{})
}

// EndSessions ends sessions by their ids, which may be shortened to eight or
// more characters, and returns them. They are one's own; an administrator of
// JIMM may end anyone's. None is ended unless all are there: CodeNotFound,
// also for those of others, and CodeBadRequest if an id is too short, or the
// beginning of several.
func (e *Estate) EndSessions(ctx context.Context, u User, ids []string) ([]Session, error) {
	if len(ids) == 0 {
		return nil, Errorf(CodeBadRequest, "no session is named")
	}
	f := SessionFilter{User: u.Name}
	if admin, err := e.IsAdmin(ctx, u); err != nil {
		return nil, err
	} else if admin {
		f.User = ""
	}
	var whole []string
	for _, id := range ids {
		if len(id) < minSessionID {
			return nil, Errorf(CodeBadRequest, "%q is not enough of a session's id: give %d characters or more", clip(id), minSessionID)
		}
		found, err := e.Store.Sessions(ctx, SessionFilter{User: f.User, IDs: []string{id}})
		switch {
		case err != nil:
			return nil, err
		case len(found) == 0:
			return nil, Errorf(CodeNotFound, "session %q not found", clip(id))
		case len(found) > 1:
			return nil, Errorf(CodeBadRequest, "%q is the beginning of %d sessions' ids: give more of it", clip(id), len(found))
		}
		whole = append(whole, found[0].ID)
	}
	f.IDs = whole
	return e.Store.EndSessions(ctx, f)
}

// EndUserSessions ends all sessions of a user, and all connections of a service
// account. Needs to be that user, or administrator of JIMM.
func (e *Estate) EndUserSessions(ctx context.Context, u User, of string) ([]Session, error) {
	if of == "" {
		return nil, Errorf(CodeBadRequest, "no user is named")
	}
	if err := e.requireSelf(ctx, u, of); err != nil {
		return nil, err
	}
	if _, err := e.Store.Identity(ctx, of); err != nil {
		return nil, err
	}
	return e.Store.EndSessions(ctx, SessionFilter{User: of})
}

// EndAllSessions ends everyone's sessions, the caller's too. Needs
// administrator of JIMM.
func (e *Estate) EndAllSessions(ctx context.Context, u User) ([]Session, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	return e.Store.EndSessions(ctx, SessionFilter{})
}

// requireSelf fails with CodeUnauthorized unless u is that user, or
// administers JIMM.
func (e *Estate) requireSelf(ctx context.Context, u User, name string) error {
	if name == u.Name {
		return nil
	}
	return e.requireAdmin(ctx, u)
}

// sweepSessions forgets sessions that are over: what was secret of them first,
// since nobody looks for that without the row.
func (e *Estate) sweepSessions(ctx context.Context) error {
	const batch = 500
	for {
		dead, err := e.Store.DeadSessions(ctx, batch)
		if err != nil {
			return err
		}
		for _, s := range dead {
			if s.Refreshable {
				if err := e.Secrets.Delete(ctx, SessionSecretPath(s.ID)); err != nil {
					return fmt.Errorf("cannot remove the refresh token of a session: %w", err)
				}
			}
			if err := e.Store.DeleteSession(ctx, s.ID); err != nil {
				return err
			}
		}
		if len(dead) < batch {
			return nil
		}
	}
}

// errSessionOver is the error of a session that is not there any more.
var errSessionOver = &Error{Code: CodeSessionTokenInvalid, Message: `no valid session; run "juju login" to log in`}

func readEndedSessions(payload string) EndedSessions {
	var ended EndedSessions
	if payload != "" && json.Unmarshal([]byte(payload), &ended) != nil {
		return EndedSessions{}
	}
	return ended
}
