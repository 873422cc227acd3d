package rebac

import (
	"context"
	"strings"
	"time"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// identities are users and service accounts. Their id is their name.
type identities struct{ *api }

// Where identities come from.
const (
	fromProvider = "identity provider"
	addedByJIMM  = "JIMM"
)

func identity(i estate.Identity) resources.Identity {
	joined := i.CreatedAt.Format(time.RFC3339)
	result := resources.Identity{Id: &i.Name, Email: i.Name, Joined: &joined, Source: fromProvider, AddedBy: addedByJIMM}
	if !i.LastLogin.IsZero() {
		login := i.LastLogin.Format(time.RFC3339)
		result.LastLogin = &login
	}
	if first, last, both := strings.Cut(i.DisplayName, " "); first != "" {
		result.FirstName = &first
		if both {
			result.LastName = &last
		}
	}
	return result
}

func (s identities) ListIdentities(ctx context.Context, p *resources.GetIdentitiesParams) (*resources.PaginatedResponse[resources.Identity], error) {
	page, err := countedPage(p.Size, p.Page)
	if err != nil {
		return nil, err
	}
	found, total, err := s.Estate.ListIdentities(ctx, caller(ctx), text(p.Filter), page.size, page.offset())
	if err != nil {
		return nil, err
	}
	return countedAnswer(page, each(found, identity), total), nil
}

var errFromProvider = estate.Errorf(estate.CodeNotImplemented, "identities come from the identity provider: they are made, changed and removed there")

func (identities) CreateIdentity(context.Context, *resources.Identity) (*resources.Identity, error) {
	return nil, errFromProvider
}

func (identities) UpdateIdentity(context.Context, *resources.Identity) (*resources.Identity, error) {
	return nil, errFromProvider
}

func (identities) DeleteIdentity(context.Context, string) (bool, error) {
	return false, errFromProvider
}

func (s identities) GetIdentity(ctx context.Context, id string) (*resources.Identity, error) {
	found, err := s.Estate.Identity(ctx, caller(ctx), id)
	if err != nil {
		return nil, err
	}
	result := identity(found)
	return &result, nil
}

// who is an identity that is known, as a subject.
func (s identities) who(ctx context.Context, id string) (string, error) {
	found, err := s.Estate.Identity(ctx, caller(ctx), id)
	return subject(estate.KindUser, found.Name), err
}

func (s identities) GetIdentityGroups(ctx context.Context, id string, p *resources.GetIdentitiesItemGroupsParams) (*resources.PaginatedResponse[resources.Group], error) {
	who, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	found, next, err := s.setsOf(ctx, who, estate.KindGroup, p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	return continued(each(found, group), next), nil
}

func (s identities) PatchIdentityGroups(ctx context.Context, id string, patches []resources.IdentityGroupsPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), estate.Relationship{Subject: subject(estate.KindUser, id), Relation: string(estate.Member), Target: "group-" + p.Group})
	}
	return s.apply(ctx, c)
}

func (s identities) GetIdentityRoles(ctx context.Context, id string, p *resources.GetIdentitiesItemRolesParams) (*resources.PaginatedResponse[resources.Role], error) {
	who, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	found, next, err := s.setsOf(ctx, who, estate.KindRole, p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	return continued(each(found, role), next), nil
}

func (s identities) PatchIdentityRoles(ctx context.Context, id string, patches []resources.IdentityRolesPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), estate.Relationship{Subject: subject(estate.KindUser, id), Relation: string(estate.Assignee), Target: "role-" + p.Role})
	}
	return s.apply(ctx, c)
}

func (s identities) GetIdentityEntitlements(ctx context.Context, id string, p *resources.GetIdentitiesItemEntitlementsParams) (*resources.PaginatedResponse[resources.EntityEntitlement], error) {
	who, err := s.who(ctx, id)
	if err != nil {
		return nil, err
	}
	size, from, err := tokenPage(p.Size, p.NextToken, p.NextPageToken)
	if err != nil {
		return nil, err
	}
	return s.entitlementsOf(ctx, who, size, from)
}

func (s identities) PatchIdentityEntitlements(ctx context.Context, id string, patches []resources.IdentityEntitlementsPatchItem) (bool, error) {
	var c change
	for _, p := range patches {
		c.put(string(p.Op), entitle(subject(estate.KindUser, id), p.Entitlement))
	}
	return s.apply(ctx, c)
}

func each[A, B any](list []A, f func(A) B) []B {
	result := make([]B, len(list))
	for i, v := range list {
		result[i] = f(v)
	}
	return result
}
