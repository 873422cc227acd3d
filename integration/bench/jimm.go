package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/google/uuid"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/gateway"
	"jimm/workload/juju"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
	"jimm/workload/sim"
)

// caller is who makes the calls: the owner of the model.
var caller = estate.User{Name: "bench@example.com"}

// sessionToken is what the caller logs in to JIMM with.
const sessionToken = "bench"

// admission takes one session token. All else of a login is JIMM's own.
type admission struct{}

func (admission) Handle(_ context.Context, _ int, method string, raw json.RawMessage) (any, *estate.User, error) {
	var args struct {
		Token string `json:"session-token"`
	}
	if method != "LoginWithSessionToken" || json.Unmarshal(raw, &args) != nil || args.Token != sessionToken {
		return nil, nil, estate.Errorf(estate.CodeSessionTokenInvalid, "session token is not valid")
	}
	return nil, &caller, nil
}

// recorder is the audit log behind the gateway.
type recorder struct{ log *audit.Log }

func (r recorder) Record(ctx context.Context, e estate.AuditEvent) error {
	if !audit.Worth(e.Facade, e.Method) {
		return nil
	}
	return r.log.RecordRaw(ctx, e)
}

// runServices runs PostgreSQL and, on it, OpenFGA.
func runServices(args []string) (err error) {
	flags := flag.NewFlagSet("process-services", flag.ContinueOnError)
	dir := flags.String("dir", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx := context.Background()
	pg, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(*dir, "postgres"), Durable: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop()) }()
	for _, name := range []string{"jimm", "openfga"} {
		if err := pg.CreateDatabase(ctx, name); err != nil {
			return err
		}
	}
	fga, err := embedded.Open(ctx, embedded.Config{DSN: pg.DSN("openfga")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fga.Close()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := serveUntilClosed(l, fga.Handler())
	defer server.Close()
	return obey(answer{DSN: pg.DSN("jimm"), Address: l.Addr().String()}, func(order) (answer, error) { return answer{}, errors.New("cannot do that") })
}

// runJIMM is JIMM: the estate on PostgreSQL and OpenFGA, signing keys, audit
// log and gateway.
func runJIMM(args []string) (err error) {
	flags := flag.NewFlagSet("process-jimm", flag.ContinueOnError)
	certificate := flags.String("certificate", "", "")
	keysHost := flags.String("keys", "127.0.0.1", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := postgres.Open(ctx, os.Getenv("BENCH_DSN"), postgres.Options{Log: log})
	if err != nil {
		return err
	}
	defer store.Close()
	permissions, err := openfga.Connect(ctx, openfga.Config{URL: os.Getenv("BENCH_OPENFGA"), StoreName: "jimm"})
	if err != nil {
		return err
	}
	defer permissions.Close()
	secrets, err := sealed.New(store.Pool(), []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return err
	}
	keys, err := juju.OpenKeys(ctx, secrets, juju.KeyOptions{Log: log})
	if err != nil {
		return err
	}
	tokens := &juju.Tokens{Keys: keys, Issuer: "bench", Life: time.Hour}
	self := estate.User{Name: "jimm@example.com"}
	peers := juju.NewPeers(&juju.Dialer{}, tokens, juju.PeersOptions{Self: self})
	defer peers.Close()
	e := &estate.Estate{
		Store: store, Permissions: permissions, Secrets: secrets, Peers: peers,
		UUID: uuid.NewString(), Self: self, Now: time.Now, NewUUID: uuid.NewString, Shuffle: rand.Shuffle, Log: log,
	}
	if err := e.EnsureAdmins(ctx, []string{caller.Name}); err != nil {
		return err
	}
	trail := audit.New(store, audit.Options{Log: log})
	defer func() { err = errors.Join(err, trail.Close(ctx)) }()
	g := gateway.New(gateway.Config{
		Admission:      func(*http.Request) gateway.Admission { return admission{} },
		Models:         e,
		Dialer:         peers,
		Recorder:       recorder{trail},
		ControllerUUID: e.UUID,
		Log:            log,
	})
	defer g.Close()
	// The same without an audit log, for the comparison.
	silent := gateway.New(gateway.Config{
		Admission:      func(*http.Request) gateway.Admission { return admission{} },
		Models:         e,
		Dialer:         peers,
		ControllerUUID: e.UUID,
		Log:            log,
	})
	defer silent.Close()

	config, err := serverTLS(*certificate)
	if err != nil {
		return err
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /model/{uuid}/api", func(w http.ResponseWriter, r *http.Request) { g.ServeModel(w, r, r.PathValue("uuid")) })
	mux.HandleFunc("GET /silent/model/{uuid}/api", func(w http.ResponseWriter, r *http.Request) { silent.ServeModel(w, r, r.PathValue("uuid")) })
	server := serveUntilClosed(tls.NewListener(front, config), mux)
	defer server.Close()
	back, err := net.Listen("tcp", net.JoinHostPort(*keysHost, "0"))
	if err != nil {
		return err
	}
	keyServer := serveUntilClosed(back, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys.JWKS())
	}))
	defer keyServer.Close()

	var profile *os.File
	ready := answer{Address: front.Addr().String(), Keys: "http://" + back.Addr().String() + "/.well-known/jwks.json"}
	return obey(ready, func(o order) (answer, error) {
		switch {
		case o.Register != nil:
			return register(ctx, e, tokens, *o.Register)
		case o.Profile != nil && *o.Profile != "":
			if profile, err = os.Create(*o.Profile); err != nil {
				return answer{}, err
			}
			return answer{}, pprof.StartCPUProfile(profile)
		case o.Profile != nil:
			pprof.StopCPUProfile()
			return answer{}, profile.Close()
		case o.Heap != "":
			f, err := os.Create(o.Heap)
			if err != nil {
				return answer{}, err
			}
			return answer{}, errors.Join(pprof.WriteHeapProfile(f), f.Close())
		}
		return answer{}, errors.New("cannot do that")
	})
}

// register adds the controller to the estate and makes a model on it.
func register(ctx context.Context, e *estate.Estate, tokens *juju.Tokens, c controllerFacts) (answer, error) {
	_, err := e.AddController(ctx, caller, estate.AddControllerArgs{
		Name: c.Name, UUID: c.UUID, Addresses: []string{c.Address}, CACertificate: c.CACert,
		Username: c.User, Password: c.Password,
	})
	if err != nil {
		return answer{}, err
	}
	info, err := e.CreateModel(ctx, caller, estate.CreateModelArgs{Name: "bench"})
	if err != nil {
		return answer{}, err
	}
	route, err := e.Route(ctx, caller, info.UUID)
	if err != nil {
		return answer{}, err
	}
	token, err := tokens.Mint(c.UUID, caller, route.Claims)
	return answer{Model: info.UUID, Token: token}, err
}

// runSim is a simulated controller.
func runSim(args []string) error {
	flags := flag.NewFlagSet("process-sim", flag.ContinueOnError)
	keys := flags.String("keys", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := sim.Start(context.Background(), sim.Config{Name: "sim", Generation: sim.Juju41, JWKSURL: *keys})
	if err != nil {
		return err
	}
	defer c.Close()
	facts := controllerFacts{c.Name(), c.UUID(), c.Address(), c.CACert(), "admin", c.AdminPassword()}
	return obey(answer{Controller: &facts}, func(order) (answer, error) { return answer{}, errors.New("cannot do that") })
}
