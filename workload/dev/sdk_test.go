package dev_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canonical/jimm-go-sdk/v3/api"
	"github.com/canonical/jimm-go-sdk/v3/api/params"

	jujuparams "github.com/juju/juju/rpc/params"

	"jimm/workload/dev"
	"jimm/workload/estate"
	"jimm/workload/rpc"
	"jimm/workload/sim"
)

// caller is a connection as the SDK wants it, and remembers what was called.
type caller struct {
	ctx    context.Context
	client *rpc.Client
	called map[string]bool
}

func (c *caller) APICall(facade string, version int, id, method string, args, result any) error {
	c.called[method] = true
	return c.client.Call(c.ctx, facade, version, id, method, args, result)
}

func (c *caller) Close() error { return c.client.Close() }

// script is a company's script on the public SDK, against a jimmsrv as it is built.
type script struct {
	*testing.T
	*api.Client
	stack  *dev.Stack
	unit   *unit
	caller *caller
}

// robot is who the script logs in as.
const robot = dev.ServiceAccount + "@serviceaccount"

func newSDK(t *testing.T, settings map[string]string) *script {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	stack, err := dev.Start(ctx, dev.Options{Dir: t.TempDir(), Juju: "sim"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &script{T: t, stack: stack, unit: startUnit(t, stack, settings)}
	s.connect(ctx)
	return s
}

func (s *script) connect(ctx context.Context) {
	s.Helper()
	client, err := logIn(s.T, s.stack.CAFile, s.unit.address, dev.ServiceSecret)
	s.ok(err)
	s.Cleanup(func() { _ = client.Close() })
	s.caller = &caller{ctx, client, map[string]bool{}}
	s.Client = api.NewClient(s.caller)
}

func (s *script) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// code checks the code of an error.
func (s *script) code(err error, want string) {
	s.Helper()
	var coded *rpc.Error
	if !errors.As(err, &coded) || coded.Code != want {
		s.Errorf("the error is %v, want one with code %q", err, want)
	}
}

func (s *script) equal(what string, got, want any) {
	s.Helper()
	if !reflect.DeepEqual(got, want) {
		s.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (s *script) admin(c *sim.Controller, name string) string {
	s.Helper()
	uuids, err := c.SeedModels(1, func(int) sim.Model { return sim.Model{Name: name, Owner: "admin"} })
	s.ok(err)
	return uuids[0]
}

// TestThePublicSDKCanCallAllItsMethods goes through a life of an estate, and
// then sees that no method of the SDK was left out.
func TestThePublicSDKCanCallAllItsMethods(t *testing.T) {
	s := newSDK(t, nil)
	s.controllers()
	s.models()
	s.queries()
	s.permissions()
	s.profiles()
	s.auditLog()
	s.jobs()

	methods := reflect.TypeOf(s.Client)
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; name != "Close" && !s.caller.called[name] {
			t.Errorf("the method %s of the SDK is not tried", name)
		}
	}
	s.strangers()
}

func (s *script) controllers() {
	version, err := s.Version()
	s.ok(err)
	s.equal("version", version.Version, unitVersion)

	list, err := s.ListControllers()
	s.ok(err)
	names := []string{}
	for _, c := range list {
		names = append(names, c.Name)
	}
	s.equal("controllers", names, []string{"juju36", "juju41"})
	details, err := s.ShowController("juju41")
	s.ok(err)
	s.equal("controller", details.UUID, s.stack.Simulated[1].UUID())
	s.equal("its status", string(details.Status.Status), "available")

	changed, err := s.SetControllerDeprecated(&params.SetControllerDeprecatedRequest{Name: "juju41", Deprecated: true})
	s.ok(err)
	s.equal("status", string(changed.Status.Status), "deprecated")
	changed, err = s.SetControllerDeprecated(&params.SetControllerDeprecatedRequest{Name: "juju41"})
	s.ok(err)
	s.equal("status", string(changed.Status.Status), "available")

	removed, err := s.RemoveController(&params.RemoveControllerRequest{Name: "juju36"})
	s.ok(err)
	s.equal("removed", removed.Name, "juju36")
	_, err = s.ShowController("juju36")
	s.code(err, estate.CodeNotFound)
	c := s.stack.Simulated[0]
	added, err := s.AddController(&params.AddControllerRequest{
		UUID: c.UUID(), Name: "juju36", APIAddresses: []string{c.Address()}, CACertificate: c.CACert(),
		Username: "admin", Password: s.stack.AdminPassword(),
	})
	s.ok(err)
	s.equal("added", added.CloudTag, "cloud-dev")

	lab := jujuparams.Cloud{Type: "maas", AuthTypes: []string{"oauth1"}, Endpoint: "http://10.0.0.2/MAAS"}
	request := &params.AddCloudToControllerRequest{ControllerName: "juju41"}
	request.Name, request.Cloud = "lab", lab
	force := true
	request.Force = &force
	s.ok(s.AddCloudToController(request))
	clouds, err := s.ListUserClouds(&params.ListUserCloudsRequest{UserTag: "user-" + robot})
	s.ok(err)
	s.equal("clouds", len(clouds), 2)
	clouds, err = s.ListUserClouds(&params.ListUserCloudsRequest{UserTag: "user-bob@example.com"})
	s.ok(err)
	s.equal("bob's clouds", len(clouds), 1) // dev is everybody's, lab is not
	s.ok(s.RemoveCloudFromController(&params.RemoveCloudFromControllerRequest{CloudTag: "cloud-lab", ControllerName: "juju41"}))
}

func (s *script) addModel(name, controller string) jujuparams.ModelInfo {
	s.Helper()
	request := &params.AddModelToControllerRequest{ControllerName: controller}
	request.Name, request.CloudTag = name, "cloud-dev"
	info, err := s.AddModelToController(request)
	s.ok(err)
	return info
}

func (s *script) models() {
	one, two := s.addModel("one", "juju36"), s.addModel("two", "juju41")
	s.equal("controller as everybody sees it", one.ControllerUUID, s.stack.Server.Estate.UUID)
	list, err := s.ListModels()
	s.ok(err)
	s.equal("models", list, []params.ModelControllerInfoListItem{
		{ModelName: "one", ModelUUID: one.UUID, ControllerName: "juju36", ControllerUUID: s.stack.Simulated[0].UUID()},
		{ModelName: "two", ModelUUID: two.UUID, ControllerName: "juju41", ControllerUUID: s.stack.Simulated[1].UUID()},
	})
	for _, model := range []string{two.UUID, robot + "/two"} {
		info, err := s.ModelControllerInfo(model)
		s.ok(err)
		s.equal("model "+model, info, &params.ModelControllerInfo{
			ModelName: "two", ModelUUID: two.UUID, ControllerName: "juju41", ControllerUUID: s.stack.Simulated[1].UUID(),
		})
	}
	_, err = s.ModelControllerInfo(robot + "/three")
	s.code(err, estate.CodeModelNotFound)

	status, err := s.FullModelStatus(&params.FullModelStatusRequest{ModelTag: "model-" + one.UUID})
	s.ok(err)
	s.equal("status", status.Model.Name, "one")
	targets, err := s.ListMigrationTargets(&params.ListMigrationTargetsRequest{ModelTag: "model-" + one.UUID})
	s.ok(err)
	if len(targets) != 1 || targets[0].Name != "juju41" {
		s.Errorf("the older model could go to %v", targets)
	}
	targets, err = s.ListMigrationTargets(&params.ListMigrationTargetsRequest{ModelTag: "model-" + two.UUID})
	s.ok(err)
	s.equal("targets of the newer model", len(targets), 0)

	s.ok(s.DisableControllerUUIDMasking())
	var infos jujuparams.ModelInfoResults
	s.ok(s.caller.APICall("ModelManager", 11, "", "ModelInfo", jujuparams.Entities{Entities: []jujuparams.Entity{{Tag: "model-" + one.UUID}}}, &infos))
	s.equal("unmasked controller", infos.Results[0].Result.ControllerUUID, s.stack.Simulated[0].UUID())

	old := s.admin(s.stack.Simulated[0], "old")
	s.ok(s.ImportModel(&params.ImportModelRequest{Controller: "juju36", ModelTag: "model-" + old, Owner: robot}))
	_, err = s.stack.Simulated[1].SeedModels(1, func(int) sim.Model { return sim.Model{Name: "old", Owner: "admin", UUID: old} })
	s.ok(err)
	s.ok(s.stack.Simulated[0].RemoveModel(old))
	s.ok(s.UpdateMigratedModel(&params.UpdateMigratedModelRequest{ModelTag: "model-" + old, TargetController: "juju41"}))
	info, err := s.ModelControllerInfo(old)
	s.ok(err)
	s.equal("where it was migrated to", info.ControllerName, "juju41")
}

func (s *script) queries() {
	answer, err := s.CrossModelQuery(&params.CrossModelQueryRequest{Type: "jq", Query: ".model | .name, .controller"})
	s.ok(err)
	s.equal("errors", len(answer.Errors), 0)
	found := []string{}
	for _, results := range answer.Results {
		found = append(found, results[0].(string)+" on "+results[1].(string))
	}
	slices.Sort(found)
	s.equal("models", found, []string{"old on juju41", "one on juju36", "two on juju41"})
	_, err = s.CrossModelQuery(&params.CrossModelQueryRequest{Type: "jimmsql", Query: "select 1"})
	s.code(err, estate.CodeNotImplemented)
	_, err = s.CrossModelQuery(&params.CrossModelQueryRequest{Type: "jq", Query: ".model |"})
	s.code(err, estate.CodeBadRequest)
}

func (s *script) permissions() {
	group, err := s.AddGroup(&params.AddGroupRequest{Name: "dev"})
	s.ok(err)
	found, err := s.GetGroup(&params.GetGroupRequest{UUID: group.UUID})
	s.ok(err)
	s.equal("group", found.Name, "dev")
	s.ok(s.RenameGroup(&params.RenameGroupRequest{Name: "dev", NewName: "engineering"}))
	groups, err := s.ListGroups(&params.ListGroupsRequest{Limit: 10})
	s.ok(err)
	if len(groups) != 1 || groups[0].Name != "engineering" {
		s.Errorf("groups are %v", groups)
	}
	role, err := s.AddRole(&params.AddRoleRequest{Name: "viewer"})
	s.ok(err)
	seen, err := s.GetRole(&params.GetRoleRequest{Name: "viewer"})
	s.ok(err)
	s.equal("role", seen.UUID, role.UUID)
	s.ok(s.RenameRole(&params.RenameRoleRequest{Name: "viewer", NewName: "reader"}))
	roles, err := s.ListRoles(&params.ListRolesRequest{Limit: 10})
	s.ok(err)
	s.equal("roles", len(roles), 1)

	tuples := []params.RelationshipTuple{
		{Object: "user-bob@example.com", Relation: "member", TargetObject: "group-engineering"},
		{Object: "group-engineering#member", Relation: "reader", TargetObject: "model-" + robot + "/one"},
	}
	s.ok(s.AddRelation(&params.AddRelationRequest{Tuples: tuples}))
	reads := params.RelationshipTuple{Object: "user-bob@example.com", Relation: "reader", TargetObject: "model-" + robot + "/one"}
	check, err := s.CheckRelation(&params.CheckRelationRequest{Tuple: reads})
	s.ok(err)
	s.equal("bob reads, by way of the group", check.Allowed, true)
	checks, err := s.CheckRelations(&params.CheckRelationsRequest{Tuples: []params.RelationshipTuple{reads, tuples[0]}})
	s.ok(err)
	s.equal("checks", []bool{checks.Results[0].Allowed, checks.Results[1].Allowed}, []bool{true, true})
	list, err := s.ListRelationshipTuples(&params.ListRelationshipTuplesRequest{
		Tuple: params.RelationshipTuple{TargetObject: "group-engineering"}, PageSize: 10, ResolveUUIDs: true,
	})
	s.ok(err)
	s.equal("tuples", list.Tuples, tuples[:1])
	s.equal("errors", len(list.Errors), 0)
	s.ok(s.RemoveRelation(&params.RemoveRelationRequest{Tuples: tuples}))
	check, err = s.CheckRelation(&params.CheckRelationRequest{Tuple: reads})
	s.ok(err)
	s.equal("bob still reads", check.Allowed, false)
	s.ok(s.RemoveGroup(&params.RemoveGroupRequest{Name: "engineering"}))
	s.ok(s.RemoveRole(&params.RemoveRoleRequest{Name: "reader"}))
}

func (s *script) profiles() {
	wanted := params.ControllerProfile{
		Name: "small", Description: "for tests", JujuVersion: "4.1",
		Cloud:            params.BootstrapCloud{Name: "aws", Type: "ec2", Region: params.BootstrapCloudRegion{Name: "eu-west-1"}},
		BootstrapOptions: params.BootstrapOptions{BootstrapConstraints: map[string]string{"mem": "4G"}},
	}
	saved, err := s.SaveControllerProfile(&params.SaveControllerProfileRequest{ControllerProfile: wanted})
	s.ok(err)
	s.equal("version", saved.Version, uint(1))
	_, err = s.SaveControllerProfile(&params.SaveControllerProfileRequest{ControllerProfile: wanted})
	s.code(err, estate.CodeAlreadyExists)
	saved.Description = "for all tests"
	changed, err := s.SaveControllerProfile(&params.SaveControllerProfileRequest{ControllerProfile: saved.ControllerProfile})
	s.ok(err)
	s.equal("version", changed.Version, uint(2))
	_, err = s.SaveControllerProfile(&params.SaveControllerProfileRequest{ControllerProfile: saved.ControllerProfile}) // of version 1
	s.code(err, estate.CodeBadRequest)
	got, err := s.GetControllerProfile(&params.GetControllerProfileRequest{Name: "small"})
	s.ok(err)
	s.equal("profile", got.ControllerProfile, changed.ControllerProfile)
	s.equal("its options", got.BootstrapOptions, wanted.BootstrapOptions)
	for version, want := range map[string]int{"": 1, "4.1": 1, "4.1.2": 1, "4.10": 0, "4": 0, "3.6.1": 0, "4.1-beta2": 1} {
		list, err := s.ListControllerProfiles(&params.ListControllerProfilesRequest{JujuVersion: version})
		s.ok(err)
		s.equal("profiles for "+version, len(list), want)
	}
	s.ok(s.RemoveControllerProfile(&params.RemoveControllerProfileRequest{Name: "small"}))
	_, err = s.GetControllerProfile(&params.GetControllerProfileRequest{Name: "small"})
	s.code(err, estate.CodeNotFound)
}

func (s *script) auditLog() {
	access := &params.AuditLogAccessRequest{UserTag: "user-bob@example.com", Level: "read"}
	s.ok(s.GrantAuditLogAccess(access))
	s.ok(s.RevokeAuditLogAccess(access))
	deadline := time.Now().Add(time.Minute)
	for { // events are written in batches
		events, err := s.FindAuditEvents(&params.FindAuditEventsRequest{Method: "AddModelToController", Limit: 10})
		s.ok(err)
		if len(events.Events) > 0 {
			s.equal("who", events.Events[0].UserTag, "user-"+robot)
			break
		}
		if time.Now().After(deadline) {
			s.Fatal("nothing is in the audit log")
		}
		time.Sleep(50 * time.Millisecond)
	}
	purged, err := s.PurgeLogs(&params.PurgeLogsRequest{Date: time.Now().Add(-time.Hour)})
	s.ok(err)
	s.equal("purged", purged.DeletedCount, int64(0))
}

func (s *script) jobs() {
	jobs, err := s.ListJobs(&params.ListJobsRequest{})
	s.ok(err)
	s.equal("jobs", len(jobs.Jobs), 0)
	_, err = s.JobInfo(&params.JobInfoRequest{JobID: "1"})
	s.code(err, estate.CodeNotFound)
	versions := params.SupportedJujuVersionsResponse{}
	s.ok(s.caller.APICall("JIMM", 4, "", "SupportedJujuVersions", params.SupportedJujuVersionsRequest{}, &versions))
	if len(versions.Versions) != 2 || !strings.HasPrefix(versions.Versions[0].Version, "4.1") {
		s.Errorf("supported versions are %v", versions.Versions)
	}

	for method, err := range map[string]error{
		"StartBootstrap":         second(s.StartBootstrap(&params.BootstrapParams{})),
		"StopBootstrap":          s.StopBootstrap(&params.StopBootstrapRequest{}),
		"BootstrapInfo":          second(s.BootstrapInfo(&params.GetBootstrapInfoRequest{})),
		"StartDestroyController": second(s.StartDestroyController(&params.DestroyControllerRequest{})),
		"UpgradeTo":              second(s.UpgradeTo(&params.UpgradeToRequest{})),
		"MigrateModel":           second(s.MigrateModel(&params.MigrateModelRequest{})),
		"PrepareModelMigration":  second(s.PrepareModelMigration(&params.PrepareModelMigrationRequest{})),
		"UpgradeController":      s.caller.APICall("JIMM", 4, "", "UpgradeController", nil, nil),
	} {
		s.code(err, estate.CodeNotImplemented)
		if err == nil || !strings.Contains(err.Error(), "JIMM cannot ") {
			s.Errorf("%s does not say what cannot be done yet: %v", method, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// strangers sees that one who administers nothing is refused, and ListControllers
// works.
func (s *script) strangers() {
	ctx := s.caller.ctx
	s.ok(s.RemoveRelation(&params.RemoveRelationRequest{Tuples: []params.RelationshipTuple{
		{Object: "user-" + robot, Relation: "administrator", TargetObject: "controller-jimm"},
	}}))
	s.connect(ctx)
	list, err := s.ListControllers()
	s.ok(err)
	s.equal("controllers that anybody may use", len(list), 2)
	own, err := s.ListModels()
	s.ok(err)
	s.equal("own models", len(own), 3)
	profile := params.ControllerProfile{Name: "p", JujuVersion: "4", Cloud: params.BootstrapCloud{Name: "aws"}}
	for method, args := range map[string]any{
		"AddController":                params.AddControllerRequest{Name: "x", PublicAddress: "x:1", Username: "admin", Password: "p"},
		"RemoveController":             params.RemoveControllerRequest{Name: "juju36", Force: true},
		"SetControllerDeprecated":      params.SetControllerDeprecatedRequest{Name: "juju36", Deprecated: true},
		"ImportModel":                  params.ImportModelRequest{Controller: "juju36", ModelTag: "model-" + own[0].ModelUUID},
		"UpdateMigratedModel":          params.UpdateMigratedModelRequest{TargetController: "juju36", ModelTag: "model-" + own[0].ModelUUID},
		"DisableControllerUUIDMasking": nil,
		"FullModelStatus":              params.FullModelStatusRequest{ModelTag: "model-" + own[0].ModelUUID},
		"ListMigrationTargets":         params.ListMigrationTargetsRequest{ModelTag: "model-" + own[0].ModelUUID},
		"ListUserClouds":               params.ListUserCloudsRequest{UserTag: "user-bob@example.com"},
		"SaveControllerProfile":        params.SaveControllerProfileRequest{ControllerProfile: profile},
		"GetControllerProfile":         params.GetControllerProfileRequest{Name: "p"},
		"ListControllerProfiles":       params.ListControllerProfilesRequest{},
		"RemoveControllerProfile":      params.RemoveControllerProfileRequest{Name: "p"},
		"JobInfo":                      params.JobInfoRequest{JobID: "1"},
		"ListJobs":                     params.ListJobsRequest{},
		"EstateOverview":               nil,
		"ListModelsOnController":       params.ShowControllerRequest{ControllerName: "juju36"},
		"ShowController":               params.ShowControllerRequest{ControllerName: "juju36"},
		"AddCloudToController":         map[string]any{"controller-name": "juju36", "name": "c", "cloud": map[string]any{"type": "maas"}},
		"RemoveCloudFromController":    params.RemoveCloudFromControllerRequest{ControllerName: "juju36", CloudTag: "cloud-dev"},
		"AddRelation":                  params.AddRelationRequest{Tuples: []params.RelationshipTuple{{Object: "user-" + robot, Relation: "administrator", TargetObject: "controller-jimm"}}},
		"AddGroup":                     params.AddGroupRequest{Name: "g"},
		"AddRole":                      params.AddRoleRequest{Name: "r"},
		"GrantAuditLogAccess":          params.AuditLogAccessRequest{UserTag: "user-" + robot, Level: "read"},
		"FindAuditEvents":              params.FindAuditEventsRequest{},
		"PurgeLogs":                    params.PurgeLogsRequest{Date: time.Now()},
	} {
		var result json.RawMessage
		err := s.caller.APICall("JIMM", 4, "", method, args, &result)
		if err == nil {
			s.Errorf("%s answers %s", method, result)
			continue
		}
		s.Run(method, func(t *testing.T) { (&script{T: t}).code(err, estate.CodeUnauthorized) })
	}
	// A query finds what the caller may read.
	answer, err := s.CrossModelQuery(&params.CrossModelQueryRequest{Type: "jq", Query: ".model.name"})
	s.ok(err)
	s.equal("results", len(answer.Results), 3)
}
