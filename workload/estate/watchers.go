package estate

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/juju/juju/core/status"
	"github.com/juju/juju/rpc/params"
)

// CodeStopped is that of a watcher that was stopped.
const CodeStopped = "stopped"

var errWatcherStopped = &Error{Code: CodeStopped, Message: "watcher has been stopped"}

// maxPending bounds what a watcher remembers of changes that its client has not
// asked for; beyond it the client is told of all that is different.
const maxPending = 2000

// ModelWatcher tells one client of the models it may read, at first of all,
// then of what changed. Changes that it has not asked for become one. Stop must
// be called.
type ModelWatcher struct {
	estate *Estate
	user   User
	// all is set for a watcher that needs administrator of JIMM.
	all     bool
	woken   chan struct{}
	stopped chan struct{}
	stop    sync.Once
	// asking lets one Next in at a time.
	asking chan struct{}

	mu      sync.Mutex
	pending pending

	// What follows belongs to the Next that is in.

	// told are hashes of what the client knows, by UUID.
	told map[string]uint64
	// awaited are models that the user may read once they are complete.
	awaited map[string]bool
	// inherits is set for one who administers JIMM or a controller, and
	// so gets models that nobody gave them.
	inherits bool
}

// pending is what a watcher has to look at.
type pending struct {
	// everything: all models; for the first time, or after a loss.
	everything bool
	// models have changed; of those the user was not told before unless access
	// to them did, too.
	models, access map[string]bool
}

func (p *pending) empty() bool { return !p.everything && len(p.models) == 0 && len(p.access) == 0 }

func (p *pending) add(more pending) {
	p.everything = p.everything || more.everything
	if p.everything || len(p.models)+len(more.models)+len(p.access)+len(more.access) > maxPending {
		*p = pending{everything: true}
		return
	}
	if p.models == nil {
		p.models, p.access = map[string]bool{}, map[string]bool{}
	}
	maps.Copy(p.models, more.models)
	maps.Copy(p.access, more.access)
}

// WatchModels watches the models u may read.
func (e *Estate) WatchModels(ctx context.Context, u User) (*ModelWatcher, error) {
	return e.watchModels(u, false), nil
}

// WatchAllModels watches all models. Needs administrator of JIMM.
func (e *Estate) WatchAllModels(ctx context.Context, u User) (*ModelWatcher, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	return e.watchModels(u, true), nil
}

func (e *Estate) watchModels(u User, all bool) *ModelWatcher {
	w := &ModelWatcher{
		estate: e, user: u, all: all, pending: pending{everything: true},
		woken: make(chan struct{}, 1), stopped: make(chan struct{}), asking: make(chan struct{}, 1),
	}
	wake(w.woken)
	s := &e.stream
	s.mu.Lock()
	if s.watchers == nil {
		s.watchers = map[*ModelWatcher]struct{}{}
	}
	s.watchers[w] = struct{}{}
	wake(s.watching)
	wake(s.replan)
	s.mu.Unlock()
	return w
}

// Stop ends the watcher. A Next that waits fails with CodeStopped.
func (w *ModelWatcher) Stop() {
	w.stop.Do(func() {
		s := &w.estate.stream
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
		close(w.stopped)
	})
}

// hear takes note of a change. The stream's mutex is held.
func (w *ModelWatcher) hear(c change) {
	var p pending
	p.everything = c.All || c.Access || slices.Contains(c.Users, w.user.Name)
	p.models = setOf(c.Models)
	p.access = setOf(c.Shared[w.user.Name], c.Shared[""])
	if p.empty() {
		return
	}
	w.mu.Lock()
	w.pending.add(p)
	w.mu.Unlock()
	wake(w.woken)
}

func setOf(lists ...[]string) map[string]bool {
	set := map[string]bool{}
	for _, list := range lists {
		for _, s := range list {
			set[s] = true
		}
	}
	return set
}

