package rebac

import (
	"context"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// roles are the estate's. Their id is their UUID. What a role may do is at its
// entitlements; in a role itself that is left out, and not taken either.
type roles struct{ *api }

func role(s estate.Userset) resources.Role { return resources.Role{Id: &s.UUID, Name: s.Name} }

var errRoleEntitlements = estate.Errorf(estate.CodeBadRequest, "entitlements are not set with the role: patch /roles/{id}/entitlements")

func (s roles) ListRoles(ctx context.Context, p *resources.GetRolesParams) (*resources.PaginatedResponse[resources.Role], error) {
	page, err := countedPage(p.Size, p.Page)
	if err != nil {
		return nil, err
	}
	found, total, err := s.Estate.ListUsersets(ctx, caller(ctx), estate.KindRole, text(p.Filter), page.size, page.offset())
	if err != nil {
		return nil, err
	}
	return countedAnswer(page, each(found, role), total), nil
}

func (s roles) CreateRole(ctx context.Context, r *resources.Role) (*resources.Role, error) {
	if r.Entitlements != nil && len(*r.Entitlements) > 0 {
		return nil, errRoleEntitlements
	}
	made, err := s.Estate.AddUserset(ctx, caller(ctx), estate.KindRole, r.Name)
	if err != nil {
		return nil, err
	}
	result := role(made)
	return &result, nil
}

func (s roles) GetRole(ctx context.Context, id string) (*resources.Role, error) {
	found, err := s.Estate.Userset(ctx, caller(ctx), estate.KindRole, id)
	if err != nil {
		return nil, err
	}
	result := role(found)
	return &result, nil
}

func (s roles) UpdateRole(ctx context.Context, r *resources.Role) (*resources.Role, error) {
	if r.Entitlements != nil && len(*r.Entitlements) > 0 {
		return nil, errRoleEntitlements
	}
	if err := s.Estate.RenameUserset(ctx, caller(ctx), estate.KindRole, text(r.Id), r.Name); err != nil {
		return nil, err
	}
	return s.GetRole(ctx, text(r.Id))
}

func (s roles) DeleteRole(ctx context.Context, id string) (bool, error) {
	err := s.Estate.RemoveUserset(ctx, caller(ctx), estate.KindRole, id)
	return err == nil, err
}

func (s roles) GetRoleEntitlements(ctx context.Context, id string, p *resources.GetRolesItemEntitlementsParams) (*resources.PaginatedResponse[resources.EntityEntitlement], error) {
	size, from, err := tokenPage(p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	found, err := s.Estate.Userset(ctx, caller(ctx), estate.KindRole, id)
	if err != nil {
		return nil, err
	}
	return s.entitlementsOf(ctx, subject(estate.KindRole, found.UUID), size, from)
}

func (s roles) PatchRoleEntitlements(ctx context.Context, id string, patches []resources.RoleEntitlementsPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), entitle(subject(estate.KindRole, id), p.Entitlement))
	}
	return s.apply(ctx, c)
}
