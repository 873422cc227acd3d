package sim

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// keptLines is how many lines of log a model keeps.
const keptLines = 200

// Log adds a line to the debug log of a model. Who is the tag of what says it,
// such as unit-labapp-0; severity is one of DEBUG, INFO, WARNING and ERROR.
func (c *Controller) Log(modelUUID, who, severity, message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.state.Models[modelUUID]; m != nil {
		c.logLine(m, who, severity, message)
		c.changed(m)
	}
}

func (c *Controller) logLine(m *model, who, severity, message string) {
	m.logged++
	m.lines = append(m.lines, params.LogMessage{
		ModelUUID: m.UUID, Entity: who, Timestamp: c.clock.Now(), Severity: severity, Module: "juju.sim", Location: "debuglog.go:1", Message: message,
	})
	if len(m.lines) > keptLines {
		m.lines = slices.Clone(m.lines[len(m.lines)-keptLines:])
	}
}

// serveLog is the debug log (apiserver/debuglog.go). Who asks is checked after
// the upgrade; the first frame is an empty object, or holds the error.
func (c *Controller) serveLog(w http.ResponseWriter, r *http.Request, uuid string) {
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	defer func() { _ = ws.Close() }()
	if uuid == "" {
		uuid = c.state.ControllerModel
	}
	who, err := c.caller(r)
	if err != nil {
		err = annotate(err, "authentication failed")
	} else {
		err = annotate(c.allowed(who, permission.ReadAccess, uuid), "authorization failed")
	}
	query := r.URL.Query()
	backlog := uint64(10)
	if text := query.Get("maxLines"); err == nil && text != "" {
		if backlog, err = strconv.ParseUint(text, 10, 64); err != nil {
			err = coded("", "maxLines value %q is not a valid unsigned number", text)
		}
	}
	if query.Get("replay") == "true" {
		backlog = keptLines
	}
	c.mu.Lock()
	m := c.state.Models[uuid]
	if err == nil && m == nil {
		err = coded(params.CodeModelNotFound, "model %q not found", uuid)
	}
	if err != nil {
		c.mu.Unlock()
		_ = ws.WriteJSON(params.ErrorResult{Error: asParams(err)}) // the client is gone otherwise
		return
	}
	changes := &watcher{model: m, pending: make(chan struct{}, 1), stopped: make(chan struct{}), touched: make(map[string]bool)}
	if m.watchers == nil {
		m.watchers = make(map[*watcher]bool)
	}
	m.watchers[changes] = true
	sent := m.logged - min(m.logged, len(m.lines), int(min(backlog, keptLines)))
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.end(changes)
	}()
	if ws.WriteJSON(struct{}{}) != nil {
		return
	}
	gone := make(chan struct{})
	go func() { // ends when ws is closed, which is waited for below
		defer close(gone)
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}()
	defer func() { <-gone }()
	defer func() { _ = ws.Close() }()
	for {
		c.mu.RLock()
		lines := slices.Clone(m.lines[len(m.lines)-min(len(m.lines), m.logged-sent):])
		sent = m.logged
		c.mu.RUnlock()
		for _, line := range lines {
			if ws.WriteJSON(line) != nil {
				return
			}
		}
		if query.Get("noTail") == "true" {
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
			return
		}
		select {
		case <-c.ctx.Done():
			return
		case <-gone:
			return
		case <-changes.pending:
		}
	}
}
