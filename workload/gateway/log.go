package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

const (
	// logPing is how often a client that reads a log is asked whether it is
	// still there, and logPong how long it may take to answer. A controller
	// does not answer pings on this stream: TCP's own keep-alive watches it.
	logPing = time.Minute
	logPong = 90 * time.Second
	// logWrite is how long a client may take for one message.
	logWrite = 30 * time.Second
	// logLine is the longest message of a controller that passes, in bytes.
	logLine = 16 << 20
	// logDial bounds reaching the controller.
	logDial = 30 * time.Second
)

// Log serves GET /model/<uuid>/log, the stream that juju debug-log reads. As
// with Juju (apiserver/debuglog.go) the websocket comes first, and its first
// message says whether there will be any more: it is a params.ErrorResult and
// a newline.
func (t *Transfer) Log() http.Handler { return http.HandlerFunc(t.serveLog) }

func (t *Transfer) serveLog(w http.ResponseWriter, r *http.Request) {
	about, err := targetOf(r)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		http.Error(w, "Service Unavailable - "+rpc.Restarting, http.StatusServiceUnavailable)
		return
	}
	t.streams.Add(1)
	t.mu.Unlock()
	defer t.streams.Done()
	t.open.Add(1)
	defer t.open.Add(-1)

	upgrader := websocket.Upgrader{HandshakeTimeout: logDial, CheckOrigin: t.config.CheckOrigin, ReadBufferSize: 512, WriteBufferPool: &logBuffers}
	client, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been answered
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(estate.WithCaller(t.ctx, estate.CallerOf(r.Context())))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if t.ctx.Err() != nil { // we end, not this stream
			_ = client.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, rpc.Restarting), time.Now().Add(time.Second))
		}
		_ = client.Close()
	})()

	request, err := t.authorize(r.WithContext(ctx), about)
	ended, refused := t.record(r, about, request)
	if err == nil {
		err = refused
	}
	var controller *websocket.Conn
	if err == nil {
		controller, err = t.dialLog(ctx, r, request)
	}
	if err == nil {
		defer controller.Close()
		var leave func()
		leave, err = t.attend(ctx, request, cancel)
		defer leave()
	}
	ended(err)
	if err != nil {
		_, body := t.httpError(r, err)
		sendLogError(client, body)
		return
	}
	defer context.AfterFunc(ctx, func() { _ = controller.Close() })()

	var watching sync.WaitGroup
	watching.Go(func() { watchClient(client, cancel) })
	watching.Go(func() { pingClient(ctx, client) })
	copyLog(client, controller)
	cancel()
	watching.Wait()
}

var logBuffers sync.Pool

// dialLog opens the stream on the controller for whoever asks, and may.
func (t *Transfer) dialLog(ctx context.Context, r *http.Request, request authorized) (*websocket.Conn, error) {
	c := request.route.Controller
	reach, err := t.transport(c)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Authorization": {request.authorization}}
	if v := r.Header.Get(params.JujuClientVersion); v != "" {
		header.Set(params.JujuClientVersion, v)
	}
	ctx, cancel := context.WithTimeout(ctx, logDial)
	defer cancel()
	dialer := websocket.Dialer{NetDialTLSContext: reach.DialTLSContext, ReadBufferSize: 4 << 10, WriteBufferPool: &logBuffers}
	stream, response, err := dialer.DialContext(ctx, request.target.url("wss", request.query).String(), header)
	if err != nil {
		if errors.Is(err, websocket.ErrBadHandshake) && response != nil {
			return nil, estate.Errorf(estate.CodeConnectionFailed, "controller %q has no log to give: it answers %s", c.Name, response.Status)
		}
		if estate.CodeOf(err) == "" {
			err = estate.Errorf(estate.CodeConnectionFailed, "cannot connect to controller %q: %w", c.Name, err)
		}
		return nil, err
	}
	stream.SetReadLimit(logLine)
	return stream, nil
}

// sendLogError is what a stream begins with when there is none.
func sendLogError(client *websocket.Conn, e *params.Error) {
	body, err := json.Marshal(params.ErrorResult{Error: e})
	if err != nil {
		return // it has strings only
	}
	_ = client.SetWriteDeadline(time.Now().Add(logWrite))
	if client.WriteMessage(websocket.TextMessage, append(body, '\n')) != nil {
		return
	}
	_ = client.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second))
}

// watchClient reads what a client has to say, which is nothing, until it goes.
func watchClient(client *websocket.Conn, gone context.CancelFunc) {
	defer gone()
	client.SetReadLimit(4 << 10)
	client.SetPongHandler(func(string) error { return client.SetReadDeadline(time.Now().Add(logPong)) })
	_ = client.SetReadDeadline(time.Now().Add(logPong))
	for {
		if _, _, err := client.NextReader(); err != nil {
			return
		}
	}
}

func pingClient(ctx context.Context, client *websocket.Conn) {
	ticker := time.NewTicker(logPing)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if client.WriteControl(websocket.PingMessage, nil, time.Now().Add(logWrite)) != nil {
			return
		}
	}
}

// copyLog copies the controller's messages as they are, the first one too,
// until either side ends.
func copyLog(client, controller *websocket.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		kind, message, err := controller.NextReader()
		if err != nil {
			end := websocket.CloseGoingAway
			var closed *websocket.CloseError
			if errors.As(err, &closed) && closed.Code == websocket.CloseNormalClosure {
				end = closed.Code
			}
			_ = client.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(end, ""), time.Now().Add(time.Second))
			return
		}
		_ = client.SetWriteDeadline(time.Now().Add(logWrite))
		w, err := client.NextWriter(kind)
		if err != nil {
			return
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{w}, message, buffer); err != nil {
			return
		}
		if w.Close() != nil {
			return
		}
	}
}
