package estate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// Path returns cloud/owner/name, how models refer to a credential.
func (c Credential) Path() string { return c.Cloud + "/" + c.Owner + "/" + c.Name }

// Tag returns the credential's Juju tag.
func (c Credential) Tag() names.CloudCredentialTag { return names.NewCloudCredentialTag(c.Path()) }

// secretPath is where the attributes are kept.
func (c Credential) secretPath() string { return "creds/" + c.Path() }

// credentialTag parses cloud/owner/name.
func credentialTag(path string) (names.CloudCredentialTag, error) {
	if !names.IsValidCloudCredential(path) {
		return names.CloudCredentialTag{}, errors.New("not a credential")
	}
	return names.NewCloudCredentialTag(path), nil
}

// credentialForModel returns the named credential, or the first valid one of
// the owner's for a cloud, or nil if there is none and the cloud can do without.
func (e *Estate) credentialForModel(ctx context.Context, u, owner User, cloud Cloud, path string) (*Credential, error) {
	if path != "" {
		tag, err := credentialTag(path)
		if err != nil {
			return nil, Errorf(CodeBadRequest, "%q is not a credential: cloud/owner/name", clip(path))
		}
		if tag.Cloud().Id() != cloud.Name {
			return nil, Errorf(CodeBadRequest, "credential %q is of cloud %q, the model is to be on %q", clip(path), tag.Cloud().Id(), cloud.Name)
		}
		if tag.Owner().Id() != owner.Name {
			return nil, Errorf(CodeUnauthorized, "permission denied: credential %q is not %s's", clip(path), owner.Name)
		}
		c, err := e.Store.Credential(ctx, cloud.Name, owner.Name, tag.Name())
		if err != nil {
			return nil, err
		}
		return &c, nil
	}
	list, err := e.Store.Credentials(ctx, owner.Name, cloud.Name)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.Valid {
			return &c, nil
		}
	}
	if slices.Contains(cloud.Details.AuthTypes, "empty") {
		return nil, nil
	}
	return nil, Errorf(CodeNotFound, "%s has no credential for cloud %q: add one with juju add-credential %s", owner.Name, cloud.Name, cloud.Name)
}

// pushCredential uploads a credential to a controller as its owner. Unless
// forced, the controller refuses one that its models cannot use.
func (e *Estate) pushCredential(ctx context.Context, peer Peer, c Credential, force bool) error {
	attributes, err := e.Secrets.Get(ctx, c.secretPath())
	if err != nil && !Is(err, CodeNotFound) {
		return err
	}
	result, err := peer.UpdateCredential(ctx, c.Tag(), params.CloudCredential{AuthType: c.AuthType, Attributes: attributes}, force)
	if err != nil {
		return err
	}
	if result.Error != nil {
		return Errorf(result.Error.Code, "cannot upload credential %q: %s", c.Path(), result.Error.Message)
	}
	return nil
}

// ownCredential checks that u may act on a credential: as its owner or as an
// administrator of JIMM. Local users have none here.
func (e *Estate) ownCredential(ctx context.Context, u User, tag names.CloudCredentialTag) error {
	if err := ValidateUser(tag.Owner().Id()); err != nil {
		return err
	}
	if tag.Owner().Id() == u.Name {
		return nil
	}
	return e.requireAdmin(ctx, u)
}

// UpdateCredential stores a credential and uploads it to the controllers that
// have models with it. Needs to be its owner, or administrator of JIMM. Unless
// forced, nothing is stored when a controller says that a model could not use
// it; force is for administrators of JIMM.
func (e *Estate) UpdateCredential(ctx context.Context, u User, tag names.CloudCredentialTag, given params.CloudCredential, force bool) ([]params.UpdateCredentialModelResult, error) {
	return e.updateCredential(ctx, u, tag, given, force, false)
}

// CheckCredential asks the controllers that have models with a credential
// whether these could use it as given. Nothing is stored.
func (e *Estate) CheckCredential(ctx context.Context, u User, tag names.CloudCredentialTag, given params.CloudCredential) ([]params.UpdateCredentialModelResult, error) {
	return e.updateCredential(ctx, u, tag, given, false, true)
}

