package facade

import (
	"context"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

var cloudMethods = methods{
	"AddCloud":                     call(addCloud),
	"RemoveClouds":                 call(removeClouds),
	"ModelConfigSchema":            call(modelConfigSchema),
	"InstanceTypes":                refuse(estate.CodeNotSupported, "ask a model for its instance types: the controllers of a cloud may differ"),
	"Clouds":                       ask(clouds),
	"Cloud":                        call(cloud),
	"CloudInfo":                    call(cloudInfo),
	"ListCloudInfo":                call(listCloudInfo),
	"ModifyCloudAccess":            call(modifyCloudAccess),
	"UserCredentials":              call(userCredentials),
	"AddCredentials":               call(addCredentials),
	"CheckCredentialsModels":       call(checkCredentials),
	"UpdateCredentialsCheckModels": call(updateCredentials),
	"RevokeCredentialsCheckModels": call(revokeCredentials),
	"Credential":                   call(credential),
	"CredentialContents":           call(credentialContents),
	"UpdateCloud":                  refuse(estate.CodeForbidden, "a cloud's definition is its controllers': change it there"),
}

func clouds(ctx context.Context, c *Connection) (params.CloudsResult, error) {
	list, err := c.server.Estate.Clouds(ctx, *c.User())
	if err != nil {
		return params.CloudsResult{}, err
	}
	result := params.CloudsResult{Clouds: map[string]params.Cloud{}}
	for _, cloud := range list {
		result.Clouds[names.NewCloudTag(cloud.Name).String()] = cloud.Details
	}
	return result, nil
}

func addCloud(ctx context.Context, c *Connection, args params.AddCloudArgs) (struct{}, error) {
	return struct{}{}, c.server.Estate.AddCloud(ctx, *c.User(), args)
}

func removeClouds(ctx context.Context, c *Connection, args params.Entities) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Entities, func(e params.Entity) params.ErrorResult {
		tag, err := names.ParseCloudTag(e.Tag)
		if err != nil {
			err = estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(e.Tag))
			return params.ErrorResult{Error: c.wireError(ctx, err)}
		}
		return params.ErrorResult{Error: c.wireError(ctx, c.server.Estate.RemoveCloud(ctx, *c.User(), tag.Id()))}
	})}, nil
}

func modelConfigSchema(ctx context.Context, c *Connection, args params.ModelConfigSchemaArgs) (params.ModelConfigSchemaResult, error) {
	return c.server.Estate.ModelConfigSchema(ctx, *c.User(), args.ProviderType)
}

func (c *Connection) cloud(ctx context.Context, text string) (estate.Cloud, error) {
	tag, err := names.ParseCloudTag(text)
	if err != nil {
		return estate.Cloud{}, estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(text))
	}
	return c.server.Estate.Cloud(ctx, *c.User(), tag.Id())
}

func cloud(ctx context.Context, c *Connection, args params.Entities) (params.CloudResults, error) {
	return params.CloudResults{Results: each(args.Entities, func(e params.Entity) params.CloudResult {
		found, err := c.cloud(ctx, e.Tag)
		if err != nil {
			return params.CloudResult{Error: c.wireError(ctx, err)}
		}
		return params.CloudResult{Cloud: &found.Details}
	})}, nil
}

func cloudInfo(ctx context.Context, c *Connection, args params.Entities) (params.CloudInfoResults, error) {
	return params.CloudInfoResults{Results: each(args.Entities, func(e params.Entity) params.CloudInfoResult {
		found, err := c.cloud(ctx, e.Tag)
		if err != nil {
			return params.CloudInfoResult{Error: c.wireError(ctx, err)}
		}
		users, err := c.server.Estate.CloudUsers(ctx, *c.User(), found.Name)
		if err != nil {
			return params.CloudInfoResult{Error: c.wireError(ctx, err)}
		}
		return params.CloudInfoResult{Result: &params.CloudInfo{CloudDetails: cloudDetails(found), Users: users}}
	})}, nil
}

func cloudDetails(c estate.Cloud) params.CloudDetails {
	return params.CloudDetails{
		Type: c.Details.Type, AuthTypes: c.Details.AuthTypes, Endpoint: c.Details.Endpoint,
		IdentityEndpoint: c.Details.IdentityEndpoint, StorageEndpoint: c.Details.StorageEndpoint, Regions: c.Details.Regions,
	}
}

