// Package server assembles JIMM from its parts: the same for production, where
// cmd/jimmsrv gives it the adapters, and for development, where cmd/jimmdev does.
package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/juju/names/v6"

	jujuversion "github.com/juju/juju/core/version"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/facade"
	"jimm/workload/gateway"
	"jimm/workload/jq"
	"jimm/workload/juju"
	"jimm/workload/macaroons"
	"jimm/workload/observe"
	"jimm/workload/openfga"
	"jimm/workload/rebac"
	"jimm/workload/rpc"
	"jimm/workload/web"
)

// Config are the settings of a server.
type Config struct {
	// UUID is JIMM's own.
	UUID string
	// DNSName is the host, with a port if it is not 443, that clients know us
	// by; Prefix the path in front of ours, if any.
	DNSName, Prefix string
	// Admins are made administrators of JIMM at start.
	Admins []string
	// Origins are the web pages of other origins that may connect.
	Origins []string
	// Dashboard is where browsers land after a login; without it there is none by
	// browser. CookieLife is for how long they keep a session's cookie when it is
	// not used, and SecureCookies keeps it off connections without TLS.
	Dashboard     string
	CookieLife    time.Duration
	SecureCookies bool
	// TrustedProxies are those whose word about where a request comes from
	// counts.
	TrustedProxies []netip.Prefix
	// Roots are trusted in controllers that have no CA of their own; nil: the
	// system's.
	Roots func() *x509.CertPool
	// TokenLife is for how long tokens for controllers are valid.
	TokenLife time.Duration
	// KeyMaxAge is how long controllers may keep our key set.
	KeyMaxAge       time.Duration
	Version, Commit string
	Log             *slog.Logger
	// LogLevel, where set, can be changed at the internal listener.
	LogLevel *slog.LevelVar
	// Instruments watch the server; nil makes new ones.
	Instruments *observe.Instruments

	// SweepEvery is how often unfinished work is looked for (default 1 m).
	SweepEvery time.Duration
	// OffersEvery is how often controllers are asked about their offers
	// (default 5 m): only what is made or removed without us is news.
	OffersEvery time.Duration
	// Freshness says how closely controllers are kept up with.
	Freshness estate.Freshness
	// AuditRetention is for how long audit events are kept; 0 is for ever.
	AuditRetention time.Duration
	// CallTimeout and IntentAge are the estate's.
	CallTimeout, IntentAge time.Duration
	// SessionCheck is the estate's (default 1 m).
	SessionCheck time.Duration
	// QueryTimeout is the estate's (default 5 s).
	QueryTimeout time.Duration
	// Pause is the estate's, for tests that kill the process.
	Pause func(step string)
}

// Logins tells who is calling: login.Service does.
type Logins interface {
	facade.Logins
	gateway.Authenticator
	web.Browsers
	// ForgetAccount and RefreshSession are the estate's.
	ForgetAccount(user string)
	RefreshSession(ctx context.Context, s estate.Session) error
}

// Adapters are what the estate's ports are connected to.
type Adapters struct {
	Store       estate.Store
	Permissions estate.Permissions
	Secrets     estate.Secrets
	Logins      Logins
	// IdPGroups may be nil.
	IdPGroups estate.IdPGroups
	Audit     *audit.Log
}

// Server is a JIMM.
type Server struct {
	Estate      *estate.Estate
	config      Config
	keys        *juju.Keys
	peers       *juju.Peers
	api         *web.API
	gateway     *gateway.Gateway
	files       *gateway.Transfer
	handler     http.Handler
	controllers http.Handler
	internal    http.Handler
	watch       *observe.Instruments
	health      *observe.Health
	records     *recorder
	origins     atomic.Pointer[[]string]
}