// Next waits until there is something to tell. Models that are gone, or that
// the user may not read any more, are told of as removed. CodeStopped after
// Stop; CodeUnauthorized when one who watches all models does not administer
// JIMM any more. After any other error it can be called again.
func (w *ModelWatcher) Next(ctx context.Context) ([]params.ModelAbstract, error) {
	select {
	case w.asking <- struct{}{}:
		defer func() { <-w.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.stopped:
		return nil, errWatcherStopped
	}
	for {
		select {
		case <-w.stopped:
			return nil, errWatcherStopped
		default:
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.stopped:
			return nil, errWatcherStopped
		}
		w.mu.Lock()
		p := w.pending
		w.pending = pending{}
		w.mu.Unlock()
		news, err := w.look(ctx, p)
		if err != nil {
			w.mu.Lock()
			w.pending.add(p)
			w.mu.Unlock()
			wake(w.woken)
			return nil, err
		}
		if len(news) > 0 {
			return news, nil
		}
	}
}

// look finds out what is new of what may have changed.
func (w *ModelWatcher) look(ctx context.Context, p pending) ([]params.ModelAbstract, error) {
	if w.all && (p.everything || len(p.access) > 0) {
		if err := w.estate.requireAdmin(ctx, w.user); err != nil {
			return nil, err
		}
	}
	if p.everything {
		return w.lookAtAll(ctx)
	}
	visible, err := w.visible(ctx, p)
	if err != nil {
		return nil, err
	}
	var models []ListedModel
	if len(visible) > 0 {
		if models, err = w.estate.Store.ListedModels(ctx, slices.Collect(maps.Keys(visible)), true); err != nil {
			return nil, err
		}
	}
	news, err := w.tell(ctx, models)
	if err != nil {
		return nil, err
	}
	for _, m := range models {
		delete(visible, m.UUID)
		delete(p.models, m.UUID)
		delete(p.access, m.UUID)
	}
	maps.Copy(p.models, p.access)
	for uuid := range p.models {
		if _, ok := w.told[uuid]; ok {
			delete(w.told, uuid)
			news = append(news, params.ModelAbstract{UUID: uuid, Removed: true})
		}
	}
	// What the user was given and is not there is being made.
	for uuid := range visible {
		if p.access[uuid] && len(w.awaited) < maxPending {
			w.awaited[uuid] = true
		}
	}
	return news, nil
}

// visible returns those of the changed models that the user may read.
func (w *ModelWatcher) visible(ctx context.Context, p pending) (map[string]bool, error) {
	visible := map[string]bool{}
	var unsure []Question
	ask := func(uuid string) { unsure = append(unsure, Question{Reader, Object{KindModel, uuid}}) }
	for uuid := range p.models {
		_, told := w.told[uuid]
		switch {
		case p.access[uuid]:
		case w.all || told || w.awaited[uuid]:
			visible[uuid] = true
			delete(w.awaited, uuid)
		case w.inherits:
			ask(uuid)
		}
	}
	for uuid := range p.access {
		if w.all {
			visible[uuid] = true
		} else {
			ask(uuid)
		}
	}
	if len(unsure) == 0 {
		return visible, nil
	}
	may, err := w.estate.Permissions.CheckEach(ctx, w.user, unsure)
	if err != nil {
		return nil, err
	}
	for i, q := range unsure {
		if may[i] {
			visible[q.Object.ID] = true
		}
	}
	return visible, nil
}

func (w *ModelWatcher) lookAtAll(ctx context.Context) ([]params.ModelAbstract, error) {
	var err error
	if w.inherits, err = w.estate.administersAny(ctx, w.user); err != nil {
		return nil, err
	}
	models, _, err := w.estate.readable(ctx, w.user, true)
	if err != nil {
		return nil, err
	}
	before := w.told
	w.told, w.awaited = make(map[string]uint64, len(models)), map[string]bool{}
	for _, m := range models {
		if hash, ok := before[m.UUID]; ok {
			w.told[m.UUID] = hash
		}
	}
	news, err := w.tell(ctx, models)
	if err != nil {
		w.told = before
		return nil, err
	}
	for uuid := range before {
		if _, ok := w.told[uuid]; !ok {
			news = append(news, params.ModelAbstract{UUID: uuid, Removed: true})
		}
	}
	return news, nil
}

// administersAny reports whether u administers JIMM or a controller.
func (e *Estate) administersAny(ctx context.Context, u User) (bool, error) {
	controllers, err := e.Permissions.ListObjects(ctx, u, Administrator, KindController)
	return len(controllers) > 0, err
}

var hashSeed = maphash.MakeSeed()

// tell returns what is new to the client of these models.
func (w *ModelWatcher) tell(ctx context.Context, models []ListedModel) ([]params.ModelAbstract, error) {
	if len(models) == 0 {
		return nil, nil
	}
	controllers, err := w.estate.controllersByUUID(ctx)
	if err != nil {
		return nil, err
	}
	var news []params.ModelAbstract
	for _, m := range models {
		c := controllers[m.ControllerUUID]
		m.ControllerName, m.UnavailableSince = c.Name, c.UnavailableSince
		a := m.abstract()
		b, err := json.Marshal(a)
		if err != nil {
			return nil, err
		}
		hash := maphash.Bytes(hashSeed, b)
		if known, ok := w.told[m.UUID]; ok && known == hash {
			continue
		}
		w.told[m.UUID] = hash
		news = append(news, a)
	}
	return news, nil
}

// Colours of a model's state, as Juju 3 has them (core/cache).
const (
	colourGreen  = "green"
	colourYellow = "yellow"
	colourRed    = "red"
)

// abstract is a model as watchers tell of it. Its administrators are its owner
// alone: who else is one would be a question for each model.
func (m ListedModel) abstract() params.ModelAbstract {
	var a params.ModelAbstract
	var said params.ModelSummary
	// Both were encoded by us; of what does not fit nothing is told.
	if m.Said != nil {
		_ = json.Unmarshal(m.Said, &said)
	}
	if m.Pushed != nil {
		_ = json.Unmarshal(m.Pushed, &a)
	} else {
		for _, count := range said.Counts {
			switch n := int(count.Count); count.Entity {
			case params.Machines:
				a.Size.Machines = n
			case params.Units:
				a.Size.Units = n
			}
		}
	}
	a.UUID, a.Name, a.Controller, a.Removed = m.UUID, m.Name, m.ControllerName, false
	a.Admins = []string{m.Owner}
	a.Cloud, a.Region, a.Credential = m.Cloud, m.Region, m.Credential
	if a.Region == NoRegion && said.CloudRegion == "" {
		a.Region = ""
	}
	if a.Status == "" {
		a.Status = colourGreen
	}
	s := said.Status
	if known := m.Status(); known != nil {
		s = *known
	}
	colour := ""
	switch {
	case s.Status == "unavailable" || s.Status == status.Error:
		colour = colourRed
	case s.Status == status.Suspended || strings.HasPrefix(string(s.Status), "destroying") || m.State == ModelDying:
		colour = colourYellow
	}
	if colour != "" && a.Status != colourRed {
		a.Status = colour
		if s.Info != "" {
			a.Messages = append(a.Messages, params.ModelSummaryMessage{Agent: "model", Message: s.Info})
		}
	}
	return a
}
