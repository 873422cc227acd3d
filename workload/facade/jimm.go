package facade

import (
	"context"
	"strings"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"

	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// jimmMethods are the JIMM facade, version 4, with the wire types of its
// public SDK. docs/reference/facade-jimm.md says who may call what.
var jimmMethods = jimmControllerMethods.
	also(jimmModelMethods).
	also(jimmProfileMethods).
	also(jimmJobMethods).
	also(usersetMethods).
	also(relationMethods).
	also(keyMethods).
	also(sessionMethods).
	also(auditMethods)

// jimmLegacyMethods are version 3: what it had and has not changed since.
var jimmLegacyMethods = jimmMethods.only(
	"AddCloudToController", "AddController", "ListControllers", "RemoveCloudFromController", "RemoveController", "SetControllerDeprecated",
	"CrossModelQuery", "DisableControllerUUIDMasking", "FullModelStatus", "ImportModel", "MigrateModel", "UpdateMigratedModel",
	"AddGroup", "GetGroup", "ListGroups", "RemoveGroup", "RenameGroup",
	"AddRelation", "CheckRelation", "ListRelationshipTuples", "RemoveRelation",
	"FindAuditEvents", "GrantAuditLogAccess", "PurgeLogs", "RevokeAuditLogAccess",
)

// jimmControllerMethods are about controllers and what they have.
var jimmControllerMethods = methods{
	"Version":                   ask(jimmVersion),
	"AddController":             call(addController),
	"ListControllers":           ask(listControllers),
	"ShowController":            call(showController),
	"RemoveController":          call(removeController),
	"SetControllerDeprecated":   call(setControllerDeprecated),
	"AddCloudToController":      call(addCloudToController),
	"AddModelToController":      call(addModelToController),
	"RemoveCloudFromController": call(removeCloudFromController),
	"ImportModel":               call(importModel),
	"UpdateMigratedModel":       call(updateMigratedModel),
}

func jimmVersion(ctx context.Context, c *Connection) (jimmparams.VersionResponse, error) {
	return jimmparams.VersionResponse{Version: c.server.Estate.Version, Commit: c.server.Estate.Commit}, nil
}

func addController(ctx context.Context, c *Connection, args jimmparams.AddControllerRequest) (jimmparams.ControllerInfo, error) {
	added, err := c.server.Estate.AddController(ctx, *c.User(), estate.AddControllerArgs{
		Name: args.Name, UUID: args.UUID, PublicAddress: args.PublicAddress, Addresses: args.APIAddresses,
		CACertificate: args.CACertificate, TLSHostname: args.TLSHostname,
		Username: args.Username, Password: args.Password,
	})
	return controllerInfo(added), err
}

func controllerInfo(c estate.Controller) jimmparams.ControllerInfo {
	info := jimmparams.ControllerInfo{
		Name: c.Name, UUID: c.UUID, PublicAddress: c.PublicAddress, APIAddresses: c.Addresses,
		CACertificate: c.CACertificate, CloudRegion: c.Region, AgentVersion: c.AgentVersion,
	}
	if c.Cloud != "" {
		info.CloudTag = names.NewCloudTag(c.Cloud).String()
	}
	word, since := c.Status()
	info.Status.Status = status.Status(word)
	if !since.IsZero() {
		info.Status.Since = &since
	}
	return info
}

// listControllers lists the controllers the caller can use. Clients take an
// answer, whatever is in it, for the sign that this is JIMM.
func listControllers(ctx context.Context, c *Connection) (jimmparams.ListControllersResponse, error) {
	list, err := c.server.Estate.ListControllers(ctx, *c.User())
	return jimmparams.ListControllersResponse{Controllers: each(list, controllerInfo)}, err
}

func showController(ctx context.Context, c *Connection, args jimmparams.ShowControllerRequest) (jimmparams.ControllerDetails, error) {
	found, err := c.server.Estate.ShowController(ctx, *c.User(), args.ControllerName)
	info := controllerInfo(found)
	return jimmparams.ControllerDetails{
		Name: info.Name, UUID: info.UUID, PublicAddress: info.PublicAddress, APIAddresses: info.APIAddresses,
		CACertificate: info.CACertificate, CloudTag: info.CloudTag, CloudRegion: info.CloudRegion,
		AgentVersion: info.AgentVersion, Status: info.Status,
	}, err
}

func removeController(ctx context.Context, c *Connection, args jimmparams.RemoveControllerRequest) (jimmparams.ControllerInfo, error) {
	removed, err := c.server.Estate.RemoveController(ctx, *c.User(), args.Name, args.Force)
	return controllerInfo(removed), err
}

func setControllerDeprecated(ctx context.Context, c *Connection, args jimmparams.SetControllerDeprecatedRequest) (jimmparams.ControllerInfo, error) {
	changed, err := c.server.Estate.SetDeprecated(ctx, *c.User(), args.Name, args.Deprecated)
	return controllerInfo(changed), err
}

func addCloudToController(ctx context.Context, c *Connection, args jimmparams.AddCloudToControllerRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.AddCloudToController(ctx, *c.User(), args.ControllerName, args.AddCloudArgs)
}

func removeCloudFromController(ctx context.Context, c *Connection, args jimmparams.RemoveCloudFromControllerRequest) (struct{}, error) {
	cloud, err := cloudName(args.CloudTag)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.server.Estate.RemoveCloudFromController(ctx, *c.User(), args.ControllerName, cloud)
}

// addModelToController takes the owner as a qualifier or, from older clients,
// as an owner tag.
func addModelToController(ctx context.Context, c *Connection, args addModelArgs) (params.ModelInfo, error) {
	create := args.ModelCreateArgs
	create.TargetController = args.ControllerName
	if create.Qualifier == "" && args.OwnerTag != "" {
		tag, err := names.ParseUserTag(args.OwnerTag)
		if err != nil {
			return params.ModelInfo{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.OwnerTag))
		}
		create.Qualifier = tag.Id()
	}
	return createModel(ctx, c, create)
}

type addModelArgs struct {
	jimmparams.AddModelToControllerRequest
	OwnerTag string `json:"owner-tag"`
}

func importModel(ctx context.Context, c *Connection, args jimmparams.ImportModelRequest) (struct{}, error) {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.server.Estate.ImportModel(ctx, *c.User(), estate.ImportModelArgs{
		Controller: args.Controller, UUID: uuid, Owner: strings.TrimPrefix(args.Owner, names.UserTagKind+"-"),
	})
}

func updateMigratedModel(ctx context.Context, c *Connection, args jimmparams.UpdateMigratedModelRequest) (struct{}, error) {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.server.Estate.UpdateMigratedModel(ctx, *c.User(), uuid, args.TargetController)
}
