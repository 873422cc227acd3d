package estate_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"jimm/workload/estate"
	"jimm/workload/juju"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
	"jimm/workload/sim"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

var (
	admin = estate.User{Name: "admin@example.com"}
	alice = estate.User{Name: "alice@example.com"}
	bob   = estate.User{Name: "bob@example.com"}
)

// world is an estate on a real PostgreSQL, and an OpenFGA in this process, with simulated
// controllers of two generations.
type world struct {
	*testing.T
	*estate.Estate
	ctx     context.Context
	store   *postgres.Store
	sims    map[string]*sim.Controller
	keysURL string
}

const adminPassword = "controller-admin-password"

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	db := cluster.ForTest(t)
	log := slog.New(slog.DiscardHandler)
	store, err := postgres.Open(ctx, db.NewDatabase(t), postgres.Options{Log: log})
	must(t, err)
	t.Cleanup(store.Close)
	permissions, err := embedded.Open(ctx, embedded.Config{}) // in memory
	must(t, err)
	t.Cleanup(func() { _ = permissions.Close() })
	secrets, err := sealed.New(store.Pool(), []byte("a key of thirty-two bytes or more"))
	must(t, err)
	keys, err := juju.OpenKeys(ctx, secrets, juju.KeyOptions{Log: log})
	must(t, err)
	keysServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) }))
	t.Cleanup(keysServer.Close)
	self := estate.User{Name: "jimm@jimm.internal"}
	peers := juju.NewPeers(&juju.Dialer{}, &juju.Tokens{Keys: keys, Issuer: "jimm.internal"}, juju.PeersOptions{Self: self})
	t.Cleanup(peers.Close)
	w := &world{T: t, ctx: ctx, store: store, sims: map[string]*sim.Controller{}, keysURL: keysServer.URL}
	w.Estate = &estate.Estate{
		Store: store, Permissions: permissions, Secrets: secrets, Peers: peers,
		UUID: uuid.NewString(), Self: self, Now: time.Now, NewUUID: uuid.NewString, Log: log,
		CallTimeout: 10 * time.Second, IntentAge: time.Nanosecond,
	}
	must(t, w.EnsureAdmins(ctx, []string{admin.Name}))
	return w
}

// controller starts a simulated controller and adds it to the estate.
func (w *world) controller(name string, generation sim.Generation, cloud string) *sim.Controller {
	w.Helper()
	c := w.start(name, generation, cloud)
	_, err := w.AddController(w.ctx, admin, args(c))
	must(w.T, err)
	return c
}

func (w *world) start(name string, generation sim.Generation, cloud string) *sim.Controller {
	w.Helper()
	c, err := sim.Start(w.ctx, sim.Config{
		Name: name, Generation: generation, JWKSURL: w.keysURL, Cloud: sim.Cloud{Name: cloud, Regions: []string{"r1", "r2"}},
		AdminPassword: adminPassword, Log: slog.New(slog.DiscardHandler),
	})
	must(w.T, err)
	w.Cleanup(func() { _ = c.Close() })
	w.sims[name] = c
	return c
}

func args(c *sim.Controller) estate.AddControllerArgs {
	return estate.AddControllerArgs{
		Name: c.Name(), UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(),
		Username: "admin", Password: adminPassword,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if !estate.Is(err, code) {
		t.Fatalf("got error %v with code %q, want code %q", err, estate.CodeOf(err), code)
	}
}

// eventually waits for a condition that other processes bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

// tuples returns all tuples about an object, in reading order.
func (w *world) tuples(object estate.Object) []string {
	w.Helper()
	page, _, err := w.Permissions.Read(w.ctx, estate.TupleFilter{Object: object}, 100, "")
	must(w.T, err)
	var list []string
	for _, t := range page {
		list = append(list, fmt.Sprint(t))
	}
	return list
}
