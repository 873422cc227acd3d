package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/juju/clock"
	"github.com/juju/names/v6"

	"github.com/juju/juju/core/semversion"
	"github.com/juju/juju/rpc/params"
)

// Generation is the release of Juju that a controller behaves like.
type Generation int

const (
	// Juju36 is 3.6.11, the long-term support line.
	Juju36 Generation = iota + 1
	// Juju41 is 4.1-beta2.
	Juju41
)

// Version returns the agent version of the generation.
func (g Generation) Version() semversion.Number {
	switch g {
	case Juju36:
		return semversion.MustParse("3.6.11")
	case Juju41:
		return semversion.MustParse("4.1-beta2")
	}
	panic(fmt.Sprintf("no such generation of Juju: %d", g))
}

func (g Generation) String() string { return g.Version().String() }

// Cloud is the cloud a controller runs on.
type Cloud struct {
	// Name defaults to "sim".
	Name string
	// Type is the provider's, by default "lxd".
	Type string
	// Regions defaults to one named "default".
	Regions []string
}

// Config says what controller to start.
type Config struct {
	// Name is the controller's, as it appears in logs.
	Name string
	// UUID is generated if it is empty.
	UUID string
	// Generation must be set.
	Generation Generation
	// Listen is the address of the API server, by default 127.0.0.1:0.
	Listen string
	// JWKSURL is where the keys of tokens are published: what
	// login-token-refresh-url is to a real controller. Without it tokens are
	// refused.
	JWKSURL string
	// HTTPClient fetches the keys, by default http.DefaultClient.
	HTTPClient *http.Client
	// UnknownKeyInterval is the least time between two fetches of the keys
	// because a token has an unknown one, by default a second. A real
	// controller never fetches them for that reason: a negative value does the same.
	UnknownKeyInterval time.Duration
	Cloud              Cloud
	// AdminPassword is that of the local user admin. An empty one is generated.
	AdminPassword string
	// StateFile, if set, keeps the controller's identity, address and state
	// over restarts.
	StateFile string
	// RemovalDelay is how long a model is dying before it is gone, by default
	// 50 ms.
	RemovalDelay time.Duration
	// Clock is the wall clock by default.
	Clock clock.Clock
	// Log is slog.Default by default.
	Log *slog.Logger
}

// Controller is a simulated controller.
type Controller struct {
	config  Config
	clock   clock.Clock
	log     *slog.Logger
	keys    *keys
	facades *facades
	faults  *Faults
	ca      *authority
	server  *http.Server
	tls     *tls.Config
	address string
	dirty   chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	// requests are what clients have under way, tasks what goes on beside them.
	requests, tasks sync.WaitGroup

	// mu guards the state.
	mu        sync.RWMutex
	state     *state
	summaries map[*watcher]bool

	// netMu guards the listener and the connections.
	netMu    sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	closed   bool
}

