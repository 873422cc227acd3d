package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestStopAnswersWhatWasReadAndBeginsNothing(t *testing.T) {
	stop, stopNow := context.WithCancel(t.Context())
	defer stopNow()
	began := make(chan string, 10)
	release := make(chan struct{})
	client, log := serve(t, func(ctx context.Context, r *Request) (any, error) {
		began <- r.Method
		switch r.Method {
		case "Slow":
			<-release
			return map[string]string{"slow": "done"}, nil
		case "Next":
			<-ctx.Done()
		}
		return nil, ctx.Err()
	}, ServeOptions{Stop: stop, Waits: func(r *Request) bool { return r.Method == "Next" }})

	call := func(method string, result any) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- client.Call(context.Background(), "Test", 1, "", method, nil, result) }()
		return ended
	}
	var result map[string]string
	slow, next := call("Slow", &result), call("Next", nil)
	for range 2 {
		<-began
	}
	stopNow()
	late := call("Late", nil)
	// Slow is not answered yet, and so nothing ends.
	select {
	case err := <-slow:
		t.Fatalf("Slow ended before it was done: %v", err)
	case <-client.Done():
		t.Fatal("the connection ended before Slow was answered")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-slow; err != nil || result["slow"] != "done" {
		t.Errorf("Slow is answered %v, %v", result, err)
	}
	for name, ended := range map[string]<-chan error{"Next": next, "Late": late} {
		var closed *ClosedError
		if err := <-ended; !errors.As(err, &closed) {
			t.Errorf("%s ends with %v", name, err)
		}
	}
	<-client.Done()
	if code, text := client.conn.Goodbye(); code != websocket.CloseGoingAway || text != Restarting {
		t.Errorf("the client is told %d %q", code, text)
	}
	select {
	case method := <-began:
		t.Errorf("%s was begun after the stop", method)
	default:
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log)
	}
}

func TestAConnectionThatIsStoppedWhileNothingHappensEnds(t *testing.T) {
	stop, stopNow := context.WithCancel(t.Context())
	client, _ := serve(t, func(context.Context, *Request) (any, error) { return nil, nil }, ServeOptions{Stop: stop})
	if err := client.Call(t.Context(), "Test", 1, "", "Hello", nil, nil); err != nil {
		t.Fatal(err)
	}
	stopNow()
	<-client.Done()
	if code, _ := client.conn.Goodbye(); code != websocket.CloseGoingAway {
		t.Errorf("the client is told %d", code)
	}
}

func TestAConnectionThatIsStoppedAlreadyBeginsNothing(t *testing.T) {
	stop, stopNow := context.WithCancel(t.Context())
	stopNow()
	for range 50 { // what comes first is left to chance
		conn, ws := pair(t, Options{})
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"request-id":1,"type":"A","request":"B"}`)); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { // a peer that goes when it is told
			_, _, err := ws.ReadMessage()
			_ = ws.Close()
			closed <- err
		}()
		err := Serve(t.Context(), conn, HandlerFunc(func(context.Context, *Request) (any, error) {
			t.Error("a request is begun")
			return nil, nil
		}), ServeOptions{Stop: stop})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-closed; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("the client is told %v", err)
		}
	}
}

func TestAFarewellComesAfterTheAnswers(t *testing.T) {
	stop, stopNow := context.WithCancelCause(t.Context())
	client, _ := serve(t, func(context.Context, *Request) (any, error) {
		stopNow(&Farewell{Code: websocket.ClosePolicyViolation, Text: "it is over", Patience: time.Minute})
		return nil, nil
	}, ServeOptions{Stop: stop})
	if err := client.Call(t.Context(), "Test", 1, "", "EndMe", nil, nil); err != nil {
		t.Errorf("what ended the connection is answered with %v", err)
	}
	<-client.Done()
	if code, text := client.conn.Goodbye(); code != websocket.ClosePolicyViolation || text != "it is over" {
		t.Errorf("the client is told %d %q", code, text)
	}

	stop, stopNow = context.WithCancelCause(t.Context())
	stuck, _ := serve(t, func(ctx context.Context, _ *Request) (any, error) {
		stopNow(&Farewell{Code: websocket.ClosePolicyViolation, Text: "it is over", Patience: time.Millisecond})
		<-ctx.Done()
		return nil, ctx.Err()
	}, ServeOptions{Stop: stop})
	var closed *ClosedError
	if err := stuck.Call(t.Context(), "Test", 1, "", "Stuck", nil, nil); !errors.As(err, &closed) {
		t.Errorf("what does not end is answered with %v", err)
	}
	if code, _ := stuck.conn.Goodbye(); code != websocket.ClosePolicyViolation {
		t.Errorf("the client is told %d", code)
	}
}
