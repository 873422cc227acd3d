// Package dev runs a whole JAAS on one machine: PostgreSQL, OpenFGA, an
// identity provider, Juju controllers, and JIMM in front of them. It is for
// development and tests; no production program links it.
package dev

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"jimm/integration/lab"
	"jimm/integration/stack"
	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/logging"
	"jimm/workload/login"
	"jimm/workload/observe"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/server"
	"jimm/workload/sim"
	"jimm/workload/web"
)

// Options say what to start.
type Options struct {
	// Dir is where all state is kept; it is made if needed.
	Dir string
	// Juju is sim (one simulated controller of Juju 3.6 and one of 4.1) or real
	// (two real ones of 4.1).
	Juju string
	// Stack is embedded (OpenFGA, secrets and the identity provider in this
	// process) or real (the services of production, built the first time).
	Stack string
	// Issuer is, among the real services, where people log in: dex (by device and
	// by browser) or hydra (by browser, and service accounts).
	Issuer string
	// Fresh forgets what an earlier start left in Dir.
	Fresh bool
	// Port is JIMM's on 127.0.0.1; the identity provider has the next one, and
	// then come the key set for real controllers, metrics and health, the
	// dashboard, and the real services that people see. 0 takes free ones.
	Port int
	// Log is for the server; nil is a file in Dir.
	Log *slog.Logger
	// Out is told what is going on, a line at a time.
	Out io.Writer
	// Repository is the root of JIMM's checkout, which real controllers are
	// built from; by default it is looked for from the working directory up.
	Repository string
	// Traces makes the spans of JIMM; nil makes none.
	Traces trace.TracerProvider
	// Server is laid over the settings of the server, for tests.
	Server func(*server.Config)
}

// Stack is a whole JAAS that runs.
type Stack struct {
	// Address is JIMM's, host:port; CAFile holds the certificate to trust.
	Address, CAFile string
	// Internal is where those who run JIMM ask it, host:port, plain HTTP.
	Internal string
	// Issuer is the identity provider's; Dashboard is the URL of the page that
	// browsers land on after a login.
	Issuer, Dashboard string
	Server            *server.Server
	Store             *postgres.Store
	Postgres          *cluster.Cluster
	// Services are the real ones, nil if they are embedded.
	Services *stack.Stack
	// Lab is of the real controllers, Real and Simulated the controllers: one
	// of both is empty.
	Lab       *lab.Lab
	Real      []*lab.Controller
	Simulated []*sim.Controller

	options  Options
	state    *state
	postgres *cluster.Cluster
	around   services
	ca       *authority
	tls      *tls.Config
	client   *http.Client
	log      *slog.Logger
	level    *slog.LevelVar
	cleanups []func() error
}

// The people and the service account of the embedded identity provider. Their
// passwords are no secrets: nothing listens beyond this machine.
var (
	Alice = idp.User{Email: "alice@example.com", Name: "Alice", Password: "alice-password", Groups: []string{"engineering"}}
	Bob   = idp.User{Email: "bob@example.com", Name: "Bob", Password: "bob-password"}
)

const ServiceAccount, ServiceSecret = "ci", "ci-secret"

// Admin is the administrator of JIMM and of every controller.
var Admin = estate.User{Name: Alice.Email}

// Start starts everything. Close stops it in the reverse order, also after an
// error in between.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Juju != "sim" && o.Juju != "real" {
		return nil, fmt.Errorf("controllers must be sim or real, not %q", o.Juju)
	}
	if o.Juju == "real" && os.Geteuid() != 0 {
		return nil, errors.New("real controllers need root: they run in network namespaces of their own")
	}
	if err := o.checkServices(); err != nil {
		return nil, err
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	s := &Stack{options: o, log: o.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, start := range []func(context.Context) error{
		s.openDir, s.startServer, s.startControllers, s.addControllers, s.writeEnvironment,
	} {
		if err := start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close stops everything and waits for it.
func (s *Stack) Close() error {
	var failed error
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		failed = errors.Join(failed, s.cleanups[i]())
	}
	s.cleanups = nil
	return failed
}

func (s *Stack) later(f func() error) { s.cleanups = append(s.cleanups, f) }

func (s *Stack) progress(format string, args ...any) {
	fmt.Fprintf(s.options.Out, format+"\n", args...)
}

// openDir makes or finds what must be the same at every start.
func (s *Stack) openDir(ctx context.Context) error {
	dir := s.options.Dir
	if s.options.Fresh {
		if err := removeState(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	s.later(unlock)
	if s.log == nil {
		f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		s.later(f.Close)
		s.level = new(slog.LevelVar)
		s.log = slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: s.level}))
	}
	s.log = slog.New(logging.Handler(s.log.Handler()))
	if s.state, err = openState(dir, s.options.Stack); err != nil {
		return err
	}
	if err := s.checkDir(); err != nil {
		return err
	}
	if s.ca, err = openAuthority(dir); err != nil {
		return err
	}
	s.CAFile = s.ca.File
	s.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.pool()}}}
	s.later(func() error { s.client.CloseIdleConnections(); return nil })
	return nil
}

// Client returns an HTTP client that trusts the stack's certificates.
func (s *Stack) Client() *http.Client { return s.client }

