package facade

import (
	"context"
	"encoding/json"
	"math"
	"time"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"

	"jimm/workload/estate"
)

// jimmProfileMethods are about options to bootstrap controllers with.
var jimmProfileMethods = methods{
	"SaveControllerProfile":   call(saveControllerProfile),
	"GetControllerProfile":    call(getControllerProfile),
	"ListControllerProfiles":  call(listControllerProfiles),
	"RemoveControllerProfile": call(removeControllerProfile),
}

func saveControllerProfile(ctx context.Context, c *Connection, args jimmparams.SaveControllerProfileRequest) (jimmparams.ControllerProfile, error) {
	if args.Version > math.MaxInt32 {
		return jimmparams.ControllerProfile{}, estate.Errorf(estate.CodeBadRequest, "there is no version %d", args.Version)
	}
	p := estate.Profile{
		Name: args.Name, Description: args.Description, JujuVersion: args.JujuVersion, Version: int(args.Version),
		CloudName: args.Cloud.Name, RegionName: args.Cloud.Region.Name,
	}
	var err error
	if p.Cloud, err = json.Marshal(args.Cloud); err != nil {
		return jimmparams.ControllerProfile{}, err
	}
	if p.Options, err = json.Marshal(args.BootstrapOptions); err != nil {
		return jimmparams.ControllerProfile{}, err
	}
	saved, err := c.server.Estate.SaveProfile(ctx, *c.User(), p)
	if err != nil {
		return jimmparams.ControllerProfile{}, err
	}
	return profile(saved)
}

// profile is a profile on the wire.
func profile(p estate.Profile) (jimmparams.ControllerProfile, error) {
	wire := jimmparams.ControllerProfile{
		Name: p.Name, Description: p.Description, JujuVersion: p.JujuVersion, Version: uint(p.Version),
		CreatedAt: p.CreatedAt.UTC().Format(time.RFC3339), UpdatedAt: p.UpdatedAt.UTC().Format(time.RFC3339),
	}
	if err := json.Unmarshal(p.Cloud, &wire.Cloud); err != nil {
		return wire, err
	}
	return wire, json.Unmarshal(p.Options, &wire.BootstrapOptions)
}

func getControllerProfile(ctx context.Context, c *Connection, args jimmparams.GetControllerProfileRequest) (jimmparams.ControllerProfile, error) {
	p, err := c.server.Estate.Profile(ctx, *c.User(), args.Name)
	if err != nil {
		return jimmparams.ControllerProfile{}, err
	}
	return profile(p)
}

func listControllerProfiles(ctx context.Context, c *Connection, args jimmparams.ListControllerProfilesRequest) (jimmparams.ListControllerProfilesResponse, error) {
	list, err := c.server.Estate.Profiles(ctx, *c.User(), args.JujuVersion)
	return jimmparams.ListControllerProfilesResponse{Profiles: each(list, func(p estate.Profile) jimmparams.ControllerProfileSummary {
		return jimmparams.ControllerProfileSummary{
			Name: p.Name, Description: p.Description,
			CreatedAt: p.CreatedAt.UTC().Format(time.RFC3339), UpdatedAt: p.UpdatedAt.UTC().Format(time.RFC3339),
		}
	})}, err
}

func removeControllerProfile(ctx context.Context, c *Connection, args jimmparams.GetControllerProfileRequest) (struct{}, error) {
	return struct{}{}, c.server.Estate.RemoveProfile(ctx, *c.User(), args.Name)
}
