package facade_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	jimmapi "github.com/canonical/jimm-go-sdk/v3/api"
	"github.com/canonical/jimm-go-sdk/v3/api/params"
)

// sdkCaller lets the public SDK call on a wire.
type sdkCaller struct{ w *wire }

// Close implements the SDK's APICallCloser.
func (c sdkCaller) Close() error { return nil }

// APICall implements the SDK's APICallCloser.
func (c sdkCaller) APICall(facade string, version int, id, method string, args, result any) error {
	p, err := json.Marshal(args)
	if err != nil {
		return err
	}
	var reply struct {
		Error    string          `json:"error"`
		Response json.RawMessage `json:"response"`
	}
	if err := json.Unmarshal(c.w.ask(facade, version, id, method, string(p)), &reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(reply.Response, result)
}

// TestThePublicSDKOnAccess calls what the SDK has for groups, roles, relations
// and the audit log.
func TestThePublicSDKOnAccess(t *testing.T) {
	w := newWire(t)
	sdk := jimmapi.NewClient(sdkCaller{w})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	group, err := sdk.AddGroup(&params.AddGroupRequest{Name: "engineering"})
	ok(err)
	byUUID, err := sdk.GetGroup(&params.GetGroupRequest{UUID: group.UUID})
	ok(err)
	if byUUID.Group != group.Group || group.Name != "engineering" || group.CreatedAt == "" {
		t.Errorf("added %+v, got %+v", group, byUUID)
	}
	ok(sdk.RenameGroup(&params.RenameGroupRequest{Name: "engineering", NewName: "builders"}))
	groups, err := sdk.ListGroups(&params.ListGroupsRequest{})
	ok(err)
	if len(groups) != 1 || groups[0].Name != "builders" || groups[0].UUID != group.UUID {
		t.Errorf("groups are %+v", groups)
	}
	role, err := sdk.AddRole(&params.AddRoleRequest{Name: "developer"})
	ok(err)
	ok(sdk.RenameRole(&params.RenameRoleRequest{Name: "developer", NewName: "engineer"}))
	byName, err := sdk.GetRole(&params.GetRoleRequest{Name: "engineer"})
	ok(err)
	roles, err := sdk.ListRoles(&params.ListRolesRequest{Limit: 10})
	ok(err)
	if byName.UUID != role.UUID || len(roles) != 1 || roles[0] != byName.Role {
		t.Errorf("got %+v, roles are %+v", byName, roles)
	}

	tuples := []params.RelationshipTuple{
		{Object: bob, Relation: "member", TargetObject: "group-builders"},
		{Object: "group-builders#member", Relation: "assignee", TargetObject: "role-engineer"},
		{Object: "role-engineer#assignee", Relation: "administrator", TargetObject: "cloud-dev"},
	}
	ok(sdk.AddRelation(&params.AddRelationRequest{Tuples: tuples}))
	checked, err := sdk.CheckRelation(&params.CheckRelationRequest{Tuple: params.RelationshipTuple{Object: bob, Relation: "administrator", TargetObject: "cloud-dev"}})
	ok(err)
	many, err := sdk.CheckRelations(&params.CheckRelationsRequest{Tuples: append([]params.RelationshipTuple{{Object: bob, Relation: "administrator", TargetObject: "controller-jimm"}, {Object: "nonsense"}}, tuples...)})
	ok(err)
	if !checked.Allowed || len(many.Results) != 5 || many.Results[0].Allowed || many.Results[1].Error == "" || !many.Results[2].Allowed || !many.Results[4].Allowed {
		t.Errorf("checked %+v, %+v", checked, many)
	}

	t.Run("as Terraform reads relations", func(t *testing.T) {
		for _, resolve := range []bool{false, true} {
			var all []string
			request := params.ListRelationshipTuplesRequest{Tuple: params.RelationshipTuple{TargetObject: "cloud-dev"}, PageSize: 2, ResolveUUIDs: resolve}
			for {
				page, err := sdk.ListRelationshipTuples(&request)
				ok(err)
				if len(page.Errors) > 0 {
					t.Fatalf("errors: %q", page.Errors)
				}
				for _, r := range page.Tuples {
					all = append(all, fmt.Sprint(r.Object, " ", r.Relation, " ", r.TargetObject))
				}
				if request.ContinuationToken = page.ContinuationToken; request.ContinuationToken == "" {
					break
				}
			}
			want := "role-" + role.UUID + "#assignee administrator cloud-dev"
			if resolve {
				want = "role-engineer#assignee administrator cloud-dev"
			}
			if !slices.Contains(all, want) || !slices.Contains(all, "user-everyone@external can_addmodel cloud-dev") {
				t.Errorf("%q is not among %q", want, all)
			}
		}
	})
	ok(sdk.RemoveRelation(&params.RemoveRelationRequest{Tuples: tuples[1:2]}))
	ok(sdk.RemoveGroup(&params.RemoveGroupRequest{Name: "builders"}))
	ok(sdk.RemoveRole(&params.RemoveRoleRequest{Name: "engineer"}))
	if _, err := sdk.GetRole(&params.GetRoleRequest{Name: "engineer"}); err == nil {
		t.Error("a removed role is there")
	}
	ok(sdk.GrantAuditLogAccess(&params.AuditLogAccessRequest{UserTag: bob, Level: "read"}))
	ok(sdk.RevokeAuditLogAccess(&params.AuditLogAccessRequest{UserTag: bob, Level: "read"}))
}
