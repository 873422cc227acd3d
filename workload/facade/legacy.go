package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// Versions before qualifiers name a model's owner by tag. What follows puts
// the one in place of the other; everything else is the same.

func ownerTag(qualifier string) string { return names.NewUserTag(qualifier).String() }

func createModelLegacy(ctx context.Context, c *Connection, args params.ModelCreateArgsLegacy) (params.ModelInfoLegacy, error) {
	owner := ""
	if args.OwnerTag != "" {
		tag, err := names.ParseUserTag(args.OwnerTag)
		if err != nil {
			return params.ModelInfoLegacy{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.OwnerTag))
		}
		owner = tag.Id()
	}
	info, err := createModel(ctx, c, params.ModelCreateArgs{
		Name: args.Name, Qualifier: owner, Config: args.Config,
		CloudTag: args.CloudTag, CloudRegion: args.CloudRegion, CloudCredentialTag: args.CloudCredentialTag,
	})
	if err != nil {
		return params.ModelInfoLegacy{}, err
	}
	return legacyModelInfo(info), nil
}

func legacyModelInfo(info params.ModelInfo) params.ModelInfoLegacy {
	return params.ModelInfoLegacy{
		Name: info.Name, Type: info.Type, UUID: info.UUID, ControllerUUID: info.ControllerUUID,
		IsController: info.IsController, ProviderType: info.ProviderType,
		CloudTag: info.CloudTag, CloudRegion: info.CloudRegion,
		CloudCredentialTag: info.CloudCredentialTag, CloudCredentialValidity: info.CloudCredentialValidity,
		OwnerTag: ownerTag(info.Qualifier), Life: info.Life, Status: info.Status,
		Users: info.Users, Machines: info.Machines, SecretBackends: info.SecretBackends,
		Migration: info.Migration, AgentVersion: info.AgentVersion, SupportedFeatures: info.SupportedFeatures,
	}
}

func listModelsLegacy(ctx context.Context, c *Connection, _ params.Entity) (params.UserModelListLegacy, error) {
	return allModelsLegacy(ctx, c)
}

func allModelsLegacy(ctx context.Context, c *Connection) (params.UserModelListLegacy, error) {
	list, err := allModels(ctx, c)
	if err != nil {
		return params.UserModelListLegacy{}, err
	}
	return params.UserModelListLegacy{UserModels: each(list.UserModels, func(m params.UserModel) params.UserModelLegacy {
		return params.UserModelLegacy{
			ModelLegacy:    params.ModelLegacy{Name: m.Name, UUID: m.UUID, Type: m.Type, OwnerTag: ownerTag(m.Qualifier)},
			LastConnection: m.LastConnection,
		}
	})}, nil
}

func modelInfoLegacy(ctx context.Context, c *Connection, args params.Entities) (params.ModelInfoResultsLegacy, error) {
	list, err := modelInfo(ctx, c, args)
	if err != nil {
		return params.ModelInfoResultsLegacy{}, err
	}
	return params.ModelInfoResultsLegacy{Results: each(list.Results, func(r params.ModelInfoResult) params.ModelInfoResultLegacy {
		if r.Error != nil {
			return params.ModelInfoResultLegacy{Error: r.Error}
		}
		info := legacyModelInfo(*r.Result)
		return params.ModelInfoResultLegacy{Result: &info}
	})}, nil
}

func modelStatusLegacy(ctx context.Context, c *Connection, args params.Entities) (params.ModelStatusResultsLegacy, error) {
	list, err := modelStatus(ctx, c, args)
	if err != nil {
		return params.ModelStatusResultsLegacy{}, err
	}
	return params.ModelStatusResultsLegacy{Results: each(list.Results, func(s params.ModelStatus) params.ModelStatusLegacy {
		if s.Error != nil {
			return params.ModelStatusLegacy{ModelTag: s.ModelTag, Error: s.Error}
		}
		return params.ModelStatusLegacy{
			ModelTag: s.ModelTag, Life: s.Life, Type: s.Type, HostedMachineCount: s.HostedMachineCount,
			ApplicationCount: s.ApplicationCount, UnitCount: s.UnitCount, OwnerTag: ownerTag(s.Qualifier),
			Applications: s.Applications, Machines: s.Machines, Volumes: s.Volumes, Filesystems: s.Filesystems,
		}
	})}, nil
}
