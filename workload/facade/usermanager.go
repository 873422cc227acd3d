package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

const noLocalUsers = "users are the identity provider's: add and change them there, and give them access with juju grant"

var userManagerMethods = methods{
	"AddUser":       refuse(estate.CodeUnauthorized, noLocalUsers),
	"RemoveUser":    refuse(estate.CodeUnauthorized, noLocalUsers),
	"EnableUser":    refuse(estate.CodeUnauthorized, noLocalUsers),
	"DisableUser":   refuse(estate.CodeUnauthorized, noLocalUsers),
	"SetPassword":   refuse(estate.CodeUnauthorized, noLocalUsers),
	"ResetPassword": refuse(estate.CodeUnauthorized, noLocalUsers),
	"ModelUserInfo": refuse(estate.CodeNotSupported, "a model's users are part of juju show-model"),
	"UserInfo":      call(userInfo),
}

// userInfo tells about the caller, who is also all there is to list; others are
// the identity provider's to tell.
func userInfo(ctx context.Context, c *Connection, args params.UserInfoRequest) (params.UserInfoResults, error) {
	if len(args.Entities) == 0 {
		args.Entities = []params.Entity{{Tag: c.User().Tag().String()}}
	}
	return params.UserInfoResults{Results: each(args.Entities, func(e params.Entity) params.UserInfoResult {
		info, err := c.userInfo(ctx, e.Tag)
		if err != nil {
			return params.UserInfoResult{Error: c.wireError(ctx, err)}
		}
		return params.UserInfoResult{Result: info}
	})}, nil
}

func (c *Connection) userInfo(ctx context.Context, text string) (*params.UserInfo, error) {
	tag, err := names.ParseUserTag(text)
	if err != nil {
		return nil, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(text))
	}
	if tag.Id() != c.User().Name {
		return nil, estate.Errorf(estate.CodeUnauthorized, "permission denied")
	}
	identity, err := c.server.Estate.Store.Identity(ctx, c.User().Name)
	if err != nil {
		return nil, err
	}
	access, err := c.server.controllerAccess(ctx, *c.User())
	if err != nil {
		return nil, err
	}
	info := &params.UserInfo{
		Username: identity.Name, DisplayName: identity.DisplayName, Access: access, DateCreated: identity.CreatedAt,
	}
	if !identity.LastLogin.IsZero() {
		info.LastConnection = &identity.LastLogin
	}
	return info, nil
}
