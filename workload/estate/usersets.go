package estate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Userset is a group or a role: a set of users that has a name, and is given
// things as one. Who is in it is said by tuples: "member" of a group, of which
// groups can be members too, and "assignee" of a role.
type Userset struct {
	// Kind is KindGroup or KindRole.
	Kind Kind
	UUID string
	Name string
	// State is UsersetRemoving from when it is to be removed until it is.
	State     UsersetState
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Object returns it as an object of the authorization model.
func (s Userset) Object() Object { return Object{s.Kind, s.UUID} }

// Subject returns all who are in it, as the subject of a tuple.
func (s Userset) Subject() Subject { return Subject{s.Object(), subjectRelations[s.Kind]} }

// UsersetState says how far removing a group or role has come.
type UsersetState string

// The states of a group or role. Removing is an intent, which a sweep finishes.
const (
	UsersetLive     UsersetState = "live"
	UsersetRemoving UsersetState = "removing"
)

// UsersetStore remembers groups and roles. Lookups find live ones only, and of
// what is not there give an Error with CodeNotFound.
type UsersetStore interface {
	// InsertUserset inserts the row; CodeAlreadyExists if the name is taken.
	InsertUserset(ctx context.Context, s Userset) error
	// RenameUserset gives it another name; CodeAlreadyExists if that is taken,
	// CodeNotFound if there is no live one with this UUID.
	RenameUserset(ctx context.Context, kind Kind, uuid, name string) error
	// RemovingUserset records that a live one shall be removed.
	RemovingUserset(ctx context.Context, kind Kind, uuid string) error
	// DeleteUserset removes the row of one that is being removed.
	DeleteUserset(ctx context.Context, uuid string) error

	Userset(ctx context.Context, kind Kind, uuid string) (Userset, error)
	UsersetByName(ctx context.Context, kind Kind, name string) (Userset, error)
	// Usersets returns the live ones of a kind whose name holds match, by name;
	// total is how many there are without the bounds. A limit below 1 is none.
	Usersets(ctx context.Context, kind Kind, match string, limit, offset int) (page []Userset, total int, err error)
	// UsersetsByUUID returns those that are live, of both kinds.
	UsersetsByUUID(ctx context.Context, uuids []string) ([]Userset, error)
	// RemovingUsersets returns those being removed that were last changed before
	// a time.
	RemovingUsersets(ctx context.Context, before time.Time) ([]Userset, error)
}

// Bounds of a page of groups or roles.
const (
	DefaultUsersets = 50
	MaxUsersets     = 1000
)

// usersetName is what groups and roles may be called. The public client package
// of JIMM has the same rule (jimm-go-sdk/v3/names).
var usersetName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._-]+[a-zA-Z0-9]$`)

// maxUsersetName is in bytes.
const maxUsersetName = 128

func validateUsersetName(kind Kind, name string) error {
	switch {
	case !usersetName.MatchString(name) || len(name) > maxUsersetName:
		return Errorf(CodeBadRequest, "%q is not a name for a %s: it has 3 to %d letters, digits, '.', '_' or '-', "+
			"begins with a letter and ends with a letter or digit", clip(name), kind, maxUsersetName)
	case isUUID(name):
		return Errorf(CodeBadRequest, "%q is not a name for a %s: it would be taken for a UUID", name, kind)
	}
	return nil
}

// AddUserset makes a group or role, which nobody is in yet. Needs administrator
// of JIMM. CodeBadRequest for a name that cannot be, CodeAlreadyExists for one
// that is taken.
func (e *Estate) AddUserset(ctx context.Context, u User, kind Kind, name string) (Userset, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Userset{}, err
	}
	if err := validateUsersetName(kind, name); err != nil {
		return Userset{}, err
	}
	now := e.Now().UTC().Truncate(time.Microsecond) // as PostgreSQL has it
	s := Userset{Kind: kind, UUID: e.NewUUID(), Name: name, State: UsersetLive, CreatedAt: now, UpdatedAt: now}
	if err := e.Store.InsertUserset(ctx, s); err != nil {
		return Userset{}, err
	}
	return s, nil
}

// Userset returns a group or role by its UUID or name. Needs administrator of
// JIMM. CodeNotFound if there is none.
func (e *Estate) Userset(ctx context.Context, u User, kind Kind, uuidOrName string) (Userset, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return Userset{}, err
	}
	return e.findUserset(ctx, kind, uuidOrName)
}

func (e *Estate) findUserset(ctx context.Context, kind Kind, uuidOrName string) (Userset, error) {
	if isUUID(uuidOrName) {
		return e.Store.Userset(ctx, kind, uuidOrName)
	}
	if !usersetName.MatchString(uuidOrName) {
		return Userset{}, Errorf(CodeNotFound, "%s %q not found", kind, clip(uuidOrName))
	}
	return e.Store.UsersetByName(ctx, kind, uuidOrName)
}

// RenameUserset gives a group or role another name; all it may do stays. Needs
// administrator of JIMM. CodeNotFound, CodeBadRequest or CodeAlreadyExists.
func (e *Estate) RenameUserset(ctx context.Context, u User, kind Kind, uuidOrName, newName string) error {
	s, err := e.Userset(ctx, u, kind, uuidOrName)
	if err != nil {
		return err
	}
	if err := validateUsersetName(kind, newName); err != nil {
		return err
	}
	return e.Store.RenameUserset(ctx, kind, s.UUID, newName)
}

// RemoveUserset removes a group or role, and with it whatever was given to it
// and who was in it. Needs administrator of JIMM. CodeNotFound if there is none.
// After any other error it can be called again, and is finished by a sweep.
func (e *Estate) RemoveUserset(ctx context.Context, u User, kind Kind, uuidOrName string) error {
	s, err := e.Userset(ctx, u, kind, uuidOrName)
	if Is(err, CodeNotFound) {
		return e.finishRemoving(ctx, kind, uuidOrName, err)
	}
	if err != nil {
		return err
	}
	if err := e.Store.RemovingUserset(ctx, kind, s.UUID); err != nil {
		return err
	}
	e.step("userset removing")
	return e.forgetUserset(ctx, s)
}

// finishRemoving goes on where an earlier removal was interrupted; notFound if
// there was none.
func (e *Estate) finishRemoving(ctx context.Context, kind Kind, uuidOrName string, notFound error) error {
	anyTime := e.Now().AddDate(1, 0, 0) // also if another unit's clock is ahead
	unfinished, err := e.Store.RemovingUsersets(ctx, anyTime)
	if err != nil {
		return err
	}
	result := notFound
	for _, s := range unfinished {
		if s.Kind == kind && (s.Name == uuidOrName || s.UUID == uuidOrName) {
			if result = e.forgetUserset(ctx, s); result != nil {
				return result
			}
		}
	}
	return result
}

// forgetUserset removes the tuples of a group or role and then its row. It can
// be repeated until it is done.
func (e *Estate) forgetUserset(ctx context.Context, s Userset) error {
	// What it was given goes first: until then its members keep all of that,
	// after that none of it.
	if err := e.removeGrants(ctx, s.Subject()); err != nil {
		return err
	}
	e.step("userset grants removed")
	if err := e.removeTuples(ctx, s.Object()); err != nil {
		return err
	}
	e.step("userset tuples removed")
	err := e.Store.DeleteUserset(ctx, s.UUID)
	if Is(err, CodeNotFound) {
		return nil
	}
	return err
}

// grantable are the kinds of objects that a subject can be given something of.
var grantable = []Kind{KindController, KindCloud, KindModel, KindOffer, KindGroup, KindRole}

// removeGrants removes all tuples that give a subject something.
func (e *Estate) removeGrants(ctx context.Context, subject Subject) error {
	for _, kind := range grantable {
		for {
			page, _, err := e.Permissions.Read(ctx, TupleFilter{Subject: subject, Object: Object{Kind: kind}}, 100, "")
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			if err := e.Permissions.Write(ctx, nil, page); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepUsersets finishes the removing of groups and roles.
func (e *Estate) sweepUsersets(ctx context.Context) error {
	stale, err := e.Store.RemovingUsersets(ctx, e.Now().Add(-e.intentAge()))
	if err != nil {
		return err
	}
	var failed error
	for _, s := range stale {
		if err := e.forgetUserset(ctx, s); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s %s: %w", s.Kind, s.Name, err))
		}
	}
	return failed
}

// ListUsersets returns groups or roles whose name holds match (empty: all), by
// name, and how many there are altogether. A limit that is not positive is 50,
// one above 1000 is 1000, and an offset below 0 is 0. Needs administrator of
// JIMM.
func (e *Estate) ListUsersets(ctx context.Context, u User, kind Kind, match string, limit, offset int) ([]Userset, int, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, 0, err
	}
	if limit <= 0 {
		limit = DefaultUsersets
	}
	return e.Store.Usersets(ctx, kind, match, min(limit, MaxUsersets), max(offset, 0))
}

// UsersetsByUUID returns those of these groups and roles that there are. Needs
// administrator of JIMM.
func (e *Estate) UsersetsByUUID(ctx context.Context, u User, uuids []string) ([]Userset, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	return e.Store.UsersetsByUUID(ctx, uuids)
}

// stillThere fails with CodeNotFound if a group or role in the tuples has been
// removed in the meantime.
func (e *Estate) stillThere(ctx context.Context, tuples []Tuple) error {
	wanted := map[string]Kind{}
	for _, t := range tuples {
		for _, o := range []Object{t.Subject.Object, t.Object} {
			if o.Kind == KindGroup || o.Kind == KindRole {
				wanted[o.ID] = o.Kind
			}
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	uuids := make([]string, 0, len(wanted))
	for uuid := range wanted {
		uuids = append(uuids, uuid)
	}
	found, err := e.Store.UsersetsByUUID(ctx, uuids)
	if err != nil {
		return err
	}
	for _, s := range found {
		delete(wanted, s.UUID)
	}
	for uuid, kind := range wanted {
		return Errorf(CodeNotFound, "%s-%s not found", kind, uuid)
	}
	return nil
}
