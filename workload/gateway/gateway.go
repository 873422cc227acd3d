package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/network"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// Admission answers the Admin requests of one connection until one logs in:
// then user is not nil. It may be called concurrently.
type Admission interface {
	Handle(ctx context.Context, version int, method string, params json.RawMessage) (result any, user *estate.User, err error)
}

// Models says where a model is and what a user may do there.
type Models interface {
	// Route gives the same error for a model that is not there and one that the
	// user may not read.
	Route(ctx context.Context, u estate.User, modelUUID string) (estate.Route, error)
	// Widen gives the claims the user has now with those required, tag to
	// access word; CodeUnauthorized if the user lacks any of them.
	Widen(ctx context.Context, u estate.User, r estate.Route, have estate.Claims, required map[string]string) (estate.Claims, error)
}

// Dialer opens a connection to a model on its controller, on which u is logged
// in with these claims, and returns the controller's login result with it.
type Dialer interface {
	DialModel(ctx context.Context, r estate.Route, u estate.User, claims estate.Claims) (*rpc.Conn, json.RawMessage, error)
}

// Sessions keeps an eye on connections.
type Sessions interface {
	// Attend calls end when the session that u is logged in with is over, until
	// leave is called. CodeSessionTokenInvalid if it is over already.
	Attend(ctx context.Context, u estate.User, end func()) (leave func(), err error)
}

// SessionOver is what is said when a connection is closed because its user's
// session is over.
const SessionOver = "the session has ended"

// Holds keeps an eye on what connections rest on.
type Holds interface {
	// Hold calls lost, from another goroutine, once u has not all that is claimed
	// any more. Release must be called on what it returns.
	Hold(u estate.User, r estate.Route, claims estate.Claims, lost func()) *estate.Hold
}

// AccessLost is what is said when a connection is closed because its user has
// lost access that it was opened with.
const AccessLost = "access has changed; connect again with what is left"

// Recorder takes the audit events of model connections. Record must not block
// on anything slow for long. The event's Params are as the client sent them, not
// redacted, and only valid during the call; a reply has none. A request is refused
// with the error of Record, and a reply replaced by it.
type Recorder interface {
	Record(ctx context.Context, e estate.AuditEvent) error
}

// Config is what a Gateway needs. Fields said to be optional may be zero.
type Config struct {
	// Admission returns the admission for one new connection.
	Admission func(r *http.Request) Admission
	Models    Models
	Dialer    Dialer
	// Sessions ends connections when the session of their user does. Optional.
	Sessions Sessions
	// Holds ends connections when their user loses access. Optional.
	Holds Holds
	// Recorder is optional.
	Recorder Recorder
	// ControllerUUID is JIMM's own, which clients take for the controller's.
	ControllerUUID string
	// Prefix is the path below which clients know JIMM, such as /blue. Optional.
	Prefix string
	// CheckOrigin decides about requests of web pages. Optional: by default
	// they must come from JIMM's own host.
	CheckOrigin func(r *http.Request) bool
	// Options are the limits of client connections.
	Options rpc.Options
	// LoginTimeout bounds how long a connection may stay without a login
	// (default 15 m, which leaves time for a device login).
	LoginTimeout time.Duration
	// DialTimeout bounds reaching a controller and logging in (default 30 s).
	DialTimeout time.Duration
	// Observe is told when somebody comes to log in; the function it returns is
	// called with how that ended. Optional.
	Observe func(ctx context.Context, modelUUID string) (context.Context, func(error))
	// Forward is told of each request that is passed on; the function it returns, if
	// any, is called when its reply has come, with the code of its error. Optional.
	Forward func(ctx context.Context, r *rpc.Request, modelUUID string) (replied func(code string))
	// Log, Now and NewID (of a conversation) are optional.
	Log   *slog.Logger
	Now   func() time.Time
	NewID func() string
}

// Gateway serves model connections until it is closed.
type Gateway struct {
	Config
	ctx      context.Context
	stop     context.CancelFunc
	sessions sync.WaitGroup
	stopping sync.RWMutex
	// draining ends, by drain, when connections shall come to an end.
	draining context.Context
	drain    context.CancelFunc
	open     atomic.Int64
}

// Connections returns how many clients are connected.
func (g *Gateway) Connections() int { return int(g.open.Load()) }

