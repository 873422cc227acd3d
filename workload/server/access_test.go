package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
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
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

// tokens lets in whoever names themselves as their token.
type tokens struct{ server.Logins }

func (tokens) VerifyToken(_ context.Context, token string) (estate.User, error) {
	return estate.User{Name: token}, nil
}
func (tokens) StartDevice(context.Context) (*login.Device, error) { return nil, http.ErrNotSupported }
func (tokens) ForgetAccount(string)                               {}

const (
	admin = "admin@example.com"
	alice = "alice@example.com"
	bob   = "bob@example.com"
	carol = "carol@example.com"
)

// pair is two units on one database and one OpenFGA.
type pair struct {
	*testing.T
	ctx         context.Context
	permissions estate.Permissions
	a, b        *unit
	model       string
}

type unit struct {
	t      *testing.T
	ctx    context.Context
	server *server.Server
	url    string
}

func newPair(t *testing.T) *pair {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	log := slog.New(slog.DiscardHandler)
	dsn := cluster.ForTest(t).NewDatabase(t)
	permissions, err := embedded.Open(ctx, embedded.Config{})
	must(t, err)
	t.Cleanup(func() { _ = permissions.Close() })
	p := &pair{T: t, ctx: ctx, permissions: permissions}
	jimm := uuid.NewString()
	start := func() *unit {
		store, err := postgres.Open(ctx, dsn, postgres.Options{Log: log, Patience: time.Minute})
		must(t, err)
		t.Cleanup(store.Close)
		secrets, err := sealed.New(store.Pool(), []byte("a key of thirty-two bytes or more"))
		must(t, err)
		trail := audit.New(store, audit.Options{Log: log, MaxWait: time.Minute})
		t.Cleanup(func() { _ = trail.Close(context.Background()) })
		s, err := server.New(ctx, server.Config{UUID: jimm, DNSName: "jimm.example.com", Admins: []string{admin}, Log: log},
			server.Adapters{Store: store, Permissions: permissions, Secrets: secrets, Logins: tokens{}, Audit: trail})
		must(t, err)
		web := httptest.NewServer(s.Handler())
		t.Cleanup(web.Close)
		t.Cleanup(s.Close)
		working, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); s.Run(working) }()
		t.Cleanup(func() { stop(); <-done })
		return &unit{t, ctx, s, strings.Replace(web.URL, "http", "ws", 1)}
	}
	p.a, p.b = start(), start()
	keys := httptest.NewServer(p.a.server.KeySetHandler())
	t.Cleanup(keys.Close)
	c, err := sim.Start(ctx, sim.Config{
		Name: "c41", Generation: sim.Juju41, JWKSURL: keys.URL + "/.well-known/jwks.json",
		Cloud: sim.Cloud{Name: "lab", Regions: []string{"r1"}}, AdminPassword: "controller-admin-password", Log: log,
	})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	e := p.a.server.Estate
	_, err = e.AddController(ctx, estate.User{Name: admin}, estate.AddControllerArgs{
		Name: "c41", UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(), Username: "admin", Password: "controller-admin-password",
	})
	must(t, err)
	info, err := e.CreateModel(ctx, estate.User{Name: alice}, estate.CreateModelArgs{Name: "shop", Cloud: "lab"})
	must(t, err)
	p.model = info.UUID
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// connect logs in on a path of a unit.
func (u *unit) connect(user, path string) (*rpc.Client, error) {
	u.t.Helper()
	conn, _, err := rpc.Dial(u.ctx, u.url+path, nil, nil, rpc.Options{})
	must(u.t, err)
	client := rpc.NewClient(conn)
	u.t.Cleanup(func() { _ = client.Close() })
	return client, client.Call(u.ctx, "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": user}, nil)
}

func (u *unit) must(user, path string) *rpc.Client {
	u.t.Helper()
	c, err := u.connect(user, path)
	must(u.t, err)
	return c
}

// ended waits until a connection is closed, and returns after how long it was.
func ended(t *testing.T, c *rpc.Client, since time.Time) time.Duration {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(time.Minute):
		t.Fatal("the connection stays open")
	}
	return time.Since(since)
}

func status(ctx context.Context, c *rpc.Client) error {
	var reply json.RawMessage
	return c.Call(ctx, "Client", 8, "", "FullStatus", map[string]any{}, &reply)
}

