package juju

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// openTimeout bounds opening a connection: dialling, logging in.
const openTimeout = 30 * time.Second

// Peers are the controllers, as the estate's port to them. Connections are
// shared and kept for a while. Close must be called.
type Peers struct {
	dialer *Dialer
	tokens *Tokens
	self   estate.User
	pool   pool
}

// PeersOptions are the settings of Peers; zero fields take the defaults.
type PeersOptions struct {
	// Self is who JIMM is on controllers. If it has a name, Probe checks that a
	// controller takes our tokens, too.
	Self estate.User
	// Idle is how long an unused connection is kept (default 1 m).
	Idle time.Duration
	// Life is how long a connection is given to new users (default 5 m).
	Life time.Duration
	// MaxIdle is how many unused connections are kept (default 256).
	MaxIdle int
	// Now tells the time (default time.Now).
	Now func() time.Time
}

var _ estate.Peers = (*Peers)(nil)

// NewPeers makes the port from what reaches controllers and what makes tokens
// for them.
func NewPeers(dialer *Dialer, tokens *Tokens, o PeersOptions) *Peers {
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	if o.Life <= 0 {
		o.Life = 5 * time.Minute
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = 256
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Peers{dialer: dialer, tokens: tokens, self: o.Self, pool: pool{idle: o.Idle, life: o.Life, maxIdle: o.MaxIdle, now: o.Now}}
}

// Close ends all connections and waits for what runs on them. Peers that are
// still in use fail.
func (p *Peers) Close() { p.pool.close() }

// Connect implements estate.Peers. The connection may be one that others use,
// logged in as the same user with the same claims.
func (p *Peers) Connect(ctx context.Context, c estate.Controller, u estate.User, claims estate.Claims) (estate.Peer, error) {
	s, err := p.acquire(ctx, c, u, claims)
	if err != nil {
		return nil, err
	}
	return &peer{peers: p, observer: p.dialer, controller: c, user: u, claims: claims, session: s}, nil
}

func (p *Peers) acquire(ctx context.Context, c estate.Controller, u estate.User, claims estate.Claims) (*session, error) {
	s, err := p.pool.acquire(ctx, sessionKey(c.UUID, u.Name, claims), func(ctx context.Context) (*rpc.Client, map[string][]int, error) {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		conn, response, err := p.dialUser(ctx, c, "/api", u, claims)
		if err != nil {
			return nil, nil, err
		}
		var result params.LoginResult
		if err := json.Unmarshal(response, &result); err != nil {
			conn.Abort()
			return nil, nil, badReply(c, "Admin.Login", err)
		}
		if tag, err := names.ParseControllerTag(result.ControllerTag); err != nil || tag.Id() != c.UUID {
			// It has our keys and a certificate of that name, and is another one.
			conn.Abort()
			return nil, nil, estate.Errorf(estate.CodeConnectionFailed, "at the address of controller %q answers another: it says that it is %q", c.Name, result.ControllerTag)
		}
		return rpc.NewClient(conn), facadesOf(result), nil
	})
	if err != nil && estate.CodeOf(err) == "" {
		return nil, estate.Errorf(estate.CodeConnectionFailed, "cannot connect to controller %q: %w", c.Name, err)
	}
	return s, err
}

// DialModel opens a connection to a model for a user, logged in with a token
// of these claims, and returns it with the controller's login result.
// CodeConnectionFailed if no address answers or the controller refuses the
// token, CodeModelNotFound if it does not know the model.
func (p *Peers) DialModel(ctx context.Context, r estate.Route, u estate.User, claims estate.Claims) (*rpc.Conn, json.RawMessage, error) {
	return p.dialUser(ctx, r.Controller, "/model/"+r.Model.UUID+"/api", u, claims)
}

func (p *Peers) dialUser(ctx context.Context, c estate.Controller, path string, u estate.User, claims estate.Claims) (*rpc.Conn, json.RawMessage, error) {
	conn, err := p.dialer.Dial(ctx, c, path)
	if err != nil {
		return nil, nil, err
	}
	// Made last: it begins to expire here.
	token, err := p.tokens.Mint(c.UUID, u, claims)
	if err != nil {
		conn.Abort()
		return nil, nil, err
	}
	loginCtx, ended := p.dialer.observe(ctx, c, "Admin", "Login")
	response, err := Login(loginCtx, conn, u.Tag(), token)
	ended(err)
	if err != nil {
		conn.Abort()
		return nil, nil, loginError(c, err)
	}
	return conn, response, nil
}

// loginError turns the failure of a login by token. A refusal is a matter
// between JIMM and the controller, such as keys it cannot fetch, and not one of
// the user's rights: those are checked before.
func loginError(c estate.Controller, err error) error {
	switch estate.CodeOf(err) {
	case params.CodeModelNotFound, params.CodeNotFound:
		return &estate.Error{Code: estate.CodeModelNotFound, Message: err.Error(), Cause: err}
	case params.CodeRedirect, params.CodeUpgradeInProgress, params.CodeTryAgain:
		return &estate.Error{Code: estate.CodeOf(err), Message: err.Error(), Info: infoOf(err), Cause: err}
	}
	return estate.Errorf(estate.CodeConnectionFailed, "cannot log in to controller %q: %w", c.Name, err)
}

func infoOf(err error) map[string]any {
	var coded *rpc.Error
	if errors.As(err, &coded) {
		return coded.Info
	}
	return nil
}

func badReply(c estate.Controller, call string, err error) error {
	return estate.Errorf(estate.CodeConnectionFailed, "cannot read what controller %q answers to %s: %w", c.Name, call, err)
}

// Probe implements estate.Peers. If JIMM has a name on controllers it also
// logs in by token, so that a controller that does not take ours is not added.
func (p *Peers) Probe(ctx context.Context, c estate.Controller, username, password string) (estate.Facts, error) {
	if !names.IsValidUser(username) {
		return estate.Facts{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user name", username)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	c.UUID = "" // what it is said to be is not what it is
	conn, err := p.dialer.Dial(ctx, c, "/api")
	if err != nil {
		return estate.Facts{}, err
	}
	response, err := LoginPassword(ctx, conn, names.NewUserTag(username), password)
	if err != nil {
		conn.Abort()
		var refused *rpc.Error
		if !errors.As(err, &refused) {
			return estate.Facts{}, unreachable(c, err)
		}
		return estate.Facts{}, estate.Errorf(estate.CodeUnauthorized, "cannot log in as %q: %w", username, err)
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	var result params.LoginResult
	if err := json.Unmarshal(response, &result); err != nil {
		return estate.Facts{}, badReply(c, "Admin.Login", err)
	}
	facts, err := factsOf(result)
	if err != nil {
		return estate.Facts{}, badReply(c, "Admin.Login", err)
	}
	if result.UserInfo == nil || result.UserInfo.ControllerAccess != estate.AccessSuperuser {
		return estate.Facts{}, estate.Errorf(estate.CodeUnauthorized, "%q is not an administrator of the controller", username)
	}
	c.UUID = facts.UUID
	// As superuser by password: the claims are what the password gives.
	admin := &peer{
		controller: c, user: estate.User{Name: username},
		claims:  estate.Claims{names.NewControllerTag(facts.UUID).String(): estate.AccessSuperuser},
		session: &session{client: client, facades: facts.Facades},
	}
	if facts.Clouds, err = admin.Clouds(ctx); err != nil {
		return estate.Facts{}, err
	}
	if facts.Cloud, facts.Region, err = admin.home(ctx); err != nil {
		return estate.Facts{}, err
	}
	if p.self.Name == "" {
		return facts, nil
	}
	trusted, _, err := p.dialUser(ctx, c, "/api", p.self, estate.Claims{names.NewControllerTag(facts.UUID).String(): estate.AccessLogin})
	if err != nil {
		return estate.Facts{}, estate.Errorf(estate.CodeUnauthorized, "it does not take JIMM's tokens (is its login-token-refresh-url that of JIMM's keys?): %w", err)
	}
	_ = trusted.Close()
	return facts, nil
}

// factsOf reads a login result.
func factsOf(result params.LoginResult) (estate.Facts, error) {
	tag, err := names.ParseControllerTag(result.ControllerTag)
	if err != nil {
		return estate.Facts{}, err
	}
	if result.ServerVersion == "" {
		return estate.Facts{}, errors.New("there is no server version")
	}
	facts := estate.Facts{UUID: tag.Id(), AgentVersion: result.ServerVersion, Facades: facadesOf(result)}
	for _, server := range result.Servers {
		for _, address := range server {
			hostPort := net.JoinHostPort(address.Value, strconv.Itoa(address.Port))
			if !slices.Contains(facts.Addresses, hostPort) {
				facts.Addresses = append(facts.Addresses, hostPort)
			}
		}
	}
	return facts, nil
}

func facadesOf(result params.LoginResult) map[string][]int {
	facades := make(map[string][]int, len(result.Facades))
	for _, f := range result.Facades {
		facades[f.Name] = f.Versions
	}
	return facades
}

// peer is one use of a session, with a newer one in its place if it breaks.
type peer struct {
	peers      *Peers  // nil: the session is not of the pool
	observer   *Dialer // nil: nobody is told of its calls
	controller estate.Controller
	user       estate.User
	claims     estate.Claims

	mu      sync.Mutex
	session *session
	closed  bool
}

var _ estate.Peer = (*peer)(nil)

var errGivenBack = errors.New("connection is used after it was given back")

// Close implements estate.Peer.
func (p *peer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && p.peers != nil {
		p.peers.pool.release(p.session)
	}
	p.closed = true
	return nil
}

// bestVersion returns the highest version of a facade that the controller
// announces and is not above most (0: any); 0 if none.
func (p *peer) bestVersion(facade string, most int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := 0
	for _, v := range p.session.facades[facade] {
		if v > best && (most == 0 || v <= most) {
			best = v
		}
	}
	return best
}

// Call implements estate.Peer, and is the only way in which JIMM itself calls a
// controller: whatever is called has its claims in the table of needs, or it is
// not called. A call that found the connection broken before it was sent is made
// again on a new one, once, unless it is to an object that went with the
// connection. A call that was sent never is.
func (p *peer) Call(ctx context.Context, c estate.Call, args, result any) error {
	if err := p.need(c.Facade+"."+c.Method, c.About); err != nil {
		return err
	}
	version, err := p.version(c.Facade, c.Least, c.Most)
	if err != nil {
		return err
	}
	if p.observer == nil {
		return p.send(ctx, c, version, args, result)
	}
	ctx, ended := p.observer.observe(ctx, p.controller, c.Facade, c.Method)
	err = p.send(ctx, c, version, args, result)
	ended(err)
	return err
}

func (p *peer) send(ctx context.Context, c estate.Call, version int, args, result any) error {
	s, err := p.current()
	if err != nil {
		return err
	}
	err = s.client.Call(ctx, c.Facade, version, c.ID, c.Method, args, result)
	var closed *rpc.ClosedError
	if errors.As(err, &closed) && closed.Unsent && c.ID == "" && p.peers != nil {
		if s, err = p.renew(ctx, s); err != nil {
			return err
		}
		err = s.client.Call(ctx, c.Facade, version, c.ID, c.Method, args, result)
	}
	return p.callError(c.Facade+"."+c.Method, err)
}

func (p *peer) current() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errGivenBack
	}
	return p.session, nil
}

// renew replaces a broken session.
func (p *peer) renew(ctx context.Context, broken *session) (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errGivenBack
	}
	if p.session != broken {
		return p.session, nil
	}
	p.peers.pool.drop(broken)
	fresh, err := p.peers.acquire(ctx, p.controller, p.user, p.claims)
	if err != nil {
		return nil, err
	}
	p.peers.pool.release(broken)
	p.session = fresh
	return fresh, nil
}

// callError turns the error of a call into one of the estate's, with the
// controller's code.
func (p *peer) callError(call string, err error) error {
	var refused *rpc.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &estate.Error{Code: refused.Code, Message: refused.Message, Info: refused.Info}
	case errors.Is(err, context.DeadlineExceeded):
		return estate.Errorf(estate.CodeConnectionFailed, "controller %q has not answered %s in time: %w", p.controller.Name, call, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("cannot wait for controller %q to answer %s: %w", p.controller.Name, call, err)
	case estate.CodeOf(err) == estate.CodeConnectionFailed:
		return estate.Errorf(estate.CodeConnectionFailed, "controller %q has not answered %s: %w", p.controller.Name, call, err)
	}
	return badReply(p.controller, call, err)
}

// paramsError turns the error of one result.
func paramsError(e *params.Error) error {
	if e == nil {
		return nil
	}
	return &estate.Error{Code: e.Code, Message: e.Message, Info: e.Info}
}

// one returns the only result of a call about one thing.
func one[T any](p *peer, call string, results []T) (T, error) {
	if len(results) != 1 {
		var none T
		return none, badReply(p.controller, call, fmt.Errorf("there are %d results, not one", len(results)))
	}
	return results[0], nil
}

// present returns what a result is, unless the controller has refused.
func present[T any](p *peer, call string, result *T, refused *params.Error) (T, error) {
	var none T
	switch {
	case refused != nil:
		return none, paramsError(refused)
	case result == nil:
		return none, badReply(p.controller, call, errors.New("the result is empty"))
	}
	return *result, nil
}

// version returns the version of a facade that a call speaks.
func (p *peer) version(facade string, least, most int) (int, error) {
	v := p.bestVersion(facade, most)
	switch {
	case v == 0 && least == 0:
		return 0, estate.Errorf(estate.CodeNotSupported, "controller %q has no facade %s", p.controller.Name, facade)
	case v < least:
		return 0, estate.Errorf(estate.CodeNotSupported, "controller %q has no facade %s of a version between %d and %d", p.controller.Name, facade, least, most)
	}
	return v, nil
}

// need checks that the claims suffice for a call about a thing.
func (p *peer) need(call, thing string) error {
	n, ok := needs[call]
	if !ok {
		return fmt.Errorf("cannot call %s on controller %s: the table of needs (workload/juju/claims.go) does not say what it takes", call, p.controller.UUID)
	}
	return n.check(call, p.controller.UUID, p.claims, thing)
}
