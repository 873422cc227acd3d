package estate

import (
	"context"
	"strings"

	"github.com/juju/names/v6"
)

// EveryoneUser is how Juju names everyone; EveryoneID in tuples.
const EveryoneUser = "everyone@external"

// ValidateUser fails with CodeBadRequest for a name that is not name@domain:
// local users of controllers are not users of the estate.
func ValidateUser(name string) error {
	if len(name) > 255 || !names.IsValidUser(name) {
		return Errorf(CodeBadRequest, "%q is not a valid user name; one is like alice@example.com", clip(name))
	}
	if tag := names.NewUserTag(name); tag.IsLocal() {
		return Errorf(CodeBadRequest, "%q is a local user; JIMM's users have a domain, as in %s@example.com, or for a service account %s@serviceaccount",
			clip(name), tag.Name(), tag.Name())
	}
	return nil
}

// spelling is the one way in which the name of a user is written: as whoever
// logs in under it is known (login/person.go). Service accounts have their
// client id as it is.
func spelling(name string) string {
	if strings.HasSuffix(name, "@serviceaccount") {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// levels are the relations to one kind of object from the weakest to the
// strongest, with Juju's words for them.
type levels []struct {
	word     string
	relation Relation
}

var accessLevels = map[Kind]levels{
	KindModel: {{AccessRead, Reader}, {AccessWrite, Writer}, {AccessAdmin, Administrator}},
	KindCloud: {{AccessAddModel, CanAddModel}, {AccessAdmin, Administrator}},
	KindOffer: {{AccessRead, Reader}, {AccessConsume, Consumer}, {AccessAdmin, Administrator}},
}

func (l levels) index(word string) int {
	for i, level := range l {
		if level.word == word {
			return i
		}
	}
	return -1
}

// AccessChange is a grant or a revoke, in Juju's words.
type AccessChange struct {
	// User is name@domain, or EveryoneUser.
	User   string
	Grant  bool
	Access string
}

// ModifyModelAccess grants or revokes. Needs administrator of the model,
// except that one may revoke one's own. CodeAlreadyExists if the user has that
// access or more, CodeNotFound if there is nothing to revoke.
func (e *Estate) ModifyModelAccess(ctx context.Context, u User, modelUUID string, change AccessChange) error {
	r, err := e.Route(ctx, u, modelUUID)
	if err != nil {
		return err
	}
	if r.Claims[r.Model.tag()] != AccessAdmin && (change.Grant || spelling(change.User) != u.Name) {
		return errPermission
	}
	return e.modifyAccess(ctx, r.Model.Object(), change)
}

// ModifyCloudAccess grants or revokes. Needs administrator of the cloud.
func (e *Estate) ModifyCloudAccess(ctx context.Context, u User, cloud string, change AccessChange) error {
	object := Object{KindCloud, cloud}
	if err := e.require(ctx, u, Administrator, object); err != nil {
		return err
	}
	if _, err := e.Store.Cloud(ctx, cloud); err != nil {
		return err
	}
	return e.modifyAccess(ctx, object, change)
}

// modifyAccess changes the tuples one user has on an object directly. As in
// Juju, revoking a level leaves the one below it.
func (e *Estate) modifyAccess(ctx context.Context, object Object, change AccessChange) error {
	name := change.User
	if name == EveryoneUser {
		name = EveryoneID
	} else if err := ValidateUser(name); err != nil {
		return err
	} else {
		name = spelling(name)
	}
	l := accessLevels[object.Kind]
	at := l.index(change.Access)
	if at < 0 {
		return Errorf(CodeBadRequest, "%q is not an access level of a %s", clip(change.Access), object.Kind)
	}
	subject := Subject{Object: Object{KindUser, name}}
	held := -1
	var direct []Tuple
	for i, level := range l {
		stored, _, err := e.Permissions.Read(ctx, TupleFilter{subject, level.relation, object}, 1, "")
		if err != nil {
			return err
		}
		if len(stored) > 0 {
			held = i
			direct = append(direct, stored[0])
		}
	}
	if change.Grant {
		if held >= at {
			return Errorf(CodeAlreadyExists, "user %q already has %q access or greater", change.User, change.Access)
		}
		if name != EveryoneID {
			if err := e.Store.EnsureIdentity(ctx, name); err != nil {
				return err
			}
		}
		return e.Permissions.Write(ctx, []Tuple{{subject, l[at].relation, object}}, nil)
	}
	if held < at {
		return Errorf(CodeNotFound, "user %q does not have %q access", change.User, change.Access)
	}
	var add, remove []Tuple
	for _, t := range direct {
		if level := l.indexOf(t.Relation); level >= at {
			remove = append(remove, t)
		}
	}
	if at > 0 {
		add = append(add, Tuple{subject, l[at-1].relation, object})
	}
	return e.Permissions.Write(ctx, add, remove)
}

func (l levels) indexOf(relation Relation) int {
	for i, level := range l {
		if level.relation == relation {
			return i
		}
	}
	return -1
}

// JIMMAccess returns a user's access to JIMM itself, in Juju's words. Needs to
// be that user, or administrator of JIMM.
func (e *Estate) JIMMAccess(ctx context.Context, u, about User) (string, error) {
	if about.Name == u.Name {
		about = u
	} else if err := e.requireAdmin(ctx, u); err != nil {
		return "", err
	}
	admin, err := e.IsAdmin(ctx, about)
	if err != nil {
		return "", err
	}
	if admin {
		return AccessSuperuser, nil
	}
	return AccessLogin, nil
}
