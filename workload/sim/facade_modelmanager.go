package sim

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/juju/names/v6"
	"gopkg.in/yaml.v3"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// modelManager11 is ModelManager of 4.x (apiserver/facades/client/modelmanager).
var modelManager11 = methods{
	"CreateModel":            write(createModel),
	"ListModels":             read(listModels),
	"ListModelSummaries":     read(listModelSummaries),
	"ModelInfo":              read(modelInfo),
	"ModelStatus":            read(modelStatus),
	"DestroyModels":          write(destroyModels),
	"ModifyModelAccess":      write(modifyModelAccess),
	"ChangeModelCredential":  write(changeModelCredential),
	"ModelDefaultsForClouds": read(modelDefaultsForClouds),
	"SetModelDefaults":       write(setModelDefaults),
	"UnsetModelDefaults":     write(unsetModelDefaults),
	"DumpModels":             read(dumpModels),
	"DumpModelsDB":           read(dumpModelsDB),
}

// modelManager10 names the owner of a model by tag, as all versions up to 10.
var modelManager10 = modelManager11.with(methods{
	"CreateModel":        write(createModelLegacy),
	"ListModels":         read(listModelsLegacy),
	"ListModelSummaries": read(listModelSummariesLegacy),
	"ModelInfo":          read(modelInfoLegacy),
	"ModelStatus":        read(modelStatusLegacy),
})

// errNotYours refuses what is another user's.
func (cn *conn) errNotYours(user names.UserTag) error {
	admin, err := cn.isAdmin()
	if err != nil || admin || user == cn.caller.tag {
		return err
	}
	return errPerm
}

func createModel(cn *conn, args params.ModelCreateArgs) (params.ModelInfo, error) {
	var fail params.ModelInfo
	if args.TargetController != "" {
		return fail, coded(params.CodeNotSupported, "target-controller parameter is only supported on JAAS")
	}
	admin, err := cn.isAdmin()
	if err != nil {
		return fail, err
	}
	cloud := names.NewCloudTag(cn.ctl.config.Cloud.Name)
	if args.CloudTag != "" {
		if cloud, err = names.ParseCloudTag(args.CloudTag); err != nil {
			return fail, err
		}
	}
	if !admin {
		if err := cn.has(permission.AddModelAccess, cloud); err != nil {
			return fail, err
		}
		if args.Qualifier != cn.caller.tag.Id() {
			if cn.ctl.config.Generation == Juju36 {
				return fail, annotate(errPerm, `"add-model" permission does not permit creation of models for different owners`)
			}
			return fail, coded(params.CodeNotValid, "cannot create model with qualifier %q", args.Qualifier)
		}
	}
	m, err := cn.ctl.newModel(args, "")
	if err != nil {
		return fail, err
	}
	cn.ctl.grant(cn.caller.tag.Id(), m.tag(), permission.AdminAccess)
	cn.ctl.changed(m)
	return cn.ctl.info(m, true), nil
}

func createModelLegacy(cn *conn, args params.ModelCreateArgsLegacy) (params.ModelInfoLegacy, error) {
	owner, err := names.ParseUserTag(args.OwnerTag)
	if err != nil {
		return params.ModelInfoLegacy{}, err
	}
	info, err := createModel(cn, params.ModelCreateArgs{
		Name:               args.Name,
		Qualifier:          owner.Id(),
		Config:             args.Config,
		CloudTag:           args.CloudTag,
		CloudRegion:        args.CloudRegion,
		CloudCredentialTag: args.CloudCredentialTag,
	})
	if err != nil {
		return params.ModelInfoLegacy{}, err
	}
	return legacyInfo(info), nil
}

// ownerTag is what versions up to 10 say for a qualifier.
func ownerTag(qualifier string) string { return names.NewUserTag(qualifier).String() }