// New assembles a server. It makes signing keys if there are none, and
// administrators of those configured. Run does its background work; Close ends
// all connections.
func New(ctx context.Context, c Config, a Adapters) (*Server, error) {
	if c.SweepEvery <= 0 {
		c.SweepEvery = time.Minute
	}
	if c.OffersEvery <= 0 {
		c.OffersEvery = 5 * time.Minute
	}
	watch := c.Instruments
	if watch == nil {
		watch = observe.New(observe.Options{Version: c.Version, Commit: c.Commit, Log: c.Log})
	}
	a.Permissions, a.Secrets = watch.Permissions(a.Permissions), watch.Secrets(a.Secrets)
	logins := a.Logins
	records := &recorder{trail: a.Audit, log: c.Log}
	a.Logins = observedLogins{logins, watch, records}
	keys, err := juju.OpenKeys(ctx, a.Secrets, juju.KeyOptions{Log: c.Log, MaxAge: c.KeyMaxAge})
	if err != nil {
		return nil, fmt.Errorf("cannot open signing keys: %w", err)
	}
	self := Self(c.DNSName)
	tokens := &juju.Tokens{Keys: keys, Issuer: c.DNSName, Life: c.TokenLife}
	dialer := &juju.Dialer{ClientVersion: jujuversion.Current.String(), Roots: c.Roots, Observer: observe.Controllers{Instruments: watch}}
	peers := juju.NewPeers(dialer, tokens, juju.PeersOptions{Self: self})
	e := &estate.Estate{
		Store: a.Store, Permissions: estate.Announce(a.Permissions, a.Store), Secrets: a.Secrets, Peers: peers, Keys: keys, IdPGroups: a.IdPGroups,
		UUID: c.UUID, Self: self, Version: c.Version, Commit: c.Commit,
		Now: time.Now, NewUUID: uuid.NewString, Shuffle: rand.Shuffle, Log: c.Log,
		Queries: new(jq.Runner), QueryTimeout: c.QueryTimeout,
		CallTimeout: c.CallTimeout, IntentAge: c.IntentAge, Pause: c.Pause, AuditRetention: c.AuditRetention, ForgetAccount: a.Logins.ForgetAccount,
		RefreshSession: a.Logins.RefreshSession, SessionCheck: c.SessionCheck,
	}
	if err := e.EnsureAdmins(ctx, c.Admins); err != nil {
		return nil, fmt.Errorf("cannot make administrators: %w", err)
	}
	facades := &facade.Server{Estate: e, Logins: a.Logins, Log: c.Log, DNSName: hostname(c.DNSName), Record: records.facade}
	s := &Server{Estate: e, config: c, keys: keys, peers: peers, watch: watch, records: records}
	s.origins.Store(&c.Origins)
	origins := web.Origins{Own: Origin(c.DNSName), Allowed: func() []string { return *s.origins.Load() }}
	g := gateway.New(gateway.Config{
		Admission:      func(r *http.Request) gateway.Admission { return facade.NewAdmin(a.Logins, origins.SessionCookieOf(r)) },
		Models:         e,
		Dialer:         peers,
		Sessions:       e,
		Holds:          e,
		Recorder:       records,
		Observe:        watch.Admission,
		Forward:        watch.Forward(),
		ControllerUUID: c.UUID,
		Prefix:         c.Prefix,
		CheckOrigin:    origins.CheckUpgrade,
		Log:            c.Log,
	})
	transfer := gateway.NewTransfer(gateway.TransferConfig{
		Models: e, Logins: a.Logins, Sessions: e, Holds: e, Controllers: dialer, Tokens: tokens, Secrets: a.Secrets, CheckOrigin: origins.CheckUpgrade,
		Recorder: records, Log: c.Log,
	})
	confirm, err := macaroons.Handler(ctx, macaroons.Config{Offers: e, Secrets: a.Secrets, Log: c.Log})
	if err != nil {
		return nil, err
	}
	s.gateway, s.files = g, transfer
	api := &web.API{Facades: facades, Origins: origins, Prefix: c.Prefix, NewID: uuid.NewString, Log: c.Log, Options: rpc.Options{}, Observe: watch.Requests}
	s.api = api
	routes := web.Routes{
		Prefix:         c.Prefix,
		Observe:        watch.HTTP,
		API:            api,
		Model:          g.ServeModel,
		Log:            transfer.Log(),
		Transfer:       transfer,
		KeySet:         s.keySet,
		Macaroons:      confirm,
		TrustedProxies: c.TrustedProxies,
		Origins:        origins,
	}
	auth := &web.Auth{
		Browsers: a.Logins, Tokens: a.Logins, Person: e.Whoami, Dashboard: c.Dashboard, Prefix: c.Prefix, MaxAge: c.CookieLife, Secure: c.SecureCookies,
		Origins: origins, Now: time.Now, Log: c.Log,
	}
	if c.Dashboard != "" {
		routes.Auth = auth.Handler()
	}
	routes.Admin, err = records.admin(auth.Identify, func(identify identifies) (http.Handler, error) {
		return rebac.Handler(rebac.Config{Estate: e, Authenticate: identify, Language: openfga.Language, Prefix: c.Prefix, Log: c.Log})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot serve the admin API: %w", err)
	}
	s.handler, s.controllers = web.Handler(routes), web.ControllersHandler(routes)
	const connections, help = "jimm_websocket_concurrent_connections", "Websockets of clients: of controller connections (api), model connections (model) and log streams (log)."
	for kind, count := range map[string]func() int{"api": api.Connections, "model": g.Connections, "log": transfer.Streams} {
		watch.Value("gauge", connections, help, func() float64 { return float64(count()) }, "type", kind)
	}
	if a.Audit != nil {
		watch.Value("gauge", "jimm_audit_pending_events", "Audit events that wait to be written.", func() float64 { return float64(a.Audit.Pending()) })
	}
	watch.Estate(a.Store, c.Log)
	a.Logins = logins // the one that can be asked whether it answers
	s.health = observe.NewHealth(watch, s.checks(a)...)
	s.internal = watch.Handler(s.health, levels(c.LogLevel), c.Version, c.Commit)
	return s, nil
}

// Metrics are the server's own, as the reference describes them.
func (s *Server) Metrics() []observe.Family { return s.watch.Families() }

// InternalHandler serves those who run JIMM: metrics, health, profiles. Nobody
// else must reach it.
func (s *Server) InternalHandler() http.Handler { return s.internal }

func (s *Server) keySet() ([]byte, time.Duration) { return s.keys.JWKS(), s.keys.MaxAge() }

// Handler serves clients.
func (s *Server) Handler() http.Handler { return s.handler }

// Reconfigure makes users administrators, who are never removed by it, and
// replaces the web pages that may connect.
func (s *Server) Reconfigure(ctx context.Context, admins, origins []string) error {
	s.origins.Store(&origins)
	return s.Estate.EnsureAdmins(ctx, admins)
}

// KeySetHandler serves only what controllers ask for: the key set, and who may
// consume an offer.
func (s *Server) KeySetHandler() http.Handler { return s.controllers }

// healthEvery is how often all that the server depends on is looked at.
const healthEvery = 20 * time.Second

// Run does the background work until ctx ends: it keeps the signing keys, keeps
// up with its share of the controllers, and finishes what dead processes left,
// which one of all units that share a store does.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.keys.Run(ctx) })
	running.Go(func() { s.Estate.KeepFresh(ctx, s.config.Freshness) })
	running.Go(func() { s.Estate.KeepSessions(ctx) })
	running.Go(func() { s.lead(ctx) })
	running.Go(func() { s.health.Run(ctx, healthEvery) })
	running.Go(func() { s.records.run(ctx) })
	running.Wait()
}

