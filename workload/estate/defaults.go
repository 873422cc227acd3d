package estate

import (
	"context"
	"maps"

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

// ModelDefaults returns the caller's own defaults for new models on a cloud.
// Needs add-model.
func (e *Estate) ModelDefaults(ctx context.Context, u User, cloud string) (map[string]params.ModelDefaults, error) {
	if _, err := e.Cloud(ctx, u, cloud); err != nil {
		return nil, err
	}
	byRegion, err := e.Store.ModelDefaults(ctx, u.Name, cloud)
	if err != nil {
		return nil, err
	}
	defaults := map[string]params.ModelDefaults{}
	for name, value := range byRegion[""] {
		defaults[name] = params.ModelDefaults{Controller: value}
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
