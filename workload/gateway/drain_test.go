package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"jimm/workload/rpc"
)

func TestDrainAnswersWhatWasAskedAndTellsClientsToComeBack(t *testing.T) {
	w, url := start(t, nil)
	conn, _, err := rpc.Dial(t.Context(), url+"/model/"+modelUUID+"/api", nil, nil, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil); err != nil {
		t.Fatal(err)
	}
	call := func(id string, result any) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- client.Call(context.Background(), "AllWatcher", 1, id, "Next", nil, result) }()
		return ended
	}
	// Without an id it is a request like any other, which takes its time.
	var result map[string]string
	slow := call("", &result)
	waitFor(t, func() bool { return w.controller.count("AllWatcher.Next()") == 1 })
	watching := call("1", nil)
	waitFor(t, func() bool { return w.controller.count("AllWatcher.Next(1)") == 1 })

	drained := make(chan struct{})
	go func() { defer close(drained); w.gateway.Drain(context.Background()) }()
	waitFor(t, func() bool {
		_, answer, err := websocket.DefaultDialer.Dial(url+"/model/"+modelUUID+"/api", nil)
		return err != nil && answer != nil && answer.StatusCode == 503
	})
	select {
	case <-drained:
		t.Fatal("it is drained although a request is under way")
	case <-client.Done():
		t.Fatal("the connection ended although a request is under way")
	case <-time.After(50 * time.Millisecond):
	}
	late := make(chan error, 1)
	go func() { late <- client.Call(context.Background(), "Echo", 1, "", "Echo", nil, nil) }()
	w.controller.events <- "one" // for both who wait; whichever gets it
	w.controller.events <- "two"
	if err := <-slow; err != nil || result["event"] == "" {
		t.Errorf("the request is answered %v, %v", result, err)
	}
	<-drained
	<-client.Done()
	if code, text := conn.Goodbye(); code != websocket.CloseGoingAway || text != rpc.Restarting {
		t.Errorf("the client is told %d %q", code, text)
	}
	var closed *rpc.ClosedError
	if err := <-late; !errors.As(err, &closed) {
		t.Errorf("what was asked later ends with %v", err)
	}
	if n := w.controller.count("Echo.Echo()"); n > 0 {
		t.Error("what was asked later has reached the controller")
	}
	<-watching // answered or not
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	w, url := start(t, nil)
	client := login(t, url)
	go func() { _ = client.Call(context.Background(), "AllWatcher", 1, "", "Next", nil, nil) }()
	waitFor(t, func() bool { return w.controller.count("AllWatcher.Next()") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	w.gateway.Drain(ctx) // returns
}
