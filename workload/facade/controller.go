package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

const byController = "JIMM is many controllers: do this on the controller itself"

// controllerCommon are the methods whose types never changed.
var controllerCommon = methods{
	"CloudSpec":                  refuse(estate.CodeNotSupported, "a model's cloud spec holds its credential, which stays between JIMM and the controller"),
	"ControllerAPIInfoForModels": refuse(estate.CodeNotSupported, "models are reached through JIMM"),
	"GetCloudSpec":               refuse(estate.CodeNotSupported, "a model's cloud spec holds its credential, which stays between JIMM and the controller"),
	"InitiateMigration":          call(initiateMigration),
	"WatchAllModels":             refuse(estate.CodeNotSupported, "watch summaries instead: WatchModelSummaries"),
	"WatchCloudSpecsChanges":     refuse(estate.CodeNotSupported, byController),
	"ConfigSet":                  refuse(estate.CodeNotSupported, byController),
	"ControllerConfig":           ask(controllerConfig),
	"ControllerVersion":          ask(controllerVersion),
	"DashboardConnectionInfo":    refuse(estate.CodeNotSupported, byController),
	"DestroyController":          refuse(estate.CodeNotSupported, "JIMM is no controller that can be destroyed; take one out of it with jaas unregister-controller"),
	"GetControllerAccess":        call(getControllerAccess),
	"IdentityProviderURL":        ask(identityProviderURL),
	"ModifyControllerAccess":     refuse(estate.CodeNotSupported, "give access to JIMM or a controller with jaas add-permission"),
	"WatchAllModelSummaries":     ask(watchAllModelSummaries),
	"WatchModelSummaries":        ask(watchModelSummaries),
	"ModelConfig":                ask(controllerModelGet),
	"MongoVersion":               ask(mongoVersion),
	"RemoveBlocks":               refuse(estate.CodeNotSupported, byController),
	"HostedModelConfigs":         refuse(estate.CodeNotSupported, byController),
	"ListBlockedModels":          refuse(estate.CodeNotSupported, byController),
}

// controllerMethods are version 13 and up.
var controllerMethods = controllerCommon.also(methods{
	"AllModels":   ask(allModels),
	"ModelStatus": call(modelStatus),
})

// controllerLegacyMethods are version 12 and below, where models have owner tags.
var controllerLegacyMethods = controllerCommon.also(methods{
	"AllModels":   ask(allModelsLegacy),
	"ModelStatus": call(modelStatusLegacy),
})

func controllerConfig(ctx context.Context, c *Connection) (params.ControllerConfigResult, error) {
	return params.ControllerConfigResult{Config: map[string]any{
		"controller-uuid":    c.server.Estate.UUID,
		"public-dns-address": c.server.DNSName,
	}}, nil
}

func controllerVersion(ctx context.Context, c *Connection) (params.ControllerVersionResults, error) {
	version, err := c.server.Estate.LowestVersion(ctx)
	return params.ControllerVersionResults{Version: version, GitCommit: c.server.Estate.Version}, err
}

// mongoVersion is none, as on controllers without MongoDB.
func mongoVersion(context.Context, *Connection) (params.StringResult, error) {
	return params.StringResult{}, nil
}

func identityProviderURL(context.Context, *Connection) (params.StringResult, error) {
	return params.StringResult{}, nil
}

// getControllerAccess tells the caller's own access to JIMM, and to its
// administrators that of others.
func getControllerAccess(ctx context.Context, c *Connection, args params.Entities) (params.UserAccessResults, error) {
	return params.UserAccessResults{Results: each(args.Entities, func(e params.Entity) params.UserAccessResult {
		tag, err := names.ParseUserTag(e.Tag)
		if err != nil {
			err = estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(e.Tag))
			return params.UserAccessResult{Error: c.wireError(ctx, err)}
		}
		access, err := c.server.Estate.JIMMAccess(ctx, *c.User(), estate.User{Name: tag.Id()})
		if err != nil {
			return params.UserAccessResult{Error: c.wireError(ctx, err)}
		}
		return params.UserAccessResult{Result: &params.UserAccess{UserTag: e.Tag, Access: access}}
	})}, nil
}

func initiateMigration(ctx context.Context, c *Connection, args params.InitiateMigrationArgs) (params.InitiateMigrationResults, error) {
	return params.InitiateMigrationResults{Results: each(args.Specs, func(spec params.MigrationSpec) params.InitiateMigrationResult {
		result, err := c.server.Estate.InitiateMigration(ctx, *c.User(), spec, args.DryRun)
		if err != nil {
			return params.InitiateMigrationResult{ModelTag: spec.ModelTag, Error: c.wireError(ctx, err)}
		}
		return result
	})}, nil
}
