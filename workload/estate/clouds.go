package estate

import (
	"context"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// Clouds returns the clouds u may add models to.
func (e *Estate) Clouds(ctx context.Context, u User) ([]Cloud, error) {
	visible, err := e.Permissions.ListObjects(ctx, u, CanAddModel, KindCloud)
	if err != nil || len(visible) == 0 {
		return nil, err
	}
	return e.Store.Clouds(ctx, visible)
}

// Cloud returns one cloud. Needs add-model. CodeNotFound if there is none or u
// may not use it.
func (e *Estate) Cloud(ctx context.Context, u User, name string) (Cloud, error) {
	notFound := Errorf(CodeNotFound, "cloud %q not found", clip(name))
	if !names.IsValidCloud(name) {
		return Cloud{}, notFound
	}
	ok, err := e.Permissions.Check(ctx, u, CanAddModel, Object{KindCloud, name})
	if err != nil {
		return Cloud{}, err
	}
	if !ok {
		return Cloud{}, notFound
	}
	return e.Store.Cloud(ctx, name)
}

// CloudUsers returns who may use a cloud and how: all for its administrators,
// the caller for others.
func (e *Estate) CloudUsers(ctx context.Context, u User, name string) ([]params.CloudUserInfo, error) {
	object := Object{KindCloud, name}
	admin, err := e.Permissions.Check(ctx, u, Administrator, object)
	if err != nil {
		return nil, err
	}
	if !admin {
		return []params.CloudUserInfo{{UserName: u.Name, Access: AccessAddModel}}, nil
	}
	access, err := e.usersWithAccess(ctx, object)
	if err != nil {
		return nil, err
	}
	access[u.Name] = AccessAdmin
	list := make([]params.CloudUserInfo, 0, len(access))
	for name, word := range access {
		list = append(list, params.CloudUserInfo{UserName: name, Access: word})
	}
	slices.SortFunc(list, func(a, b params.CloudUserInfo) int { return strings.Compare(a.UserName, b.UserName) })
	return list, nil
}
