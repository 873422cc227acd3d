package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// cloud7 is Cloud of 3.x and 4.x (apiserver/facades/client/cloud).
var cloud7 = methods{
	"Clouds":                       read(clouds),
	"Cloud":                        read(cloudsByTag),
	"CloudInfo":                    read(cloudInfo),
	"ListCloudInfo":                read(listCloudInfo),
	"AddCloud":                     write(addCloud),
	"UpdateCloud":                  write(updateCloud),
	"RemoveClouds":                 write(removeClouds),
	"ModifyCloudAccess":            write(modifyCloudAccess),
	"UserCredentials":              read(userCredentials),
	"Credential":                   read(credential),
	"CredentialContents":           read(credentialContents),
	"AddCredentials":               write(addCredentials),
	"CheckCredentialsModels":       read(checkCredentialsModels),
	"UpdateCredentialsCheckModels": write(updateCredentialsCheckModels),
	"RevokeCredentialsCheckModels": write(revokeCredentialsCheckModels),
}

// cloud8 tells the schema of model config too.
var cloud8 = cloud7.with(methods{"ModelConfigSchema": read(modelConfigSchema)})

// cloudAccess is what the controller's own database, not the token, says of
// the caller and a cloud.
func (cn *conn) cloudAccess(name string) permission.Access {
	id := cn.caller.tag.Id()
	if id == adminName && !cn.caller.byToken {
		return permission.AdminAccess
	}
	if u := cn.ctl.state.Users[id]; u != nil {
		return permission.Access(u.Access[names.NewCloudTag(name).String()])
	}
	return permission.NoAccess
}

func (cn *conn) seesCloud(name string) error {
	admin, err := cn.isAdmin()
	if err != nil || admin || cn.cloudAccess(name) != permission.NoAccess {
		return err
	}
	if cn.ctl.config.Generation == Juju41 {
		return cn.noCloudAccess(name)
	}
	return notFound("cloud %q", name)
}

// noCloudAccess is what 4.x says when its own database has no access to a cloud
// for the caller, whatever a token says.
func (cn *conn) noCloudAccess(name string) error {
	return fmt.Errorf("access not found for %q on %q", cn.caller.tag.Id(), name)
}

func clouds(cn *conn, _ none) (params.CloudsResult, error) {
	result := params.CloudsResult{Clouds: make(map[string]params.Cloud)}
	for name, cloud := range cn.ctl.state.Clouds {
		if err := cn.seesCloud(name); err != nil {
			if cn.ctl.config.Generation == Juju41 {
				return params.CloudsResult{}, err
			}
			continue
		}
		result.Clouds[names.NewCloudTag(name).String()] = *cloud
	}
	return result, nil
}

func cloudsByTag(cn *conn, args params.Entities) (params.CloudResults, error) {
	results := params.CloudResults{Results: make([]params.CloudResult, len(args.Entities))}
	for i, arg := range args.Entities {
		cloud, err := cn.cloud(arg.Tag)
		results.Results[i] = params.CloudResult{Cloud: cloud, Error: asParams(err)}
	}
	return results, nil
}

func (cn *conn) cloud(cloudTag string) (*params.Cloud, error) {
	tag, err := names.ParseCloudTag(cloudTag)
	if err != nil {
		return nil, err
	}
	if err := cn.seesCloud(tag.Id()); err != nil {
		return nil, err
	}
	cloud := cn.ctl.state.Clouds[tag.Id()]
	if cloud == nil {
		return nil, notFound("cloud %q", tag.Id())
	}
	return cloud, nil
}

func cloudDetails(c *params.Cloud) params.CloudDetails {
	return params.CloudDetails{
		Type:             c.Type,
		AuthTypes:        c.AuthTypes,
		Endpoint:         c.Endpoint,
		IdentityEndpoint: c.IdentityEndpoint,
		StorageEndpoint:  c.StorageEndpoint,
		Regions:          c.Regions,
	}
}