// Start starts a controller. It runs until ctx is done or it is closed.
func Start(ctx context.Context, config Config) (*Controller, error) {
	if config.Generation != Juju36 && config.Generation != Juju41 {
		return nil, fmt.Errorf("cannot start controller %q: no such generation of Juju: %d", config.Name, config.Generation)
	}
	if config.UUID != "" && !names.IsValidController(config.UUID) {
		return nil, fmt.Errorf("cannot start controller %q: %q is not a UUID", config.Name, config.UUID)
	}
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	if config.HTTPClient == nil {
		config.HTTPClient = http.DefaultClient
	}
	if config.UnknownKeyInterval == 0 {
		config.UnknownKeyInterval = time.Second
	}
	if config.Cloud.Name == "" {
		config.Cloud.Name = "sim"
	}
	if config.Cloud.Type == "" {
		config.Cloud.Type = "lxd"
	}
	if len(config.Cloud.Regions) == 0 {
		config.Cloud.Regions = []string{"default"}
	}
	if config.RemovalDelay == 0 {
		config.RemovalDelay = 50 * time.Millisecond
	}
	if config.Clock == nil {
		config.Clock = clock.WallClock
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	c := &Controller{
		config: config,
		clock:  config.Clock,
		log:    config.Log.With("controller", config.Name),
		keys: &keys{
			url:             config.JWKSURL,
			client:          config.HTTPClient,
			clock:           config.Clock,
			unknownInterval: config.UnknownKeyInterval,
		},
		facades:   facadesOf(config.Generation),
		dirty:     make(chan struct{}, 1),
		summaries: make(map[*watcher]bool),
		conns:     make(map[net.Conn]bool),
	}
	c.faults = &Faults{controller: c}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("cannot start controller %q: %w", config.Name, err)
	}
	if c.config.AdminPassword == "" {
		c.config.AdminPassword = c.state.AdminPassword
	}
	listen := config.Listen
	if host, port, err := net.SplitHostPort(listen); err == nil && port == "0" && c.state.Address != "" {
		// Whoever registered the controller knows it by its last address.
		if _, last, err := net.SplitHostPort(c.state.Address); err == nil {
			listen = net.JoinHostPort(host, last)
		}
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil && listen != config.Listen {
		listener, err = net.Listen("tcp", config.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot start controller %q: %w", config.Name, err)
	}
	c.address = listener.Addr().String()
	host, _, err := net.SplitHostPort(c.address)
	if err == nil {
		c.ca, err = authorityOf(c.state.CACert, c.state.CAKey, c.clock.Now())
	}
	var certificate tls.Certificate
	if err == nil {
		certificate, err = c.ca.serverCertificate(c.clock.Now(), "juju-apiserver", "localhost", "127.0.0.1", "::1", host)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start controller %q: %w", config.Name, err), listener.Close())
	}
	c.state.Address, c.state.CACert, c.state.CAKey = c.address, c.ca.certPEM, c.ca.keyPEM
	c.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.server = &http.Server{
		Handler:           c.handler(),
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return c.ctx },
		// Clients that hang up during the handshake are none of our business.
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelDebug),
	}
	c.serve(listener)
	context.AfterFunc(c.ctx, c.hangUp)
	if config.StateFile != "" {
		c.markDirty()
		c.tasks.Go(c.saveLoop)
	}
	for _, m := range c.state.Models {
		if m.Life == dying {
			c.removeLater(m.UUID)
		}
	}
	return c, nil
}

// Address returns host:port of the API server.
func (c *Controller) Address() string { return c.address }

// CACert returns the certificate of the controller's own CA, in PEM.
func (c *Controller) CACert() string { return c.ca.certPEM }

// UUID returns the controller's UUID.
func (c *Controller) UUID() string { return c.state.UUID }

// Name returns the controller's name.
func (c *Controller) Name() string { return c.config.Name }

// Generation returns what the controller behaves like.
func (c *Controller) Generation() Generation { return c.config.Generation }

// AdminPassword returns the password of the local user admin.
func (c *Controller) AdminPassword() string { return c.config.AdminPassword }

// Faults returns what makes the controller misbehave.
func (c *Controller) Faults() *Faults { return c.faults }

// Close stops the controller: it closes all connections, waits for what runs
// and saves the state if it has a file.
func (c *Controller) Close() error {
	c.cancel()
	c.hangUp()
	c.requests.Wait()
	c.tasks.Wait()
	if c.config.StateFile == "" {
		return nil
	}
	return c.save()
}

// hangUp stops listening and closes all connections, for good.
func (c *Controller) hangUp() {
	c.netMu.Lock()
	c.closed = true
	c.netMu.Unlock()
	c.stopListening()
	c.dropConnections()
}

func (c *Controller) serve(listener net.Listener) {
	c.netMu.Lock()
	defer c.netMu.Unlock()
	c.listener = listener
	c.tasks.Go(func() {
		// It ends with the listener, which is how we stop it.
		_ = c.server.Serve(tls.NewListener(&trackedListener{listener, c}, c.tls))
	})
}

func (c *Controller) stopListening() {
	c.netMu.Lock()
	defer c.netMu.Unlock()
	if c.listener != nil {
		_ = c.listener.Close()
		c.listener = nil
	}
}