func legacyInfo(info params.ModelInfo) params.ModelInfoLegacy {
	return params.ModelInfoLegacy{
		Name:                    info.Name,
		Type:                    info.Type,
		UUID:                    info.UUID,
		ControllerUUID:          info.ControllerUUID,
		IsController:            info.IsController,
		ProviderType:            info.ProviderType,
		CloudTag:                info.CloudTag,
		CloudRegion:             info.CloudRegion,
		CloudCredentialTag:      info.CloudCredentialTag,
		CloudCredentialValidity: info.CloudCredentialValidity,
		OwnerTag:                ownerTag(info.Qualifier),
		Life:                    info.Life,
		Status:                  info.Status,
		Users:                   info.Users,
		Machines:                info.Machines,
		SecretBackends:          info.SecretBackends,
		Migration:               info.Migration,
		AgentVersion:            info.AgentVersion,
		SupportedFeatures:       info.SupportedFeatures,
	}
}

func listModels(cn *conn, arg params.Entity) (params.UserModelList, error) {
	var list params.UserModelList
	user, err := names.ParseUserTag(arg.Tag)
	if err != nil {
		return list, err
	}
	if err := cn.errNotYours(user); err != nil {
		return list, err
	}
	admin, err := cn.isAdmin()
	if err != nil {
		return list, err
	}
	s := cn.ctl.state
	if s.Users[user.Id()] == nil && cn.ctl.config.Generation == Juju41 {
		return list, fmt.Errorf("user not found when finding user uuid for name %q", user.Id())
	}
	for _, m := range s.sorted() {
		if !admin && s.userAccess(user.Id(), m) == permission.NoAccess {
			continue
		}
		list.UserModels = append(list.UserModels, params.UserModel{
			Model:          params.Model{Name: m.Name, UUID: m.UUID, Type: "iaas", Qualifier: m.Owner},
			LastConnection: s.lastConnection(user.Id()),
		})
	}
	return list, nil
}

func listModelsLegacy(cn *conn, arg params.Entity) (params.UserModelListLegacy, error) {
	list, err := listModels(cn, arg)
	return legacyModels(list), err
}

func legacyModels(list params.UserModelList) params.UserModelListLegacy {
	var legacy params.UserModelListLegacy
	for _, m := range list.UserModels {
		legacy.UserModels = append(legacy.UserModels, params.UserModelLegacy{
			ModelLegacy:    params.ModelLegacy{Name: m.Name, UUID: m.UUID, Type: m.Type, OwnerTag: ownerTag(m.Qualifier)},
			LastConnection: m.LastConnection,
		})
	}
	return legacy
}

func listModelSummaries(cn *conn, req params.ModelSummariesRequest) (params.ModelSummaryResults, error) {
	results := params.ModelSummaryResults{}
	user, err := names.ParseUserTag(req.UserTag)
	if err != nil {
		return results, err
	}
	if err := cn.errNotYours(user); err != nil {
		return results, err
	}
	admin, err := cn.isAdmin()
	if err != nil {
		return results, err
	}
	if req.All && !admin {
		return results, coded(params.CodeUnauthorized, "permission denied: cannot list all models as non-admin user")
	}
	s := cn.ctl.state
	results.Results = []params.ModelSummaryResult{}
	for _, m := range s.sorted() {
		summary := cn.ctl.summary(m)
		if !req.All {
			access := s.userAccess(user.Id(), m)
			if access == permission.NoAccess {
				continue
			}
			summary.UserAccess = params.UserAccessPermission(access)
			summary.UserLastConnection = s.lastConnection(user.Id())
		}
		results.Results = append(results.Results, params.ModelSummaryResult{Result: &summary})
	}
	return results, nil
}

func listModelSummariesLegacy(cn *conn, req params.ModelSummariesRequest) (params.ModelSummaryResultsLegacy, error) {
	results, err := listModelSummaries(cn, req)
	legacy := params.ModelSummaryResultsLegacy{Results: make([]params.ModelSummaryResultLegacy, len(results.Results))}
	for i, result := range results.Results {
		s := result.Result
		legacy.Results[i].Result = &params.ModelSummaryLegacy{
			Name:               s.Name,
			UUID:               s.UUID,
			Type:               s.Type,
			ControllerUUID:     s.ControllerUUID,
			IsController:       s.IsController,
			ProviderType:       s.ProviderType,
			CloudTag:           s.CloudTag,
			CloudRegion:        s.CloudRegion,
			CloudCredentialTag: s.CloudCredentialTag,
			OwnerTag:           ownerTag(s.Qualifier),
			Life:               s.Life,
			Status:             s.Status,
			UserAccess:         s.UserAccess,
			UserLastConnection: s.UserLastConnection,
			Counts:             s.Counts,
			Migration:          s.Migration,
			AgentVersion:       s.AgentVersion,
		}
	}
	return legacy, err
}

