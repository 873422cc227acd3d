package sim_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

func create(t *testing.T, client *rpc.Client, name string) error {
	t.Helper()
	return call(t, client, "ModelManager", 11, "CreateModel", params.ModelCreateArgs{Name: name, Qualifier: "admin"}, nil)
}

func isBroken(err error) bool {
	var closed *rpc.ClosedError
	return errors.As(err, &closed)
}

func TestAMethodFailsAsOftenAsAsked(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	w.Faults().Fail("ModelManager.CreateModel", "quota limit exceeded", "no more models", 2)
	client := w.asAdmin(t, "/api")
	for range 2 {
		same(t, errorOf(t, create(t, client, "m")), rpc.Error{Code: "quota limit exceeded", Message: "no more models"})
	}
	ok(t, create(t, client, "m"))
	same(t, w.Faults().Calls("ModelManager.CreateModel"), 3)
	same(t, len(w.ModelUUIDs()), 1)
}

func TestAConnectionDroppedBeforeACallLeavesNothingDone(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	w.Faults().DropBefore("ModelManager.CreateModel", 1)
	if err := create(t, w.asAdmin(t, "/api"), "m"); !isBroken(err) {
		t.Fatalf("got %v", err)
	}
	same(t, len(w.ModelUUIDs()), 0)
}

func TestAConnectionDroppedAfterACallLeavesItDone(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	w.Faults().DropAfter("ModelManager.CreateModel", 1)
	if err := create(t, w.asAdmin(t, "/api"), "m"); !isBroken(err) {
		t.Fatalf("got %v", err)
	}
	same(t, len(w.ModelUUIDs()), 1)
}

func TestACallIsDelayed(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	client := w.asAdmin(t, "/api")
	w.Faults().Delay("Pinger.Ping", 30*time.Millisecond)
	began := time.Now()
	ok(t, call(t, client, "Pinger", 1, "Ping", nil, nil))
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Fatalf("took %v", took)
	}
}

func TestACallHangsUntilFaultsAreCleared(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	client := w.asAdmin(t, "/api")
	w.Faults().Hang("Pinger.Ping", 1)
	done := make(chan error, 1)
	go func() { done <- client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil) }()
	eventually(t, "the call has arrived", func() bool { return w.Faults().Calls("Pinger.Ping") == 1 })
	ok(t, create(t, client, "m")) // others go on
	select {
	case err := <-done:
		t.Fatalf("the call did not hang: %v", err)
	default:
	}
	w.Faults().Clear()
	ok(t, <-done)
}

func TestADeadControllerComesBackWithItsModels(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	client := w.asAdmin(t, "/api")
	ok(t, create(t, client, "m"))
	w.Faults().Die()
	<-client.Done()
	if conn, err := net.DialTimeout("tcp", w.peer.address, time.Second); err == nil {
		_ = conn.Close()
		t.Fatal("it still listens")
	}
	eventually(t, "no connection is left", func() bool { return w.Connections() == 0 })
	ok(t, w.Faults().Accept())
	var list params.UserModelList
	ok(t, call(t, w.asAdmin(t, "/api"), "ModelManager", 11, "ListModels", params.Entity{Tag: "user-admin"}, &list))
	same(t, len(list.UserModels), 2)
}

func TestNoConnectionOutlivesItsController(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	for range 100 { // what it has of those who come at that moment is left to chance
		var dialling sync.WaitGroup
		dialled := make(chan struct{}, 4)
		for range cap(dialled) {
			dialling.Go(func() {
				conn, err := net.Dial("tcp", w.peer.address)
				dialled <- struct{}{}
				if err == nil {
					_, _ = conn.Read(make([]byte, 1)) // until it ends
					_ = conn.Close()
				}
			})
		}
		<-dialled
		w.Faults().Die()
		dialling.Wait()
		ok(t, w.Faults().Accept())
	}
}

func TestARefusingControllerKeepsItsConnections(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	client := w.asAdmin(t, "/api")
	w.Faults().Refuse()
	if _, _, err := rpc.Dial(t.Context(), "wss://"+w.peer.address+"/api", nil, w.tlsConfig(), rpc.Options{}); err == nil {
		t.Fatal("it takes connections")
	}
	ok(t, call(t, client, "Pinger", 1, "Ping", nil, nil))
	ok(t, w.Faults().Accept())
	w.asAdmin(t, "/api")
}

func TestFaultsAreControlledByHTTP(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	server := httptest.NewServer(w.Faults())
	defer server.Close()
	post := func(path, body string) int {
		response, err := http.Post(server.URL+path, "application/json", strings.NewReader(body))
		ok(t, err)
		ok(t, response.Body.Close())
		return response.StatusCode
	}
	same(t, post("/blue/rules", `{"method": "ModelManager.CreateModel", "code": "forbidden", "message": "not today"}`), 200)
	same(t, post("/blue/rules", `{"metod": "typo"}`), 400)
	same(t, post("/blue/explode", ""), 400)
	client := w.asAdmin(t, "/api")
	same(t, errorOf(t, create(t, client, "m")), rpc.Error{Code: "forbidden", Message: "not today"})
	ok(t, create(t, client, "m"))
	same(t, post("/blue/die", ""), 200)
	<-client.Done()
	same(t, post("/blue/accept", ""), 200)
	w.asAdmin(t, "/api")
}

func TestCloseWaitsForHungCalls(t *testing.T) {
	c, err := sim.Start(context.Background(), sim.Config{Name: "c", Generation: sim.Juju36, AdminPassword: "sekrit"})
	ok(t, err)
	w := worldOf(c)
	client := w.asAdmin(t, "/api")
	c.Faults().Hang("Pinger.Ping", -1)
	done := make(chan error, 1)
	go func() { done <- client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil) }()
	eventually(t, "the call has arrived", func() bool { return c.Faults().Calls("Pinger.Ping") == 1 })
	ok(t, c.Close())
	if err := <-done; !isBroken(err) {
		t.Fatalf("got %v", err)
	}
}