func cloudInfo(cn *conn, args params.Entities) (params.CloudInfoResults, error) {
	results := params.CloudInfoResults{Results: make([]params.CloudInfoResult, len(args.Entities))}
	for i, arg := range args.Entities {
		info, err := cn.cloudInfo(arg.Tag)
		results.Results[i] = params.CloudInfoResult{Result: info, Error: asParams(err)}
	}
	return results, nil
}

func (cn *conn) cloudInfo(cloudTag string) (*params.CloudInfo, error) {
	tag, err := names.ParseCloudTag(cloudTag)
	if err != nil {
		return nil, err
	}
	admin, err := cn.isAdmin()
	if err != nil {
		return nil, err
	}
	access := cn.cloudAccess(tag.Id())
	if !admin && access == permission.NoAccess && cn.ctl.config.Generation == Juju41 {
		return nil, cn.noCloudAccess(tag.Id())
	}
	admin = admin || access == permission.AdminAccess
	cloud := cn.ctl.state.Clouds[tag.Id()]
	if cloud == nil {
		return nil, notFound("cloud %q", tag.Id())
	}
	info := &params.CloudInfo{CloudDetails: cloudDetails(cloud)}
	for _, id := range sortedKeys(cn.ctl.state.Users) {
		u := cn.ctl.state.Users[id]
		access := u.Access[tag.String()]
		if id == adminName {
			access = string(permission.AdminAccess)
		}
		if access == "" || !admin && id != cn.caller.tag.Id() {
			continue
		}
		info.Users = append(info.Users, params.CloudUserInfo{UserName: id, DisplayName: u.DisplayName, Access: access})
	}
	if len(info.Users) == 0 {
		return nil, errPerm
	}
	return info, nil
}

func listCloudInfo(cn *conn, req params.ListCloudsRequest) (params.ListCloudInfoResults, error) {
	var results params.ListCloudInfoResults
	if _, err := names.ParseUserTag(req.UserTag); err != nil {
		return results, err
	}
	admin, err := cn.isAdmin()
	if err != nil {
		return results, err
	}
	for _, name := range sortedKeys(cn.ctl.state.Clouds) {
		access := cn.cloudAccess(name)
		if req.All && admin {
			access = permission.AdminAccess
		}
		if access == permission.NoAccess {
			continue
		}
		results.Results = append(results.Results, params.ListCloudInfoResult{
			Result: &params.ListCloudInfo{CloudDetails: cloudDetails(cn.ctl.state.Clouds[name]), Access: string(access)},
		})
	}
	return results, nil
}

func addCloud(cn *conn, args params.AddCloudArgs) (none, error) {
	if err := cn.superuser(); err != nil {
		return none{}, err
	}
	if !names.IsValidCloud(args.Name) {
		return none{}, coded(params.CodeNotValid, "cloud name %q not valid", args.Name)
	}
	s := cn.ctl.state
	own := s.Clouds[cn.ctl.config.Cloud.Name]
	forced := args.Force != nil && *args.Force
	if args.Cloud.Type != "kubernetes" && own != nil && own.Type != args.Cloud.Type && !forced {
		return none{}, coded(params.CodeIncompatibleClouds, "controller cloud type %q is not whitelisted, current whitelist: \n - controller cloud type %q supports [%s]",
			own.Type, own.Type, own.Type)
	}
	cloud := args.Cloud
	if len(cloud.AuthTypes) == 0 {
		if cloud.Type == "kubernetes" {
			return none{}, coded(params.CodeNotValid, "creating cloud %q: empty auth-types not valid", args.Name)
		}
		cloud.AuthTypes = []string{"empty"}
	}
	if len(cloud.Regions) == 0 {
		cloud.Regions = []params.CloudRegion{{Name: "default"}}
	}
	if s.Clouds[args.Name] != nil {
		return none{}, coded(params.CodeAlreadyExists, "cloud %q already exists", args.Name)
	}
	s.Clouds[args.Name] = &cloud
	cn.ctl.grant(cn.caller.tag.Id(), names.NewCloudTag(args.Name), permission.AdminAccess)
	return none{}, nil
}

