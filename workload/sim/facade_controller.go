package sim

import (
	"context"
	"fmt"
	"maps"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// controller12 is Controller of 4.x (apiserver/facades/client/controller).
var controller12 = methods{
	"AllModels":                  read(allModels),
	"ModelStatus":                read(modelStatus),
	"ControllerConfig":           read(controllerConfig),
	"ConfigSet":                  write(configSet),
	"ControllerVersion":          read(controllerVersion),
	"ControllerAPIInfoForModels": read(controllerAPIInfo),
	"IdentityProviderURL":        read(identityProviderURL),
	"GetControllerAccess":        read(getControllerAccess),
	"ModifyControllerAccess":     write(modifyControllerAccess),
	"ListBlockedModels":          read(listBlockedModels),
	"RemoveBlocks":               write(removeBlocks),
	"WatchAllModelSummaries": read(func(cn *conn, _ none) (params.SummaryWatcherID, error) {
		if err := cn.superuser(); err != nil {
			return params.SummaryWatcherID{}, err
		}
		return params.SummaryWatcherID{}, coded(params.CodeNotSupported, "WatchAllModelSummaries not supported")
	}),
	"WatchModelSummaries": read(func(*conn, none) (params.SummaryWatcherID, error) {
		return params.SummaryWatcherID{}, coded(params.CodeNotSupported, "WatchModelSummaries not supported")
	}),
}

// controllerLegacy names the owner of a model by tag.
var controllerLegacy = controller12.with(methods{
	"AllModels":         read(allModelsLegacy),
	"ModelStatus":       read(modelStatusLegacy),
	"ListBlockedModels": read(listBlockedModelsLegacy),
})

// controller36 is Controller of 3.6, where summaries can be watched.
var controller36 = controllerLegacy.with(methods{
	"WatchAllModelSummaries": write(watchAllModelSummaries),
	"WatchModelSummaries":    write(watchModelSummaries),
})

// controllerModelConfig is ModelConfig.ModelGet for superusers.
func controllerModelConfig(cn *conn, _ none) (params.ModelConfigResults, error) {
	if err := cn.superuser(); err != nil {
		return params.ModelConfigResults{}, err
	}
	return modelGet(cn, none{})
}

func allModels(cn *conn, _ none) (params.UserModelList, error) {
	var list params.UserModelList
	if err := cn.superuser(); err != nil {
		return list, err
	}
	for _, m := range cn.ctl.state.sorted() {
		list.UserModels = append(list.UserModels, params.UserModel{
			Model:          params.Model{Name: m.Name, UUID: m.UUID, Type: "iaas", Qualifier: m.Owner},
			LastConnection: cn.ctl.state.lastConnection(cn.caller.tag.Id()),
		})
	}
	return list, nil
}

func allModelsLegacy(cn *conn, arg none) (params.UserModelListLegacy, error) {
	list, err := allModels(cn, arg)
	return legacyModels(list), err
}

func controllerConfig(cn *conn, _ none) (params.ControllerConfigResult, error) {
	config := params.ControllerConfig{
		"api-port":                17070,
		"ca-cert":                 cn.ctl.ca.certPEM,
		"controller-name":         cn.ctl.config.Name,
		"controller-uuid":         cn.ctl.state.UUID,
		"audit-log-capture-args":  false,
		"auditing-enabled":        false,
		"set-numa-control-policy": false,
	}
	if cn.ctl.config.JWKSURL != "" {
		config["login-token-refresh-url"] = cn.ctl.config.JWKSURL
	}
	maps.Copy(config, cn.ctl.state.Config)
	return params.ControllerConfigResult{Config: config}, nil
}

func configSet(cn *conn, args params.ControllerConfigSet) (none, error) {
	if err := cn.superuser(); err != nil {
		return none{}, err
	}
	for _, fixed := range []string{"api-port", "ca-cert", "controller-uuid", "login-token-refresh-url"} {
		if _, ok := args.Config[fixed]; ok {
			return none{}, fmt.Errorf("can't change %q after bootstrap", fixed)
		}
	}
	if cn.ctl.state.Config == nil {
		cn.ctl.state.Config = make(map[string]any)
	}
	maps.Copy(cn.ctl.state.Config, args.Config)
	return none{}, nil
}

func controllerVersion(cn *conn, _ none) (params.ControllerVersionResults, error) {
	return params.ControllerVersionResults{Version: cn.ctl.config.Generation.String()}, nil
}

func controllerAPIInfo(cn *conn, args params.Entities) (params.ControllerAPIInfoResults, error) {
	results := params.ControllerAPIInfoResults{Results: make([]params.ControllerAPIInfoResult, len(args.Entities))}
	for i, arg := range args.Entities {
		tag, err := names.ParseModelTag(arg.Tag)
		if err == nil && cn.ctl.state.Models[tag.Id()] == nil {
			err = coded(params.CodeModelNotFound, "model %q not found", tag.Id())
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		results.Results[i] = params.ControllerAPIInfoResult{Addresses: []string{cn.host}, CACert: cn.ctl.ca.certPEM}
	}
	return results, nil
}

func identityProviderURL(cn *conn, _ none) (params.StringResult, error) {
	url, _ := cn.ctl.state.Config["identity-url"].(string)
	return params.StringResult{Result: url}, nil
}

func getControllerAccess(cn *conn, args params.Entities) (params.UserAccessResults, error) {
	admin, err := cn.isAdmin()
	if err != nil {
		return params.UserAccessResults{}, err
	}
	results := params.UserAccessResults{Results: make([]params.UserAccessResult, len(args.Entities))}
	for i, arg := range args.Entities {
		access, err := cn.controllerAccess(arg.Tag, admin)
		results.Results[i] = params.UserAccessResult{Result: access, Error: asParams(err)}
	}
	return results, nil
}

// controllerAccess looks in the controller's own database, which knows nothing
// of what a token says.
func (cn *conn) controllerAccess(userTag string, admin bool) (*params.UserAccess, error) {
	user, err := names.ParseUserTag(userTag)
	if err != nil {
		return nil, err
	}
	if !admin && user != cn.caller.tag {
		return nil, errPerm
	}
	access := string(permission.SuperuserAccess)
	if user.Id() != adminName {
		access = ""
		if u := cn.ctl.state.Users[user.Id()]; u != nil {
			access = u.Access[cn.ctl.state.tag().String()]
		}
		if access == "" {
			return nil, fmt.Errorf("access not found for %q on %q", user.Id(), cn.ctl.state.UUID)
		}
	}
	return &params.UserAccess{UserTag: user.String(), Access: access}, nil
}

func modifyControllerAccess(cn *conn, args params.ModifyControllerAccessRequest) (params.ErrorResults, error) {
	admin, err := cn.isAdmin()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Changes, func(arg params.ModifyControllerAccess) error {
		if !admin {
			return errPerm
		}
		user, err := names.ParseUserTag(arg.UserTag)
		if err != nil {
			return annotate(err, "could not modify controller access")
		}
		return cn.ctl.modify(user.Id(), cn.ctl.state.tag(), string(arg.Action), permission.Access(arg.Access))
	}), nil
}

func listBlockedModels(cn *conn, _ none) (params.ModelBlockInfoList, error) {
	var list params.ModelBlockInfoList
	if err := cn.superuser(); err != nil {
		return list, err
	}
	for _, m := range cn.ctl.state.sorted() {
		if len(m.Blocks) > 0 {
			list.Models = append(list.Models, params.ModelBlockInfo{UUID: m.UUID, Name: m.Name, Qualifier: m.Owner, Blocks: sortedKeys(m.Blocks)})
		}
	}
	return list, nil
}

func listBlockedModelsLegacy(cn *conn, arg none) (params.ModelBlockInfoListLegacy, error) {
	list, err := listBlockedModels(cn, arg)
	var legacy params.ModelBlockInfoListLegacy
	for _, m := range list.Models {
		legacy.Models = append(legacy.Models, params.ModelBlockInfoLegacy{UUID: m.UUID, Name: m.Name, OwnerTag: ownerTag(m.Qualifier), Blocks: m.Blocks})
	}
	return legacy, err
}

func removeBlocks(cn *conn, args params.RemoveBlocksArgs) (none, error) {
	if err := cn.superuser(); err != nil {
		return none{}, err
	}
	if !args.All {
		return none{}, fmt.Errorf("not supported")
	}
	for _, m := range cn.ctl.state.Models {
		m.Blocks = nil
	}
	return none{}, nil
}

func watchAllModelSummaries(cn *conn, _ none) (params.SummaryWatcherID, error) {
	if err := cn.superuser(); err != nil {
		return params.SummaryWatcherID{}, err
	}
	id, w := cn.watch("ModelSummaryWatcher", nil)
	for uuid := range cn.ctl.state.Models {
		w.touch(uuid)
	}
	return params.SummaryWatcherID{WatcherID: id}, nil
}

func watchModelSummaries(cn *conn, _ none) (params.SummaryWatcherID, error) {
	id, w := cn.watch("ModelSummaryWatcher", nil)
	user := cn.caller.tag.Id()
	w.sees = func(m *model) bool { return cn.ctl.state.userAccess(user, m) != permission.NoAccess }
	for uuid := range cn.ctl.state.Models {
		w.touch(uuid)
	}
	return params.SummaryWatcherID{WatcherID: id}, nil
}

// crossController tells other controllers how to reach this one.
var crossController = methods{
	"ControllerInfo": read(func(cn *conn, _ none) (params.ControllerAPIInfoResults, error) {
		return params.ControllerAPIInfoResults{Results: []params.ControllerAPIInfoResult{{
			Addresses: []string{cn.host}, CACert: cn.ctl.ca.certPEM,
		}}}, nil
	}),
	"WatchControllerInfo": write(func(cn *conn, _ none) (params.NotifyWatchResults, error) {
		id, w := cn.watch("NotifyWatcher", cn.ctl.state.Models[cn.ctl.state.ControllerModel])
		w.signal()
		return params.NotifyWatchResults{Results: []params.NotifyWatchResult{{NotifyWatcherId: id}}}, nil
	}),
}

// highAvailability2 tells that the controller has one machine.
var highAvailability2 = methods{
	"EnableHA": call(func(context.Context, *conn, string, params.ControllersSpecs) (params.ControllersChangeResults, error) {
		return params.ControllersChangeResults{}, coded(params.CodeNotSupported, "enable HA not supported")
	}),
}

// highAvailability3 is of 4.x, whose debug-log dials the addresses it is told.
var highAvailability3 = highAvailability2.with(methods{
	"ControllerDetails": read(func(cn *conn, _ none) (params.ControllerDetailsResults, error) {
		return params.ControllerDetailsResults{Results: []params.ControllerDetails{{
			ControllerId: "0", APIAddresses: []string{cn.ctl.address},
		}}}, nil
	}),
})

// secretBackends1 knows the built-in backend alone.
var secretBackends1 = methods{
	"ListSecretBackends": read(func(cn *conn, _ params.ListSecretBackendsArgs) (params.ListSecretBackendsResults, error) {
		n := 0
		for _, m := range cn.ctl.state.Models {
			n += len(m.Secrets)
		}
		return params.ListSecretBackendsResults{Results: []params.SecretBackendResult{{
			Result: params.SecretBackend{Name: "internal", BackendType: "controller"}, ID: cn.ctl.state.UUID, NumSecrets: n, Status: "active",
		}}}, nil
	}),
}

// modelUpgrader takes upgrades to the version models have.
var modelUpgrader = methods{
	"UpgradeModel": read(func(cn *conn, arg params.UpgradeModelParams) (params.UpgradeModelResult, error) {
		tag, err := names.ParseModelTag(arg.ModelTag)
		if err != nil {
			return params.UpgradeModelResult{}, err
		}
		if err := cn.onModel(permission.WriteAccess, tag.Id()); err != nil {
			return params.UpgradeModelResult{}, coded(params.CodeUnauthorized, "unauthorized to upgrade model")
		}
		return params.UpgradeModelResult{Error: notFound("no upgrade of %s", cn.ctl.config.Generation)}, nil
	}),
}