// startServer starts JIMM and the services it needs.
func (s *Stack) startServer(ctx context.Context) error {
	dir := s.options.Dir
	var err error
	if s.tls, err = s.ca.serverConfig(); err != nil {
		return err
	}
	s.progress("Starting PostgreSQL")
	pg, err := s.startPostgres(ctx, filepath.Join(dir, "postgres"))
	if err != nil {
		return err
	}
	s.postgres = pg
	s.Postgres = pg
	s.later(pg.Stop)
	if err := pg.CreateDatabase(ctx, "jimm"); err != nil {
		return err
	}
	watch := observe.New(observe.Options{Version: "development", Log: s.log, Traces: s.options.Traces})
	if s.Store, err = postgres.Open(ctx, pg.DSN("jimm"), postgres.Options{Log: s.log, Tracer: watch.Queries()}); err != nil {
		return err
	}
	watch.Pool(s.Store.Pool())
	s.later(func() error { s.Store.Close(); return nil })

	front, err := listen(s.options.Port)
	if err != nil {
		return err
	}
	s.Address = front.Addr().String()
	around, err := s.startServices(ctx, pg)
	if err != nil {
		return errors.Join(err, front.Close())
	}
	s.around, s.Issuer = around, around.provider.Issuer

	site, err := listen(nextPort(s.options.Port, 4))
	if err != nil {
		return errors.Join(err, front.Close())
	}
	s.Dashboard = "https://" + site.Addr().String() + "/"
	s.later(serve(site, s.tls, dashboard(s.Address, s.log), s.log))

	s.progress("Starting JIMM at https://%s", s.Address)
	logins, err := login.New(ctx, login.Config{
		Issuer: s.Issuer, ClientID: around.provider.ID, ClientSecret: around.provider.Secret, AuthStyle: around.provider.AuthStyle,
		Scopes: around.scopes, GroupClaim: "groups", Limits: login.Limits{PerAddress: 600, PerClient: 60},
		SessionKey: []byte(s.state.SessionKey), SessionLife: 24 * time.Hour, HTTPClient: s.client, Identities: s.Store, Sessions: s.Store,
		RedirectURL: "https://" + s.Address + web.CallbackPath, BrowserLife: 7 * 24 * time.Hour, BrowserIdle: 24 * time.Hour, Secrets: around.secrets,
		Reserved: []string{server.Self(s.Address).Name}, Log: s.log,
	})
	if err != nil {
		return errors.Join(err, front.Close())
	}
	trail := audit.New(s.Store, audit.Options{Log: s.log})
	s.later(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return trail.Close(ctx)
	})
	config := server.Config{
		UUID: s.state.UUID, DNSName: s.Address, Admins: []string{Admin.Name}, Version: "development", Log: s.log, LogLevel: s.level, Instruments: watch,
		Dashboard: s.Dashboard, Origins: []string{strings.TrimSuffix(s.Dashboard, "/")}, CookieLife: 24 * time.Hour, SecureCookies: true,
		Freshness: estate.Freshness{Slow: 5 * time.Second},
	}
	if s.options.Server != nil {
		s.options.Server(&config)
	}
	s.Server, err = server.New(ctx, config, server.Adapters{
		Store: s.Store, Permissions: around.permissions, Secrets: around.secrets, Logins: logins, Audit: trail,
	})
	if err != nil {
		return errors.Join(err, front.Close())
	}
	s.later(func() error { s.Server.Close(); return nil })
	s.later(serve(front, s.tls, s.Server.Handler(), s.log))
	inside, err := listen(nextPort(s.options.Port, 3))
	if err != nil {
		return err
	}
	s.Internal = inside.Addr().String()
	s.later(serve(inside, nil, s.Server.InternalHandler(), s.log))

	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); s.Server.Run(working) }()
	s.later(func() error { cancel(); <-done; return nil })
	return nil
}

// addControllers adds the controllers to the estate, unless an earlier start has.
func (s *Stack) addControllers(ctx context.Context) error {
	for _, c := range s.registrations() {
		s.progress("Adding controller %s", c.Name)
		if err := register(ctx, s.Server.Estate, c); err != nil {
			return err
		}
	}
	return nil
}

// register adds a controller to the estate, unless an earlier run has.
func register(ctx context.Context, e *estate.Estate, c estate.AddControllerArgs) error {
	known, err := e.ShowController(ctx, Admin, c.Name)
	if err == nil && known.UUID == c.UUID {
		return nil
	}
	if err == nil {
		if _, err := e.RemoveController(ctx, Admin, c.Name, true); err != nil {
			return err
		}
	}
	_, err = e.AddController(ctx, Admin, c)
	return err
}

// nextPort is the port some places after another, where that is not "any".
func nextPort(port, places int) int {
	if port == 0 {
		return 0
	}
	return port + places
}

func listen(port int) (net.Listener, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another port", address, err)
	}
	return l, nil
}

// serve starts an HTTP server, with TLS if there is a configuration for it;
// stop ends it and its connections.
func serve(l net.Listener, config *tls.Config, handler http.Handler, log *slog.Logger) (stop func() error) {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return func() error {
		closing := s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return closing
	}
}

// startPostgres starts the private cluster, installing PostgreSQL first where
// that is possible without asking.
func (s *Stack) startPostgres(ctx context.Context, dir string) (*cluster.Cluster, error) {
	o := cluster.Options{Dir: dir, Durable: true}
	pg, err := cluster.Start(ctx, o)
	var missing *cluster.MissingError
	if !errors.As(err, &missing) || !canInstall() {
		return pg, err
	}
	s.progress("Installing PostgreSQL: apt-get install postgresql")
	if err := aptInstall(ctx, "postgresql"); err != nil {
		return nil, errors.Join(missing, err)
	}
	return cluster.Start(ctx, o)
}