func (e *Estate) updateCredential(ctx context.Context, u User, tag names.CloudCredentialTag, given params.CloudCredential, force, checkOnly bool) ([]params.UpdateCredentialModelResult, error) {
	if err := e.ownCredential(ctx, u, tag); err != nil {
		return nil, err
	}
	if force {
		if err := e.requireAdmin(ctx, u); err != nil {
			return nil, Errorf(CodeUnauthorized, "permission denied: only an administrator of JIMM may force a credential on models that cannot use it")
		}
	}
	cloud, err := e.Store.Cloud(ctx, tag.Cloud().Id())
	if err != nil {
		return nil, err
	}
	if len(cloud.Details.AuthTypes) > 0 && !slices.Contains(cloud.Details.AuthTypes, given.AuthType) {
		return nil, Errorf(CodeNotValid, "cloud %q does not take auth-type %q, but %s", cloud.Name, clip(given.AuthType), strings.Join(cloud.Details.AuthTypes, ", "))
	}
	c := Credential{
		Cloud: cloud.Name, Owner: tag.Owner().Id(), Name: tag.Name(), AuthType: given.AuthType,
		Attributes: slices.Sorted(maps.Keys(given.Attributes)), Valid: true, UpdatedAt: e.Now(),
	}
	using, err := e.controllersUsing(ctx, c)
	if err != nil {
		return nil, err
	}
	var models []params.UpdateCredentialModelResult
	if !force {
		for _, controller := range using {
			found, err := e.checkOn(ctx, controller, c, given)
			if err != nil {
				return models, reword(err, "controller %q", controller.Name)
			}
			models = append(models, found...)
		}
		for _, m := range models {
			if len(m.Errors) > 0 {
				return models, Errorf(CodeNotValid, "some models are no longer visible with credential %q", c.Name)
			}
		}
	}
	if checkOnly {
		return models, nil
	}
	if err := e.Store.EnsureIdentity(ctx, c.Owner); err != nil {
		return nil, err
	}
	// The secret first: a row without its secret would be a credential that
	// fails; a secret without its row is overwritten by the next attempt.
	if err := e.Secrets.Put(ctx, c.secretPath(), given.Attributes); err != nil {
		return nil, err
	}
	e.step("credential secret stored")
	if err := e.Store.SaveCredential(ctx, c); err != nil {
		return nil, err
	}
	e.step("credential saved")
	var failed error
	for _, controller := range using {
		if err := e.pushTo(ctx, controller, c, force); err != nil {
			failed = errors.Join(failed, reword(err, "controller %q", controller.Name))
		}
	}
	if failed != nil {
		return models, Errorf(CodeConnectionFailed, "credential %q is stored, but not every controller that uses it has it yet: %v", c.Name, failed)
	}
	return models, nil
}

// checkOn asks one controller whether its models could use a credential.
func (e *Estate) checkOn(ctx context.Context, controller Controller, c Credential, given params.CloudCredential) ([]params.UpdateCredentialModelResult, error) {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, controller, User{Name: c.Owner}, Claims{controller.tag(): AccessLogin})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	args := params.TaggedCredentials{Credentials: []params.TaggedCredential{{Tag: c.Tag().String(), Credential: given}}}
	var results params.UpdateCredentialResults
	if err := peer.Call(ctx, Call{Facade: "Cloud", Method: "CheckCredentialsModels", Most: 8}, args, &results); err != nil {
		return nil, err
	}
	var models []params.UpdateCredentialModelResult
	for _, r := range results.Results {
		if r.Error != nil && len(r.Models) == 0 {
			return nil, Errorf(r.Error.Code, "%s", r.Error.Message)
		}
		models = append(models, r.Models...)
	}
	return models, nil
}

func (e *Estate) pushTo(ctx context.Context, controller Controller, c Credential, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	claims := Claims{controller.tag(): AccessLogin}
	if force {
		claims[controller.tag()] = AccessSuperuser
	}
	peer, err := e.Peers.Connect(ctx, controller, User{Name: c.Owner}, claims)
	if err != nil {
		return err
	}
	defer peer.Close()
	return e.pushCredential(ctx, peer, c, force)
}

