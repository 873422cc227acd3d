package sim

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/juju/rpc/rpcreflect"
)

// adminMethods are what a connection may call before it is logged in.
var adminMethods = methods{
	"Login":        call(login),
	"RedirectInfo": call(redirectInfo),
}

// findAdmin returns a method for a connection that is not logged in (adminRoot
// in apiserver/root.go).
func findAdmin(name string, version int, methodName string) (method, error) {
	if name != "Admin" {
		return nil, notImplemented(rpcreflect.CallNotImplementedError{RootMethod: name, Version: version})
	}
	if version != 3 {
		return nil, coded(params.CodeNotSupported, "this version of Juju does not support login from old clients")
	}
	m, ok := adminMethods[methodName]
	if !ok {
		return nil, notImplemented(rpcreflect.CallNotImplementedError{RootMethod: name, Method: methodName})
	}
	return m, nil
}

func redirectInfo(context.Context, *conn, string, json.RawMessage) (params.RedirectInfoResult, error) {
	return params.RedirectInfoResult{}, fmt.Errorf("not redirected")
}

// login follows the login of a real controller step by step (apiserver/admin.go).
func login(ctx context.Context, cn *conn, object string, req params.LoginRequest) (params.LoginResult, error) {
	var fail params.LoginResult
	if object != "" {
		return fail, coded(params.CodeNotFound, "id not found")
	}
	cn.loginMu.Lock()
	defer cn.loginMu.Unlock()
	cn.mu.Lock()
	again := cn.loggedIn
	cn.mu.Unlock()
	if again {
		return fail, fmt.Errorf("already logged in")
	}
	c := cn.ctl
	c.mu.RLock()
	known := cn.model == "" || c.state.Models[cn.model] != nil
	c.mu.RUnlock()
	if !known {
		// Whoever asks gets to know (errRoot in apiserver/apiserver.go).
		return fail, coded(params.CodeModelNotFound, "unknown model: %q", cn.model)
	}
	who, err := c.authenticate(ctx, req)
	if err != nil {
		return fail, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := c.checkPermissions(who, cn.model)
	if err != nil {
		return fail, err
	}
	if err := c.seen(who); err != nil {
		return fail, err
	}
	result := params.LoginResult{
		Servers:       c.hostPorts(cn.host),
		ControllerTag: c.state.tag().String(),
		UserInfo:      info,
		ServerVersion: c.config.Generation.Version().String(),
		Facades:       c.facades.announcedController,
	}
	if cn.model != "" {
		result.ModelTag = names.NewModelTag(cn.model).String()
		result.Facades = c.facades.announcedModel
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.caller, cn.loggedIn = who, true
	return result, nil
}

// authenticate tells who asks to be logged in.
func (c *Controller) authenticate(ctx context.Context, req params.LoginRequest) (caller, error) {
	if req.Token != "" && c.config.JWKSURL != "" {
		who, err := c.callerOfToken(ctx, req.Token)
		if err != nil {
			return caller{}, annotate(err, "parsing login access token")
		}
		return who, nil
	}
	tag, err := names.ParseUserTag(req.AuthTag)
	if err != nil {
		if req.AuthTag == "" {
			return caller{}, coded(params.CodeUnauthorized, "failed to authenticate request: unauthorized")
		}
		return caller{}, err
	}
	return c.callerByPassword(tag, req.Credentials)
}

func (c *Controller) callerOfToken(ctx context.Context, token string) (caller, error) {
	parsed, err := c.keys.parse(ctx, token)
	if err != nil {
		return caller{}, err
	}
	tag, err := names.ParseUserTag(parsed.Subject())
	if err != nil {
		return caller{}, fmt.Errorf("invalid user tag in authToken: %w", err)
	}
	access, _ := parsed.PrivateClaims()["access"].(map[string]any)
	return caller{tag: tag, byToken: true, access: access}, nil
}

func (c *Controller) callerByPassword(tag names.UserTag, password string) (caller, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	u := c.state.Users[tag.Id()]
	if u == nil || !tag.IsLocal() || u.Disabled {
		return caller{}, errUnauthorized
	}
	want := u.Password
	if u.Name == adminName && want == "" {
		want = c.config.AdminPassword
	}
	if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(password)) != 1 {
		return caller{}, errUnauthorized
	}
	return caller{tag: names.NewUserTag(u.Name)}, nil
}

// checkPermissions tells whether the caller may log in, to the model unless it
// is empty.
func (c *Controller) checkPermissions(who caller, model string) (*params.AuthUserInfo, error) {
	controllerAccess, err := c.level(who, c.state.tag())
	if err != nil {
		return nil, annotate(err, fmt.Sprintf("obtaining ControllerUser for logged in user %s", who.tag.Id()))
	}
	modelAccess := permission.NoAccess
	if model != "" {
		modelAccess, err = c.level(who, names.NewModelTag(model))
		if err != nil {
			if controllerAccess != permission.SuperuserAccess {
				return nil, errPerm
			}
			modelAccess = permission.AdminAccess
		}
	}
	allowed, _ := c.state.Config["allow-model-access"].(bool)
	if controllerAccess == permission.NoAccess && (model == "" || !allowed) {
		return nil, errPerm
	}
	return &params.AuthUserInfo{
		Identity:         who.tag.String(),
		ControllerAccess: string(controllerAccess),
		ModelAccess:      string(modelAccess),
	}, nil
}

// seen records a login. An external user becomes part of the controller's own
// database then; 4.x refuses tokens of local users at that point.
func (c *Controller) seen(who caller) error {
	now := c.clock.Now()
	id := who.tag.Id()
	u := c.state.Users[id]
	if who.byToken && c.config.Generation == Juju41 && who.tag.IsLocal() {
		return coded(params.CodeNotValid, "ensuring external user %q: cannot ensure local user %q as external", id, id)
	}
	if u == nil {
		if who.tag.IsLocal() {
			return nil // 3.x keeps no record of whom a token names
		}
		u = &user{Name: id, CreatedBy: "everyone@external", Created: now}
		c.state.Users[id] = u
		c.markDirty()
	}
	u.LastConnection = &now
	return nil
}
