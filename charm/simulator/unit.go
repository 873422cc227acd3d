package simulator

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"jimm/charm/hook"
)

// Unit is one of an application.
type Unit struct {
	Name string
	// Address is its IP address; a pod that was replaced has another.
	Address string
	Status  hook.Status
	// Container, if the charm has one, tells about its Pebble.
	Container Container
	Ports     []string

	app     *App
	model   *Model
	seen    seen
	dying   bool
	removed bool
	// last is the last hook, for Again; failed is the one that is to be tried again.
	last   pending
	failed *pending
}

// Container is what Juju looks at in a pod.
type Container interface {
	// Starts counts the starts of Pebble that have succeeded; each makes a
	// pebble-ready event.
	Starts() int
	// Notices counts the custom notices since then.
	Notices() int
	// Checks counts how often checks have failed for good, and recovered from it.
	Checks() (failed, recovered int)
}

// seen is what a unit has been told.
type seen struct {
	installed, started, stopped, leader bool
	revision, configs                   int
	configured                          bool
	starts, notices, failed, recovered  int
	relations                           map[int]*seenRelation
	// secrets has the revision told of each secret that the unit reads; removals
	// the old revisions told.
	secrets  map[string]int
	removals map[string]bool
}

type seenRelation struct {
	created, broken bool
	app             int
	units           map[string]int // version of the databag, -1 before joined's changed
}

// pending is an event that Juju might run next.
type pending struct {
	hook, action     string
	relation         *Relation
	unit, departing  string
	secret, revision string
	done             func()
	params           map[string]any
	results          map[string]string
	failure          *string
}

func (p pending) name() string {
	if p.action != "" {
		return p.action
	}
	return p.hook
}

// next gives the events that may come next, as Juju's uniter finds them: out of
// the difference between what is and what the unit was told.
func (u *Unit) next() []pending {
	s, a := &u.seen, u.app
	switch {
	case u.removed:
		return nil
	case !s.installed:
		return []pending{{hook: "install", done: func() { s.installed = true; s.revision = a.revision }}}
	}
	var first []pending
	for _, r := range u.relations() {
		if s.relations[r.ID] == nil && !u.dying && !r.dying {
			first = append(first, pending{hook: r.endpointOf(a) + "-relation-created", relation: r, done: func() {
				s.relations[r.ID] = &seenRelation{created: true, units: map[string]int{}}
			}})
		}
	}
	if a.leader == u && !s.leader && !u.dying {
		first = append(first, pending{hook: "leader-elected", done: func() { s.leader = true }})
	}
	if !s.configured && !u.dying {
		// All relations that exist are created before the first config-changed.
		if len(first) > 0 {
			return first
		}
		return []pending{u.configChanged()}
	}
	if !s.started && !u.dying {
		return append(first, pending{hook: "start", done: func() { s.started = true }})
	}
	events := first
	if s.revision != a.revision && !u.dying {
		return []pending{{hook: "upgrade-charm", done: func() { s.revision = a.revision; s.configured = false }}}
	}
	if s.configs != a.configs && !u.dying {
		events = append(events, u.configChanged())
	}
	if u.Container != nil && !u.dying {
		if n := u.Container.Starts(); n > s.starts {
			events = append(events, pending{hook: containerHook + "ready", done: func() { s.starts, s.notices, s.failed, s.recovered = n, 0, 0, 0 }})
		}
		failed, recovered := u.Container.Checks()
		if failed > s.failed {
			events = append(events, pending{hook: containerHook + "check-failed", done: func() { s.failed = failed }})
		}
		if recovered > s.recovered {
			events = append(events, pending{hook: containerHook + "check-recovered", done: func() { s.recovered = recovered }})
		}
		if n := u.Container.Notices(); n > s.notices {
			events = append(events, pending{hook: containerHook + "custom-notice", done: func() { s.notices = n }})
		}
	}
	for _, r := range u.relations() {
		events = append(events, u.relationEvents(r)...)
	}
	if !u.dying {
		return append(events, u.secretEvents()...)
	}
	if len(events) > 0 {
		return events
	}
	if !s.stopped {
		return []pending{{hook: "stop", done: func() { s.stopped = true }}}
	}
	return []pending{{hook: "remove", done: u.remove}}
}

func (u *Unit) configChanged() pending {
	n := u.app.configs
	return pending{hook: "config-changed", done: func() { u.seen.configured = true; u.seen.configs = n }}
}

// relations are those of the unit's application, in a fixed order.
func (u *Unit) relations() []*Relation {
	var all []*Relation
	for _, id := range slices.Sorted(maps.Keys(u.model.relations)) {
		if r := u.model.relations[id]; r.endpointOf(u.app) != "" {
			all = append(all, r)
		}
	}
	return all
}

