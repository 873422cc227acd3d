// Lists measures how long lists of models take, with 20 simulated controllers
// and 10,000 models of which users see few, many and all; the same while one of
// the controllers hangs; and a login.
//
//	go run ./integration/bench/lists
//
// JIMM, its PostgreSQL and OpenFGA, the controllers and the clients share the
// machine; a figure is from the request's last byte to the reply's, over a
// websocket without TLS.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/login"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
	"jimm/workload/sealed"
	"jimm/workload/server"
	"jimm/workload/sim"
	"jimm/workload/web"
)

type settings struct {
	controllers, models, calls, rounds int
	profile                            string
}

func main() {
	var s settings
	flag.IntVar(&s.controllers, "controllers", 20, "simulated controllers")
	flag.IntVar(&s.models, "models", 10_000, "models on them")
	flag.IntVar(&s.calls, "calls", 20, "how often each call is made, each time")
	flag.IntVar(&s.rounds, "rounds", 3, "how often all is measured, each time with and without a controller that hangs")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the calls to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, s, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lists:", err)
		os.Exit(1)
	}
}

// logins takes the name of a user for a session token.
type logins struct{ web.Browsers }

var errNotHere = errors.New("not part of this measurement")

func (logins) StartDevice(context.Context) (*login.Device, error) { return nil, errNotHere }
func (logins) AwaitDevice(context.Context, *login.Device) (string, estate.User, error) {
	return "", estate.User{}, errNotHere
}
func (logins) VerifyToken(_ context.Context, token string) (estate.User, error) {
	return estate.User{Name: token}, nil
}
func (logins) ClientCredentials(context.Context, string, string) (estate.User, error) {
	return estate.User{}, errNotHere
}
func (logins) ForgetAccount(string)                                 {}
func (logins) RefreshSession(context.Context, estate.Session) error { return nil }
func (logins) Basic(context.Context, string, string) (estate.User, error) {
	return estate.User{}, errNotHere
}

// viewer is a user and how many models they see.
type viewer struct {
	name, how string
	sees      int
}

const admin = "admin@example.com"

