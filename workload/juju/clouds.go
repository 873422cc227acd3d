package juju

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// The versions of facade Cloud that we speak: what we use of it is the same in
// 7 (3.x) and 8 (4.x).
const cloudLeast, cloudMost = 7, 8

// Clouds implements estate.Peer.
func (p *peer) Clouds(ctx context.Context) (map[names.CloudTag]params.Cloud, error) {
	var result params.CloudsResult
	if err := p.Call(ctx, estate.Call{Facade: "Cloud", Method: "Clouds", Least: cloudLeast, Most: cloudMost}, nil, &result); err != nil {
		return nil, err
	}
	clouds := make(map[names.CloudTag]params.Cloud, len(result.Clouds))
	for text, cloud := range result.Clouds {
		tag, err := names.ParseCloudTag(text)
		if err != nil {
			return nil, badReply(p.controller, "Cloud.Clouds", err)
		}
		clouds[tag] = cloud
	}
	return clouds, nil
}

// UpdateCredential implements estate.Peer. Where models could not use the
// credential the result says so for each of them, beside the error.
func (p *peer) UpdateCredential(ctx context.Context, tag names.CloudCredentialTag, c params.CloudCredential, force bool) (params.UpdateCredentialResult, error) {
	call := estate.Call{Facade: "Cloud", Method: "UpdateCredentialsCheckModels", Least: cloudLeast, Most: cloudMost}
	if force {
		if err := p.need(forcedUpdate, ""); err != nil {
			return params.UpdateCredentialResult{}, err
		}
	}
	args := params.UpdateCredentialArgs{
		Credentials: []params.TaggedCredential{{Tag: tag.String(), Credential: c}},
		Force:       force,
	}
	var results params.UpdateCredentialResults
	if err := p.Call(ctx, call, args, &results); err != nil {
		return params.UpdateCredentialResult{}, err
	}
	result, err := one(p, "Cloud.UpdateCredentialsCheckModels", results.Results)
	if err != nil {
		return params.UpdateCredentialResult{}, err
	}
	return result, paramsError(result.Error)
}

// RevokeCredential implements estate.Peer. CodeNotFound if the controller does
// not have it.
func (p *peer) RevokeCredential(ctx context.Context, tag names.CloudCredentialTag, force bool) error {
	args := params.RevokeCredentialArgs{Credentials: []params.RevokeCredentialArg{{Tag: tag.String(), Force: force}}}
	return p.change(ctx, estate.Call{Facade: "Cloud", Method: "RevokeCredentialsCheckModels", Least: cloudLeast, Most: cloudMost}, args)
}

// change makes a call that has one result, an error or none.
func (p *peer) change(ctx context.Context, c estate.Call, args any) error {
	var results params.ErrorResults
	if err := p.Call(ctx, c, args, &results); err != nil {
		return err
	}
	result, err := one(p, c.Facade+"."+c.Method, results.Results)
	if err != nil {
		return err
	}
	return paramsError(result.Error)
}
