package facade

import (
	"context"
	"strconv"
	"sync"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// maxWatchers bounds the watchers of one connection.
const maxWatchers = 100

// watchers are those of a connection, by id, and end with it.
type watchers struct {
	mu   sync.Mutex
	last int
	byID map[string]*estate.ModelWatcher
	// closed is set when the connection has ended.
	closed bool
}

func (w *watchers) add(watcher *estate.ModelWatcher) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.byID) >= maxWatchers {
		watcher.Stop()
		return "", estate.Errorf(estate.CodeBadRequest, "cannot watch: a connection may have %d watchers", maxWatchers)
	}
	if w.byID == nil {
		w.byID = map[string]*estate.ModelWatcher{}
	}
	w.last++
	id := strconv.Itoa(w.last)
	w.byID[id] = watcher
	return id, nil
}

func (w *watchers) get(id string) (*estate.ModelWatcher, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	watcher := w.byID[id]
	if watcher == nil {
		return nil, errNoWatcher
	}
	return watcher, nil
}

// errNoWatcher is Juju's own.
var errNoWatcher = &estate.Error{Code: estate.CodeNotFound, Message: "unknown watcher id"}

func (w *watchers) stop(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	watcher := w.byID[id]
	if watcher == nil {
		return errNoWatcher
	}
	delete(w.byID, id)
	watcher.Stop()
	return nil
}

func (w *watchers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, watcher := range w.byID {
		watcher.Stop()
	}
	w.byID = nil
}

// summaryWatcherMethods are facade ModelSummaryWatcher; the id of a request is
// that of the watcher.
var summaryWatcherMethods = methods{
	"Next": onObject(func(ctx context.Context, c *Connection, id string) (any, error) {
		watcher, err := c.watchers.get(id)
		if err != nil {
			return nil, err
		}
		models, err := watcher.Next(ctx)
		return params.SummaryWatcherNextResults{Models: models}, err
	}),
	"Stop": onObject(func(_ context.Context, c *Connection, id string) (any, error) {
		return struct{}{}, c.watchers.stop(id)
	}),
}

func watchModelSummaries(ctx context.Context, c *Connection) (params.SummaryWatcherID, error) {
	return c.watch(c.server.Estate.WatchModels(ctx, *c.User()))
}

func watchAllModelSummaries(ctx context.Context, c *Connection) (params.SummaryWatcherID, error) {
	return c.watch(c.server.Estate.WatchAllModels(ctx, *c.User()))
}

func (c *Connection) watch(watcher *estate.ModelWatcher, err error) (params.SummaryWatcherID, error) {
	if err != nil {
		return params.SummaryWatcherID{}, err
	}
	id, err := c.watchers.add(watcher)
	return params.SummaryWatcherID{WatcherID: id}, err
}

// Close ends what belongs to the connection.
func (c *Connection) Close() {
	c.watchers.close()
	c.loginMu.Lock()
	defer c.loginMu.Unlock()
	if c.leave != nil {
		c.leave()
	}
}
