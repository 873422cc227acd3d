package sim

import (
	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// userManager3 is UserManager (apiserver/facades/client/usermanager).
var userManager3 = methods{
	"UserInfo":      read(userInfo),
	"ModelUserInfo": read(modelUserInfo),
	"AddUser":       write(addUser),
	"RemoveUser":    write(removeUser),
	"EnableUser":    write(enableUser(false)),
	"DisableUser":   write(enableUser(true)),
	"SetPassword":   write(setPassword),
}

func (c *Controller) userInfo(u *user) *params.UserInfo {
	access := u.Access[c.state.tag().String()]
	if u.Name == adminName {
		access = string(permission.SuperuserAccess)
	}
	if u.Disabled {
		access = ""
	}
	return &params.UserInfo{
		Username: u.Name, DisplayName: u.DisplayName, Access: access, CreatedBy: u.CreatedBy,
		DateCreated: u.Created, LastConnection: u.LastConnection, Disabled: u.Disabled,
	}
}

func userInfo(cn *conn, req params.UserInfoRequest) (params.UserInfoResults, error) {
	var results params.UserInfoResults
	admin, err := cn.isAdmin()
	if err != nil {
		return results, err
	}
	if len(req.Entities) == 0 {
		for _, id := range sortedKeys(cn.ctl.state.Users) {
			u := cn.ctl.state.Users[id]
			if (admin || id == cn.caller.tag.Id()) && (!u.Disabled || req.IncludeDisabled) {
				results.Results = append(results.Results, params.UserInfoResult{Result: cn.ctl.userInfo(u)})
			}
		}
		return results, nil
	}
	for _, arg := range req.Entities {
		var result params.UserInfoResult
		tag, err := names.ParseUserTag(arg.Tag)
		switch {
		case err != nil:
			result.Error = asParams(err)
		case !admin && tag != cn.caller.tag:
			result.Error = errPerm
		case cn.ctl.state.Users[tag.Id()] == nil:
			result.Error = coded(params.CodeUserNotFound, "user %q not found", tag.Name())
		default:
			result.Result = cn.ctl.userInfo(cn.ctl.state.Users[tag.Id()])
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

func modelUserInfo(cn *conn, args params.Entities) (params.ModelUserInfoResults, error) {
	var results params.ModelUserInfoResults
	for _, arg := range args.Entities {
		tag, err := names.ParseModelTag(arg.Tag)
		if err != nil {
			return results, err
		}
		if err := cn.onModel(permission.ReadAccess, tag.Id()); err != nil {
			return results, err
		}
		m := cn.ctl.state.Models[tag.Id()]
		if m == nil {
			return results, notFound("model %q", tag.Id())
		}
		for _, u := range cn.ctl.modelUsers(m) {
			results.Results = append(results.Results, params.ModelUserInfoResult{Result: &u})
		}
	}
	return results, nil
}

func addUser(cn *conn, args params.AddUsers) (params.AddUserResults, error) {
	results := params.AddUserResults{Results: make([]params.AddUserResult, len(args.Users))}
	if err := cn.superuser(); err != nil {
		return results, err
	}
	for i, arg := range args.Users {
		s := cn.ctl.state
		switch {
		case !names.IsValidUserName(arg.Username):
			results.Results[i].Error = coded(params.CodeNotValid, "username %q not valid", arg.Username)
		case s.Users[arg.Username] != nil:
			results.Results[i].Error = coded(params.CodeAlreadyExists, "user %q already exists", arg.Username)
		default:
			s.Users[arg.Username] = &user{
				Name: arg.Username, DisplayName: arg.DisplayName, Password: arg.Password, CreatedBy: cn.caller.tag.Id(), Created: cn.ctl.clock.Now(),
			}
			cn.ctl.grant(arg.Username, s.tag(), permission.LoginAccess)
			results.Results[i].Tag = names.NewUserTag(arg.Username).String()
			if arg.Password == "" {
				results.Results[i].SecretKey = []byte(newUUID())
			}
		}
	}
	return results, nil
}

// localUser returns a local user other than admin, to be changed.
func (cn *conn) localUser(userTag string) (*user, error) {
	tag, err := names.ParseUserTag(userTag)
	if err != nil {
		return nil, err
	}
	u := cn.ctl.state.Users[tag.Id()]
	if u == nil || !tag.IsLocal() {
		return nil, coded(params.CodeUserNotFound, "user %q not found", tag.Id())
	}
	return u, nil
}

func removeUser(cn *conn, args params.Entities) (params.ErrorResults, error) {
	if err := cn.superuser(); err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Entities, func(arg params.Entity) error {
		u, err := cn.localUser(arg.Tag)
		if err != nil {
			return err
		}
		if u.Name == adminName {
			return errPerm
		}
		delete(cn.ctl.state.Users, u.Name)
		return nil
	}), nil
}

func enableUser(disabled bool) func(*conn, params.Entities) (params.ErrorResults, error) {
	return func(cn *conn, args params.Entities) (params.ErrorResults, error) {
		if err := cn.superuser(); err != nil {
			return params.ErrorResults{}, err
		}
		return each(args.Entities, func(arg params.Entity) error {
			u, err := cn.localUser(arg.Tag)
			if err != nil {
				return err
			}
			if u.Name == adminName {
				return errPerm
			}
			u.Disabled = disabled
			return nil
		}), nil
	}
}

func setPassword(cn *conn, args params.EntityPasswords) (params.ErrorResults, error) {
	admin, err := cn.isAdmin()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Changes, func(arg params.EntityPassword) error {
		if !admin && arg.Tag != cn.caller.tag.String() {
			return errPerm
		}
		u, err := cn.localUser(arg.Tag)
		if err != nil {
			return err
		}
		if arg.Password == "" {
			return coded(params.CodeBadRequest, "cannot use an empty password")
		}
		u.Password = arg.Password
		return nil
	}), nil
}