func updateCloud(cn *conn, args params.UpdateCloudArgs) (params.ErrorResults, error) {
	if err := cn.superuser(); err != nil {
		return params.ErrorResults{}, withoutInfo(err)
	}
	return each(args.Clouds, func(arg params.AddCloudArgs) error {
		old := cn.ctl.state.Clouds[arg.Name]
		if old == nil {
			return notFound("cloud %q", arg.Name)
		}
		if old.Type != arg.Cloud.Type {
			return fmt.Errorf("cannot change cloud %q type from %q to %q", arg.Name, old.Type, arg.Cloud.Type)
		}
		cloud := arg.Cloud
		if len(cloud.Regions) == 0 {
			cloud.Regions = []params.CloudRegion{{Name: "default"}}
		}
		cn.ctl.state.Clouds[arg.Name] = &cloud
		return nil
	}), nil
}

func removeClouds(cn *conn, args params.Entities) (params.ErrorResults, error) {
	admin, err := cn.isAdmin()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Entities, func(arg params.Entity) error {
		tag, err := names.ParseCloudTag(arg.Tag)
		if err != nil {
			return err
		}
		access := cn.cloudAccess(tag.Id())
		if !admin && access == permission.NoAccess && cn.ctl.config.Generation == Juju41 {
			return cn.noCloudAccess(tag.Id())
		}
		if !admin && access != permission.AdminAccess {
			return errPerm
		}
		s := cn.ctl.state
		if s.Clouds[tag.Id()] == nil {
			return notFound("cloud %q", tag.Id())
		}
		for _, m := range s.Models {
			if m.Cloud == tag.Id() {
				return fmt.Errorf("cannot delete cloud %q as it is still referenced by models", tag.Id())
			}
		}
		delete(s.Clouds, tag.Id())
		for _, u := range s.Users {
			delete(u.Access, tag.String())
		}
		maps.DeleteFunc(s.Credentials, func(id string, _ *params.CloudCredential) bool {
			return strings.HasPrefix(id, tag.Id()+"/")
		})
		return nil
	}), nil
}

func modifyCloudAccess(cn *conn, args params.ModifyCloudAccessRequest) (params.ErrorResults, error) {
	admin, err := cn.isAdmin()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Changes, func(arg params.ModifyCloudAccess) error {
		tag, err := names.ParseCloudTag(arg.CloudTag)
		if err != nil {
			return err
		}
		if !admin {
			if err := cn.hasOrPerm(permission.AdminAccess, tag); err != nil {
				return err
			}
		}
		if cn.caller.tag.String() == arg.UserTag {
			return fmt.Errorf("cannot change your own cloud access")
		}
		user, err := names.ParseUserTag(arg.UserTag)
		if err != nil {
			return err
		}
		if cn.ctl.state.Clouds[tag.Id()] == nil {
			return notFound("cloud %q", tag.Id())
		}
		return cn.ctl.modify(user.Id(), tag, string(arg.Action), permission.Access(arg.Access))
	}), nil
}

// credentialTag parses the tag of a credential that the caller may touch.
func (cn *conn) credentialTag(text string) (names.CloudCredentialTag, error) {
	tag, err := names.ParseCloudCredentialTag(text)
	if err != nil {
		return tag, err
	}
	return tag, cn.errNotYours(tag.Owner())
}

func userCredentials(cn *conn, args params.UserClouds) (params.StringsResults, error) {
	results := params.StringsResults{Results: make([]params.StringsResult, len(args.UserClouds))}
	for i, arg := range args.UserClouds {
		tags, err := cn.userCredentials(arg)
		results.Results[i] = params.StringsResult{Result: tags, Error: asParams(err)}
	}
	return results, nil
}

