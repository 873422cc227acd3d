package facade

import (
	"context"
	"encoding/json"
	"fmt"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/jimmapi"
)

// jimmModelMethods are what the JIMM facade does with models and clouds that
// are there.
var jimmModelMethods = methods{
	"CrossModelQuery":              call(crossModelQuery),
	"DisableControllerUUIDMasking": ask(disableControllerUUIDMasking),
	"FullModelStatus":              call(fullModelStatus),
	"ListMigrationTargets":         call(listMigrationTargets),
	"ListModels":                   ask(listPlacements),
	"ListUserClouds":               call(listUserClouds),
	"ModelControllerInfo":          call(modelControllerInfo),
	// Ours.
	"EstateOverview":         ask(estateOverview),
	"ListModelsOnController": call(listModelsOnController),
}

func listPlacements(ctx context.Context, c *Connection) (jimmapi.ModelPlacements, error) {
	models, err := c.server.Estate.Placements(ctx, *c.User())
	return jimmapi.ModelPlacements{Models: each(models, func(m estate.ListedModel) jimmapi.ModelPlacement {
		return jimmapi.ModelPlacement{
			ModelName: m.Name, ModelOwner: m.Owner, ModelUUID: m.UUID, ControllerName: m.ControllerName, ControllerUUID: m.ControllerUUID,
		}
	})}, err
}

func modelControllerInfo(ctx context.Context, c *Connection, args jimmparams.ModelControllerInfoRequest) (jimmapi.ModelPlacement, error) {
	m, controller, err := c.server.Estate.Placement(ctx, *c.User(), args.ModelQualifier)
	return jimmapi.ModelPlacement{
		ModelName: m.Name, ModelOwner: m.Owner, ModelUUID: m.UUID, ControllerName: controller.Name, ControllerUUID: controller.UUID,
	}, err
}

func listModelsOnController(ctx context.Context, c *Connection, args jimmparams.ShowControllerRequest) (jimmapi.ControllerModels, error) {
	controller, models, err := c.server.Estate.ModelsOf(ctx, *c.User(), args.ControllerName)
	return jimmapi.ControllerModels{ControllerName: controller.Name, ControllerUUID: controller.UUID, Models: each(models, func(m estate.Model) jimmapi.ControllerModel {
		found := jimmapi.ControllerModel{
			ModelName: m.Name, ModelOwner: m.Owner, ModelUUID: m.UUID, Cloud: m.Cloud,
			State: string(m.State), Gone: !m.GoneSince.IsZero(),
		}
		if m.Region != estate.NoRegion {
			found.Region = m.Region
		}
		return found
	})}, err
}

// fullModelStatus passes on what the controller answers.
func fullModelStatus(ctx context.Context, c *Connection, args jimmparams.FullModelStatusRequest) (json.RawMessage, error) {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return nil, err
	}
	if len(args.Patterns) > maxPatterns {
		return nil, estate.Errorf(estate.CodeBadRequest, "there are more than %d patterns", maxPatterns)
	}
	return c.server.Estate.FullStatus(ctx, *c.User(), uuid, args.Patterns)
}

const maxPatterns = 1000

// crossModelAnswer is a jimmparams.CrossModelQueryResponse whose results stay
// the JSON they are.
type crossModelAnswer struct {
	Results map[string][]json.RawMessage `json:"results"`
	Errors  map[string][]string          `json:"errors"`
}

func crossModelQuery(ctx context.Context, c *Connection, args jimmparams.CrossModelQueryRequest) (crossModelAnswer, error) {
	answer, err := c.server.Estate.QueryModels(ctx, *c.User(), args.Type, args.Query)
	return crossModelAnswer{answer.Results, answer.Errors}, err
}

func disableControllerUUIDMasking(ctx context.Context, c *Connection) (struct{}, error) {
	err := c.server.Estate.MayUnmask(ctx, *c.User())
	if err == nil {
		c.unmasked.Store(true)
	}
	return struct{}{}, err
}

// unmask puts the UUID of its own controller into what is said of a model, where
// this connection wants that.
func (c *Connection) unmask(ctx context.Context, info params.ModelInfo, err error) (params.ModelInfo, error) {
	if err != nil || !c.unmasked.Load() {
		return info, err
	}
	info.ControllerUUID, err = c.server.Estate.ControllerOf(ctx, *c.User(), info.UUID)
	return info, err
}

func listMigrationTargets(ctx context.Context, c *Connection, args jimmparams.ListMigrationTargetsRequest) (jimmparams.ListControllersResponse, error) {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return jimmparams.ListControllersResponse{}, err
	}
	targets, err := c.server.Estate.MigrationTargets(ctx, *c.User(), uuid)
	return jimmparams.ListControllersResponse{Controllers: each(targets, controllerInfo)}, err
}

func listUserClouds(ctx context.Context, c *Connection, args jimmparams.ListUserCloudsRequest) (params.CloudsResult, error) {
	tag, err := names.ParseUserTag(args.UserTag)
	if err != nil {
		return params.CloudsResult{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.UserTag))
	}
	clouds, err := c.server.Estate.UserClouds(ctx, *c.User(), estate.User{Name: tag.Id()})
	result := params.CloudsResult{Clouds: map[string]params.Cloud{}}
	for _, cloud := range clouds {
		result.Clouds[names.NewCloudTag(cloud.Name).String()] = cloud.Details
	}
	return result, err
}

func estateOverview(ctx context.Context, c *Connection) (jimmapi.Overview, error) {
	o, err := c.server.Estate.Overview(ctx, *c.User())
	counted := func(n estate.Count) jimmapi.Count { return jimmapi.Count(n) }
	return jimmapi.Overview{
		Controllers: each(o.Controllers, func(c estate.ControllerOverview) jimmapi.ControllerOverview {
			return jimmapi.ControllerOverview{
				Name: c.Name, UUID: c.UUID, Cloud: c.Cloud, Region: c.Region, AgentVersion: c.AgentVersion, Models: c.Models,
				Status: controllerInfo(c.Controller).Status,
			}
		}),
		Clouds: each(o.Clouds, counted), Versions: each(o.Versions, counted),
		Models: o.Models, Dying: o.Dying, Gone: o.Gone,
	}, err
}

// later is a method of the facade for work that JIMM cannot do yet, with what to
// do instead.
func later(what, instead string) method {
	return refuse(estate.CodeNotImplemented, fmt.Sprintf("JIMM cannot %s yet: %s", what, instead))
}
