//go:build integration

package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/estate"
	"jimm/workload/gateway"
	"jimm/workload/juju"
	"jimm/workload/rpc"
)

// keyStore holds one value, the signing keys.
type keyStore struct {
	mu      sync.Mutex
	version int
	value   map[string]string
}

func (k *keyStore) Put(context.Context, string, map[string]string) error {
	return errors.ErrUnsupported
}
func (k *keyStore) Delete(context.Context, string) error { return errors.ErrUnsupported }
func (k *keyStore) Get(context.Context, string) (map[string]string, error) {
	return nil, errors.ErrUnsupported
}

func (k *keyStore) PutIfVersion(_ context.Context, _ string, version int, value map[string]string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version != k.version {
		return false, nil
	}
	k.version, k.value = version+1, value
	return true, nil
}

func (k *keyStore) GetVersion(context.Context, string) (map[string]string, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.version, nil
}

// rights are those of one user on one model: claims at login, and what more
// they may get.
type rights struct {
	route estate.Route
	more  map[string]bool
	mu    sync.Mutex
	asked []map[string]string
}

var carol = estate.User{Name: "carol@example.com"}

func (r *rights) Handle(context.Context, int, string, json.RawMessage) (any, *estate.User, error) {
	return nil, &carol, nil
}

func (r *rights) Route(context.Context, estate.User, string) (estate.Route, error) {
	return r.route, nil
}

func (r *rights) Widen(_ context.Context, _ estate.User, _ estate.Route, have estate.Claims, required map[string]string) (estate.Claims, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, required)
	claims := estate.Claims{}
	for tag, access := range have {
		claims[tag] = access
	}
	for tag, access := range required {
		if !r.more[access] {
			return nil, estate.Errorf(estate.CodeUnauthorized, "permission denied")
		}
		claims[tag] = access
	}
	return claims, nil
}

