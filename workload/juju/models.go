package juju

import (
	"context"
	"errors"
	"fmt"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// The versions of facade ModelManager that we speak. Up to 10 it names a
// model's owner by an owner-tag, from 11 on by a qualifier.
const (
	modelManager          = "ModelManager"
	modelLeast, modelMost = 9, 11
	modelQualifier        = 11
)

// The versions of facade Controller that have AllModels, which is the same in
// all of them as far as we read it.
const controllerLeast, controllerMost = 11, 14

// controllerModel is what a controller calls its own model, and maxHomes how
// many models of that name are looked at to find it.
const (
	controllerModel = "controller"
	maxHomes        = 100
)

// CreateModel implements estate.Peer.
func (p *peer) CreateModel(ctx context.Context, args params.ModelCreateArgs) (params.ModelInfo, error) {
	cloud, err := names.ParseCloudTag(args.CloudTag)
	if err != nil {
		return params.ModelInfo{}, estate.Errorf(estate.CodeBadRequest, "cannot create model: %w", err)
	}
	if !names.IsValidUser(args.Qualifier) {
		return params.ModelInfo{}, estate.Errorf(estate.CodeBadRequest, "cannot create model: its owner %q is not a user name", args.Qualifier)
	}
	args.TargetController = "" // for us, not for the controller
	version, err := p.version(modelManager, modelLeast, modelMost)
	if err != nil {
		return params.ModelInfo{}, err
	}
	call := estate.Call{Facade: modelManager, Method: "CreateModel", Least: version, Most: version, About: cloud.Id()}
	if version >= modelQualifier {
		var info params.ModelInfo
		err := p.Call(ctx, call, args, &info)
		return info, err
	}
	var info params.ModelInfoLegacy
	err = p.Call(ctx, call, params.ModelCreateArgsLegacy{
		Name:               args.Name,
		OwnerTag:           names.NewUserTag(args.Qualifier).String(),
		Config:             args.Config,
		CloudTag:           args.CloudTag,
		CloudRegion:        args.CloudRegion,
		CloudCredentialTag: args.CloudCredentialTag,
	}, &info)
	if err != nil {
		return params.ModelInfo{}, err
	}
	return p.modelInfo(info)
}

// ModelInfo implements estate.Peer. CodeModelNotFound if the controller has no
// such model.
func (p *peer) ModelInfo(ctx context.Context, uuid string) (params.ModelInfo, error) {
	version, err := p.version(modelManager, modelLeast, modelMost)
	if err != nil {
		return params.ModelInfo{}, err
	}
	info, err := p.callModelInfo(ctx, version, uuid)
	return info, p.modelError(ctx, uuid, err)
}

func (p *peer) callModelInfo(ctx context.Context, version int, uuid string) (params.ModelInfo, error) {
	const name = modelManager + ".ModelInfo"
	call := estate.Call{Facade: modelManager, Method: "ModelInfo", Least: version, Most: version, About: uuid}
	if version >= modelQualifier {
		var results params.ModelInfoResults
		if err := p.Call(ctx, call, entity(uuid), &results); err != nil {
			return params.ModelInfo{}, err
		}
		result, err := one(p, name, results.Results)
		if err != nil {
			return params.ModelInfo{}, err
		}
		return present(p, name, result.Result, result.Error)
	}
	var results params.ModelInfoResultsLegacy
	if err := p.Call(ctx, call, entity(uuid), &results); err != nil {
		return params.ModelInfo{}, err
	}
	result, err := one(p, name, results.Results)
	if err != nil {
		return params.ModelInfo{}, err
	}
	info, err := present(p, name, result.Result, result.Error)
	if err != nil {
		return params.ModelInfo{}, err
	}
	return p.modelInfo(info)
}

// ModelStatus implements estate.Peer. CodeModelNotFound if the controller has
// no such model.
func (p *peer) ModelStatus(ctx context.Context, uuid string) (params.ModelStatus, error) {
	version, err := p.version(modelManager, modelLeast, modelMost)
	if err != nil {
		return params.ModelStatus{}, err
	}
	status, err := p.callModelStatus(ctx, version, uuid)
	return status, modelGone(uuid, err)
}

func (p *peer) callModelStatus(ctx context.Context, version int, uuid string) (params.ModelStatus, error) {
	const name = modelManager + ".ModelStatus"
	call := estate.Call{Facade: modelManager, Method: "ModelStatus", Least: version, Most: version, About: uuid}
	if version >= modelQualifier {
		var results params.ModelStatusResults
		if err := p.Call(ctx, call, entity(uuid), &results); err != nil {
			return params.ModelStatus{}, err
		}
		status, err := one(p, name, results.Results)
		if err == nil {
			err = paramsError(status.Error)
		}
		return status, err
	}
	var results params.ModelStatusResultsLegacy
	if err := p.Call(ctx, call, entity(uuid), &results); err != nil {
		return params.ModelStatus{}, err
	}
	status, err := one(p, name, results.Results)
	if err == nil {
		err = paramsError(status.Error)
	}
	if err != nil {
		return params.ModelStatus{}, err
	}
	owner, err := qualifier(status.OwnerTag)
	if err != nil {
		return params.ModelStatus{}, badReply(p.controller, name, err)
	}
	return params.ModelStatus{
		ModelTag:           status.ModelTag,
		Qualifier:          owner,
		Life:               status.Life,
		Type:               status.Type,
		HostedMachineCount: status.HostedMachineCount,
		ApplicationCount:   status.ApplicationCount,
		UnitCount:          status.UnitCount,
		Applications:       status.Applications,
		Machines:           status.Machines,
		Volumes:            status.Volumes,
		Filesystems:        status.Filesystems,
	}, nil
}

// DestroyModel implements estate.Peer. CodeModelNotFound if the controller has
// no such model.
func (p *peer) DestroyModel(ctx context.Context, d params.DestroyModelParams) error {
	tag, err := names.ParseModelTag(d.ModelTag)
	if err != nil {
		return estate.Errorf(estate.CodeBadRequest, "cannot destroy model: %w", err)
	}
	args := params.DestroyModelsParams{Models: []params.DestroyModelParams{d}}
	return p.modelError(ctx, tag.Id(), p.change(ctx, estate.Call{Facade: modelManager, Method: "DestroyModels", Least: modelLeast, Most: modelMost, About: tag.Id()}, args))
}

// ChangeModelCredential implements estate.Peer. CodeModelNotFound if the
// controller has no such model.
func (p *peer) ChangeModelCredential(ctx context.Context, modelUUID string, credential names.CloudCredentialTag) error {
	args := params.ChangeModelCredentialsParams{Models: []params.ChangeModelCredentialParams{{
		ModelTag:           names.NewModelTag(modelUUID).String(),
		CloudCredentialTag: credential.String(),
	}}}
	return p.modelError(ctx, modelUUID, p.change(ctx, estate.Call{Facade: modelManager, Method: "ChangeModelCredential", Least: modelLeast, Most: modelMost, About: modelUUID}, args))
}

// ModelSummaries implements estate.Peer. A model that the controller has
// trouble with is left out; the others are returned.
func (p *peer) ModelSummaries(ctx context.Context) ([]params.ModelSummary, error) {
	version, err := p.version(modelManager, modelLeast, modelMost)
	if err != nil {
		return nil, err
	}
	call := estate.Call{Facade: modelManager, Method: "ListModelSummaries", Least: version, Most: version}
	args := params.ModelSummariesRequest{UserTag: p.user.Tag().String(), All: true}
	var summaries []params.ModelSummary
	if version >= modelQualifier {
		var results params.ModelSummaryResults
		if err := p.Call(ctx, call, args, &results); err != nil {
			return nil, err
		}
		for _, r := range results.Results {
			if r.Error == nil && r.Result != nil {
				summaries = append(summaries, *r.Result)
			}
		}
		return summaries, nil
	}
	var results params.ModelSummaryResultsLegacy
	if err := p.Call(ctx, call, args, &results); err != nil {
		return nil, err
	}
	for _, r := range results.Results {
		if r.Error != nil || r.Result == nil {
			continue
		}
		s := r.Result
		owner, err := qualifier(s.OwnerTag)
		if err != nil {
			return nil, badReply(p.controller, modelManager+"."+call.Method, err)
		}
		summaries = append(summaries, params.ModelSummary{
			Name:               s.Name,
			Qualifier:          owner,
			UUID:               s.UUID,
			Type:               s.Type,
			ControllerUUID:     s.ControllerUUID,
			IsController:       s.IsController,
			ProviderType:       s.ProviderType,
			CloudTag:           s.CloudTag,
			CloudRegion:        s.CloudRegion,
			CloudCredentialTag: s.CloudCredentialTag,
			Life:               s.Life,
			Status:             s.Status,
			UserAccess:         s.UserAccess,
			UserLastConnection: s.UserLastConnection,
			Counts:             s.Counts,
			Migration:          s.Migration,
			AgentVersion:       s.AgentVersion,
		})
	}
	return summaries, nil
}

// home returns the cloud and region the controller itself runs in: those of
// its own model.
func (p *peer) home(ctx context.Context) (cloud, region string, err error) {
	var all params.UserModelList
	if err := p.Call(ctx, estate.Call{Facade: "Controller", Method: "AllModels", Least: controllerLeast, Most: controllerMost}, nil, &all); err != nil {
		return "", "", err
	}
	// Users may have models of that name, too.
	asked := 0
	for _, m := range all.UserModels {
		if m.Name != controllerModel || asked == maxHomes {
			continue
		}
		asked++
		info, err := p.ModelInfo(ctx, m.UUID)
		if estate.Is(err, estate.CodeModelNotFound) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		if !info.IsController {
			continue
		}
		tag, err := names.ParseCloudTag(info.CloudTag)
		if err != nil {
			return "", "", badReply(p.controller, modelManager+".ModelInfo", err)
		}
		return tag.Id(), info.CloudRegion, nil
	}
	return "", "", badReply(p.controller, "Controller.AllModels", errors.New("its own model is not among them"))
}

// modelInfo gives an older answer the newest form.
func (p *peer) modelInfo(m params.ModelInfoLegacy) (params.ModelInfo, error) {
	owner, err := qualifier(m.OwnerTag)
	if err != nil {
		return params.ModelInfo{}, badReply(p.controller, modelManager, err)
	}
	return params.ModelInfo{
		Name:                    m.Name,
		Type:                    m.Type,
		UUID:                    m.UUID,
		ControllerUUID:          m.ControllerUUID,
		IsController:            m.IsController,
		ProviderType:            m.ProviderType,
		CloudTag:                m.CloudTag,
		CloudRegion:             m.CloudRegion,
		CloudCredentialTag:      m.CloudCredentialTag,
		CloudCredentialValidity: m.CloudCredentialValidity,
		Qualifier:               owner,
		Life:                    m.Life,
		Status:                  m.Status,
		Users:                   m.Users,
		Machines:                m.Machines,
		SecretBackends:          m.SecretBackends,
		Migration:               m.Migration,
		AgentVersion:            m.AgentVersion,
		SupportedFeatures:       m.SupportedFeatures,
	}, nil
}

// qualifier is what newer controllers say in place of an owner tag.
func qualifier(ownerTag string) (string, error) {
	tag, err := names.ParseUserTag(ownerTag)
	if err != nil {
		return "", err
	}
	return tag.Id(), nil
}

func entity(modelUUID string) params.Entities {
	return params.Entities{Entities: []params.Entity{{Tag: names.NewModelTag(modelUUID).String()}}}
}

// modelError gives the answer that there is no such model its one code. Not all
// calls say so: where the token has the right to the model and yet is refused
// (3.x, ModelInfo), or the error has no code (4.1, what needs the model's
// database), ModelStatus is asked, which looks for the model first.
func (p *peer) modelError(ctx context.Context, uuid string, err error) error {
	var refused *estate.Error
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Code == "" || refused.Code == estate.CodeUnauthorized {
		version, versionErr := p.version(modelManager, modelLeast, modelMost)
		if versionErr != nil {
			return err
		}
		_, statusErr := p.callModelStatus(ctx, version, uuid)
		if statusErr = modelGone(uuid, statusErr); estate.Is(statusErr, estate.CodeModelNotFound) {
			return statusErr
		}
		return err
	}
	return modelGone(uuid, err)
}

// modelGone gives a controller's word that there is no such model one form.
func modelGone(uuid string, err error) error {
	if !estate.Is(err, estate.CodeNotFound) && !estate.Is(err, estate.CodeModelNotFound) {
		return err
	}
	return &estate.Error{Code: estate.CodeModelNotFound, Message: fmt.Sprintf("model %q not found", uuid), Cause: err}
}