func run(ctx context.Context, s settings, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "jimm-lists-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL runs as another user
		return err
	}
	pg, err := cluster.Start(ctx, cluster.Options{Dir: dir + "/postgres"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop()) }()
	for _, name := range []string{"jimm", "openfga"} {
		if err := pg.CreateDatabase(ctx, name); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	store, err := postgres.Open(ctx, pg.DSN("jimm"), postgres.Options{Log: log})
	if err != nil {
		return err
	}
	defer store.Close()
	permissions, err := embedded.Open(ctx, embedded.Config{DSN: pg.DSN("openfga")})
	if err != nil {
		return err
	}
	defer permissions.Close()
	secrets, err := sealed.New(store.Pool(), []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return err
	}
	trail := audit.New(store, audit.Options{Log: log})
	defer func() { err = errors.Join(err, trail.Close(ctx)) }()
	jimm, err := server.New(ctx, server.Config{
		UUID: uuid.NewString(), DNSName: "jimm.example.com", Admins: []string{admin}, Log: log,
	}, server.Adapters{Store: store, Permissions: permissions, Secrets: secrets, Logins: logins{}, Audit: trail})
	if err != nil {
		return err
	}
	defer jimm.Close()
	keys := httptest.NewServer(jimm.KeySetHandler())
	defer keys.Close()
	front := httptest.NewServer(jimm.Handler())
	defer front.Close()

	sims, viewers, err := populate(ctx, s, jimm, store, permissions, keys.URL+"/.well-known/jwks.json")
	defer func() {
		for _, c := range sims {
			_ = c.Close()
		}
	}()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { jimm.Run(running) })
	if err := settled(ctx, store, s); err != nil {
		return err
	}
	if s.profile != "" {
		f, err := os.Create(s.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	url := "ws" + strings.TrimPrefix(front.URL, "http") + "/api"
	// In turn, so that whatever else the machine does hits both alike.
	var before, after []result
	for range s.rounds {
		if before, err = measure(ctx, s, url, viewers, before); err != nil {
			return err
		}
		sims[0].Faults().Hang("", -1)
		if err := available(ctx, store, sims[0].UUID(), false); err != nil {
			return err
		}
		if after, err = measure(ctx, s, url, viewers, after); err != nil {
			return err
		}
		sims[0].Faults().Clear()
		if err := available(ctx, store, sims[0].UUID(), true); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%d models on %d controllers\tmedian\tp95\tfastest\tone hangs: median\tp95\tfastest\tprocessor\tsize\n", s.models, s.controllers)
	for i := range before {
		b, a := before[i], after[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d KB\n", b.what,
			b.quantile(0.5), b.quantile(0.95), b.quantile(0), a.quantile(0.5), a.quantile(0.95), a.quantile(0),
			milliseconds(b.processor/time.Duration(len(b.took))), b.bytes>>10)
	}
	return table.Flush()
}

// populate starts the controllers, and makes models and users.
func populate(ctx context.Context, s settings, jimm *server.Server, store *postgres.Store, permissions estate.Permissions, keysURL string) ([]*sim.Controller, []viewer, error) {
	var sims []*sim.Controller
	quiet := slog.New(slog.DiscardHandler)
	now := time.Now()
	var tuples []estate.Tuple
	few, many, every := estate.User{Name: "few@example.com"}, estate.User{Name: "many@example.com"}, estate.User{Name: "every@example.com"}
	owner := estate.User{Name: "owner@example.com"}
	group := estate.Object{Kind: estate.KindGroup, ID: uuid.NewString()}
	members := estate.Subject{Object: group, Relation: estate.Member}
	everyGroup := estate.Object{Kind: estate.KindGroup, ID: uuid.NewString()}
	tuples = append(tuples,
		estate.Tuple{Subject: many.Subject(), Relation: estate.Member, Object: group},
		estate.Tuple{Subject: every.Subject(), Relation: estate.Member, Object: everyGroup})
	for _, u := range []estate.User{few, many, every, owner} {
		if err := store.EnsureIdentity(ctx, u.Name); err != nil {
			return nil, nil, err
		}
	}
	n := 0
	for i := range s.controllers {
		generation := sim.Juju41
		if i%2 == 1 {
			generation = sim.Juju36
		}
		c, err := sim.Start(ctx, sim.Config{
			Name: fmt.Sprintf("c%02d", i), Generation: generation, JWKSURL: keysURL,
			Cloud: sim.Cloud{Name: "lab", Regions: []string{"r1"}}, Log: quiet,
		})
		if err != nil {
			return sims, nil, err
		}
		sims = append(sims, c)
		_, err = jimm.Estate.AddController(ctx, estate.User{Name: admin}, estate.AddControllerArgs{
			Name: c.Name(), UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(),
			Username: "admin", Password: c.AdminPassword(),
		})
		if err != nil {
			return sims, nil, err
		}
		here := s.models/s.controllers + min(1, max(0, s.models%s.controllers-i))
		var seeded []sim.Model
		uuids, err := c.SeedModels(here, func(j int) sim.Model {
			m := sim.Model{Name: fmt.Sprintf("model-%05d", n+j), Owner: owner.Name, Applications: []string{"app"}}
			seeded = append(seeded, m)
			return m
		})
		if err != nil {
			return sims, nil, err
		}
		for j, id := range uuids {
			model := estate.Object{Kind: estate.KindModel, ID: id}
			err := store.InsertModel(ctx, estate.Model{
				ID: id, UUID: id, Owner: owner.Name, Name: seeded[j].Name, State: estate.ModelLive,
				ControllerUUID: c.UUID(), Cloud: "lab", Region: "r1", Type: "iaas", CreatedAt: now, UpdatedAt: now,
			})
			if err != nil {
				return sims, nil, err
			}
			tuples = append(tuples,
				estate.Tuple{Subject: estate.Subject{Object: estate.Object{Kind: estate.KindController, ID: c.UUID()}}, Relation: estate.InController, Object: model},
				estate.Tuple{Subject: owner.Subject(), Relation: estate.Administrator, Object: model},
				estate.Tuple{Subject: estate.Subject{Object: everyGroup, Relation: estate.Member}, Relation: estate.Reader, Object: model})
			if n%(max(1, s.models/200)) == 0 {
				tuples = append(tuples, estate.Tuple{Subject: few.Subject(), Relation: estate.Writer, Object: model})
			}
			if n%(max(1, s.models/2000)) == 0 {
				tuples = append(tuples, estate.Tuple{Subject: members, Relation: estate.Administrator, Object: model})
			}
			n++
		}
	}
	if err := permissions.Write(ctx, tuples, nil); err != nil {
		return sims, nil, err
	}
	return sims, []viewer{
		{few.Name, "a user with 200", min(200, s.models)},
		{many.Name, "a group with 2,000", min(2000, s.models)},
		{every.Name, "a group with all", s.models},
		{owner.Name, "the owner of all", s.models},
		{admin, "an administrator", s.models},
	}, nil
}

// settled waits until every controller has said what its models are like.
func settled(ctx context.Context, store *postgres.Store, s settings) error {
	for {
		var said int
		if err := store.Pool().QueryRow(ctx, `select count(*) from models where summary is not null`).Scan(&said); err != nil {
			return err
		}
		if said == s.models {
			return nil
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// available waits until a controller counts as one that answers, or does not.
func available(ctx context.Context, store *postgres.Store, controller string, answers bool) error {
	for {
		c, err := store.Controller(ctx, controller)
		if err != nil || c.UnavailableSince.IsZero() == answers {
			return err
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is what one call was like.
type result struct {
	what  string
	took  []time.Duration
	bytes int
	// processor is what it took of the processor, for all in this process: all
	// but PostgreSQL.
	processor time.Duration
}

func (r result) quantile(q float64) string {
	slices.Sort(r.took)
	d := r.took[min(int(q*float64(len(r.took))), len(r.took)-1)]
	return milliseconds(d)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// measure makes all calls, and adds how long they took to what is known.
func measure(ctx context.Context, s settings, url string, viewers []viewer, known []result) ([]result, error) {
	var results []result
	add := func(r result) {
		if at := len(results); at < len(known) {
			r.took = append(known[at].took, r.took...)
			r.processor += known[at].processor
		}
		results = append(results, r)
	}
	logins := result{what: "login to ready, connected"}
	for range s.calls + 2 {
		conn, err := dial(ctx, url)
		if err != nil {
			return nil, err
		}
		took, _, err := exchange(conn, loginAs(viewers[0].name), -1)
		conn.Abort()
		if err != nil {
			return nil, err
		}
		logins.took = append(logins.took, took)
	}
	logins.took = logins.took[2:] // the first ones warm up
	add(logins)
	for _, v := range viewers {
		for _, call := range []struct {
			name    string
			request rpc.Request
			key     string
		}{
			{"ListModelSummaries", rpc.Request{Type: "ModelManager", Version: 10, Method: "ListModelSummaries", Params: json.RawMessage(`{"user-tag":"user-` + v.name + `","all":false}`)}, "results"},
			{"ListModels", rpc.Request{Type: "ModelManager", Version: 10, Method: "ListModels", Params: json.RawMessage(`{"tag":"user-` + v.name + `"}`)}, "user-models"},
		} {
			conn, err := dial(ctx, url)
			if err != nil {
				return nil, err
			}
			if _, _, err := exchange(conn, loginAs(v.name), -1); err != nil {
				conn.Abort()
				return nil, err
			}
			r := result{what: call.name + ", " + v.how}
			for i := range s.calls + 1 {
				call.request.RequestID = uint64(i + 2)
				used := processor()
				took, size, err := exchange(conn, call.request, v.sees)
				if err != nil {
					conn.Abort()
					return nil, fmt.Errorf("%s: %w", r.what, err)
				}
				if r.bytes = size; i > 0 { // the first one warms up
					r.took = append(r.took, took)
					r.processor += processor() - used
				}
			}
			conn.Abort()
			add(r)
		}
	}
	return results, nil
}

// processor returns what this process has used of it so far.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func dial(ctx context.Context, url string) (*rpc.Conn, error) {
	conn, _, err := rpc.Dial(ctx, url, nil, nil, rpc.Options{})
	return conn, err
}

func loginAs(user string) rpc.Request {
	return rpc.Request{RequestID: 1, Type: "Admin", Version: 4, Method: "LoginWithSessionToken", Params: json.RawMessage(`{"session-token":"` + user + `"}`)}
}

// exchange makes a call, and makes sure that its reply lists as many models as
// it must, unless that is negative.
func exchange(conn *rpc.Conn, r rpc.Request, models int) (time.Duration, int, error) {
	frame := rpc.AppendRequest(nil, &r)
	start := time.Now()
	if err := conn.WriteFrame(frame); err != nil {
		return 0, 0, err
	}
	reply, err := conn.ReadFrame()
	took := time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	defer reply.Release()
	var head rpc.ReplyHead
	if err := rpc.ParseReply(reply.Bytes(), &head); err != nil {
		return 0, 0, err
	}
	if err := head.Err(); err != nil {
		return 0, 0, err
	}
	if models >= 0 {
		// Each is one object with a name.
		if n := strings.Count(string(reply.Bytes()), `"uuid":"`); n != models {
			return 0, 0, fmt.Errorf("%d models are listed, not %d", n, models)
		}
	}
	return took, len(reply.Bytes()), nil
}
