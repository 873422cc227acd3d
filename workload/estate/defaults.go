package estate

import (
	"context"
	"maps"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// DefaultsStore remembers the model defaults of users.
type DefaultsStore interface {
	// ModelDefaults returns a user's for a cloud, by region; those of the cloud
	// itself are under "".
	ModelDefaults(ctx context.Context, owner, cloud string) (map[string]map[string]any, error)
	// ChangeModelDefaults sets and unsets attributes of a user's defaults for a
	// cloud, or a region of it, at once.
	ChangeModelDefaults(ctx context.Context, owner, cloud, region string, set map[string]any, unset []string) error
}

// ModelDefaults returns the caller's own defaults for new models on a cloud,
// in place of those that administrators have set on controllers, beside those
// of Juju itself. Needs add-model.
func (e *Estate) ModelDefaults(ctx context.Context, u User, cloud string) (map[string]params.ModelDefaults, error) {
	found, err := e.Cloud(ctx, u, cloud)
	if err != nil {
		return nil, err
	}
	byRegion, err := e.Store.ModelDefaults(ctx, u.Name, cloud)
	if err != nil {
		return nil, err
	}
	defaults := e.builtInDefaults(ctx, u, found)
	for name, value := range byRegion[""] {
		d := defaults[name]
		d.Controller = value
		defaults[name] = d
	}
	for region, config := range byRegion {
		if region == "" {
			continue
		}
		for name, value := range config {
			d := defaults[name]
			d.Regions = append(d.Regions, params.RegionDefaults{RegionName: region, Value: value})
			defaults[name] = d
		}
	}
	return defaults, nil
}

// builtInDefaults returns the defaults that Juju itself has for models on a
// cloud, as the first controller says that would make one. Without them a client
// knows no attributes and warns of each; none are returned if no controller answers.
func (e *Estate) builtInDefaults(ctx context.Context, u User, cloud Cloud) map[string]params.ModelDefaults {
	defaults := map[string]params.ModelDefaults{}
	candidates, err := e.candidates(ctx, u, cloud, "", "")
	if err != nil {
		return defaults // nobody can make a model: the user's own are all there is
	}
	for _, c := range candidates {
		if !c.controller.UnavailableSince.IsZero() {
			continue
		}
		all, err := e.controllerDefaults(ctx, u, c.controller, cloud.Name)
		if err != nil {
			e.Log.WarnContext(ctx, "cannot ask for model defaults", "controller", c.controller.Name, "cloud", cloud.Name, "error", err)
			continue
		}
		for name, d := range all {
			if d.Default != nil {
				defaults[name] = params.ModelDefaults{Default: d.Default}
			}
		}
		break
	}
	return defaults
}

// controllerDefaults returns a controller's defaults for models on a cloud.
func (e *Estate) controllerDefaults(ctx context.Context, u User, c Controller, cloud string) (map[string]params.ModelDefaults, error) {
	// Only superusers may ask for them (ModelManager.ModelDefaultsForClouds).
	claims := Claims{c.tag(): AccessSuperuser}
	args := params.Entities{Entities: []params.Entity{{Tag: names.NewCloudTag(cloud).String()}}}
	var results params.ModelDefaultsResults
	call := Call{Facade: "ModelManager", Method: "ModelDefaultsForClouds", Most: 11}
	if err := e.askController(ctx, c, u, claims, call, args, &results); err != nil {
		return nil, err
	}
	if len(results.Results) != 1 {
		return nil, errNonsense(c, "ModelDefaultsForClouds")
	}
	return results.Results[0].Config, fromWire(results.Results[0].Error)
}

// ChangeModelDefaults sets and unsets some of the caller's own defaults for new
// models on a cloud, or (region != "") on a region of it. Needs add-model.
func (e *Estate) ChangeModelDefaults(ctx context.Context, u User, cloud, region string, set map[string]any, unset []string) error {
	found, err := e.Cloud(ctx, u, cloud)
	if err != nil {
		return err
	}
	known := region == ""
	for _, r := range found.Details.Regions {
		known = known || r.Name == region
	}
	if !known {
		return Errorf(CodeNotFound, "cloud %q has no region %q", cloud, clip(region))
	}
	for name := range set {
		if name == "agent-version" || name == "name" || name == "uuid" || name == "type" {
			return Errorf(CodeBadRequest, "%q cannot have a default", name)
		}
	}
	if err := e.Store.EnsureIdentity(ctx, u.Name); err != nil {
		return err
	}
	return e.Store.ChangeModelDefaults(ctx, u.Name, cloud, region, set, unset)
}

// withDefaults lays the config that was asked for over the caller's defaults:
// the cloud's, then the region's.
func (e *Estate) withDefaults(ctx context.Context, u User, cloud, region string, config map[string]any) (map[string]any, error) {
	byRegion, err := e.Store.ModelDefaults(ctx, u.Name, cloud)
	if err != nil || len(byRegion) == 0 {
		return config, err
	}
	all := map[string]any{}
	maps.Copy(all, byRegion[""])
	maps.Copy(all, byRegion[region])
	maps.Copy(all, config)
	return all, nil
}
