package rebac

import (
	"context"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// entitlements are what can be given at all.
type entitlements struct{ *api }

func (s entitlements) ListEntitlements(_ context.Context, p *resources.GetEntitlementsParams) ([]resources.EntitlementSchema, error) {
	list := []resources.EntitlementSchema{}
	for _, g := range s.Estate.Grants() {
		if !g.Matches(text(p.Filter)) {
			continue
		}
		for _, receiver := range g.Receivers {
			list = append(list, resources.EntitlementSchema{Entitlement: string(g.Relation), EntityType: string(g.Kind), ReceiverType: receiver})
		}
	}
	return list, nil
}

func (s entitlements) RawEntitlements(context.Context) (string, error) { return s.Language, nil }

// things are what entitlements can be to.
type things struct{ *api }

func (s things) ListResources(ctx context.Context, p *resources.GetResourcesParams) (*resources.PaginatedResponse[resources.Resource], error) {
	page, err := countedPage(p.Size, p.Page)
	if err != nil {
		return nil, err
	}
	f := estate.ResourceFilter{Kind: estate.Kind(text(p.EntityType)), Name: text(p.EntityName)}
	found, total, err := s.Estate.ListResources(ctx, caller(ctx), f, page.size, page.offset())
	if err != nil {
		return nil, err
	}
	return countedAnswer(page, each(found, thing), total), nil
}

func thing(r estate.Resource) resources.Resource {
	result := resources.Resource{Entity: resources.Entity{Id: r.Object.ID, Name: r.Name, Type: string(r.Object.Kind)}}
	if r.Parent != (estate.Object{}) {
		result.Parent = &resources.Entity{Id: r.Parent.ID, Name: r.ParentName, Type: string(r.Parent.Kind)}
	}
	return result
}

// capabilities are the operations that do something.
type capabilities struct{}

func (capabilities) ListCapabilities(context.Context) ([]resources.Capability, error) {
	const get, post, put, patch, remove = resources.GET, resources.POST, resources.PUT, resources.PATCH, resources.DELETE
	return []resources.Capability{
		{Endpoint: "/swagger.json", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/capabilities", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/identities", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/identities/{id}", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/identities/{id}/groups", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/identities/{id}/roles", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/identities/{id}/entitlements", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/groups", Methods: []resources.CapabilityMethods{get, post}},
		{Endpoint: "/groups/{id}", Methods: []resources.CapabilityMethods{get, put, remove}},
		{Endpoint: "/groups/{id}/identities", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/groups/{id}/roles", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/groups/{id}/entitlements", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/roles", Methods: []resources.CapabilityMethods{get, post}},
		{Endpoint: "/roles/{id}", Methods: []resources.CapabilityMethods{get, put, remove}},
		{Endpoint: "/roles/{id}/entitlements", Methods: []resources.CapabilityMethods{get, patch}},
		{Endpoint: "/entitlements", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/entitlements/raw", Methods: []resources.CapabilityMethods{get}},
		{Endpoint: "/resources", Methods: []resources.CapabilityMethods{get}},
	}, nil
}
