package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// modelManagerCommon are the methods whose types never changed.
var modelManagerCommon = methods{
	"ChangeModelCredential":  call(changeModelCredential),
	"DestroyModels":          call(destroyModels),
	"DumpModels":             call(dumpModels),
	"DumpModelsDB":           call(dumpModelsDB),
	"ModelDefaultsForClouds": call(modelDefaultsForClouds),
	"ModifyModelAccess":      call(modifyModelAccess),
	"SetModelDefaults":       call(setModelDefaults),
	"UnsetModelDefaults":     call(unsetModelDefaults),
}

// modelManagerMethods are version 11, where a model has a qualifier.
var modelManagerMethods = modelManagerCommon.also(methods{
	"CreateModel":        call(createModel),
	"ListModels":         call(listModels),
	"ListModelSummaries": call(listModelSummaries),
	"ModelInfo":          call(modelInfo),
	"ModelStatus":        call(modelStatus),
})

// modelManagerLegacyMethods are versions 9 and 10, where a model has an owner tag.
var modelManagerLegacyMethods = modelManagerCommon.also(methods{
	"CreateModel":        call(createModelLegacy),
	"ListModels":         call(listModelsLegacy),
	"ListModelSummaries": call(listModelSummariesLegacy),
	"ModelInfo":          call(modelInfoLegacy),
	"ModelStatus":        call(modelStatusLegacy),
})

func createModel(ctx context.Context, c *Connection, args params.ModelCreateArgs) (params.ModelInfo, error) {
	create := estate.CreateModelArgs{
		Name: args.Name, Owner: args.Qualifier, Region: args.CloudRegion,
		Config: args.Config, TargetController: args.TargetController,
	}
	if args.CloudTag != "" {
		tag, err := names.ParseCloudTag(args.CloudTag)
		if err != nil {
			return params.ModelInfo{}, estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(args.CloudTag))
		}
		create.Cloud = tag.Id()
	}
	if args.CloudCredentialTag != "" {
		tag, err := credentialTag(args.CloudCredentialTag)
		if err != nil {
			return params.ModelInfo{}, err
		}
		create.Credential = tag.Id()
	}
	info, err := c.server.Estate.CreateModel(ctx, *c.User(), create)
	return c.unmask(ctx, info, err)
}

// listModels lists the caller's models, whoever it asks for.
func listModels(ctx context.Context, c *Connection, _ params.Entity) (params.UserModelList, error) {
	return allModels(ctx, c)
}

func allModels(ctx context.Context, c *Connection) (params.UserModelList, error) {
	models, err := c.server.Estate.ListModelNames(ctx, *c.User())
	if err != nil {
		return params.UserModelList{}, err
	}
	return params.UserModelList{UserModels: each(models, func(m estate.ListedModel) params.UserModel {
		return params.UserModel{Model: params.Model{Name: m.Name, Qualifier: m.Owner, UUID: m.UUID, Type: m.Type}}
	})}, nil
}

func modelUUID(text string) (string, error) {
	tag, err := names.ParseModelTag(text)
	if err != nil {
		return "", estate.Errorf(estate.CodeBadRequest, "%q is not a model tag", clip(text))
	}
	return tag.Id(), nil
}

func modelInfo(ctx context.Context, c *Connection, args params.Entities) (params.ModelInfoResults, error) {
	return params.ModelInfoResults{Results: each(args.Entities, func(e params.Entity) params.ModelInfoResult {
		uuid, err := modelUUID(e.Tag)
		if err != nil {
			return params.ModelInfoResult{Error: c.wireError(ctx, err)}
		}
		info, err := c.server.Estate.ModelInfo(ctx, *c.User(), uuid)
		info, err = c.unmask(ctx, info, err)
		if err != nil {
			return params.ModelInfoResult{Error: c.wireError(ctx, err)}
		}
		return params.ModelInfoResult{Result: &info}
	})}, nil
}

func modelStatus(ctx context.Context, c *Connection, args params.Entities) (params.ModelStatusResults, error) {
	return params.ModelStatusResults{Results: each(args.Entities, func(e params.Entity) params.ModelStatus {
		uuid, err := modelUUID(e.Tag)
		if err != nil {
			return params.ModelStatus{Error: c.wireError(ctx, err)}
		}
		status, err := c.server.Estate.ModelStatus(ctx, *c.User(), uuid)
		if estate.Is(err, estate.CodeModelNotFound) {
			// The code by which clients know that a model they destroy is gone.
			err = estate.Errorf(estate.CodeNotFound, "%w", err)
		}
		if err != nil {
			return params.ModelStatus{ModelTag: e.Tag, Error: c.wireError(ctx, err)}
		}
		return status
	})}, nil
}

func destroyModels(ctx context.Context, c *Connection, args params.DestroyModelsParams) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Models, func(p params.DestroyModelParams) params.ErrorResult {
		return params.ErrorResult{Error: c.wireError(ctx, c.server.Estate.DestroyModel(ctx, *c.User(), p))}
	})}, nil
}

func modifyModelAccess(ctx context.Context, c *Connection, args params.ModifyModelAccessRequest) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Changes, func(change params.ModifyModelAccess) params.ErrorResult {
		uuid, err := modelUUID(change.ModelTag)
		if err != nil {
			return params.ErrorResult{Error: c.wireError(ctx, err)}
		}
		access, err := accessChange(change.UserTag, string(change.Action), string(change.Access))
		if err == nil {
			err = c.server.Estate.ModifyModelAccess(ctx, *c.User(), uuid, access)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func changeModelCredential(ctx context.Context, c *Connection, args params.ChangeModelCredentialsParams) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Models, func(a params.ChangeModelCredentialParams) params.ErrorResult {
		uuid, err := modelUUID(a.ModelTag)
		if err != nil {
			return params.ErrorResult{Error: c.wireError(ctx, err)}
		}
		tag, err := credentialTag(a.CloudCredentialTag)
		if err == nil {
			err = c.server.Estate.ChangeModelCredential(ctx, *c.User(), uuid, tag)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func dumpModels(ctx context.Context, c *Connection, args params.DumpModelRequest) (params.StringResults, error) {
	return params.StringResults{Results: each(args.Entities, func(e params.Entity) params.StringResult {
		uuid, err := modelUUID(e.Tag)
		if err != nil {
			return params.StringResult{Error: c.wireError(ctx, err)}
		}
		text, err := c.server.Estate.DumpModel(ctx, *c.User(), uuid, args.Simplified)
		return params.StringResult{Result: text, Error: c.wireError(ctx, err)}
	})}, nil
}

func dumpModelsDB(ctx context.Context, c *Connection, args params.Entities) (params.MapResults, error) {
	return params.MapResults{Results: each(args.Entities, func(e params.Entity) params.MapResult {
		uuid, err := modelUUID(e.Tag)
		if err != nil {
			return params.MapResult{Error: c.wireError(ctx, err)}
		}
		content, err := c.server.Estate.DumpModelDB(ctx, *c.User(), uuid)
		return params.MapResult{Result: content, Error: c.wireError(ctx, err)}
	})}, nil
}