func listCloudInfo(ctx context.Context, c *Connection, args params.ListCloudsRequest) (params.ListCloudInfoResults, error) {
	list, err := c.server.Estate.Clouds(ctx, *c.User())
	if err != nil {
		return params.ListCloudInfoResults{}, err
	}
	return params.ListCloudInfoResults{Results: each(list, func(cloud estate.Cloud) params.ListCloudInfoResult {
		access := estate.AccessAddModel
		users, err := c.server.Estate.CloudUsers(ctx, *c.User(), cloud.Name)
		if err != nil {
			return params.ListCloudInfoResult{Error: c.wireError(ctx, err)}
		}
		for _, user := range users {
			if user.UserName == c.User().Name {
				access = user.Access
			}
		}
		return params.ListCloudInfoResult{Result: &params.ListCloudInfo{CloudDetails: cloudDetails(cloud), Access: access}}
	})}, nil
}

func modifyCloudAccess(ctx context.Context, c *Connection, args params.ModifyCloudAccessRequest) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Changes, func(change params.ModifyCloudAccess) params.ErrorResult {
		tag, err := names.ParseCloudTag(change.CloudTag)
		if err != nil {
			err = estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(change.CloudTag))
			return params.ErrorResult{Error: c.wireError(ctx, err)}
		}
		access, err := accessChange(change.UserTag, string(change.Action), change.Access)
		if err == nil {
			err = c.server.Estate.ModifyCloudAccess(ctx, *c.User(), tag.Id(), access)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

// accessChange reads a grant or revoke.
func accessChange(userTag, action, access string) (estate.AccessChange, error) {
	tag, err := names.ParseUserTag(userTag)
	if err != nil {
		return estate.AccessChange{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(userTag))
	}
	switch action {
	case "grant", "revoke":
		return estate.AccessChange{User: tag.Id(), Grant: action == "grant", Access: access}, nil
	}
	return estate.AccessChange{}, estate.Errorf(estate.CodeBadRequest, "unknown action %q: grant or revoke", clip(action))
}

func userCredentials(ctx context.Context, c *Connection, args params.UserClouds) (params.StringsResults, error) {
	return params.StringsResults{Results: each(args.UserClouds, func(a params.UserCloud) params.StringsResult {
		list, err := c.userCredentials(ctx, a)
		return params.StringsResult{Result: list, Error: c.wireError(ctx, err)}
	})}, nil
}

func (c *Connection) userCredentials(ctx context.Context, a params.UserCloud) ([]string, error) {
	user, err := names.ParseUserTag(a.UserTag)
	if err != nil {
		return nil, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(a.UserTag))
	}
	cloud, err := names.ParseCloudTag(a.CloudTag)
	if err != nil {
		return nil, estate.Errorf(estate.CodeBadRequest, "%q is not a cloud tag", clip(a.CloudTag))
	}
	list, err := c.server.Estate.Credentials(ctx, *c.User(), user.Id(), cloud.Id())
	return each(list, func(found estate.Credential) string { return found.Tag().String() }), err
}

func credentialTag(text string) (names.CloudCredentialTag, error) {
	tag, err := names.ParseCloudCredentialTag(text)
	if err != nil {
		return tag, estate.Errorf(estate.CodeBadRequest, "%q is not a credential tag", clip(text))
	}
	return tag, nil
}

