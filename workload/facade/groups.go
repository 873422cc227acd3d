package facade

import (
	"context"
	"time"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"

	"jimm/workload/estate"
)

// usersetMethods are what the JIMM facade has for groups and roles.
var usersetMethods = methods{
	"AddGroup":    call(addGroup),
	"GetGroup":    call(getGroup),
	"RenameGroup": call(renameGroup),
	"RemoveGroup": call(removeGroup),
	"ListGroups":  call(listGroups),
	"AddRole":     call(addRole),
	"GetRole":     call(getRole),
	"RenameRole":  call(renameRole),
	"RemoveRole":  call(removeRole),
	"ListRoles":   call(listRoles),
}

func groupInfo(s estate.Userset) jimmparams.Group {
	return jimmparams.Group{
		UUID: s.UUID, Name: s.Name,
		CreatedAt: s.CreatedAt.Format(time.RFC3339), UpdatedAt: s.UpdatedAt.Format(time.RFC3339),
	}
}

// roleInfo is the same on the wire.
func roleInfo(s estate.Userset) jimmparams.Role { return jimmparams.Role(groupInfo(s)) }

// which is the UUID or the name a request gives, and not both.
func which(kind estate.Kind, uuid, name string) (string, error) {
	switch {
	case (uuid == "") == (name == ""):
		return "", estate.Errorf(estate.CodeBadRequest, "cannot tell which %s is meant: give its uuid or its name", kind)
	case uuid != "":
		return uuid, nil
	}
	return name, nil
}

func (c *Connection) userset(ctx context.Context, kind estate.Kind, uuid, name string) (estate.Userset, error) {
	id, err := which(kind, uuid, name)
	if err != nil {
		return estate.Userset{}, err
	}
	return c.server.Estate.Userset(ctx, *c.User(), kind, id)
}

func addGroup(ctx context.Context, c *Connection, args jimmparams.AddGroupRequest) (jimmparams.AddGroupResponse, error) {
	s, err := c.server.Estate.AddUserset(ctx, *c.User(), estate.KindGroup, args.Name)
	return jimmparams.AddGroupResponse{Group: groupInfo(s)}, err
}

func getGroup(ctx context.Context, c *Connection, args jimmparams.GetGroupRequest) (jimmparams.GetGroupResponse, error) {
	s, err := c.userset(ctx, estate.KindGroup, args.UUID, args.Name)
	return jimmparams.GetGroupResponse{Group: groupInfo(s)}, err
}

func renameGroup(ctx context.Context, c *Connection, args jimmparams.RenameGroupRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RenameUserset(ctx, *c.User(), estate.KindGroup, args.Name, args.NewName)
}

func removeGroup(ctx context.Context, c *Connection, args jimmparams.RemoveGroupRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RemoveUserset(ctx, *c.User(), estate.KindGroup, args.Name)
}

func listGroups(ctx context.Context, c *Connection, args jimmparams.ListGroupsRequest) (jimmparams.ListGroupResponse, error) {
	list, _, err := c.server.Estate.ListUsersets(ctx, *c.User(), estate.KindGroup, "", args.Limit, args.Offset)
	return jimmparams.ListGroupResponse{Groups: each(list, groupInfo)}, err
}

func addRole(ctx context.Context, c *Connection, args jimmparams.AddRoleRequest) (jimmparams.AddRoleResponse, error) {
	s, err := c.server.Estate.AddUserset(ctx, *c.User(), estate.KindRole, args.Name)
	return jimmparams.AddRoleResponse{Role: roleInfo(s)}, err
}

func getRole(ctx context.Context, c *Connection, args jimmparams.GetRoleRequest) (jimmparams.GetRoleResponse, error) {
	s, err := c.userset(ctx, estate.KindRole, args.UUID, args.Name)
	return jimmparams.GetRoleResponse{Role: roleInfo(s)}, err
}

func renameRole(ctx context.Context, c *Connection, args jimmparams.RenameRoleRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RenameUserset(ctx, *c.User(), estate.KindRole, args.Name, args.NewName)
}

func removeRole(ctx context.Context, c *Connection, args jimmparams.RemoveRoleRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RemoveUserset(ctx, *c.User(), estate.KindRole, args.Name)
}

func listRoles(ctx context.Context, c *Connection, args jimmparams.ListRolesRequest) (jimmparams.ListRoleResponse, error) {
	list, _, err := c.server.Estate.ListUsersets(ctx, *c.User(), estate.KindRole, "", args.Limit, args.Offset)
	return jimmparams.ListRoleResponse{Roles: each(list, roleInfo)}, err
}
