package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// userOf returns a user of the controller's own database, made if it is an
// external one that is not there yet.
func (c *Controller) userOf(id string) (*user, error) {
	if u := c.state.Users[id]; u != nil {
		return u, nil
	}
	if names.NewUserTag(id).IsLocal() {
		return nil, coded(params.CodeUserNotFound, "user %q not found", id)
	}
	u := &user{Name: id, CreatedBy: "everyone@external", Created: c.clock.Now()}
	c.state.Users[id] = u
	return u, nil
}

// grant gives a user access, in the controller's own database.
func (c *Controller) grant(id string, target names.Tag, access permission.Access) {
	u, err := c.userOf(id)
	if err != nil {
		return // a local user whom only a token knows
	}
	if u.Access == nil {
		u.Access = make(map[string]string)
	}
	u.Access[target.String()] = string(access)
}

// ladders are the access words for a kind of thing, from the lowest.
var ladders = map[string][]permission.Access{
	names.ControllerTagKind:       {permission.LoginAccess, permission.SuperuserAccess},
	names.ModelTagKind:            {permission.ReadAccess, permission.WriteAccess, permission.AdminAccess},
	names.CloudTagKind:            {permission.AddModelAccess, permission.AdminAccess},
	names.ApplicationOfferTagKind: {permission.ReadAccess, permission.ConsumeAccess, permission.AdminAccess},
}

// modify grants access to a user or revokes it, in the controller's own
// database. To revoke an access leaves the one below it.
func (c *Controller) modify(id string, target names.Tag, action string, access permission.Access) error {
	u, err := c.userOf(id)
	if err != nil {
		return err
	}
	ladder := ladders[target.Kind()]
	rung := slices.Index(ladder, access)
	if rung < 0 {
		return coded(params.CodeNotValid, "%q %s access not valid", access, target.Kind())
	}
	now := slices.Index(ladder, permission.Access(u.Access[target.String()]))
	switch action {
	case "grant":
		if now >= rung {
			return coded(params.CodeAlreadyExists, "user %q already has %q access or greater", id, access)
		}
		c.grant(id, target, access)
	case "revoke":
		if now < rung {
			if c.config.Generation == Juju41 {
				return nil // there is nothing to take away
			}
			return notFound("access %q of user %q", access, id)
		}
		if rung == 0 {
			delete(u.Access, target.String())
		} else {
			c.grant(id, target, ladder[rung-1])
		}
	default:
		return coded(params.CodeNotValid, "unknown action %q", action)
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
