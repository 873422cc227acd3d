package estate

import (
	"context"
	"time"

	"github.com/juju/names/v6"
)

// User is who is calling, or who is spoken about.
type User struct {
	// Name is name@domain, in one spelling per person (lower case);
	// <client-id>@serviceaccount for a service account.
	Name string
	// Groups are the ids of the groups the identity provider put the user in,
	// known only for the one who is calling.
	Groups []string
	// Session is the id of the session with which the one who is calling is
	// logged in; empty for a service account.
	Session string
}

// Tag returns the user's Juju tag.
func (u User) Tag() names.UserTag { return names.NewUserTag(u.Name) }

// Object returns the user as an object of the authorization model.
func (u User) Object() Object { return Object{KindUser, u.Name} }

// Subject returns the user as the subject of a tuple.
func (u User) Subject() Subject { return Subject{Object: u.Object()} }

// Identity is what we remember about a user.
type Identity struct {
	Name        string
	DisplayName string
	CreatedAt   time.Time
	// LastLogin is zero for one who was only spoken about (granted something).
	LastLogin time.Time
}

// Whoami returns what is remembered about the user who is calling.
func (e *Estate) Whoami(ctx context.Context, u User) (Identity, error) {
	return e.Store.Identity(ctx, u.Name)
}

// IdentityStore remembers users.
type IdentityStore interface {
	// SaveLogin creates the identity if needed and sets its last login.
	SaveLogin(ctx context.Context, name, displayName string, at time.Time) error
	// EnsureIdentity creates the identity if needed, without a login.
	EnsureIdentity(ctx context.Context, name string) error
	// Identity returns one; an Error with CodeUserNotFound if there is none.
	Identity(ctx context.Context, name string) (Identity, error)
	// Identities returns those whose name or display name holds match, by name;
	// total is how many there are without the bounds.
	Identities(ctx context.Context, match string, limit, offset int) (page []Identity, total int, err error)
	// IdentitiesNamed returns those of these names that there are, by name.
	IdentitiesNamed(ctx context.Context, names []string) ([]Identity, error)
}

// Identity returns what is remembered about a user. Needs administrator of JIMM.
// CodeUserNotFound if there is nothing.
func (e *Estate) Identity(ctx context.Context, u User, name string) (Identity, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Identity{}, err
	}
	return e.Store.Identity(ctx, spelling(name))
}

// ListIdentities returns users, service accounts among them, whose name or
// display name holds match (empty: all), by name, and how many there are
// altogether. Needs administrator of JIMM.
func (e *Estate) ListIdentities(ctx context.Context, u User, match string, limit, offset int) ([]Identity, int, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, 0, err
	}
	return e.Store.Identities(ctx, match, limit, offset)
}

// IdentitiesNamed returns those of these users that are known, by name. Needs
// administrator of JIMM.
func (e *Estate) IdentitiesNamed(ctx context.Context, u User, names []string) ([]Identity, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	return e.Store.IdentitiesNamed(ctx, names)
}