func modelInfo(cn *conn, args params.Entities) (params.ModelInfoResults, error) {
	results := params.ModelInfoResults{Results: make([]params.ModelInfoResult, len(args.Entities))}
	for i, arg := range args.Entities {
		info, err := cn.modelInfo(arg)
		results.Results[i] = params.ModelInfoResult{Result: info, Error: asParams(err)}
	}
	return results, nil
}

func (cn *conn) modelInfo(arg params.Entity) (*params.ModelInfo, error) {
	tag, err := names.ParseModelTag(arg.Tag)
	if err != nil {
		return nil, err
	}
	detailed := cn.onModel(permission.WriteAccess, tag.Id()) == nil
	if !detailed {
		if err := cn.onModel(permission.ReadAccess, tag.Id()); err != nil {
			// Not an access required error, whatever is lacking.
			return nil, errPerm
		}
	}
	m := cn.ctl.state.Models[tag.Id()]
	if m == nil {
		return nil, cn.ctl.noDatabase(tag.Id(), params.CodeNotFound)
	}
	info := cn.ctl.info(m, detailed)
	if admin, _ := cn.isAdmin(); !admin && cn.has(permission.AdminAccess, tag) != nil {
		// Others see only themselves.
		users := []params.ModelUserInfo{}
		for _, u := range info.Users {
			if u.UserName == cn.caller.tag.Id() {
				users = append(users, u)
			}
		}
		info.Users = users
	}
	return &info, nil
}

// noDatabase is the error for a model that is not there. 4.x, where each model
// has a database of its own, misses that; code is what it gives the error then.
func (c *Controller) noDatabase(uuid, code string) error {
	if c.config.Generation == Juju41 {
		return coded(code, "invoking getDB: database not found")
	}
	return notFound("model %q", uuid)
}

func modelInfoLegacy(cn *conn, args params.Entities) (params.ModelInfoResultsLegacy, error) {
	results, err := modelInfo(cn, args)
	legacy := params.ModelInfoResultsLegacy{Results: make([]params.ModelInfoResultLegacy, len(results.Results))}
	for i, result := range results.Results {
		legacy.Results[i].Error = result.Error
		if result.Result != nil {
			info := legacyInfo(*result.Result)
			legacy.Results[i].Result = &info
		}
	}
	return legacy, err
}

func modelStatus(cn *conn, args params.Entities) (params.ModelStatusResults, error) {
	results := params.ModelStatusResults{Results: make([]params.ModelStatus, len(args.Entities))}
	for i, arg := range args.Entities {
		status, err := cn.modelStatus(arg)
		if err != nil {
			status = params.ModelStatus{Error: asParams(err)}
		}
		results.Results[i] = status
	}
	return results, nil
}

func (cn *conn) modelStatus(arg params.Entity) (params.ModelStatus, error) {
	tag, err := names.ParseModelTag(arg.Tag)
	if err != nil {
		return params.ModelStatus{}, err
	}
	admin, err := cn.isAdmin()
	if err == nil && !admin {
		err = cn.hasOrPerm(permission.AdminAccess, tag)
	}
	if err != nil {
		return params.ModelStatus{}, err
	}
	m := cn.ctl.state.Models[tag.Id()]
	if m == nil && cn.ctl.config.Generation == Juju41 {
		return params.ModelStatus{}, coded(params.CodeNotFound, "model %q does not exist", tag.String())
	}
	if m == nil {
		return params.ModelStatus{}, notFound("model %q", tag.Id())
	}
	return m.modelStatus(), nil
}

