package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// The defaults of JIMM are each user's own: those of its controllers are their
// administrators' and not shown.

func cloudName(text string) (string, error) {
	tag, err := names.ParseCloudTag(text)
	if err != nil {
		return "", estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(text))
	}
	return tag.Id(), nil
}

// defaultsCloud is the cloud that defaults are of: where none is named, the
// only one the caller may use.
func (c *Connection) defaultsCloud(ctx context.Context, text string) (string, error) {
	if text != "" {
		return cloudName(text)
	}
	clouds, err := c.server.Estate.Clouds(ctx, *c.User())
	if err != nil {
		return "", err
	}
	if len(clouds) != 1 {
		return "", estate.Errorf(estate.CodeBadRequest, "name a cloud: --cloud")
	}
	return clouds[0].Name, nil
}

func modelDefaultsForClouds(ctx context.Context, c *Connection, args params.Entities) (params.ModelDefaultsResults, error) {
	return params.ModelDefaultsResults{Results: each(args.Entities, func(e params.Entity) params.ModelDefaultsResult {
		cloud, err := cloudName(e.Tag)
		if err != nil {
			return params.ModelDefaultsResult{Error: c.wireError(ctx, err)}
		}
		defaults, err := c.server.Estate.ModelDefaults(ctx, *c.User(), cloud)
		return params.ModelDefaultsResult{Config: defaults, Error: c.wireError(ctx, err)}
	})}, nil
}

func setModelDefaults(ctx context.Context, c *Connection, args params.SetModelDefaults) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Config, func(d params.ModelDefaultValues) params.ErrorResult {
		cloud, err := c.defaultsCloud(ctx, d.CloudTag)
		if err == nil {
			err = c.server.Estate.ChangeModelDefaults(ctx, *c.User(), cloud, d.CloudRegion, d.Config, nil)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func unsetModelDefaults(ctx context.Context, c *Connection, args params.UnsetModelDefaults) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Keys, func(d params.ModelUnsetKeys) params.ErrorResult {
		cloud, err := c.defaultsCloud(ctx, d.CloudTag)
		if err == nil {
			err = c.server.Estate.ChangeModelDefaults(ctx, *c.User(), cloud, d.CloudRegion, nil, d.Keys)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}