func addCredentials(ctx context.Context, c *Connection, args params.TaggedCredentials) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Credentials, func(a params.TaggedCredential) params.ErrorResult {
		tag, err := credentialTag(a.Tag)
		if err == nil {
			_, err = c.server.Estate.UpdateCredential(ctx, *c.User(), tag, a.Credential, false)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func updateCredentials(ctx context.Context, c *Connection, args params.UpdateCredentialArgs) (params.UpdateCredentialResults, error) {
	return params.UpdateCredentialResults{Results: each(args.Credentials, func(a params.TaggedCredential) params.UpdateCredentialResult {
		result := params.UpdateCredentialResult{CredentialTag: a.Tag}
		tag, err := credentialTag(a.Tag)
		if err == nil {
			result.Models, err = c.server.Estate.UpdateCredential(ctx, *c.User(), tag, a.Credential, args.Force)
		}
		result.Error = c.wireError(ctx, err)
		return result
	})}, nil
}

func checkCredentials(ctx context.Context, c *Connection, args params.TaggedCredentials) (params.UpdateCredentialResults, error) {
	return params.UpdateCredentialResults{Results: each(args.Credentials, func(a params.TaggedCredential) params.UpdateCredentialResult {
		result := params.UpdateCredentialResult{CredentialTag: a.Tag}
		tag, err := credentialTag(a.Tag)
		if err == nil {
			result.Models, err = c.server.Estate.CheckCredential(ctx, *c.User(), tag, a.Credential)
		}
		result.Error = c.wireError(ctx, err)
		return result
	})}, nil
}

func revokeCredentials(ctx context.Context, c *Connection, args params.RevokeCredentialArgs) (params.ErrorResults, error) {
	return params.ErrorResults{Results: each(args.Credentials, func(a params.RevokeCredentialArg) params.ErrorResult {
		tag, err := credentialTag(a.Tag)
		if err == nil {
			err = c.server.Estate.RevokeCredential(ctx, *c.User(), tag, a.Force)
		}
		return params.ErrorResult{Error: c.wireError(ctx, err)}
	})}, nil
}

func credential(ctx context.Context, c *Connection, args params.Entities) (params.CloudCredentialResults, error) {
	return params.CloudCredentialResults{Results: each(args.Entities, func(e params.Entity) params.CloudCredentialResult {
		tag, err := credentialTag(e.Tag)
		if err != nil {
			return params.CloudCredentialResult{Error: c.wireError(ctx, err)}
		}
		found, _, err := c.server.Estate.CredentialContents(ctx, *c.User(), tag, false)
		if err != nil {
			return params.CloudCredentialResult{Error: c.wireError(ctx, err)}
		}
		// Which attributes may be shown is the provider's to say; none are.
		return params.CloudCredentialResult{Result: &params.CloudCredential{AuthType: found.AuthType, Redacted: found.Attributes}}
	})}, nil
}

func credentialContents(ctx context.Context, c *Connection, args params.CloudCredentialArgs) (params.CredentialContentResults, error) {
	if len(args.Credentials) == 0 {
		return allCredentialContents(ctx, c, args.IncludeSecrets)
	}
	var tags []names.CloudCredentialTag
	for _, a := range args.Credentials {
		path := a.CloudName + "/" + c.User().Name + "/" + a.CredentialName
		if !names.IsValidCloudCredential(path) {
			return params.CredentialContentResults{}, estate.Errorf(estate.CodeBadRequest, "%q is not a credential", clip(path))
		}
		tags = append(tags, names.NewCloudCredentialTag(path))
	}
	return params.CredentialContentResults{Results: each(tags, func(tag names.CloudCredentialTag) params.CredentialContentResult {
		info, err := c.credentialContent(ctx, tag, args.IncludeSecrets)
		return params.CredentialContentResult{Result: info, Error: c.wireError(ctx, err)}
	})}, nil
}

func allCredentialContents(ctx context.Context, c *Connection, withSecrets bool) (params.CredentialContentResults, error) {
	all, err := c.server.Estate.Credentials(ctx, *c.User(), c.User().Name, "")
	if err != nil {
		return params.CredentialContentResults{}, err
	}
	results := []params.CredentialContentResult{}
	for _, found := range all {
		info, err := c.credentialContent(ctx, found.Tag(), withSecrets)
		if estate.Is(err, estate.CodeNotFound) {
			continue // removed since it was listed
		}
		results = append(results, params.CredentialContentResult{Result: info, Error: c.wireError(ctx, err)})
	}
	return params.CredentialContentResults{Results: results}, nil
}

func (c *Connection) credentialContent(ctx context.Context, tag names.CloudCredentialTag, withSecrets bool) (*params.ControllerCredentialInfo, error) {
	found, attributes, err := c.server.Estate.CredentialContents(ctx, *c.User(), tag, withSecrets)
	if err != nil {
		return nil, err
	}
	using, err := c.server.Estate.ModelsUsing(ctx, *c.User(), found)
	if err != nil {
		return nil, err
	}
	info := &params.ControllerCredentialInfo{Content: params.CredentialContent{
		Name: found.Name, Cloud: found.Cloud, AuthType: found.AuthType, Attributes: attributes, Valid: &found.Valid,
	}}
	for name, access := range using {
		info.Models = append(info.Models, params.ModelAccess{Model: name, Access: access})
	}
	return info, nil
}