// portPatience is for how long listenAgain waits for the port.
const portPatience = 30 * time.Second

// listenAgain opens the listener at the address it had.
func (c *Controller) listenAgain() error {
	c.netMu.Lock()
	open, closed := c.listener != nil, c.closed
	c.netMu.Unlock()
	if open {
		return nil
	}
	if closed {
		return fmt.Errorf("cannot listen: controller %q is closed", c.config.Name)
	}
	// Somebody else may have the port at the moment.
	for deadline := time.Now().Add(portPatience); ; time.Sleep(10 * time.Millisecond) {
		listener, err := net.Listen("tcp", c.address)
		if err == nil {
			c.serve(listener)
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return fmt.Errorf("cannot listen: %w", err)
		}
	}
}

func (c *Controller) dropConnections() {
	c.netMu.Lock()
	conns := make([]net.Conn, 0, len(c.conns))
	for conn := range c.conns {
		conns = append(conns, conn)
	}
	c.netMu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// Connections returns how many connections are open.
func (c *Controller) Connections() int {
	c.netMu.Lock()
	defer c.netMu.Unlock()
	return len(c.conns)
}

// trackedListener knows the connections it gave, so that they can be dropped
// even after a websocket has taken them over.
type trackedListener struct {
	net.Listener
	controller *Controller
}

func (l *trackedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, controller: l.controller}
	l.controller.netMu.Lock()
	defer l.controller.netMu.Unlock()
	l.controller.conns[tracked] = true
	if l.controller.listener != l.Listener { // it came while we stopped listening
		_ = conn.Close()
	}
	return tracked, nil
}

type trackedConn struct {
	net.Conn
	controller *Controller
}

func (t *trackedConn) Close() error {
	t.controller.netMu.Lock()
	delete(t.controller.conns, t)
	t.controller.netMu.Unlock()
	return t.Conn.Close()
}

// handler routes as a real API server does (apiserver/apiserver.go). Paths with
// another host's prefix are not served.
func (c *Controller) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, r *http.Request) { c.serveAPI(w, r, "") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { c.serveAPI(w, r, "") })
	mux.HandleFunc("GET /model/{model}/api", c.withModel(c.serveAPI))
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, r *http.Request) { c.serveLog(w, r, "") })
	mux.HandleFunc("GET /model/{model}/log", c.withModel(c.serveLog))
	c.fileRoutes(mux)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "running\n")
	})
	return c.counted(mux)
}

// counted runs requests while the controller is open, so that Close can wait for them.
func (c *Controller) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.netMu.Lock()
		closed := c.closed
		if !closed {
			c.requests.Add(1)
		}
		c.netMu.Unlock()
		if closed {
			panic(http.ErrAbortHandler)
		}
		defer c.requests.Done()
		h.ServeHTTP(w, r)
	})
}

// withModel refuses paths whose model is not a UUID.
func (c *Controller) withModel(serve func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("model")
		if !names.IsValidModel(id) {
			http.Error(w, fmt.Sprintf("invalid model UUID %q", id), http.StatusBadRequest)
			return
		}
		serve(w, r, id)
	}
}

// hostPorts are the server addresses of a login result: as a real controller
// does, the one that was dialled.
func (c *Controller) hostPorts(dialled string) [][]params.HostPort {
	host, portText, err := net.SplitHostPort(dialled)
	if err != nil {
		host, portText, _ = net.SplitHostPort(c.address)
	}
	var port int
	_, _ = fmt.Sscan(portText, &port)
	kind := "ipv4"
	if ip := net.ParseIP(host); ip == nil {
		kind = "hostname"
	} else if strings.Contains(host, ":") {
		kind = "ipv6"
	}
	scope := "local-cloud"
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		scope = "local-machine"
	}
	return [][]params.HostPort{{{Address: params.Address{Value: host, Type: kind, Scope: scope}, Port: port}}}
}

func newUUID() string { return uuid.NewString() }