// members are the units at the other side that have entered the relation.
func (r *Relation) members(u *Unit) []*Unit {
	var all []*Unit
	for _, other := range r.remote(u.app).units {
		if s := other.seen.relations[r.ID]; other != u && s != nil && s.created && !s.broken && !other.dying && !other.removed {
			all = append(all, other)
		}
	}
	return all
}

func (u *Unit) relationEvents(r *Relation) []pending {
	s := u.seen.relations[r.ID]
	if s == nil || s.broken {
		return nil
	}
	prefix := r.endpointOf(u.app) + "-relation-"
	var events []pending
	present := map[string]bool{}
	if !r.dying && !u.dying {
		for _, other := range r.members(u) {
			present[other.Name] = true
			told, joined := s.units[other.Name]
			version := r.versions[other.Name]
			switch {
			case !joined:
				events = append(events, pending{hook: prefix + "joined", relation: r, unit: other.Name, done: func() { s.units[other.Name] = -1 }})
			case told != version:
				events = append(events, pending{hook: prefix + "changed", relation: r, unit: other.Name, done: func() { s.units[other.Name] = version }})
			}
		}
		// Juju 4.1 tells the writer of a peer's application databag, too.
		if remote := r.remote(u.app); s.app != r.versions[remote.Name] {
			version := r.versions[remote.Name]
			events = append(events, pending{hook: prefix + "changed", relation: r, done: func() { s.app = version }})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.units)) {
		if !present[name] {
			departing := name
			if u.dying {
				departing = u.Name
			}
			events = append(events, pending{hook: prefix + "departed", relation: r, unit: name, departing: departing, done: func() { delete(s.units, name) }})
		}
	}
	if len(events) == 0 && (r.dying || u.dying) {
		return []pending{{hook: prefix + "broken", relation: r, done: func() { s.broken = true; u.model.finish(r) }}}
	}
	return events
}

// finish removes a relation that all units have left, and what was granted by it.
func (m *Model) finish(r *Relation) {
	if !r.dying {
		return
	}
	for _, e := range r.ends {
		for _, u := range e.app.units {
			if s := u.seen.relations[r.ID]; s != nil && !s.broken && !u.removed {
				return
			}
		}
	}
	delete(m.relations, r.ID)
	for _, s := range m.secrets {
		delete(s.grants, r.ID)
	}
}

func (u *Unit) remove() {
	u.removed = true
	a := u.app
	a.units = slices.DeleteFunc(a.units, func(other *Unit) bool { return other == u })
	if a.leader == u {
		a.leader = nil
		if len(a.units) > 0 {
			a.leader = a.units[0]
			a.leader.seen.leader = false
		}
	}
	for id, s := range u.model.secrets {
		if s.owner == u.Name {
			delete(u.model.secrets, id)
		}
	}
	for _, r := range u.model.relations {
		delete(r.bags, u.Name)
	}
}

// run runs an event. If its hook succeeds, it is done with.
func (u *Unit) run(ctx context.Context, p pending) error {
	c := u.context(p)
	err := u.app.charm(ctx, hook.Tools{Runner: c}, c.event)
	if err == nil {
		err = c.commit()
	}
	if err != nil {
		u.failed = &p
		return err
	}
	u.failed = nil
	if p.done != nil {
		u.model.mu.Lock()
		p.done()
		u.model.mu.Unlock()
	}
	u.last = p
	return nil
}

// Again runs the unit's last hook once more and tells what that changes: nothing,
// if the charm is level-triggered. Every tool that writes counts.
func (u *Unit) Again(ctx context.Context) (changes []string, err error) {
	p := u.last
	if p.relation != nil && u.model.relations[p.relation.ID] == nil || p.hook == "" {
		p = pending{hook: "update-status"}
	}
	p.done = nil
	c := u.context(p)
	if err := u.app.charm(ctx, hook.Tools{Runner: c}, c.event); err != nil {
		return nil, err
	}
	changes = slices.Clone(c.writes)
	return changes, c.commit()
}

// Update runs update-status.
func (u *Unit) Update(ctx context.Context) error { return u.run(ctx, pending{hook: "update-status"}) }

// Hook runs a hook by its name.
func (u *Unit) Hook(ctx context.Context, name string) error { return u.run(ctx, pending{hook: name}) }

// ActionError is an action that has failed.
type ActionError struct{ Message string }

func (e *ActionError) Error() string { return e.Message }

// Action runs an action and gives its results.
func (u *Unit) Action(ctx context.Context, name string, params map[string]any) (map[string]string, error) {
	if params == nil {
		params = map[string]any{}
	}
	p := pending{action: name, params: params, results: map[string]string{}, failure: new(string)}
	*p.failure = ""
	if err := u.run(ctx, p); err != nil {
		return nil, fmt.Errorf("action %s: %w", name, err)
	}
	if *p.failure != "" {
		return p.results, &ActionError{*p.failure}
	}
	return p.results, nil
}
