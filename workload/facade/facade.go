// Package facade is what Juju clients call on a controller connection, /api:
// one file a facade. A method decodes Juju's own parameters, calls the estate,
// and encodes the result; what a caller may do is decided there, not here.
package facade

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/logging"
	"jimm/workload/rpc"
)

// Server answers controller connections.
type Server struct {
	Estate *estate.Estate
	Logins Logins
	Log    *slog.Logger
	// DNSName is the host name clients know us by.
	DNSName string
	// Record, where set, is told of every request, which is refused with its error;
	// ended is told of the reply, and its error takes the place of that.
	Record func(ctx context.Context, c *Connection, r *rpc.Request) (ended func(error) error, err error)
}

// Connection is one client on /api.
type Connection struct {
	server *Server
	// ID tells it from all others in logs and audit.
	ID string
	// Servers are the addresses at which the client reached us.
	Servers [][]params.HostPort
	// End, where set, ends the connection from our side.
	End func()

	admin *Admin
	user  atomic.Pointer[estate.User]
	// unmasked is set when the client wants the UUIDs of controllers in place
	// of JIMM's own.
	unmasked atomic.Bool
	// loginMu is held while a login is completed; leave is set by it.
	loginMu  sync.Mutex
	leave    func()
	watchers watchers
}

// User returns who has logged in, nil before that.
func (c *Connection) User() *estate.User { return c.user.Load() }

// Connect makes the handler of one new connection, which was made with this
// cookie of a session by browser, or none.
func (s *Server) Connect(id string, servers [][]params.HostPort, cookie string) *Connection {
	return &Connection{server: s, ID: id, Servers: servers, admin: NewAdmin(s.Logins, cookie)}
}

// method answers one request.
type method struct {
	// serve gets the id of an object, and the parameters as JSON, or nil.
	serve func(ctx context.Context, c *Connection, id string, p json.RawMessage) (any, error)
	// params is the type of the parameters, nil if there are none.
	params reflect.Type
}

// methods are those of one version of a facade.
type methods map[string]method

// call makes a method of a function with typed parameters and result.
func call[P, R any](f func(context.Context, *Connection, P) (R, error)) method {
	serve := func(ctx context.Context, c *Connection, _ string, raw json.RawMessage) (any, error) {
		var p P
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, estate.Errorf(estate.CodeBadRequest, "cannot read parameters: %v", err)
			}
		}
		return f(ctx, c, p)
	}
	return method{serve, reflect.TypeFor[P]()}
}

// ask makes a method of a function without parameters.
func ask[R any](f func(context.Context, *Connection) (R, error)) method {
	return onObject(func(ctx context.Context, c *Connection, _ string) (any, error) { return f(ctx, c) })
}

// onObject makes a method of a function whose only parameter is an object's id.
func onObject(f func(ctx context.Context, c *Connection, id string) (any, error)) method {
	return method{serve: func(ctx context.Context, c *Connection, id string, _ json.RawMessage) (any, error) {
		return f(ctx, c, id)
	}}
}

// refuse makes a method that says why it is not there.
func refuse(code, why string) method {
	err := estate.Errorf(code, "%s", why)
	return onObject(func(context.Context, *Connection, string) (any, error) { return nil, err })
}

// also returns m with more methods, or others of the same name.
func (m methods) also(more methods) methods {
	all := maps.Clone(m)
	maps.Copy(all, more)
	return all
}

// only returns the methods of m that have these names; one that m has not is
// left out.
func (m methods) only(names ...string) methods {
	some := methods{}
	for _, name := range names {
		if f, ok := m[name]; ok {
			some[name] = f
		}
	}
	return some
}

// facades are all we serve after login, by name and version.
var facades = map[string]map[int]methods{
	"ApplicationOffers":   {5: applicationOffersLegacyMethods, 6: applicationOffersMethods},
	"Cloud":               {7: cloudMethods, 8: cloudMethods},
	"Controller":          {11: controllerLegacyMethods, 12: controllerLegacyMethods, 13: controllerMethods, 14: controllerMethods},
	"JIMM":                {3: jimmLegacyMethods, 4: jimmMethods},
	"ModelConfig":         {3: modelConfigMethods, 4: modelConfigMethods},
	"ModelManager":        {9: modelManagerLegacyMethods, 10: modelManagerLegacyMethods, 11: modelManagerMethods},
	"ModelUpgrader":       {1: modelUpgraderMethods, 2: modelUpgraderMethods},
	"ModelSummaryWatcher": {1: summaryWatcherMethods},
	"Pinger":              {1: pingerMethods},
	"SecretBackends":      {1: secretBackendsMethods},
	"UserManager":         {3: userManagerMethods},
}

// facadeVersions is facades as a login result announces them.
var facadeVersions = func() []params.FacadeVersions {
	var list []params.FacadeVersions
	for _, name := range slices.Sorted(maps.Keys(facades)) {
		list = append(list, params.FacadeVersions{Name: name, Versions: slices.Sorted(maps.Keys(facades[name]))})
	}
	return list
}()

