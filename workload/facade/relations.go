package facade

import (
	"context"
	"fmt"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"

	"jimm/workload/estate"
	"jimm/workload/jimmapi"
)

// relationMethods are what the JIMM facade has for who may do what.
var relationMethods = methods{
	"AddRelation":            call(addRelation),
	"RemoveRelation":         call(removeRelation),
	"CheckRelation":          call(checkRelation),
	"CheckRelations":         call(checkRelations),
	"ListRelationshipTuples": call(listRelationshipTuples),
	"ExplainRelation":        call(explainRelation),
	"GrantAuditLogAccess":    call(grantAuditLogAccess),
	"RevokeAuditLogAccess":   call(revokeAuditLogAccess),
}

func relationships(tuples []jimmparams.RelationshipTuple) []estate.Relationship {
	return each(tuples, relationship)
}

func relationship(t jimmparams.RelationshipTuple) estate.Relationship {
	return estate.Relationship{Subject: t.Object, Relation: t.Relation, Target: t.TargetObject}
}

func relationshipTuple(r estate.Relationship) jimmparams.RelationshipTuple {
	return jimmparams.RelationshipTuple{Object: r.Subject, Relation: r.Relation, TargetObject: r.Target}
}

func addRelation(ctx context.Context, c *Connection, args jimmparams.AddRelationRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.AddRelations(ctx, *c.User(), relationships(args.Tuples))
}

func removeRelation(ctx context.Context, c *Connection, args jimmparams.RemoveRelationRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RemoveRelations(ctx, *c.User(), relationships(args.Tuples))
}

func checkRelation(ctx context.Context, c *Connection, args jimmparams.CheckRelationRequest) (jimmparams.CheckRelationResponse, error) {
	allowed, err := c.server.Estate.CheckRelation(ctx, *c.User(), relationship(args.Tuple))
	return jimmparams.CheckRelationResponse{Allowed: allowed}, err
}

func checkRelations(ctx context.Context, c *Connection, args jimmparams.CheckRelationsRequest) (jimmparams.CheckRelationsResponse, error) {
	results, err := c.server.Estate.CheckRelations(ctx, *c.User(), relationships(args.Tuples))
	return jimmparams.CheckRelationsResponse{
		Results: each(results, func(r estate.RelationCheck) jimmparams.CheckRelationResponse {
			response := jimmparams.CheckRelationResponse{Allowed: r.Allowed}
			if r.Err != nil {
				response.Error = r.Err.Error()
			}
			return response
		}),
	}, err
}

// listRelationshipTuples answers with errors only what a client that asked for
// names did not get a name for; the tuple is in the list all the same. Clients
// take any error for a failure of the whole list.
func listRelationshipTuples(ctx context.Context, c *Connection, args jimmparams.ListRelationshipTuplesRequest) (jimmparams.ListRelationshipTuplesResponse, error) {
	page, err := c.server.Estate.ListRelations(ctx, *c.User(), estate.RelationshipQuery{
		Subject: args.Tuple.Object, Relation: args.Tuple.Relation, Target: args.Tuple.TargetObject,
		PageSize: int(args.PageSize), Continuation: args.ContinuationToken, Resolve: args.ResolveUUIDs,
	})
	return jimmparams.ListRelationshipTuplesResponse{
		Tuples: each(page.List, relationshipTuple),
		Errors: each(page.Unknown, func(tag string) string {
			return fmt.Sprintf("cannot name %s: it is gone; an administrator may remove the relation", tag)
		}),
		ContinuationToken: page.Continuation,
	}, err
}

func grantAuditLogAccess(ctx context.Context, c *Connection, args jimmparams.AuditLogAccessRequest) (struct{}, error) {
	return struct{}{}, c.auditLogAccess(ctx, args, true)
}

func revokeAuditLogAccess(ctx context.Context, c *Connection, args jimmparams.AuditLogAccessRequest) (struct{}, error) {
	return struct{}{}, c.auditLogAccess(ctx, args, false)
}

func (c *Connection) auditLogAccess(ctx context.Context, args jimmparams.AuditLogAccessRequest, grant bool) error {
	if args.Level != estate.AccessRead {
		return estate.Errorf(estate.CodeBadRequest, "%q is not a level of access to the audit log; there is %q", clip(args.Level), estate.AccessRead)
	}
	tag, err := names.ParseUserTag(args.UserTag)
	if err != nil {
		return estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.UserTag))
	}
	return c.server.Estate.AuditLogAccess(ctx, *c.User(), tag.Id(), grant)
}

// explainRelation is our own.
func explainRelation(ctx context.Context, c *Connection, args jimmapi.ExplainRelationRequest) (jimmapi.Explanation, error) {
	ex, err := c.server.Estate.ExplainRelation(ctx, *c.User(), relationship(args.Tuple))
	if err != nil {
		return jimmapi.Explanation{}, err
	}
	step := func(s estate.ExplanationStep) jimmapi.Step {
		return jimmapi.Step{RelationshipTuple: relationshipTuple(s.Relationship), Kind: string(s.Kind)}
	}
	return jimmapi.Explanation{
		Tuple: relationshipTuple(ex.Asked), Allowed: ex.Allowed, Incomplete: ex.Incomplete,
		Paths: each(ex.Paths, func(path []estate.ExplanationStep) []jimmapi.Step { return each(path, step) }),
		Grants: each(ex.Grants, func(g estate.PossibleGrant) jimmapi.Grant {
			return jimmapi.Grant{Tuple: relationshipTuple(g.Add), Path: each(g.Path, step)}
		}),
	}, nil
}
