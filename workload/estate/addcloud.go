package estate

import (
	"context"
	"slices"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// publicClouds are names that mean the same everywhere; nobody may give them
// to a cloud of their own. They are those of Juju's built-in list.
var publicClouds = map[string]bool{
	"aws": true, "aws-china": true, "aws-gov": true, "azure": true, "azure-china": true, "equinix": true,
	"google": true, "oracle": true, "localhost": true, "microk8s": true,
}

// AddCloud adds a Kubernetes cloud that runs on a cloud of the estate, to a
// controller that serves that one. The caller becomes its administrator. Needs
// add-model on the host cloud. CodeIncompatibleClouds for any other type,
// CodeAlreadyExists if the name is taken.
func (e *Estate) AddCloud(ctx context.Context, u User, args params.AddCloudArgs) error {
	fail := func(code, format string, a ...any) error {
		return reword(Errorf(code, format, a...), "cannot add cloud %q", clip(args.Name))
	}
	if !names.IsValidCloud(args.Name) {
		return fail(CodeBadRequest, "not a cloud's name")
	}
	if args.Cloud.Type != "kubernetes" {
		return fail(CodeIncompatibleClouds, "JIMM adds only Kubernetes clouds; one of type %q is its controllers' matter: jaas add-cloud CONTROLLER %s", clip(args.Cloud.Type), clip(args.Name))
	}
	host, region, ok := hostCloudRegion(args.Cloud.HostCloudRegion)
	if !ok {
		return fail(CodeBadRequest, "say which cloud and region it runs on, as CLOUD/REGION (--cloud), not %q", clip(args.Cloud.HostCloudRegion))
	}
	if publicClouds[args.Name] {
		return fail(CodeAlreadyExists, "this is the name of a public cloud")
	}
	hostCloud, err := e.cloudForModel(ctx, u, host)
	if err != nil {
		return reword(err, "cannot add cloud %q", clip(args.Name))
	}
	candidates, err := e.candidates(ctx, u, hostCloud, region, "")
	if err != nil {
		return reword(err, "cannot add cloud %q", clip(args.Name))
	}
	return e.addCloudTo(ctx, u, candidates[0].controller, args)
}

// AddCloudToController adds a cloud of any type to one controller. Needs
// administrator of the controller.
func (e *Estate) AddCloudToController(ctx context.Context, u User, controller string, args params.AddCloudArgs) error {
	if !names.IsValidCloud(args.Name) {
		return Errorf(CodeBadRequest, "cannot add cloud %q: not a cloud's name", clip(args.Name))
	}
	c, err := e.administered(ctx, u, controller)
	if err != nil {
		return err
	}
	return e.addCloudTo(ctx, u, c, args)
}

// administered returns a controller that u administers.
func (e *Estate) administered(ctx context.Context, u User, name string) (Controller, error) {
	c, err := e.controllerFor(ctx, u, name)
	if err != nil {
		return Controller{}, err
	}
	return c, e.require(ctx, u, Administrator, c.Object())
}

// addCloudTo has the effects of adding a cloud, each of which can be repeated:
// a controller that has just this cloud already, from an attempt that died, is
// as good as one that takes it.
func (e *Estate) addCloudTo(ctx context.Context, u User, c Controller, args params.AddCloudArgs) error {
	serving, err := e.Store.RegionControllers(ctx, args.Name, "")
	if err != nil {
		return err
	}
	if len(serving) > 0 {
		return Errorf(CodeAlreadyExists, "cannot add cloud %q: there is one of this name", clip(args.Name))
	}
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	// Only a controller's superusers add clouds to it (Cloud.AddCloud).
	peer, err := e.Peers.Connect(calling, c, u, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return reword(err, "cannot add cloud %q", clip(args.Name))
	}
	defer peer.Close()
	tag := names.NewCloudTag(args.Name)
	err = peer.Call(calling, Call{Facade: "Cloud", Method: "AddCloud", Most: 8}, args, nil)
	if err != nil && !Is(err, CodeAlreadyExists) {
		return reword(err, "cannot add cloud %q", clip(args.Name))
	}
	e.step("cloud added")
	clouds, listErr := peer.Clouds(calling)
	if listErr != nil {
		return listErr
	}
	details, ok := clouds[tag]
	if err != nil && (!ok || details.Type != args.Cloud.Type || details.Endpoint != args.Cloud.Endpoint) {
		return reword(err, "cannot add cloud %q", clip(args.Name))
	}
	if !ok {
		return errNonsense(c, "Clouds")
	}
	object := Object{KindCloud, args.Name}
	err = e.Permissions.Write(ctx, []Tuple{
		{Subject{Object: c.Object()}, InController, object},
		{u.Subject(), Administrator, object},
	}, nil)
	if err != nil {
		return err
	}
	e.step("cloud tuples written")
	return e.importClouds(ctx, c, clouds)
}

// controllersServing returns the UUIDs of the controllers that serve a cloud.
func (e *Estate) controllersServing(ctx context.Context, cloud string) ([]string, error) {
	regions, err := e.Store.RegionControllers(ctx, cloud, "")
	if err != nil {
		return nil, err
	}
	var uuids []string
	for _, r := range regions {
		if !slices.Contains(uuids, r.ControllerUUID) {
			uuids = append(uuids, r.ControllerUUID)
		}
	}
	return uuids, nil
}

// RemoveCloud removes a cloud from all controllers that serve it. Needs
// administrator of the cloud. A controller refuses while models use it.
func (e *Estate) RemoveCloud(ctx context.Context, u User, name string) error {
	if _, err := e.Cloud(ctx, u, name); err != nil {
		return err
	}
	if err := e.require(ctx, u, Administrator, Object{KindCloud, name}); err != nil {
		return err
	}
	serving, err := e.controllersServing(ctx, name)
	if err != nil {
		return err
	}
	for _, uuid := range serving {
		c, err := e.Store.Controller(ctx, uuid)
		if err != nil {
			return err
		}
		if err := e.removeCloudFrom(ctx, u, c, name); err != nil {
			return err
		}
	}
	return e.dropUnservedClouds(ctx)
}

// RemoveCloudFromController removes a cloud from one controller. Needs
// administrator of the controller.
func (e *Estate) RemoveCloudFromController(ctx context.Context, u User, controller, cloud string) error {
	c, err := e.administered(ctx, u, controller)
	if err != nil {
		return err
	}
	serving, err := e.controllersServing(ctx, cloud)
	if err != nil {
		return err
	}
	if !slices.Contains(serving, c.UUID) {
		return Errorf(CodeNotFound, "controller %q has no cloud %q", c.Name, clip(cloud))
	}
	if err := e.removeCloudFrom(ctx, u, c, cloud); err != nil {
		return err
	}
	return e.dropUnservedClouds(ctx)
}

func (e *Estate) removeCloudFrom(ctx context.Context, u User, c Controller, name string) error {
	if name == c.Cloud {
		return Errorf(CodeForbidden, "cannot remove cloud %q: controller %q runs on it", name, c.Name)
	}
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	// Whom a controller knows as a cloud's administrator is not for it to say here.
	peer, err := e.Peers.Connect(calling, c, u, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return reword(err, "cannot remove cloud %q", name)
	}
	defer peer.Close()
	var results params.ErrorResults
	args := params.Entities{Entities: []params.Entity{{Tag: names.NewCloudTag(name).String()}}}
	if err := peer.Call(calling, Call{Facade: "Cloud", Method: "RemoveClouds", Most: 8}, args, &results); err != nil {
		return reword(err, "cannot remove cloud %q", name)
	}
	if len(results.Results) != 1 {
		return errNonsense(c, "RemoveClouds")
	}
	if failed := results.Results[0].Error; failed != nil && failed.Code != CodeNotFound {
		code := failed.Code
		if code == "" {
			code = CodeBadRequest // such as: still referenced by models
		}
		return Errorf(code, "cannot remove cloud %q: controller %q: %s", name, c.Name, failed.Message)
	}
	e.step("cloud removed")
	clouds, err := peer.Clouds(calling)
	if err != nil {
		return err
	}
	delete(clouds, names.NewCloudTag(name))
	if err := e.Permissions.Write(ctx, nil, []Tuple{{Subject{Object: c.Object()}, InController, Object{KindCloud, name}}}); err != nil {
		return err
	}
	e.step("cloud tuple removed")
	return e.importClouds(ctx, c, clouds)
}

// ModelConfigSchema asks a controller that u may add models to what a provider's
// model config can hold (Juju 4.1 and up).
func (e *Estate) ModelConfigSchema(ctx context.Context, u User, provider string) (params.ModelConfigSchemaResult, error) {
	none := params.ModelConfigSchemaResult{}
	controllers, err := e.ListControllers(ctx, u)
	if err != nil {
		return none, err
	}
	var last error = Errorf(CodeNotSupported, "no controller knows the model config of provider %q", clip(provider))
	for _, c := range controllers {
		if !c.UnavailableSince.IsZero() {
			continue
		}
		var result params.ModelConfigSchemaResult
		claims := Claims{c.tag(): AccessLogin}
		call := Call{Facade: "Cloud", Method: "ModelConfigSchema", Most: 8}
		err := e.askController(ctx, c, u, claims, call, params.ModelConfigSchemaArgs{ProviderType: provider}, &result)
		if err == nil && result.Error == nil {
			return result, nil
		}
		if err == nil {
			last = fromWire(result.Error)
		}
	}
	return none, last
}
