package sim

import (
	"context"
	"net/http"
	"sync"

	"jimm/workload/rpc"

	"github.com/juju/juju/rpc/params"
)

// conn is a websocket on which a client calls methods.
type conn struct {
	ctl *Controller
	rpc *rpc.Conn
	// model is the UUID in the path, empty for the controller.
	model string
	// host is the address the client dialled.
	host string

	// loginMu is held during a login.
	loginMu  sync.Mutex
	mu       sync.Mutex
	loggedIn bool
	caller   caller
	watchers map[string]*watcher
	lastID   int
}

// concurrency is how many requests of a connection run at once. Juju has no
// limit; this one is out of reach unless calls hang.
const concurrency = 10000

func (c *Controller) serveAPI(w http.ResponseWriter, r *http.Request, modelUUID string) {
	ws, err := rpc.Upgrade(w, r, func(*http.Request) bool { return true }, rpc.Options{IdleTimeout: -1})
	if err != nil {
		return // the request has been answered
	}
	cn := &conn{ctl: c, rpc: ws, model: modelUUID, host: r.Host, watchers: make(map[string]*watcher)}
	defer cn.stopWatchers()
	err = rpc.Serve(c.ctx, ws, cn, rpc.ServeOptions{
		Concurrency: concurrency,
		Waits:       func(r *rpc.Request) bool { return r.Method == "Next" },
		Log:         c.log,
	})
	if err != nil {
		c.log.Debug("a connection ended", "err", err)
	}
}

// ServeRPC runs a request, with the faults that were asked for.
func (cn *conn) ServeRPC(ctx context.Context, req *rpc.Request) (any, error) {
	plan := cn.ctl.faults.plan(req.Type + "." + req.Method)
	if err := plan.before(ctx, cn); err != nil {
		return nil, err
	}
	response, err := cn.call(ctx, req)
	if plan.dropAfter {
		cn.rpc.Abort()
		return nil, errDropped
	}
	if err != nil {
		// As a real controller: the text of any error reaches the client.
		return nil, asParams(err)
	}
	return response, nil
}

func (cn *conn) call(ctx context.Context, req *rpc.Request) (any, error) {
	cn.mu.Lock()
	loggedIn := cn.loggedIn
	cn.mu.Unlock()
	var m method
	var err error
	if loggedIn {
		m, err = cn.ctl.facades.find(cn.model == "", req.Type, req.Version, req.Method)
	} else {
		m, err = findAdmin(req.Type, req.Version, req.Method)
	}
	if err != nil {
		return nil, err
	}
	return m(ctx, cn, req.ID, req.Params)
}

// theModel returns the connection's model. The state must be locked.
func (cn *conn) theModel() (*model, error) {
	m := cn.ctl.state.Models[cn.model]
	if m == nil {
		return nil, coded(params.CodeModelNotFound, "model %q not found", cn.model)
	}
	return m, nil
}

// readModel returns the connection's model if the caller may read it.
func (cn *conn) readModel() (*model, error) {
	if err := cn.canRead(); err != nil {
		return nil, err
	}
	return cn.theModel()
}

// writeModel returns the connection's model if the caller may write to it.
func (cn *conn) writeModel() (*model, error) {
	if err := cn.canWrite(); err != nil {
		return nil, err
	}
	return cn.theModel()
}

// changed tells all who watch a model that it has changed. The state must be
// locked for writing.
func (c *Controller) changed(m *model) {
	c.markDirty()
	for w := range m.watchers {
		w.signal()
	}
	for w := range c.summaries {
		w.touch(m.UUID)
	}
}