func TestRealControllerGivesMoreAccessInvisiblyAndItsWatchersGoOn(t *testing.T) {
	ctx := t.Context()
	bin, err := lab.Build(ctx, "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, err := juju.OpenKeys(ctx, &keyStore{}, juju.KeyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(l.HostAddress(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	keyServer := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) })}
	go func() { _ = keyServer.Serve(listener) }()
	t.Cleanup(func() { _ = keyServer.Close() })
	controllers, err := l.Start(ctx, 1, "http://"+listener.Addr().String()+"/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	c := estate.Controller{UUID: controllers[0].UUID, Name: controllers[0].Name, Addresses: []string{controllers[0].Address}, CACertificate: controllers[0].CACert}

	peers := juju.NewPeers(&juju.Dialer{}, &juju.Tokens{Keys: keys, Issuer: "test"}, juju.PeersOptions{})
	t.Cleanup(peers.Close)
	admin, err := peers.Connect(ctx, c, estate.User{Name: "alice@example.com"}, estate.Claims{"controller-" + c.UUID: "superuser"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := admin.CreateModel(ctx, params.ModelCreateArgs{Name: "wide", Qualifier: "alice@example.com", CloudTag: "cloud-" + controllers[0].Cloud})
	if err != nil {
		t.Fatal(err)
	}
	_ = admin.Close()

	model := "model-" + info.UUID
	r := &rights{
		route: estate.Route{
			Model: estate.Model{UUID: info.UUID}, Controller: c,
			Claims: estate.Claims{model: "read", "controller-" + c.UUID: "login"},
		},
		more: map[string]bool{"write": true, "admin": true},
	}
	g := gateway.New(gateway.Config{
		Admission: func(*http.Request) gateway.Admission { return r },
		Models:    r, Dialer: peers, ControllerUUID: "914487b5-60e7-42bb-bd63-1adc3fd3a388",
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { g.ServeModel(w, req, info.UUID) }))
	t.Cleanup(func() {
		g.Close()
		server.Close()
	})
	connect := func() (*rpc.Client, params.LoginResult) {
		t.Helper()
		conn, _, err := rpc.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil, nil, rpc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		client := rpc.NewClient(conn)
		t.Cleanup(func() { _ = client.Close() })
		var result params.LoginResult
		if err := client.Call(ctx, "Admin", 4, "", "LoginWithSessionToken", nil, &result); err != nil {
			t.Fatal(err)
		}
		return client, result
	}
	client, login := connect()
	if login.ModelTag != model || login.UserInfo == nil || login.UserInfo.Identity != carol.Tag().String() || login.ServerVersion == "" {
		t.Errorf("login result is %+v", login)
	}

	set := map[string]any{"config": map[string]any{"logging-config": "<root>=DEBUG"}}
	if err := client.Call(ctx, "ModelConfig", 4, "", "ModelSet", set, nil); err != nil {
		t.Fatalf("cannot set model config with the right to write: %v", err)
	}
	var got params.ModelConfigResults
	if err := client.Call(ctx, "ModelConfig", 4, "", "ModelGet", nil, &got); err != nil || got.Config["logging-config"].Value != "<root>=DEBUG" {
		t.Errorf("config is %v, %v", got.Config["logging-config"], err)
	}

	// A task for a machine that never comes: its watcher stays open.
	machines := params.AddMachines{MachineParams: []params.AddMachineParams{{Jobs: nil}}}
	var added params.AddMachinesResults
	if err := client.Call(ctx, "MachineManager", 11, "", "AddMachines", machines, &added); err != nil || len(added.Machines) != 1 || added.Machines[0].Error != nil {
		t.Fatalf("cannot add a machine: %+v, %v", added, err)
	}
	var queued params.EnqueuedActions
	run := params.RunParams{Commands: "true", Machines: []string{added.Machines[0].Machine}, Timeout: time.Minute}
	if err := client.Call(ctx, "Action", 7, "", "Run", run, &queued); err != nil || len(queued.Actions) != 1 || queued.Actions[0].Action == nil {
		t.Fatalf("cannot queue a command: %+v, %v", queued, err)
	}
	var watchers params.StringsWatchResults
	entities := params.Entities{Entities: []params.Entity{{Tag: queued.Actions[0].Action.Tag}}}
	if err := client.Call(ctx, "Action", 7, "", "WatchActionsProgress", entities, &watchers); err != nil || len(watchers.Results) != 1 || watchers.Results[0].Error != nil {
		t.Fatalf("cannot watch: %+v, %v", watchers, err)
	}
	id := watchers.Results[0].StringsWatcherId
	next := make(chan error, 1)
	go func() { next <- client.Call(context.WithoutCancel(ctx), "StringsWatcher", 1, id, "Next", nil, nil) }()
	if err := client.Call(ctx, "ModelConfig", 4, "", "ModelUnset", map[string]any{"keys": []string{"logging-config"}}, nil); err != nil {
		t.Errorf("cannot unset model config beside a watcher: %v", err)
	}
	select {
	case err := <-next:
		t.Errorf("the watcher ended by itself: %v", err)
	default:
	}
	if err := client.Call(ctx, "StringsWatcher", 1, id, "Stop", nil, nil); err != nil {
		t.Errorf("cannot stop watcher %q: %v", id, err)
	}
	if err := <-next; err == nil {
		t.Error("a stopped watcher gave something")
	}

	r.more = nil
	other, _ := connect()
	err = other.Call(ctx, "ModelConfig", 4, "", "ModelSet", set, nil)
	var refused *rpc.Error
	if !errors.As(err, &refused) || refused.Code != estate.CodeUnauthorized {
		t.Errorf("without the right to write, setting model config gives %v", err)
	}
	for _, required := range r.asked {
		for tag := range required {
			if tag != model {
				t.Errorf("the controller asked for %v", required)
			}
		}
	}
	if len(r.asked) < 2 {
		t.Errorf("the controller asked for access %d times only", len(r.asked))
	}
}
