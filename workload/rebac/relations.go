package rebac

import (
	"context"
	"slices"
	"strings"

	"github.com/canonical/rebac-admin-ui-handlers/v1/resources"

	"jimm/workload/estate"
)

// subject is who something is given to, as a tag: a user, the members of a
// group, or those assigned a role.
func subject(kind estate.Kind, id string) string {
	switch kind {
	case estate.KindGroup:
		return "group-" + id + "#" + string(estate.Member)
	case estate.KindRole:
		return "role-" + id + "#" + string(estate.Assignee)
	}
	return string(kind) + "-" + id
}

// change adds and removes relations in one step.
type change struct{ add, remove []estate.Relationship }

func (c *change) put(op string, r estate.Relationship) {
	if op == string(resources.Remove) {
		c.remove = append(c.remove, r)
	} else {
		c.add = append(c.add, r)
	}
}

// maxPatches is how many relations one request may change: as many as are
// changed all or none.
const maxPatches = 100

func (a *api) apply(ctx context.Context, c change) (bool, error) {
	if n := len(c.add) + len(c.remove); n > maxPatches {
		return false, estate.Errorf(estate.CodeBadRequest, "%d patches are too many for one request: at most %d", n, maxPatches)
	}
	if err := a.Estate.ChangeRelations(ctx, caller(ctx), c.add, c.remove); err != nil {
		return false, err
	}
	return true, nil
}

// related is a page of one end of stored relations: the ids of the targets of a
// subject, or of the subjects of a target, that are of a kind.
func (a *api) related(ctx context.Context, q estate.RelationshipQuery, kind estate.Kind, size int, from token) (ids []string, next token, err error) {
	if from.Kind != "" && from.Kind != kind {
		return nil, token{}, estate.Errorf(estate.CodeBadRequest, "nextToken is of another list")
	}
	q.PageSize, q.Continuation = size, from.Token
	for {
		found, err := a.Estate.ListRelations(ctx, caller(ctx), q)
		if err != nil {
			return nil, token{}, err
		}
		for _, r := range found.List {
			end := r.Target
			if q.Subject == "" {
				end = r.Subject
			}
			tag, err := estate.ParseTag(end)
			if err == nil && tag.Kind == kind {
				ids = append(ids, tag.ID)
			}
		}
		switch {
		case found.Continuation == "":
			return ids, token{}, nil
		case len(ids) > 0:
			return ids, token{kind, found.Continuation}, nil
		}
		q.Continuation = found.Continuation
	}
}

// entitledKinds are the kinds that one can have entitlements to, in the order in
// which they are listed.
var entitledKinds = []estate.Kind{estate.KindController, estate.KindCloud, estate.KindModel, estate.KindOffer, estate.KindGroup}

// entitlementsOf is a page of what a subject has been given, kind by kind.
func (a *api) entitlementsOf(ctx context.Context, who string, size int, from token) (*resources.PaginatedResponse[resources.EntityEntitlement], error) {
	at := 0
	if from.Kind != "" {
		if at = slices.Index(entitledKinds, from.Kind); at < 0 {
			return nil, estate.Errorf(estate.CodeBadRequest, "nextToken is of another list")
		}
	}
	var data []resources.EntityEntitlement
	continuation := from.Token
	for ; at < len(entitledKinds); at++ {
		for {
			if len(data) == size {
				return continued(data, token{entitledKinds[at], continuation}), nil
			}
			found, err := a.Estate.ListRelations(ctx, caller(ctx), estate.RelationshipQuery{
				Subject: who, Target: string(entitledKinds[at]), PageSize: size - len(data), Continuation: continuation,
			})
			if err != nil {
				return nil, err
			}
			for _, r := range found.List {
				kind, id, _ := strings.Cut(r.Target, "-")
				data = append(data, resources.EntityEntitlement{Entitlement: r.Relation, EntityType: kind, EntityId: id})
			}
			if continuation = found.Continuation; continuation == "" {
				break
			}
		}
	}
	return continued(data, token{}), nil
}

// entitle is the relation that an entitlement stands for.
func entitle(who string, e resources.EntityEntitlement) estate.Relationship {
	return estate.Relationship{Subject: who, Relation: e.Entitlement, Target: e.EntityType + "-" + e.EntityId}
}