// ServeRPC answers one request.
func (c *Connection) ServeRPC(ctx context.Context, r *rpc.Request) (any, error) {
	ctx = logging.With(ctx, "request", r.RequestID, "facade", clip(r.Type), "method", clip(r.Method))
	if u := c.User(); u != nil {
		ctx = logging.With(ctx, "user", u.Name)
	}
	if c.server.Record == nil {
		return c.serve(ctx, r)
	}
	ended, err := c.server.Record(ctx, c, r)
	if err != nil {
		return nil, err
	}
	result, err := c.serve(ctx, r)
	if unwritten := ended(err); unwritten != nil && !estate.Is(err, estate.CodeConnectionFailed) { // an outage says more itself
		if r.Type == "Admin" && err == nil && c.User() != nil && c.End != nil {
			c.End() // who believes not to be logged in is not
		}
		return nil, unwritten
	}
	return result, err
}

func (c *Connection) serve(ctx context.Context, r *rpc.Request) (any, error) {
	if r.Type == "Admin" {
		return c.login(ctx, r)
	}
	if c.User() == nil && r.Type != "Pinger" {
		return nil, errNotLoggedIn
	}
	versions, ok := facades[r.Type]
	if !ok {
		return nil, estate.Errorf(estate.CodeNotImplemented, "unknown facade type %q", clip(r.Type))
	}
	methods, ok := versions[r.Version]
	if !ok {
		return nil, estate.Errorf(estate.CodeNotImplemented, "unknown version %d for facade type %q", r.Version, r.Type)
	}
	m, ok := methods[r.Method]
	if !ok {
		return nil, estate.Errorf(estate.CodeNotImplemented, "no such request - method %s(%d).%s is not implemented", r.Type, r.Version, clip(r.Method))
	}
	return m.serve(ctx, c, r.ID, r.Params)
}

var (
	errNotLoggedIn = &estate.Error{Code: estate.CodeUnauthorized, Message: "not logged in"}
	errLoggedIn    = &estate.Error{Code: estate.CodeNotSupported, Message: `already logged in: facade "Admin" not supported for controller API connection`}
)

// login answers the Admin facade, which ends with the login.
func (c *Connection) login(ctx context.Context, r *rpc.Request) (any, error) {
	if c.User() != nil {
		return nil, errLoggedIn
	}
	result, user, err := c.admin.Handle(ctx, r.Version, r.Method, r.Params)
	if err != nil || user == nil {
		return result, err
	}
	login, err := c.loginResult(ctx, *user)
	if err != nil {
		return nil, err
	}
	c.loginMu.Lock()
	defer c.loginMu.Unlock()
	if c.User() != nil {
		return nil, errLoggedIn
	}
	if c.End != nil {
		if c.leave, err = c.server.Estate.Attend(ctx, *user, c.End); err != nil {
			return nil, err
		}
	}
	c.user.Store(user)
	return login, nil
}

// loginResult is what a client learns when it has logged in. The servers are
// our own: a client adds them to the addresses it knows for us.
func (c *Connection) loginResult(ctx context.Context, u estate.User) (params.LoginResult, error) {
	version, err := c.server.Estate.LowestVersion(ctx)
	if err != nil {
		return params.LoginResult{}, err
	}
	access, err := c.server.controllerAccess(ctx, u)
	if err != nil {
		return params.LoginResult{}, err
	}
	return params.LoginResult{
		Servers:       c.Servers,
		PublicDNSName: c.server.DNSName,
		ControllerTag: names.NewControllerTag(c.server.Estate.UUID).String(),
		UserInfo: &params.AuthUserInfo{
			DisplayName: u.Name, Identity: u.Tag().String(), ControllerAccess: access,
		},
		Facades:       facadeVersions,
		ServerVersion: version,
	}, nil
}

// controllerAccess is what a user may do with JIMM, in Juju's words.
func (s *Server) controllerAccess(ctx context.Context, u estate.User) (string, error) {
	admin, err := s.Estate.IsAdmin(ctx, u)
	if err != nil {
		return "", err
	}
	if admin {
		return estate.AccessSuperuser, nil
	}
	return estate.AccessLogin, nil
}

// wireError is an error inside a result.
func (c *Connection) wireError(ctx context.Context, err error) *params.Error {
	if err == nil {
		return nil
	}
	var coded *estate.Error
	if errors.As(err, &coded) {
		return &params.Error{Message: err.Error(), Code: coded.Code, Info: coded.Info}
	}
	if code := estate.CodeOf(err); code != "" {
		return &params.Error{Message: err.Error(), Code: code}
	}
	c.server.Log.ErrorContext(ctx, "cannot answer request", "connection", c.ID, "error", err)
	return &params.Error{Message: "internal error"}
}

// each answers a bulk request: one result per argument.
func each[A, R any](args []A, f func(A) R) []R {
	results := make([]R, len(args))
	for i, a := range args {
		results[i] = f(a)
	}
	return results
}

// clip makes a client's text fit for an error.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