// controllersUsing returns the controllers that have models with a credential.
func (e *Estate) controllersUsing(ctx context.Context, c Credential) ([]Controller, error) {
	models, err := e.Store.ModelsUsing(ctx, c.Path())
	if err != nil {
		return nil, err
	}
	var using []Controller
	seen := map[string]bool{}
	for _, m := range models {
		if seen[m.ControllerUUID] {
			continue
		}
		seen[m.ControllerUUID] = true
		controller, err := e.Store.Controller(ctx, m.ControllerUUID)
		if err != nil {
			return nil, err
		}
		using = append(using, controller)
	}
	return using, nil
}

// RevokeCredential removes a credential everywhere. Needs to be its owner.
// CodeStillAlive if models use it, unless forced.
func (e *Estate) RevokeCredential(ctx context.Context, u User, tag names.CloudCredentialTag, force bool) error {
	if tag.Owner().Id() != u.Name {
		return errPermission
	}
	c, err := e.Store.Credential(ctx, tag.Cloud().Id(), u.Name, tag.Name())
	if err != nil {
		return err
	}
	models, err := e.Store.ModelsUsing(ctx, c.Path())
	if err != nil {
		return err
	}
	if len(models) > 0 && !force {
		return Errorf(CodeStillAlive, "cannot revoke credential %q: %d models use it", c.Name, len(models))
	}
	serving, err := e.controllersServing(ctx, c.Cloud)
	if err != nil {
		return err
	}
	for _, uuid := range serving {
		if err := e.revokeOn(ctx, uuid, c, force); err != nil {
			return err
		}
	}
	if err := e.Secrets.Delete(ctx, c.secretPath()); err != nil {
		return err
	}
	return e.Store.DeleteCredential(ctx, c.Cloud, c.Owner, c.Name)
}

func (e *Estate) revokeOn(ctx context.Context, controllerUUID string, c Credential, force bool) error {
	controller, err := e.Store.Controller(ctx, controllerUUID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(ctx, controller, User{Name: c.Owner}, Claims{controller.tag(): AccessLogin})
	if err != nil {
		return reword(err, "controller %q", controller.Name)
	}
	defer peer.Close()
	if err := peer.RevokeCredential(ctx, c.Tag(), force); err != nil && !Is(err, CodeNotFound) {
		return reword(err, "controller %q", controller.Name)
	}
	return nil
}

// Credentials returns a user's credentials for one cloud, or ("") for all.
// Needs to be that user, or administrator of JIMM.
func (e *Estate) Credentials(ctx context.Context, u User, owner, cloud string) ([]Credential, error) {
	if owner != u.Name {
		if err := e.requireAdmin(ctx, u); err != nil {
			return nil, err
		}
	}
	return e.Store.Credentials(ctx, owner, cloud)
}

// CredentialContents returns a credential with the attributes' values; only
// its owner may see these.
func (e *Estate) CredentialContents(ctx context.Context, u User, tag names.CloudCredentialTag, withSecrets bool) (Credential, map[string]string, error) {
	if err := e.ownCredential(ctx, u, tag); err != nil {
		return Credential{}, nil, err
	}
	c, err := e.Store.Credential(ctx, tag.Cloud().Id(), tag.Owner().Id(), tag.Name())
	if err != nil || !withSecrets {
		return c, nil, err
	}
	if c.Owner != u.Name {
		return Credential{}, nil, errPermission
	}
	attributes, err := e.Secrets.Get(ctx, c.secretPath())
	if Is(err, CodeNotFound) {
		err = nil
	}
	return c, attributes, err
}

// ModelsUsing returns the models that use a credential, with what u may do there.
func (e *Estate) ModelsUsing(ctx context.Context, u User, c Credential) (map[string]string, error) {
	models, err := e.Store.ModelsUsing(ctx, c.Path())
	if err != nil {
		return nil, err
	}
	using := map[string]string{}
	for _, m := range models {
		r, err := e.Route(ctx, u, m.UUID)
		if Is(err, CodeModelNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		using[m.Name] = r.Claims[m.tag()]
	}
	return using, nil
}
