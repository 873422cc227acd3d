package facade

import (
	"context"
	"time"

	"github.com/juju/names/v6"

	"jimm/workload/estate"
	"jimm/workload/jimmapi"
)

// sessionMethods are what the JIMM facade has for sessions. They are our own.
var sessionMethods = methods{
	"ListSessions":   call(listSessions),
	"RevokeSessions": call(revokeSessions),
}

func listSessions(ctx context.Context, c *Connection, args jimmapi.ListSessionsRequest) (jimmapi.ListSessionsResponse, error) {
	var list []estate.Session
	user, err := optionalUser(args.UserTag)
	switch {
	case err != nil:
	case args.All && user != "":
		err = estate.Errorf(estate.CodeBadRequest, "cannot list sessions: either of one user or all, not both")
	case args.All:
		list, err = c.server.Estate.ListAllSessions(ctx, *c.User())
	default:
		list, err = c.server.Estate.ListSessions(ctx, *c.User(), user)
	}
	return jimmapi.ListSessionsResponse{Sessions: c.sessions(list)}, err
}

func revokeSessions(ctx context.Context, c *Connection, args jimmapi.RevokeSessionsRequest) (jimmapi.RevokeSessionsResponse, error) {
	var ended []estate.Session
	user, err := optionalUser(args.UserTag)
	switch {
	case err != nil:
	case args.All && user == "" && len(args.IDs) == 0:
		ended, err = c.server.Estate.EndAllSessions(ctx, *c.User())
	case user != "" && !args.All && len(args.IDs) == 0:
		ended, err = c.server.Estate.EndUserSessions(ctx, *c.User(), user)
	case len(args.IDs) > 0 && !args.All && user == "":
		ended, err = c.server.Estate.EndSessions(ctx, *c.User(), args.IDs)
	default:
		err = estate.Errorf(estate.CodeBadRequest, "cannot revoke sessions: name ids, or a user, or all of them")
	}
	return jimmapi.RevokeSessionsResponse{Sessions: c.sessions(ended)}, err
}

// optionalUser returns the name of a user tag that may be empty.
func optionalUser(tag string) (string, error) {
	if tag == "" {
		return "", nil
	}
	user, err := names.ParseUserTag(tag)
	if err != nil {
		return "", estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(tag))
	}
	return user.Id(), nil
}

func (c *Connection) sessions(list []estate.Session) []jimmapi.Session {
	return each(list, func(s estate.Session) jimmapi.Session {
		return jimmapi.Session{
			ID: s.ID, UserTag: names.NewUserTag(s.User).String(), Kind: string(s.Kind), Client: s.Client, Address: s.Address,
			Started: s.StartedAt, LastUsed: s.LastUsed, Expires: s.Expires, IdleSeconds: int64(s.IdleLimit / time.Second),
			Current: s.ID == c.User().Session,
		}
	})
}
