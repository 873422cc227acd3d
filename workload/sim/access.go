package sim

import (
	"errors"
	"fmt"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// caller is who is logged in on a connection. What a token says holds for the
// whole life of the connection; a local user's access is looked up each time.
type caller struct {
	tag names.UserTag
	// byToken tells that access is that of the token.
	byToken bool
	access  map[string]any
}

// errLacking is wrapped in every error that says that access is lacking, as
// opposed to access words that make no sense.
var errLacking = errors.New("access is lacking")

type lackingError struct{ told *params.Error }

func (e lackingError) Error() string        { return e.told.Message }
func (e lackingError) Is(target error) bool { return target == errLacking }
func (e lackingError) Unwrap() error        { return e.told }

// level returns the caller's access to target (PermissionFromToken in
// apiserver/authentication/jwt). The state must be locked.
func (c *Controller) level(who caller, target names.Tag) (permission.Access, error) {
	if !who.byToken {
		if who.tag.Id() == adminName {
			switch target.Kind() {
			case names.ControllerTagKind:
				return permission.SuperuserAccess, nil
			default:
				return permission.AdminAccess, nil
			}
		}
		if u := c.state.Users[who.tag.Id()]; u != nil {
			return permission.Access(u.Access[target.String()]), nil
		}
		return permission.NoAccess, nil
	}
	word, ok := who.access[target.String()]
	if !ok {
		return permission.NoAccess, nil
	}
	access := permission.Access(fmt.Sprintf("%v", word))
	if err := validate(access, target); err != nil {
		return access, coded(params.CodeNotValid, "%s", err)
	}
	return access, nil
}

func validate(access permission.Access, target names.Tag) error {
	switch target.Kind() {
	case names.ControllerTagKind:
		return permission.ValidateControllerAccess(access)
	case names.ModelTagKind:
		return permission.ValidateModelAccess(access)
	case names.CloudTagKind:
		return permission.ValidateCloudAccess(access)
	case names.ApplicationOfferTagKind:
		return permission.ValidateOfferAccess(access)
	}
	return fmt.Errorf("%q as a target not valid", target)
}

// has returns nil if the caller has access to target (apiserver/root.go,
// EntityHasPermission). An error that errLacking matches says what is lacking.
func (cn *conn) has(access permission.Access, target names.Tag) error {
	lacking := lackingError{errPerm}
	if cn.caller.byToken {
		lacking = lackingError{accessRequired(access, target)}
	}
	if validate(access, target) != nil {
		return lacking
	}
	level, err := cn.ctl.level(cn.caller, target)
	if err != nil {
		return annotate(err, fmt.Sprintf("checking entity %q has permission: while obtaining %s user", cn.caller.tag.String(), target.Kind()))
	}
	if level == permission.NoAccess {
		return lacking
	}
	var enough bool
	switch target.Kind() {
	case names.ControllerTagKind:
		enough = level.EqualOrGreaterControllerAccessThan(access)
	case names.ModelTagKind:
		enough = level.EqualOrGreaterModelAccessThan(access)
	case names.CloudTagKind:
		enough = level.EqualOrGreaterCloudAccessThan(access)
	case names.ApplicationOfferTagKind:
		enough = level.EqualOrGreaterOfferAccessThan(access)
	}
	if !enough {
		return lacking
	}
	return nil
}

// hasOrPerm is has for the calls that answer plain "permission denied".
func (cn *conn) hasOrPerm(access permission.Access, target names.Tag) error {
	err := cn.has(access, target)
	if errors.Is(err, errLacking) {
		return errPerm
	}
	return err
}

// isAdmin tells whether the caller is superuser of the controller.
func (cn *conn) isAdmin() (bool, error) {
	err := cn.has(permission.SuperuserAccess, cn.ctl.state.tag())
	if errors.Is(err, errLacking) {
		return false, nil
	}
	return err == nil, err
}

// superuser refuses a caller who is not superuser of the controller.
func (cn *conn) superuser() error {
	return cn.has(permission.SuperuserAccess, cn.ctl.state.tag())
}

// onModel refuses a caller without access to a model who isn't superuser
// either. What is required of a token is then the access to the model.
func (cn *conn) onModel(access permission.Access, uuid string) error {
	if admin, err := cn.isAdmin(); admin || err != nil {
		return err
	}
	return cn.has(access, names.NewModelTag(uuid))
}

// The next two are strict: most facades of a model look at the access to the
// model alone, so that a token needs that claim even if it says superuser.

// canRead refuses a caller who may not read the connection's model.
func (cn *conn) canRead() error {
	return cn.has(permission.ReadAccess, names.NewModelTag(cn.model))
}

// canWrite refuses a caller who may not write to the connection's model.
func (cn *conn) canWrite() error {
	return cn.has(permission.WriteAccess, names.NewModelTag(cn.model))
}