func modelStatusLegacy(cn *conn, args params.Entities) (params.ModelStatusResultsLegacy, error) {
	results, err := modelStatus(cn, args)
	legacy := params.ModelStatusResultsLegacy{Results: make([]params.ModelStatusLegacy, len(results.Results))}
	for i, s := range results.Results {
		if s.Error != nil {
			legacy.Results[i].Error = s.Error
			continue
		}
		legacy.Results[i] = params.ModelStatusLegacy{
			ModelTag:           s.ModelTag,
			Life:               s.Life,
			Type:               s.Type,
			HostedMachineCount: s.HostedMachineCount,
			ApplicationCount:   s.ApplicationCount,
			UnitCount:          s.UnitCount,
			OwnerTag:           ownerTag(s.Qualifier),
			Applications:       s.Applications,
			Machines:           s.Machines,
		}
	}
	return legacy, err
}

func destroyModels(cn *conn, args params.DestroyModelsParams) (params.ErrorResults, error) {
	return each(args.Models, func(arg params.DestroyModelParams) error {
		tag, err := names.ParseModelTag(arg.ModelTag)
		if err != nil {
			return err
		}
		if err := cn.onModel(permission.AdminAccess, tag.Id()); err != nil {
			return err
		}
		m := cn.ctl.state.Models[tag.Id()]
		if m == nil {
			return cn.ctl.noDatabase(tag.Id(), "")
		}
		if m.UUID == cn.ctl.state.ControllerModel {
			return fmt.Errorf("removing model %q: model is a controller model", m.UUID)
		}
		if err := m.blocked("BlockDestroy", "BlockRemove", "BlockChange"); err != nil {
			return err
		}
		cn.ctl.destroy(m)
		return nil
	}), nil
}

func modifyModelAccess(cn *conn, args params.ModifyModelAccessRequest) (params.ErrorResults, error) {
	return each(args.Changes, func(arg params.ModifyModelAccess) error {
		tag, err := names.ParseModelTag(arg.ModelTag)
		if err != nil {
			return annotate(err, "could not modify model access")
		}
		if err := cn.onModel(permission.AdminAccess, tag.Id()); errors.Is(err, errLacking) {
			return errPerm
		} else if err != nil {
			return err
		}
		user, err := names.ParseUserTag(arg.UserTag)
		if err != nil {
			return annotate(err, "could not modify model access")
		}
		m := cn.ctl.state.Models[tag.Id()]
		if m == nil {
			return coded(params.CodeModelNotFound, "model %q not found", tag.Id())
		}
		if err := permission.ValidateModelAccess(permission.Access(arg.Access)); err != nil {
			return coded(params.CodeNotValid, "%s", err)
		}
		return cn.ctl.modify(user.Id(), tag, string(arg.Action), permission.Access(arg.Access))
	}), nil
}

func changeModelCredential(cn *conn, args params.ChangeModelCredentialsParams) (params.ErrorResults, error) {
	return each(args.Models, func(arg params.ChangeModelCredentialParams) error {
		tag, err := names.ParseModelTag(arg.ModelTag)
		if err != nil {
			return err
		}
		if err := cn.onModel(permission.AdminAccess, tag.Id()); err != nil {
			return err
		}
		m := cn.ctl.state.Models[tag.Id()]
		if m == nil {
			return coded(params.CodeModelNotFound, "model %q not found", tag.Id())
		}
		credential, err := names.ParseCloudCredentialTag(arg.CloudCredentialTag)
		if err != nil {
			return err
		}
		if cn.ctl.state.Credentials[credential.Id()] == nil {
			return notFound("cloud credential %q", credential.Id())
		}
		if credential.Cloud().Id() != m.Cloud {
			return coded(params.CodeNotValid, "credential %q is not of cloud %q", credential.Id(), m.Cloud)
		}
		m.Credential = credential.Id()
		cn.ctl.changed(m)
		return nil
	}), nil
}

func modelDefaultsForClouds(cn *conn, args params.Entities) (params.ModelDefaultsResults, error) {
	var results params.ModelDefaultsResults
	if admin, err := cn.isAdmin(); err != nil {
		return results, err
	} else if !admin {
		return results, errPerm
	}
	results.Results = make([]params.ModelDefaultsResult, len(args.Entities))
	for i, arg := range args.Entities {
		config, err := cn.ctl.modelDefaults(arg.Tag)
		results.Results[i] = params.ModelDefaultsResult{Config: config, Error: asParams(err)}
	}
	return results, nil
}

