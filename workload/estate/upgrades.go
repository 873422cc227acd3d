package estate

import (
	"context"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// What follows is for the controller of a model to do; the estate decides who
// may ask, and passes the answer on.

// askController makes one call to a controller as a user with claims.
func (e *Estate) askController(ctx context.Context, c Controller, u User, claims Claims, call Call, args, result any) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, c, u, claims)
	if err != nil {
		return err
	}
	defer peer.Close()
	return peer.Call(ctx, call, args, result)
}

// DumpModel returns a model's description as YAML, for its administrators.
func (e *Estate) DumpModel(ctx context.Context, u User, uuid string, simplified bool) (string, error) {
	r, err := e.routeAs(ctx, u, uuid, AccessAdmin)
	if err != nil {
		return "", err
	}
	args := params.DumpModelRequest{Entities: []params.Entity{{Tag: r.Model.tag()}}, Simplified: simplified}
	var results params.StringResults
	call := Call{Facade: "ModelManager", Method: "DumpModels", Most: 11, About: r.Model.UUID}
	if err := e.askController(ctx, r.Controller, u, r.Claims, call, args, &results); err != nil {
		return "", err
	}
	if len(results.Results) != 1 {
		return "", errNonsense(r.Controller, "DumpModels")
	}
	return results.Results[0].Result, fromWire(results.Results[0].Error)
}

// DumpModelDB returns what a model's database holds, for its administrators.
func (e *Estate) DumpModelDB(ctx context.Context, u User, uuid string) (map[string]any, error) {
	r, err := e.routeAs(ctx, u, uuid, AccessAdmin)
	if err != nil {
		return nil, err
	}
	var results params.MapResults
	args := params.Entities{Entities: []params.Entity{{Tag: r.Model.tag()}}}
	call := Call{Facade: "ModelManager", Method: "DumpModelsDB", Most: 11, About: r.Model.UUID}
	if err := e.askController(ctx, r.Controller, u, r.Claims, call, args, &results); err != nil {
		return nil, err
	}
	if len(results.Results) != 1 {
		return nil, errNonsense(r.Controller, "DumpModelsDB")
	}
	return results.Results[0].Result, fromWire(results.Results[0].Error)
}

// UpgradeModel starts, or with DryRun tries, the upgrade of a model's agents.
// Needs administrator of the model.
func (e *Estate) UpgradeModel(ctx context.Context, u User, args params.UpgradeModelParams) (params.UpgradeModelResult, error) {
	none := params.UpgradeModelResult{}
	tag, err := names.ParseModelTag(args.ModelTag)
	if err != nil {
		return none, Errorf(CodeBadRequest, "%q is not a model tag", clip(args.ModelTag))
	}
	r, err := e.routeAs(ctx, u, tag.Id(), AccessAdmin)
	if err != nil {
		return none, err
	}
	var result params.UpgradeModelResult
	call := Call{Facade: "ModelUpgrader", Method: "UpgradeModel", Most: 2, About: r.Model.UUID}
	if err := e.askController(ctx, r.Controller, u, r.Claims, call, args, &result); err != nil {
		return none, err
	}
	return result, fromWire(result.Error)
}

// AbortModelUpgrade ends an upgrade that hangs. Needs administrator of the model.
func (e *Estate) AbortModelUpgrade(ctx context.Context, u User, uuid string) error {
	r, err := e.routeAs(ctx, u, uuid, AccessAdmin)
	if err != nil {
		return err
	}
	call := Call{Facade: "ModelUpgrader", Method: "AbortModelUpgrade", Most: 2, About: r.Model.UUID}
	return e.askController(ctx, r.Controller, u, r.Claims, call, params.ModelParam{ModelTag: r.Model.tag()}, nil)
}

// InitiateMigration starts the migration of a model to a controller outside.
// Needs administrator of the model.
func (e *Estate) InitiateMigration(ctx context.Context, u User, spec params.MigrationSpec, dryRun bool) (params.InitiateMigrationResult, error) {
	none := params.InitiateMigrationResult{ModelTag: spec.ModelTag}
	tag, err := names.ParseModelTag(spec.ModelTag)
	if err != nil {
		return none, Errorf(CodeBadRequest, "%q is not a model tag", clip(spec.ModelTag))
	}
	r, err := e.routeAs(ctx, u, tag.Id(), AccessAdmin)
	if err != nil {
		return none, err
	}
	// A controller lets only its superusers migrate (Controller.InitiateMigration).
	claims := Claims{r.Controller.tag(): AccessSuperuser, r.Model.tag(): AccessAdmin}
	var results params.InitiateMigrationResults
	args := params.InitiateMigrationArgs{Specs: []params.MigrationSpec{spec}, DryRun: dryRun}
	call := Call{Facade: "Controller", Method: "InitiateMigration", Most: 14}
	if err := e.askController(ctx, r.Controller, u, claims, call, args, &results); err != nil {
		return none, err
	}
	if len(results.Results) != 1 {
		return none, errNonsense(r.Controller, "InitiateMigration")
	}
	return results.Results[0], fromWire(results.Results[0].Error)
}

// ChangeModelCredential makes a model use another credential. Needs
// administrator of the model, and to own the credential or administer JIMM.
func (e *Estate) ChangeModelCredential(ctx context.Context, u User, modelUUID string, tag names.CloudCredentialTag) error {
	r, err := e.routeAs(ctx, u, modelUUID, AccessAdmin)
	if err != nil {
		return err
	}
	if err := e.ownCredential(ctx, u, tag); err != nil {
		return err
	}
	c, err := e.Store.Credential(ctx, tag.Cloud().Id(), tag.Owner().Id(), tag.Name())
	if err != nil {
		return err
	}
	if c.Cloud != r.Model.Cloud {
		return Errorf(CodeBadRequest, "credential %q is of cloud %q, the model is on %q", c.Name, c.Cloud, r.Model.Cloud)
	}
	if err := e.pushTo(ctx, r.Controller, c, false); err != nil {
		return err
	}
	e.step("new credential pushed")
	// As the owner of the credential: a controller lets nobody else use it.
	claims := Claims{r.Controller.tag(): AccessLogin, r.Model.tag(): AccessAdmin}
	if err := e.changeCredential(ctx, r, User{Name: c.Owner}, claims, tag); err != nil {
		return err
	}
	e.step("model credential changed")
	return e.Store.SaveModelCredential(ctx, modelUUID, c.Path())
}

func (e *Estate) changeCredential(ctx context.Context, r Route, u User, claims Claims, tag names.CloudCredentialTag) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, r.Controller, u, claims)
	if err != nil {
		return err
	}
	defer peer.Close()
	return peer.ChangeModelCredential(ctx, r.Model.UUID, tag)
}

// errNonsense is for an answer that is not what was asked for.
func errNonsense(c Controller, method string) error {
	return Errorf(CodeConnectionFailed, "controller %q does not answer %s as it should", c.Name, method)
}

// fromWire turns an error inside a result into one of ours.
func fromWire(err *params.Error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: err.Code, Message: err.Message, Info: err.Info}
}

// hostCloudRegion splits what AddCloud says a Kubernetes cloud runs on.
func hostCloudRegion(s string) (cloud, region string, ok bool) {
	cloud, region, ok = strings.Cut(s, "/")
	return cloud, region, ok && cloud != "" && region != ""
}
