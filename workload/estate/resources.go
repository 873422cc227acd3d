package estate

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Resource is something that people can be given, with its name.
type Resource struct {
	Object Object
	Name   string
	// Parent is what it belongs to: the controller of a model or JIMM of a
	// controller, the model of an offer; zero for a cloud and JIMM itself, as
	// several controllers may serve a cloud.
	Parent     Object
	ParentName string
}

// ResourceFilter picks resources; what is empty matches any.
type ResourceFilter struct {
	Kind Kind
	// Name is a part of the name.
	Name string
}

// ResourceStore lists what there is.
type ResourceStore interface {
	// Resources returns live controllers, clouds, models and offers, and self
	// among them, by kind and name; total is how many there are without the
	// bounds.
	Resources(ctx context.Context, self Resource, f ResourceFilter, limit, offset int) (page []Resource, total int, err error)
}

// resourceKinds are the kinds of resources.
var resourceKinds = []Kind{KindOffer, KindCloud, KindController, KindModel}

// ListResources returns what people can be given, by kind and name, and how
// much of that there is altogether. Needs administrator of JIMM. CodeBadRequest
// for a kind that there is not.
func (e *Estate) ListResources(ctx context.Context, u User, f ResourceFilter, limit, offset int) ([]Resource, int, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, 0, err
	}
	if f.Kind != "" && !slices.Contains(resourceKinds, f.Kind) {
		var words []string
		for _, kind := range resourceKinds {
			words = append(words, string(kind))
		}
		return nil, 0, Errorf(CodeBadRequest, "%q is not a kind of resource: there is %s", clip(string(f.Kind)), listed(words))
	}
	return e.Store.Resources(ctx, Resource{Object: e.selfObject(), Name: ReservedControllerName}, f, limit, offset)
}

// Grant is a relation that people may be given, to a kind of object.
type Grant struct {
	Relation Relation
	Kind     Kind
	// Receivers are who can have it: "user", "user:*", "group#member" and so on.
	Receivers []string
}

// Grants returns all relations that can be given to anybody, by kind and
// relation. They are the same for everyone and no secret.
func (e *Estate) Grants() []Grant {
	var grants []Grant
	for _, kind := range slices.Sorted(maps.Keys(targetRelations)) {
		for _, relation := range slices.Sorted(maps.Keys(targetRelations[kind])) {
			grants = append(grants, Grant{relation, kind, e.Permissions.Derive(kind, relation).Direct})
		}
	}
	return grants
}

// Matches reports whether a text is part of a grant's relation or kind.
func (g Grant) Matches(part string) bool {
	return strings.Contains(string(g.Relation), part) || strings.Contains(string(g.Kind), part)
}