func (c *Controller) modelDefaults(cloudTag string) (map[string]params.ModelDefaults, error) {
	tag, err := names.ParseCloudTag(cloudTag)
	if err != nil {
		return nil, err
	}
	if c.state.Clouds[tag.Id()] == nil {
		return nil, notFound("cloud %q", tag.Id())
	}
	config := make(map[string]params.ModelDefaults)
	for name, value := range defaultModelConfig {
		config[name] = params.ModelDefaults{Default: value}
	}
	for region, values := range c.state.CloudDefaults[tag.Id()] {
		for name, value := range values {
			d := config[name]
			if region == "" {
				d.Controller = value
			} else {
				d.Regions = append(d.Regions, params.RegionDefaults{RegionName: region, Value: value})
			}
			config[name] = d
		}
	}
	return config, nil
}

func setModelDefaults(cn *conn, args params.SetModelDefaults) (params.ErrorResults, error) {
	if admin, err := cn.isAdmin(); err != nil {
		return params.ErrorResults{}, err
	} else if !admin {
		return params.ErrorResults{Results: make([]params.ErrorResult, len(args.Config))}, errPerm
	}
	return each(args.Config, func(arg params.ModelDefaultValues) error {
		defaults, err := cn.ctl.defaultsOf(arg.CloudTag)
		if err != nil {
			return err
		}
		if defaults[arg.CloudRegion] == nil {
			defaults[arg.CloudRegion] = make(map[string]any)
		}
		for name, value := range arg.Config {
			defaults[arg.CloudRegion][name] = value
		}
		return nil
	}), nil
}

func unsetModelDefaults(cn *conn, args params.UnsetModelDefaults) (params.ErrorResults, error) {
	if admin, err := cn.isAdmin(); err != nil {
		return params.ErrorResults{}, err
	} else if !admin {
		return params.ErrorResults{Results: make([]params.ErrorResult, len(args.Keys))}, errPerm
	}
	return each(args.Keys, func(arg params.ModelUnsetKeys) error {
		defaults, err := cn.ctl.defaultsOf(arg.CloudTag)
		if err != nil {
			return err
		}
		for _, name := range arg.Keys {
			delete(defaults[arg.CloudRegion], name)
		}
		return nil
	}), nil
}

// defaultsOf returns the model defaults of a cloud by region, to be changed.
func (c *Controller) defaultsOf(cloudTag string) (map[string]map[string]any, error) {
	tag, err := names.ParseCloudTag(cloudTag)
	if err != nil {
		return nil, coded(params.CodeNotValid, "cloud tag %q not valid", cloudTag)
	}
	if c.state.Clouds[tag.Id()] == nil {
		return nil, notFound("cloud %q", tag.Id())
	}
	if c.state.CloudDefaults[tag.Id()] == nil {
		c.state.CloudDefaults[tag.Id()] = make(map[string]map[string]any)
	}
	return c.state.CloudDefaults[tag.Id()], nil
}

func dumpModels(cn *conn, args params.DumpModelRequest) (params.StringResults, error) {
	results := params.StringResults{Results: make([]params.StringResult, len(args.Entities))}
	for i, arg := range args.Entities {
		dump, err := cn.dumpModel(arg, args.Simplified)
		results.Results[i] = params.StringResult{Result: dump, Error: asParams(err)}
	}
	return results, nil
}

func (cn *conn) dumpModel(arg params.Entity, simplified bool) (string, error) {
	if simplified && cn.ctl.config.Generation == Juju41 {
		return "", coded(params.CodeNotSupported, "simplified model dump not supported")
	}
	tag, err := names.ParseModelTag(arg.Tag)
	if err != nil {
		return "", err
	}
	if err := cn.onModel(permission.AdminAccess, tag.Id()); err != nil {
		return "", err
	}
	m := cn.ctl.state.Models[tag.Id()]
	if m == nil {
		return "", notFound("model %q", tag.Id())
	}
	data, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return "", err
	}
	dump, err := yaml.Marshal(tree)
	return string(dump), err
}

func dumpModelsDB(_ *conn, args params.Entities) (params.MapResults, error) {
	results := params.MapResults{Results: make([]params.MapResult, len(args.Entities))}
	for i := range results.Results {
		results.Results[i].Error = coded(params.CodeNotImplemented, "DumpModelsDB not implemented")
	}
	return results, nil
}
