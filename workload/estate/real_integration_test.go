//go:build integration

package estate_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/estate"
	"jimm/workload/juju"
	"jimm/workload/rpc"
)

// real adds a real Juju 4.1 controller to the estate.
func (w *world) real() *lab.Controller {
	w.Helper()
	bin, err := lab.Build(w.ctx, "../..", os.Stderr)
	must(w.T, err)
	l, err := lab.New(bin, w.TempDir())
	must(w.T, err)
	w.Cleanup(func() {
		if err := l.Close(); err != nil {
			w.Error(err)
		}
	})
	// Controllers do not reach the loopback address at which our keys are.
	keys, err := url.Parse(w.keysURL)
	must(w.T, err)
	listener, err := net.Listen("tcp", net.JoinHostPort(l.HostAddress(), "0"))
	must(w.T, err)
	server := &http.Server{Handler: httputil.NewSingleHostReverseProxy(keys)}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	w.Cleanup(func() { _ = server.Close(); <-served })
	controllers, err := l.Start(w.ctx, 1, "http://"+listener.Addr().String()+"/.well-known/jwks.json")
	must(w.T, err)
	c := controllers[0]
	_, err = w.AddController(w.ctx, admin, estate.AddControllerArgs{
		Name: "real", UUID: c.UUID, Addresses: []string{c.Address}, CACertificate: c.CACert, Username: c.User, Password: c.Password,
	})
	must(w.T, err)
	return c
}

func TestAModelOfARealControllerIsImportedAndKeptUpWith(t *testing.T) {
	w := newWorld(t)
	c := w.real()
	run := func(args ...string) string {
		t.Helper()
		out, err := c.Juju(w.ctx, args...)
		must(t, err)
		return out
	}
	run("add-model", "old")
	run("add-model", "other")
	var shown map[string]struct {
		UUID string `json:"model-uuid"`
	}
	must(t, json.Unmarshal([]byte(run("show-model", "old", "--format", "json")), &shown))
	uuid := shown["old"].UUID
	u := w.unit(estate.Freshness{Access: time.Hour}) // of access it hears what is announced
	bobs := w.watch(u, bob)

	must(t, u.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "real", UUID: uuid, Owner: alice.Name}))
	wantCode(t, u.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "real", UUID: uuid, Owner: bob.Name}), estate.CodeAlreadyExists)
	if s := w.summaryOf(alice, uuid); s.Name != "old" || s.Qualifier != alice.Name {
		t.Errorf("it is listed as %+v", s)
	}
	info, err := w.ModelInfo(w.ctx, alice, uuid)
	must(t, err)
	if info.Qualifier != alice.Name || info.Status.Status != "available" || len(info.Users) != 2 {
		t.Errorf("it is shown as %+v", info)
	}
	eventually(t, "what the controller says of it is known", func() bool { return w.summaryOf(alice, uuid).AgentVersion != nil })

	// A connection to the model, as its new owner and as one who may read.
	must(t, u.ModifyModelAccess(w.ctx, alice, uuid, estate.AccessChange{User: bob.Name, Grant: true, Access: "read"}))
	w.until(bobs, "bob sees it", uuid, there)
	for user, refused := range map[*estate.User]bool{&alice: false, &bob: true} {
		route, err := w.Route(w.ctx, *user, uuid)
		must(t, err)
		conn, _, err := w.Peers.(*juju.Peers).DialModel(w.ctx, route, *user, route.Claims)
		must(t, err)
		client := rpc.NewClient(conn)
		var status params.FullStatus
		must(t, client.Call(w.ctx, "Client", 8, "", "FullStatus", params.StatusParams{}, &status))
		if status.Model.Name != "old" {
			t.Errorf("%s gets the status of %q", user.Name, status.Model.Name)
		}
		err = client.Call(w.ctx, "ModelConfig", 4, "", "ModelSet", params.ModelSet{Config: map[string]any{"logging-config": "<root>=INFO"}}, nil)
		if (err != nil) != refused {
			t.Errorf("%s sets config: %v", user.Name, err)
		}
		must(t, client.Close())
	}

	// What happens there is seen: the local administrator still may do anything.
	alices := w.watch(u, alice)
	w.until(alices, "alice sees it", uuid, there)
	must(t, w.destroy(alice, uuid))
	w.until(alices, "it is gone", uuid, removed)
	if out := run("models"); strings.Contains(out, "old") {
		t.Errorf("the controller still has it:\n%s", out)
	}
	c41, err := w.store.ControllerByName(w.ctx, "real")
	must(t, err)
	if c41.AgentVersion == "" || !c41.UnavailableSince.IsZero() {
		t.Errorf("the controller is %+v", c41)
	}

	start := time.Now()
	must(t, c.Kill(w.ctx))
	eventually(t, "it is known to be dead", func() bool {
		c41, err = w.store.ControllerByName(w.ctx, "real")
		must(t, err)
		return !c41.UnavailableSince.IsZero()
	})
	t.Logf("found dead after %v", time.Since(start))
	start = time.Now()
	must(t, c.Start(w.ctx))
	eventually(t, "it is known to be back", func() bool {
		c41, err = w.store.ControllerByName(w.ctx, "real")
		must(t, err)
		return c41.UnavailableSince.IsZero()
	})
	t.Logf("back after %v", time.Since(start))
}
