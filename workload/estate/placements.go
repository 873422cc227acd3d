package estate

import (
	"context"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/semversion"
)

// Placements returns the models u may read, by owner and name, with the
// controller that each is on.
func (e *Estate) Placements(ctx context.Context, u User) ([]ListedModel, error) {
	models, _, err := e.readable(ctx, u, false)
	if err != nil || len(models) == 0 {
		return nil, err
	}
	controllers, err := e.controllersByUUID(ctx)
	if err != nil {
		return nil, err
	}
	for i := range models {
		c := controllers[models[i].ControllerUUID]
		models[i].ControllerName, models[i].UnavailableSince = c.Name, c.UnavailableSince
	}
	return models, nil
}

// Placement returns one model, by UUID or owner/name, and its controller. Needs
// reader. CodeModelNotFound if there is no such model, or none that u may read.
func (e *Estate) Placement(ctx context.Context, u User, model string) (Model, Controller, error) {
	m, err := e.modelNamed(ctx, u, model)
	if err != nil {
		return Model{}, Controller{}, err
	}
	c, err := e.Store.Controller(ctx, m.ControllerUUID)
	return m, c, err
}

// modelNamed finds a model that u may read by what people call it: UUID or
// owner/name.
func (e *Estate) modelNamed(ctx context.Context, u User, model string) (Model, error) {
	var m Model
	var err error
	owner, name, qualified := strings.Cut(model, "/")
	switch {
	case names.IsValidModel(model):
		m, err = e.Store.Model(ctx, model)
	case qualified && ValidateUser(owner) == nil && modelName.MatchString(name):
		m, err = e.Store.ModelByName(ctx, owner, name)
	default:
		return Model{}, Errorf(CodeBadRequest, "%q is not a model: give its UUID, or OWNER/NAME such as alice@example.com/staging", clip(model))
	}
	if Is(err, CodeModelNotFound) || err == nil && m.UUID == "" {
		return Model{}, errNoModel(clip(model))
	}
	if err != nil {
		return Model{}, err
	}
	if ok, err := e.Permissions.Check(ctx, u, Reader, m.Object()); err != nil {
		return Model{}, err
	} else if !ok {
		return Model{}, errNoModel(clip(model))
	}
	return m, nil
}

// ModelsOf returns the models on a controller, by owner and name. Needs
// administrator of it.
func (e *Estate) ModelsOf(ctx context.Context, u User, controller string) (Controller, []Model, error) {
	c, err := e.administered(ctx, u, controller)
	if err != nil {
		return Controller{}, nil, err
	}
	models, err := e.Store.ModelsOn(ctx, c.UUID)
	if err != nil {
		return Controller{}, nil, err
	}
	models = slices.DeleteFunc(models, func(m Model) bool { return m.State == ModelCreating })
	slices.SortFunc(models, func(a, b Model) int { return strings.Compare(a.Path(), b.Path()) })
	return c, models, nil
}

// MigrationTargets returns the controllers that a model could be migrated to:
// others that answer, get new models, serve its region, and are no older than
// its own. Needs administrator of JIMM.
func (e *Estate) MigrationTargets(ctx context.Context, u User, modelUUID string) ([]Controller, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	m, err := e.modelNamed(ctx, u, modelUUID)
	if err != nil {
		return nil, err
	}
	controllers, err := e.controllersByUUID(ctx)
	if err != nil {
		return nil, err
	}
	least, err := modelVersion(m, controllers[m.ControllerUUID])
	if err != nil {
		return nil, err
	}
	region := m.Region
	if region == NoRegion {
		region = ""
	}
	serving, err := e.Store.RegionControllers(ctx, m.Cloud, region)
	if err != nil {
		return nil, err
	}
	var targets []Controller
	seen := map[string]bool{m.ControllerUUID: true}
	for _, s := range serving {
		c, ok := controllers[s.ControllerUUID]
		if !ok || seen[c.UUID] || c.State != ControllerLive || c.Deprecated || !c.UnavailableSince.IsZero() {
			continue
		}
		seen[c.UUID] = true
		if version, err := semversion.Parse(c.AgentVersion); err == nil && version.Compare(least) >= 0 {
			targets = append(targets, c)
		}
	}
	slices.SortFunc(targets, func(a, b Controller) int { return strings.Compare(a.Name, b.Name) })
	return targets, nil
}

// modelVersion is the version of a model's agents; its controller's if that is
// not known.
func modelVersion(m Model, c Controller) (semversion.Number, error) {
	if v := m.Summary.AgentVersion; v != nil && *v != semversion.Zero {
		return *v, nil
	}
	version, err := semversion.Parse(c.AgentVersion)
	if err != nil {
		return version, Errorf(CodeNotValid, "controller %q says that its version is %q", c.Name, clip(c.AgentVersion))
	}
	return version, nil
}

// UserClouds returns the clouds that a user may add models to. Needs to be that
// user, or administrator of JIMM.
func (e *Estate) UserClouds(ctx context.Context, u, about User) ([]Cloud, error) {
	if about.Name != u.Name {
		if err := e.requireAdmin(ctx, u); err != nil {
			return nil, err
		}
		if err := ValidateUser(about.Name); err != nil {
			return nil, err
		}
		return e.Clouds(ctx, about)
	}
	return e.Clouds(ctx, u) // with the groups of this login
}

// ControllerOf returns the UUID of the controller of a model, for those who may
// know it: administrators of JIMM.
func (e *Estate) ControllerOf(ctx context.Context, u User, modelUUID string) (string, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return "", err
	}
	m, err := e.Store.Model(ctx, modelUUID)
	return m.ControllerUUID, err
}

// MayUnmask fails unless u may be told which controller is behind what JIMM
// shows as its own. Needs administrator of JIMM.
func (e *Estate) MayUnmask(ctx context.Context, u User) error { return e.requireAdmin(ctx, u) }
