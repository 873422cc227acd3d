// Command jimmsrv is JIMM: one gateway to many Juju controllers. It is
// configured by its environment and a file; docs/reference/configuration.md lists
// the variables.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"jimm/workload/audit"
	"jimm/workload/config"
	"jimm/workload/logging"
	"jimm/workload/login"
	"jimm/workload/observe"
	"jimm/workload/openfga"
	"jimm/workload/postgres"
	"jimm/workload/secrets"
	"jimm/workload/server"
	"jimm/workload/traces"
	"jimm/workload/trust"
	"jimm/workload/web"
)

// version and commit are set by the linker.
var version, commit = "unreleased", "unknown"

// patience is how long to wait where the secrets are not, as while they are moved.
const patience = 5 * time.Second

// drain is for how long what is kept in memory may take to be written at the end.
const drain = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves, with the settings of the environment and of a file, until ctx ends.
func run(ctx context.Context, file string) error {
	loaded, err := config.Load(os.Environ(), file)
	if err != nil {
		return err
	}
	c := loaded.Config
	level := new(slog.LevelVar)
	level.Set(c.LogLevel)
	log := logger(level, c.LogText)
	slog.SetDefault(log)
	for _, s := range loaded.Ignored() {
		log.Warn("a setting has no effect", "setting", s.Name, "because", s.Note)
	}
	roots, err := trust.Open(c.CAFile)
	if err != nil {
		return err
	}

	tracing, endTraces, err := traces.Open(ctx, version)
	if err != nil {
		return err
	}
	defer within(drain, "cannot send the last traces", endTraces, log)
	watch := observe.New(observe.Options{Version: version, Commit: commit, Traces: tracing, Log: log})
	store, err := postgres.Open(ctx, c.DSN, postgres.Options{Log: log, Tracer: watch.Queries()})
	if err != nil {
		return err
	}
	defer store.Close()
	watch.Pool(store.Pool())
	kept, err := server.OpenSecrets(c.SecretPlace, store.Pool(), c, roots, log)
	if err != nil {
		return err
	}
	ctx, release, err := secrets.Hold(ctx, store, c.SecretPlace, patience, log)
	if err != nil {
		return err
	}
	defer release()
	permissions, err := openfga.Connect(ctx, openfga.Config{
		URL: c.OpenFGAURL, StoreID: c.OpenFGAStore, ModelID: c.OpenFGAAuthModel, Token: c.OpenFGAToken,
		StoreName: "jimm", ObjectsLimit: c.OpenFGAObjects, HTTPClient: &http.Client{Transport: observe.Propagate(roots.Transport(manyIdle))},
		Lock: func(ctx context.Context) (func(), error) { return store.Lock(ctx, "openfga") },
	})
	if err != nil {
		return err
	}
	groups := server.OpenGroups(c, roots)
	logins, err := login.New(ctx, login.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes, AuthStyle: c.AuthStyle,
		GroupClaim: c.GroupClaim, IdPGroups: groups, SessionKey: []byte(c.SessionKey), SessionLife: c.SessionLife, SessionIdle: c.SessionIdle, IntrospectionURL: c.IntrospectionURL,
		Limits: login.Limits{PerAddress: c.AddressAttempts, PerClient: c.ClientAttempts}, Identities: store, Sessions: store,
		RedirectURL: "https://" + c.DNSName + c.Prefix + web.CallbackPath, BrowserLife: c.Browsers.SessionLife, BrowserIdle: c.Browsers.CookieLife, Secrets: kept,
		ClientCredentialScopes: c.ClientScopes, TrustEmail: c.TrustEmail, Reserved: []string{server.Self(c.DNSName).Name}, Log: log,
		HTTPClient: &http.Client{Transport: roots.Transport(nil)},
	})
	if err != nil {
		return err
	}
	trail := audit.New(store, audit.Options{Log: log})
	defer within(drain, "cannot write the last of the audit log", trail.Close, log)
	jimm, err := server.New(ctx, server.Config{
		UUID: c.UUID, DNSName: c.DNSName, Prefix: c.Prefix, Admins: c.Admins, Origins: c.Origins,
		Dashboard: c.Browsers.Dashboard, CookieLife: c.Browsers.CookieLife, SecureCookies: c.Browsers.SecureCookies,
		TrustedProxies: c.TrustedProxies, TokenLife: c.TokenLife, KeyMaxAge: c.KeyMaxAge, QueryTimeout: c.QueryTimeout, AuditRetention: c.AuditRetention, Version: version, Commit: commit, Log: log, LogLevel: level, Instruments: watch,
		Roots: roots.Pool,
	}, server.Adapters{Store: store, Permissions: permissions, Secrets: kept, Logins: logins, IdPGroups: groups, Audit: trail})
	if err != nil {
		return err
	}
	defer jimm.Close()

	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); jimm.Run(working) }()
	defer func() { cancel(); <-done }()
	defer (&reloader{file: file, loaded: loaded, level: level, roots: roots, jimm: jimm, log: log}).start(working)()
	stopInternal, err := serveInternal(ctx, c.InternalAddress, jimm.InternalHandler(), log)
	if err != nil {
		return err
	}
	defer stopInternal()
	if err := serve(ctx, c, jimm, log); err != nil {
		return err
	}
	if lost := context.Cause(ctx); !errors.Is(lost, context.Canceled) {
		return lost
	}
	return nil
}

// within closes something, which may take a while but not forever.
func within(limit time.Duration, failure string, closing func(context.Context) error, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := closing(ctx); err != nil {
		log.Error(failure, "error", err)
	}
}

// manyIdle keeps more than the two idle connections of the default transport:
// every request asks OpenFGA something.
func manyIdle(t *http.Transport) { t.MaxIdleConnsPerHost = 64 }

// logger writes JSON, or text for people, to standard error.
func logger(level *slog.LevelVar, text bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var lines slog.Handler = slog.NewJSONHandler(os.Stderr, options)
	if text {
		lines = slog.NewTextHandler(os.Stderr, options)
	}
	return slog.New(logging.Handler(lines))
}

// serveInternal answers those who run JIMM until stop is called.
func serveInternal(ctx context.Context, address string, handler http.Handler, log *slog.Logger) (stop func(), err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at JIMM_INTERNAL_LISTEN_ADDR: %w", err)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	log.Info("listening for metrics and health", "address", l.Addr().String())
	return func() {
		_ = s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			log.Error("the internal listener broke", "error", err)
		}
	}, nil
}

// serve answers clients until ctx ends, then lets the requests under way end.
func serve(ctx context.Context, c config.Config, jimm *server.Server, log *slog.Logger) error {
	s := &http.Server{
		Addr: c.ListenAddress, Handler: jimm.Handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// Replies of a few KB go out as one record.
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true},
	}
	stopped := make(chan error, 1)
	go func() {
		log.Info("listening", "address", c.ListenAddress, "version", version)
		if c.TLSCertificate != "" {
			stopped <- s.ListenAndServeTLS(c.TLSCertificate, c.TLSKey)
			return
		}
		stopped <- s.ListenAndServe()
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping", "grace", c.Grace.String())
	draining, cancel := context.WithTimeout(context.Background(), c.Grace)
	defer cancel()
	connections := make(chan struct{})
	go func() { defer close(connections); jimm.Drain(draining) }()
	if err := s.Shutdown(draining); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	<-connections
	log.Info("clients are gone", "in-time", draining.Err() == nil)
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