func (cn *conn) userCredentials(arg params.UserCloud) ([]string, error) {
	user, err := names.ParseUserTag(arg.UserTag)
	if err != nil {
		return nil, err
	}
	if err := cn.errNotYours(user); err != nil {
		return nil, err
	}
	cloud, err := names.ParseCloudTag(arg.CloudTag)
	if err != nil {
		return nil, err
	}
	tags := []string{}
	for _, id := range sortedKeys(cn.ctl.state.Credentials) {
		tag := names.NewCloudCredentialTag(id)
		if tag.Cloud() == cloud && tag.Owner() == user {
			tags = append(tags, tag.String())
		}
	}
	return tags, nil
}

// secretAttributes tells which attributes of a credential are not shown.
func secretAttributes(c *params.CloudCredential) []string {
	var hidden []string
	for name := range c.Attributes {
		if slices.ContainsFunc([]string{"password", "secret", "key", "token"}, func(word string) bool {
			return strings.Contains(name, word)
		}) {
			hidden = append(hidden, name)
		}
	}
	slices.Sort(hidden)
	return hidden
}

func credential(cn *conn, args params.Entities) (params.CloudCredentialResults, error) {
	results := params.CloudCredentialResults{Results: make([]params.CloudCredentialResult, len(args.Entities))}
	for i, arg := range args.Entities {
		tag, err := cn.credentialTag(arg.Tag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		c := cn.ctl.state.Credentials[tag.Id()]
		if c == nil {
			results.Results[i].Error = notFound("credential %q", tag.Name())
			continue
		}
		hidden := secretAttributes(c)
		shown := maps.Clone(c.Attributes)
		for _, name := range hidden {
			delete(shown, name)
		}
		results.Results[i].Result = &params.CloudCredential{AuthType: c.AuthType, Attributes: shown, Redacted: hidden}
	}
	return results, nil
}

func credentialContents(cn *conn, args params.CloudCredentialArgs) (params.CredentialContentResults, error) {
	owner := cn.caller.tag
	s := cn.ctl.state
	var results params.CredentialContentResults
	var all []params.CloudCredentialArg
	for _, id := range sortedKeys(s.Credentials) {
		if tag := names.NewCloudCredentialTag(id); tag.Owner() == owner {
			all = append(all, params.CloudCredentialArg{CloudName: tag.Cloud().Id(), CredentialName: tag.Name()})
		}
	}
	if len(all) == 0 && cn.ctl.config.Generation == Juju41 {
		return results, notFound("cloud credentials for %q", owner.Id())
	}
	asked := args.Credentials
	if len(asked) == 0 {
		asked = all
	}
	for _, arg := range asked {
		id := arg.CloudName + "/" + owner.Id() + "/" + arg.CredentialName
		if !names.IsValidCloudCredential(id) {
			results.Results = append(results.Results, params.CredentialContentResult{
				Error: coded(params.CodeNotValid, "cloud credential ID %q not valid", id),
			})
			continue
		}
		c := s.Credentials[id]
		if c == nil {
			results.Results = append(results.Results, params.CredentialContentResult{Error: notFound("cloud credential %q", id)})
			continue
		}
		attributes := maps.Clone(c.Attributes)
		if !args.IncludeSecrets {
			for _, name := range secretAttributes(c) {
				delete(attributes, name)
			}
		}
		valid := true
		info := &params.ControllerCredentialInfo{
			Content: params.CredentialContent{
				Name: arg.CredentialName, Cloud: arg.CloudName, AuthType: c.AuthType, Valid: &valid, Attributes: attributes,
			},
			Models: []params.ModelAccess{},
		}
		for _, m := range s.sorted() {
			if m.Credential == id {
				info.Models = append(info.Models, params.ModelAccess{Model: m.Owner + "/" + m.Name, Access: string(s.userAccess(owner.Id(), m))})
			}
		}
		results.Results = append(results.Results, params.CredentialContentResult{Result: info})
	}
	return results, nil
}

// putCredential keeps a credential.
func (c *Controller) putCredential(tag names.CloudCredentialTag, value params.CloudCredential) error {
	cloud := c.state.Clouds[tag.Cloud().Id()]
	if cloud == nil {
		return notFound("cloud %q for credential", tag.Cloud().Id())
	}
	if len(cloud.AuthTypes) > 0 && !slices.Contains(cloud.AuthTypes, value.AuthType) {
		return coded(params.CodeNotValid, "supported auth-types %q, %q not supported", cloud.AuthTypes, value.AuthType)
	}
	if _, err := c.userOf(tag.Owner().Id()); err != nil {
		return err
	}
	c.state.Credentials[tag.Id()] = &params.CloudCredential{AuthType: value.AuthType, Attributes: maps.Clone(value.Attributes)}
	return nil
}

func addCredentials(cn *conn, args params.TaggedCredentials) (params.ErrorResults, error) {
	return each(args.Credentials, func(arg params.TaggedCredential) error {
		tag, err := cn.credentialTag(arg.Tag)
		if err != nil {
			return err
		}
		return cn.ctl.putCredential(tag, arg.Credential)
	}), nil
}

// modelsOf are the models that use a credential.
func (c *Controller) modelsOf(tag names.CloudCredentialTag) []params.UpdateCredentialModelResult {
	var results []params.UpdateCredentialModelResult
	for _, m := range c.state.sorted() {
		if m.Credential == tag.Id() {
			results = append(results, params.UpdateCredentialModelResult{ModelUUID: m.UUID, ModelName: m.Name})
		}
	}
	return results
}

func checkCredentialsModels(cn *conn, args params.TaggedCredentials) (params.UpdateCredentialResults, error) {
	results := params.UpdateCredentialResults{Results: make([]params.UpdateCredentialResult, len(args.Credentials))}
	for i, arg := range args.Credentials {
		results.Results[i].CredentialTag = arg.Tag
		tag, err := cn.credentialTag(arg.Tag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		results.Results[i].Models = cn.ctl.modelsOf(tag)
	}
	return results, nil
}

func updateCredentialsCheckModels(cn *conn, args params.UpdateCredentialArgs) (params.UpdateCredentialResults, error) {
	if args.Force {
		err := cn.superuser()
		if errors.Is(err, errLacking) {
			err = fmt.Errorf("unexpected force specified: invalid request")
		}
		if err != nil {
			return params.UpdateCredentialResults{}, err
		}
	}
	results := params.UpdateCredentialResults{Results: make([]params.UpdateCredentialResult, len(args.Credentials))}
	for i, arg := range args.Credentials {
		results.Results[i].CredentialTag = arg.Tag
		tag, err := cn.credentialTag(arg.Tag)
		if err == nil {
			err = cn.ctl.putCredential(tag, arg.Credential)
		}
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		results.Results[i].Models = cn.ctl.modelsOf(tag)
	}
	return results, nil
}

func revokeCredentialsCheckModels(cn *conn, args params.RevokeCredentialArgs) (params.ErrorResults, error) {
	return each(args.Credentials, func(arg params.RevokeCredentialArg) error {
		tag, err := cn.credentialTag(arg.Tag)
		if err != nil {
			return err
		}
		s := cn.ctl.state
		if s.Credentials[tag.Id()] == nil {
			return notFound("credential %s", tag)
		}
		used := cn.ctl.modelsOf(tag)
		if len(used) > 0 && !arg.Force {
			plural := "s"
			if len(used) == 1 {
				plural = ""
			}
			return fmt.Errorf("cannot revoke credential %s: it is still used by %d model%s", tag, len(used), plural)
		}
		for _, u := range used {
			s.Models[u.ModelUUID].Credential = ""
		}
		delete(s.Credentials, tag.Id())
		return nil
	}), nil
}

func modelConfigSchema(_ *conn, arg params.ModelConfigSchemaArgs) (params.ModelConfigSchemaResult, error) {
	result := params.ModelConfigSchemaResult{Schema: make(map[string]params.ModelConfigSchemaField)}
	for name, value := range defaultModelConfig {
		kind := "string"
		switch value.(type) {
		case bool:
			kind = "bool"
		case int:
			kind = "int"
		}
		result.Schema[name] = params.ModelConfigSchemaField{Type: kind, Immutable: fixedModelConfig[name]}
	}
	return result, nil
}
