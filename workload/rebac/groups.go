package rebac

import (
	"context"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// groups are the estate's. Their id is their UUID.
type groups struct{ *api }

func group(s estate.Userset) resources.Group { return resources.Group{Id: &s.UUID, Name: s.Name} }

// setsOf is a page of the groups or roles that a subject is in.
func (a *api) setsOf(ctx context.Context, who string, kind estate.Kind, size *int, query, header *string) ([]estate.Userset, token, error) {
	n, from, err := tokenPage(size, query, header)
	if err != nil {
		return nil, token{}, err
	}
	relation := estate.Member
	if kind == estate.KindRole {
		relation = estate.Assignee
	}
	ids, next, err := a.related(ctx, estate.RelationshipQuery{Subject: who, Relation: string(relation), Target: string(kind)}, kind, n, from)
	if err != nil {
		return nil, token{}, err
	}
	found, err := a.Estate.UsersetsByUUID(ctx, caller(ctx), ids)
	return found, next, err
}

func (s groups) ListGroups(ctx context.Context, p *resources.GetGroupsParams) (*resources.PaginatedResponse[resources.Group], error) {
	page, err := countedPage(p.Size, p.Page)
	if err != nil {
		return nil, err
	}
	found, total, err := s.Estate.ListUsersets(ctx, caller(ctx), estate.KindGroup, text(p.Filter), page.size, page.offset())
	if err != nil {
		return nil, err
	}
	return countedAnswer(page, each(found, group), total), nil
}

func (s groups) CreateGroup(ctx context.Context, g *resources.Group) (*resources.Group, error) {
	made, err := s.Estate.AddUserset(ctx, caller(ctx), estate.KindGroup, g.Name)
	if err != nil {
		return nil, err
	}
	result := group(made)
	return &result, nil
}

func (s groups) GetGroup(ctx context.Context, id string) (*resources.Group, error) {
	found, err := s.Estate.Userset(ctx, caller(ctx), estate.KindGroup, id)
	if err != nil {
		return nil, err
	}
	result := group(found)
	return &result, nil
}

func (s groups) UpdateGroup(ctx context.Context, g *resources.Group) (*resources.Group, error) {
	if err := s.Estate.RenameUserset(ctx, caller(ctx), estate.KindGroup, text(g.Id), g.Name); err != nil {
		return nil, err
	}
	return s.GetGroup(ctx, text(g.Id))
}

func (s groups) DeleteGroup(ctx context.Context, id string) (bool, error) {
	err := s.Estate.RemoveUserset(ctx, caller(ctx), estate.KindGroup, id)
	return err == nil, err
}

// who is a group that is there: its members, as a subject.
func (s groups) who(ctx context.Context, id string) (string, estate.Userset, error) {
	found, err := s.Estate.Userset(ctx, caller(ctx), estate.KindGroup, id)
	return subject(estate.KindGroup, found.UUID), found, err
}

func (s groups) GetGroupIdentities(ctx context.Context, id string, p *resources.GetGroupsItemIdentitiesParams) (*resources.PaginatedResponse[resources.Identity], error) {
	size, from, err := tokenPage(p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	_, found, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	names, next, err := s.related(ctx, estate.RelationshipQuery{Relation: string(estate.Member), Target: "group-" + found.UUID}, estate.KindUser, size, from)
	if err != nil {
		return nil, err
	}
	known, err := s.Estate.IdentitiesNamed(ctx, caller(ctx), names)
	if err != nil {
		return nil, err
	}
	return continued(each(known, identity), next), nil
}

func (s groups) PatchGroupIdentities(ctx context.Context, id string, patches []resources.GroupIdentitiesPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), estate.Relationship{Subject: subject(estate.KindUser, p.Identity), Relation: string(estate.Member), Target: "group-" + id})
	}
	return s.apply(ctx, c)
}

func (s groups) GetGroupRoles(ctx context.Context, id string, p *resources.GetGroupsItemRolesParams) (*resources.PaginatedResponse[resources.Role], error) {
	who, _, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	found, next, err := s.setsOf(ctx, who, estate.KindRole, p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	return continued(each(found, role), next), nil
}

func (s groups) PatchGroupRoles(ctx context.Context, id string, patches []resources.GroupRolesPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), estate.Relationship{Subject: subject(estate.KindGroup, id), Relation: string(estate.Assignee), Target: "role-" + p.Role})
	}
	return s.apply(ctx, c)
}

func (s groups) GetGroupEntitlements(ctx context.Context, id string, p *resources.GetGroupsItemEntitlementsParams) (*resources.PaginatedResponse[resources.EntityEntitlement], error) {
	size, from, err := tokenPage(p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	who, _, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.entitlementsOf(ctx, who, size, from)
}

func (s groups) PatchGroupEntitlements(ctx context.Context, id string, patches []resources.GroupEntitlementsPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), entitle(subject(estate.KindGroup, id), p.Entitlement))
	}
	return s.apply(ctx, c)
}