// Drain makes the server not ready, takes no new connections, and ends those
// there are in order: what clients have asked for is answered, and they are told
// to connect again. It returns when all have ended, or ctx. The caller stops the
// HTTP server meanwhile, which sees to all requests that are no connections.
func (s *Server) Drain(ctx context.Context) {
	s.health.Drain()
	var draining sync.WaitGroup
	draining.Go(func() { s.api.Drain(ctx) })
	draining.Go(func() { s.gateway.Drain(ctx) })
	draining.Go(s.files.Close)
	draining.Wait()
}

// Close ends all connections, clients' and controllers'.
func (s *Server) Close() {
	s.gateway.Close()
	s.files.Close()
	s.peers.Close()
}

// lead works while this unit is the one that does, and waits to be it.
func (s *Server) lead(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := s.Estate.Store.Lead(ctx, "background", func(ctx context.Context) error {
			s.watch.Leading(true)
			defer s.watch.Leading(false)
			var running sync.WaitGroup
			running.Go(func() { s.every(ctx, s.config.SweepEvery, "sweep", s.Estate.Sweep) })
			running.Go(func() { s.every(ctx, s.config.OffersEvery, "offers", s.Estate.RefreshAllOffers) })
			running.Go(func() { s.every(ctx, time.Hour, "audit retention", s.Estate.ExpireAuditEvents) })
			running.Wait()
			return ctx.Err()
		})
		if err != nil && ctx.Err() == nil {
			s.config.Log.Error("cannot do the background work", "error", err)
		}
		wait(ctx, 5*time.Second)
	}
}

func (s *Server) every(ctx context.Context, period time.Duration, what string, f func(context.Context) error) {
	for ctx.Err() == nil {
		if err := s.watch.Work(ctx, what, f); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("background work is not complete", "work", what, "error", err)
		}
		wait(ctx, period)
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Origin is that of a JIMM of this DNS name as browsers write it, without the
// port that https has anyway.
func Origin(dnsName string) string {
	return "https://" + strings.TrimSuffix(strings.ToLower(dnsName), ":443")
}

// Self is who a JIMM of this DNS name is on controllers, which take only users of
// a domain. Nobody may log in under that name.
func Self(dnsName string) estate.User {
	name := "jimm@" + bareHost(dnsName)
	if !names.IsValidUser(name) {
		name = "jimm@jimm.internal"
	}
	return estate.User{Name: name}
}

// bareHost takes the port off a host.
func bareHost(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// hostname is a host that a certificate can be for by name; empty for an address.
func hostname(hostport string) string {
	host := bareHost(hostport)
	if net.ParseIP(host) != nil {
		return ""
	}
	return host
}
