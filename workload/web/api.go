package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"jimm/workload/facade"
	"jimm/workload/gateway"
	"jimm/workload/logging"
	"jimm/workload/rpc"
)

// API serves controller connections.
type API struct {
	Facades *facade.Server
	// Origins are the web pages that may connect.
	Origins Origins
	// Prefix is the path below which clients know us, if any.
	Prefix  string
	NewID   func() string
	Log     *slog.Logger
	Options rpc.Options
	// Observe, where set, wraps what answers requests; waits reports those that
	// wait for a person or for something to happen.
	Observe func(next rpc.Handler, waits func(*rpc.Request) bool) rpc.Handler

	connections atomic.Int64

	mu       sync.Mutex
	stop     context.Context
	stopNow  context.CancelFunc
	handlers sync.WaitGroup
}

// enter counts a connection; ok is false when no more are taken.
func (a *API) enter() (stop context.Context, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin()
	if a.stop.Err() != nil {
		return nil, false
	}
	a.handlers.Add(1)
	return a.stop, true
}

// begin makes what Drain ends. a.mu is held.
func (a *API) begin() {
	if a.stop == nil {
		a.stop, a.stopNow = context.WithCancel(context.Background())
	}
}

// Drain takes no new connections, and ends those there are in order: what is
// asked already is answered. It returns when all have ended, or ctx.
func (a *API) Drain(ctx context.Context) {
	a.mu.Lock()
	a.begin()
	a.stopNow()
	a.mu.Unlock()
	ended := make(chan struct{})
	go func() { a.handlers.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Connections returns how many there are.
func (a *API) Connections() int { return int(a.connections.Load()) }

// ServeHTTP makes a connection and answers its requests until it ends.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	stop, ok := a.enter()
	if !ok {
		http.Error(w, "Service Unavailable - "+rpc.Restarting, http.StatusServiceUnavailable)
		return
	}
	defer a.handlers.Done()
	conn, err := rpc.Upgrade(w, r, a.Origins.CheckUpgrade, a.Options)
	if err != nil {
		return // Upgrade has answered
	}
	c := a.Facades.Connect(a.NewID(), gateway.Servers(gateway.RequestAddress(r, a.Prefix)), a.Origins.SessionCookieOf(r))
	stop, end := context.WithCancelCause(stop)
	defer end(nil)
	c.End = func() { end(sessionOver) }
	defer c.Close()
	a.connections.Add(1)
	defer a.connections.Add(-1)
	var handler rpc.Handler = c
	if a.Observe != nil {
		handler = a.Observe(handler, waits)
	}
	ctx := logging.With(r.Context(), "connection", c.ID)
	err = rpc.Serve(ctx, conn, handler, rpc.ServeOptions{Log: a.Log, Waits: waits, Stop: stop})
	if err != nil {
		a.Log.DebugContext(ctx, "controller connection broke", "error", err)
	}
}

// sessionOver ends a connection whose session has. Who ended their own by this
// very connection gets to know that it was done.
var sessionOver = &rpc.Farewell{Code: websocket.ClosePolicyViolation, Text: gateway.SessionOver, Patience: 2 * time.Second}

// waits reports the requests that wait for a person or for something to happen.
func waits(r *rpc.Request) bool {
	return r.Method == "Next" || r.Type == "Admin" && r.Method == "GetDeviceSessionToken"
}
