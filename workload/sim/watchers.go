package sim

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/juju/juju/rpc/params"
)

// watcher tells one client of changes. It belongs to a connection and ends
// with it.
type watcher struct {
	facade  string
	model   *model
	pending chan struct{}
	stopped chan struct{}
	stop    sync.Once

	// sees limits a watcher of all models to some; nil sees all.
	sees func(*model) bool
	// task is the action a watcher of strings is about.
	task *task

	// mu guards what was told and what is to be.
	mu      sync.Mutex
	touched map[string]bool
	// told is the JSON of all entities an AllWatcher has told of.
	told       map[entityKey]string
	lastStatus string
}

// signal says that something changed. Changes that nobody has asked for yet
// become one.
func (w *watcher) signal() {
	select {
	case w.pending <- struct{}{}:
	default:
	}
}

// touch says that a model changed.
func (w *watcher) touch(uuid string) {
	w.mu.Lock()
	w.touched[uuid] = true
	w.mu.Unlock()
	w.signal()
}

// take returns the models touched since the last time.
func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	uuids := sortedKeys(w.touched)
	clear(w.touched)
	return uuids
}

// watch starts a watcher of a model, or of all if that is nil. The state must
// be locked for writing.
func (cn *conn) watch(facade string, m *model) (string, *watcher) {
	w := &watcher{
		facade:  facade,
		model:   m,
		pending: make(chan struct{}, 1),
		stopped: make(chan struct{}),
		touched: make(map[string]bool),
	}
	if m == nil {
		cn.ctl.summaries[w] = true
	} else {
		if m.watchers == nil {
			m.watchers = make(map[*watcher]bool)
		}
		m.watchers[w] = true
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.lastID++
	id := strconv.Itoa(cn.lastID)
	cn.watchers[id] = w
	return id, w
}

func (cn *conn) watcher(facade, id string) (*watcher, error) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	w := cn.watchers[id]
	if w == nil || w.facade != facade {
		if cn.ctl.config.Generation == Juju36 {
			return nil, coded(params.CodeNotFound, "unknown watcher id")
		}
		return nil, notFound("watcher %q", id)
	}
	return w, nil
}

// end stops a watcher. The state must be locked for writing.
func (c *Controller) end(w *watcher) {
	w.stop.Do(func() { close(w.stopped) })
	delete(c.summaries, w)
	if w.model != nil {
		delete(w.model.watchers, w)
	}
}

// stopWatchers ends all watchers of a connection that is gone.
func (cn *conn) stopWatchers() {
	cn.ctl.mu.Lock()
	defer cn.ctl.mu.Unlock()
	cn.mu.Lock()
	defer cn.mu.Unlock()
	for _, w := range cn.watchers {
		cn.ctl.end(w)
	}
	cn.watchers = nil
}

// next waits for a change.
func (w *watcher) next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return errStopped
	case <-w.stopped:
		return errStopped
	case <-w.pending:
		return nil
	}
}

// watcherFacade makes the facade of a kind of watcher: Next blocks until there
// is something to tell, which tell finds out with the state locked for reading.
func watcherFacade[R any](name string, tell func(cn *conn, w *watcher) (R, bool)) methods {
	return methods{
		"Next": call(func(ctx context.Context, cn *conn, id string, _ none) (R, error) {
			var fail R
			w, err := cn.watcher(name, id)
			if err != nil {
				return fail, err
			}
			for {
				if err := w.next(ctx); err != nil {
					return fail, err
				}
				cn.ctl.mu.RLock()
				result, ok := tell(cn, w)
				cn.ctl.mu.RUnlock()
				if ok {
					return result, nil
				}
			}
		}),
		"Stop": call(func(_ context.Context, cn *conn, id string, _ none) (none, error) {
			w, err := cn.watcher(name, id)
			if err != nil {
				return none{}, err
			}
			cn.ctl.mu.Lock()
			defer cn.ctl.mu.Unlock()
			cn.ctl.end(w)
			cn.mu.Lock()
			defer cn.mu.Unlock()
			delete(cn.watchers, id)
			return none{}, nil
		}),
	}
}

var notifyWatcher = watcherFacade("NotifyWatcher", func(*conn, *watcher) (none, bool) {
	return none{}, true
})

// stringsWatcher tells the progress of an action.
var stringsWatcher = watcherFacade("StringsWatcher", func(_ *conn, w *watcher) (params.StringsWatchResult, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.task.Status == w.lastStatus {
		return params.StringsWatchResult{}, false
	}
	w.lastStatus = w.task.Status
	message, err := json.Marshal(params.ActionMessage{Timestamp: w.task.Completed, Message: w.task.Status})
	if err != nil {
		return params.StringsWatchResult{Error: asParams(err)}, true
	}
	return params.StringsWatchResult{Changes: []string{string(message)}}, true
})

// summaryWatcher pushes the summaries of models that changed; those gone are
// told of as removed.
var summaryWatcher = watcherFacade("ModelSummaryWatcher", func(cn *conn, w *watcher) (params.SummaryWatcherNextResults, bool) {
	var results params.SummaryWatcherNextResults
	for _, uuid := range w.take() {
		m := cn.ctl.state.Models[uuid]
		if m == nil {
			results.Models = append(results.Models, params.ModelAbstract{UUID: uuid, Removed: true})
			continue
		}
		if w.sees == nil || w.sees(m) {
			results.Models = append(results.Models, cn.ctl.abstract(m))
		}
	}
	return results, len(results.Models) > 0
})

func (c *Controller) abstract(m *model) params.ModelAbstract {
	info := c.info(m, false)
	a := params.ModelAbstract{
		UUID:       m.UUID,
		Name:       m.Name,
		Controller: c.config.Name,
		Admins:     []string{},
		Cloud:      m.Cloud,
		Region:     m.Region,
		Credential: m.Credential,
		Size: params.ModelSummarySize{
			Machines:     len(m.Machines),
			Applications: len(m.Applications),
			Units:        m.unitCount(),
			Relations:    len(m.Relations),
		},
		Status: "green",
	}
	for _, u := range info.Users {
		if u.Access == params.ModelAdminAccess {
			a.Admins = append(a.Admins, u.UserName)
		}
	}
	return a
}
