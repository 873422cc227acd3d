package juju

import (
	"context"
	"errors"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// WatchModelSummaries implements estate.Peer. Juju 3 pushes; Juju 4 answers
// that it does not support it.
func (p *peer) WatchModelSummaries(ctx context.Context, f func([]params.ModelAbstract) error) (err error) {
	const watcherFacade, version = "ModelSummaryWatcher", 1
	if _, err := p.version(watcherFacade, version, version); err != nil {
		return err
	}
	var watcher params.SummaryWatcherID
	if err := p.Call(ctx, estate.Call{Facade: "Controller", Method: "WatchAllModelSummaries", Least: controllerLeast, Most: controllerMost}, nil, &watcher); err != nil {
		return err
	}
	if watcher.WatcherID == "" {
		return badReply(p.controller, "Controller.WatchAllModelSummaries", errors.New("it has no id"))
	}
	defer func() {
		// The connection is shared: what is not stopped goes on there. A watcher
		// whose connection broke is gone already.
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = p.Call(stopping, estate.Call{Facade: watcherFacade, Method: "Stop", Most: version, ID: watcher.WatcherID}, nil, nil)
	}()
	for {
		var changes params.SummaryWatcherNextResults
		if err := p.Call(ctx, estate.Call{Facade: watcherFacade, Method: "Next", Most: version, ID: watcher.WatcherID}, nil, &changes); err != nil {
			return err
		}
		if err := f(changes.Models); err != nil {
			return err
		}
	}
}

// Ping implements estate.Peer.
func (p *peer) Ping(ctx context.Context) error {
	return p.Call(ctx, estate.Call{Facade: "Pinger", Method: "Ping", Most: 1}, nil, nil)
}

// Done implements estate.Peer.
func (p *peer) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session.client.Done()
}