// New returns a gateway. Close ends it.
func New(c Config) *Gateway {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(ctx context.Context, _ string) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	if c.NewID == nil {
		c.NewID = randomID
	}
	if c.LoginTimeout <= 0 {
		c.LoginTimeout = 15 * time.Minute
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = 30 * time.Second
	}
	g := &Gateway{Config: c}
	g.draining, g.drain = context.WithCancel(context.Background())
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// Drain takes no new connections, and ends those there are in order: what a
// client has asked for is answered first. It returns when all have ended, or
// ctx.
func (g *Gateway) Drain(ctx context.Context) {
	g.stopping.Lock()
	g.drain()
	g.stopping.Unlock()
	ended := make(chan struct{})
	go func() { g.sessions.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Close ends all connections and waits for them.
func (g *Gateway) Close() {
	g.stopping.Lock()
	g.stop()
	g.stopping.Unlock()
	g.sessions.Wait()
}

// maxLoginFrame is the largest message, in bytes, before a login.
const maxLoginFrame = 1 << 20

// ServeModel serves GET /model/<uuid>/api. It returns when the websocket
// stands; the connection then lives on its own, so that what the HTTP server
// keeps for a request under way is not kept for its whole life.
func (g *Gateway) ServeModel(w http.ResponseWriter, r *http.Request, modelUUID string) {
	g.stopping.RLock()
	defer g.stopping.RUnlock()
	if g.ctx.Err() != nil || g.draining.Err() != nil {
		http.Error(w, "Service Unavailable - "+rpc.Restarting, http.StatusServiceUnavailable)
		return
	}
	conn, err := rpc.Upgrade(w, r, g.CheckOrigin, g.Options)
	if err != nil {
		return // the client has been answered
	}
	conn.SetMaxFrame(maxLoginFrame)
	s := newSession(estate.WithCaller(g.ctx, estate.CallerOf(r.Context())), g, conn, modelUUID, g.Admission(r), RequestAddress(r, g.Prefix))
	g.sessions.Add(1)
	g.open.Add(1)
	go func() {
		defer g.sessions.Done()
		defer g.open.Add(-1)
		s.run()
	}()
}

// RequestAddress returns the address under which the client of a request reaches
// JIMM: its Host, with the default port of HTTPS if it names none, and what stands
// before /model/, or /api at the end, in its path; or prefix, if whoever took that
// off the path has left nothing.
func RequestAddress(r *http.Request, prefix string) string {
	host := r.Host
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	before, _, ok := strings.Cut(r.URL.Path, "/model/")
	if !ok {
		before = strings.TrimSuffix(r.URL.Path, "/api")
	}
	if before = strings.TrimSuffix(before, "/"); before == "" {
		before = prefix
	}
	return host + before
}

// loginResult puts JIMM in place of the controller in the controller's own
// login result, so that clients come back to JIMM. Fields it does not know pass.
func (g *Gateway) loginResult(raw json.RawMessage, address string) (json.RawMessage, error) {
	var result map[string]json.RawMessage
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, err
	}
	set := func(key string, value any) error {
		b, err := json.Marshal(value)
		result[key] = b
		return err
	}
	host, _, _ := strings.Cut(address, "/")
	hostname, _, err := net.SplitHostPort(host)
	if err != nil || net.ParseIP(hostname) != nil {
		hostname = "" // the DNS name is also what clients verify the certificate against
	}
	if err := set("servers", Servers(address)); err != nil {
		return nil, err
	}
	if err := set("public-dns-name", hostname); err != nil {
		return nil, err
	}
	if err := set("controller-tag", names.NewControllerTag(g.ControllerUUID).String()); err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// Servers returns the API servers clients shall know. One behind a path prefix
// can't be said in them: the client then keeps the address it dialled.
func Servers(address string) [][]params.HostPort {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return [][]params.HostPort{}
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return [][]params.HostPort{}
	}
	// The client has just used the address. Juju 3.5 forgets all it knows if those it is told
	// are of a scope that is not for everybody, as the loopback's.
	public := network.NewMachineHostPorts(number, host)
	for i := range public {
		public[i].Scope = network.ScopePublic
	}
	return params.FromHostsPorts([]network.HostPorts{public.HostPorts()})
}

func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
