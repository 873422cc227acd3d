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
	if err := p.need("WatchModelSummaries", p.controller.UUID); err != nil {
		return err
	}
	const facade, version = "ModelSummaryWatcher", 1
	if p.BestVersion(facade, version) < version {
		return estate.Errorf(estate.CodeNotSupported, "controller %q has no facade %s", p.controller.Name, facade)
	}
	var watcher params.SummaryWatcherID
	if err := p.call(ctx, "Controller", controllerLeast, controllerMost, "WatchAllModelSummaries", nil, &watcher); err != nil {
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
		_ = p.Call(stopping, facade, version, watcher.WatcherID, "Stop", nil, nil)
	}()
	for {
		var changes params.SummaryWatcherNextResults
		if err := p.Call(ctx, facade, version, watcher.WatcherID, "Next", nil, &changes); err != nil {
			return err
		}
		if err := f(changes.Models); err != nil {
			return err
		}
	}
}

// Ping implements estate.Peer.
func (p *peer) Ping(ctx context.Context) error {
	return p.Call(ctx, "Pinger", 1, "", "Ping", nil, nil)
}

// Done implements estate.Peer.
func (p *peer) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session.client.Done()
}
