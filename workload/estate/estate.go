package estate

import (
	"context"
	"log/slog"
	"time"
)

// Estate holds the ports and settings that all use cases share.
type Estate struct {
	Store       Store
	Permissions Permissions
	Secrets     Secrets
	Peers       Peers
	Keys        SigningKeys
	Queries     Queries
	// IdPGroups may be nil.
	IdPGroups IdPGroups

	// UUID is JIMM's own: what clients take for the controller's, and the id of
	// the controller object above all others.
	UUID string
	// Self is who JIMM is on controllers for calls it makes for itself.
	Self User
	// Version is JIMM's own, for people.
	Version, Commit string

	// Now tells the time; NewUUID makes ids; Shuffle orders equal candidates.
	Now     func() time.Time
	NewUUID func() string
	Shuffle func(n int, swap func(i, j int))
	Log     *slog.Logger

	// CallTimeout bounds what a controller may take for one call (default 1 m).
	CallTimeout time.Duration
	// IntentAge is how old an unfinished intent must be before a sweep takes it
	// for a dead process's (default 3 m; must exceed CallTimeout, so that
	// nothing is still on its way).
	IntentAge time.Duration

	// AuditRetention is for how long audit events are kept; 0 is for ever.
	AuditRetention time.Duration

	// Pause, where set, is called at each named step of a write that spans two
	// systems, so that a test can stop the process there.
	Pause func(step string)

	// ForgetAccount, where set, is told on every unit that the connections of a
	// service account were ended, or ("") those of any: whether its credentials
	// are good is then asked anew.
	ForgetAccount func(user string)

	// RefreshSession, where set, asks the issuer about a session's user if what it
	// has said before does not count any more: CodeUnauthorized if the user may
	// not go on, CodeConnectionFailed if the issuer has not answered for too long.
	RefreshSession func(ctx context.Context, s Session) error
	// SessionCheck is how often open connections are held against their sessions
	// (default SessionTouch).
	SessionCheck time.Duration

	// QueryTimeout is what the status of one model, and the program on it, may
	// take in a query of all models (default 5 s); a controller may take six
	// times that for all of its models.
	QueryTimeout time.Duration

	stream     stream
	holds      holds
	attendance attendance
	statuses   statuses
}

func (e *Estate) step(name string) {
	if e.Pause != nil {
		e.Pause(name)
	}
}

func (e *Estate) callTimeout() time.Duration {
	if e.CallTimeout > 0 {
		return e.CallTimeout
	}
	return time.Minute
}

func (e *Estate) intentAge() time.Duration {
	if e.IntentAge > 0 {
		return e.IntentAge
	}
	return 3 * time.Minute
}

// Self is JIMM as an object of the authorization model.
func (e *Estate) selfObject() Object { return Object{KindController, e.UUID} }

var errPermission = &Error{Code: CodeUnauthorized, Message: "permission denied"}

// require fails with CodeUnauthorized unless u has relation to object.
func (e *Estate) require(ctx context.Context, u User, relation Relation, object Object) error {
	ok, err := e.Permissions.Check(ctx, u, relation, object)
	if err != nil {
		return err
	}
	if !ok {
		return errPermission
	}
	return nil
}

// requireAdmin fails with CodeUnauthorized unless u administers JIMM itself.
func (e *Estate) requireAdmin(ctx context.Context, u User) error {
	return e.require(ctx, u, Administrator, e.selfObject())
}

// IsAdmin reports whether u administers JIMM itself.
func (e *Estate) IsAdmin(ctx context.Context, u User) (bool, error) {
	return e.Permissions.Check(ctx, u, Administrator, e.selfObject())
}

// EnsureAdmins makes users administrators of JIMM, as configured. Nobody is
// ever removed by it.
func (e *Estate) EnsureAdmins(ctx context.Context, userNames []string) error {
	var add []Tuple
	for _, name := range userNames {
		if err := e.Store.EnsureIdentity(ctx, name); err != nil {
			return err
		}
		add = append(add, Tuple{User{Name: name}.Subject(), Administrator, e.selfObject()})
	}
	if len(add) == 0 {
		return nil
	}
	return e.Permissions.Write(ctx, add, nil)
}