func TestARevokeCountsForTheNextRequestOnEveryUnitAndEndsOpenConnections(t *testing.T) {
	p := newPair(t)
	model := "/model/" + p.model + "/api"
	api := p.a.must(admin, "/api")
	call := func(facade string, version int, method, params string) {
		t.Helper()
		must(t, api.Call(p.ctx, facade, version, "", method, json.RawMessage(params), nil))
	}
	tuple := func(object, relation, target string) string {
		return fmt.Sprintf(`{"tuples":[{"object":%q,"relation":%q,"target_object":%q}]}`, object, relation, target)
	}
	target := "model-" + p.model
	call("JIMM", 4, "AddRelation", tuple("user-"+carol, "reader", target))
	carols := p.b.must(carol, model)
	must(t, status(p.ctx, carols))

	for _, test := range []struct {
		name        string
		give, take  func()
		left        bool // to read
		unannounced bool
	}{{
		name: "a relation",
		give: func() { call("JIMM", 4, "AddRelation", tuple("user-"+bob, "writer", target)) },
		take: func() { call("JIMM", 4, "RemoveRelation", tuple("user-"+bob, "writer", target)) },
	}, {
		name: "juju revoke",
		give: func() {
			call("ModelManager", 11, "ModifyModelAccess", fmt.Sprintf(`{"changes":[{"user-tag":"user-%s","action":"grant","access":"write","model-tag":%q}]}`, bob, target))
		},
		take: func() {
			call("ModelManager", 11, "ModifyModelAccess", fmt.Sprintf(`{"changes":[{"user-tag":"user-%s","action":"revoke","access":"write","model-tag":%q}]}`, bob, target))
		},
		left: true,
	}, {
		name: "membership of a group that has a role",
		give: func() {
			call("JIMM", 4, "AddGroup", `{"name":"engineering"}`)
			call("JIMM", 4, "AddRole", `{"name":"operator"}`)
			call("JIMM", 4, "AddRelation", tuple("group-engineering#member", "assignee", "role-operator"))
			call("JIMM", 4, "AddRelation", tuple("role-operator#assignee", "administrator", target))
			call("JIMM", 4, "AddRelation", tuple("user-"+bob, "member", "group-engineering"))
		},
		take: func() { call("JIMM", 4, "RemoveRelation", tuple("user-"+bob, "member", "group-engineering")) },
	}, {
		name: "the role itself",
		give: func() { call("JIMM", 4, "AddRelation", tuple("user-"+bob, "member", "group-engineering")) },
		take: func() { call("JIMM", 4, "RemoveRole", `{"name":"operator"}`) },
	}, {
		name: "administrator of the controller",
		give: func() { call("JIMM", 4, "AddRelation", tuple("user-"+bob, "administrator", "controller-c41")) },
		take: func() { call("JIMM", 4, "RemoveRelation", tuple("user-"+bob, "administrator", "controller-c41")) },
	}, {
		name: "a tuple, by somebody else in OpenFGA",
		give: func() { call("JIMM", 4, "AddRelation", tuple("user-"+bob, "reader", target)) },
		take: func() {
			must(t, p.permissions.Write(p.ctx, nil, []estate.Tuple{{
				Subject: estate.User{Name: bob}.Subject(), Relation: estate.Reader, Object: estate.Object{Kind: estate.KindModel, ID: p.model},
			}}))
		},
		unannounced: true,
	}} {
		t.Run(test.name, func(t *testing.T) {
			// What is left of the one before.
			_ = api.Call(p.ctx, "JIMM", 4, "", "RemoveRelation", json.RawMessage(tuple("user-"+bob, "reader", target)), nil)
			test.give()
			bobs, list := p.b.must(bob, model), p.b.must(bob, "/api")
			must(t, status(p.ctx, bobs))
			since := time.Now()
			test.take()
			// The next request, on the other unit.
			var models struct {
				UserModels []any `json:"user-models"`
			}
			must(t, list.Call(p.ctx, "ModelManager", 11, "", "ListModels", json.RawMessage(`{"tag":"user-bob@example.com"}`), &models))
			if (len(models.UserModels) > 0) != test.left {
				t.Errorf("the other unit lists %v", models.UserModels)
			}
			if _, err := p.b.connect(bob, model); (err == nil) != test.left {
				t.Errorf("a new connection: %v", err)
			}
			took := ended(t, bobs, since)
			t.Logf("closed after %s", took)
			if err := status(p.ctx, bobs); err == nil {
				t.Error("what was closed still answers")
			}
			must(t, status(p.ctx, carols))
		})
	}
}
