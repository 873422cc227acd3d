package simulator

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Charm handles one event of one unit, with the hook tools.
type Charm func(ctx context.Context, tools hook.Tools, event hook.Event) error

// Role is an endpoint's.
type Role string

// The roles of metadata.yaml.
const (
	Provides Role = "provides"
	Requires Role = "requires"
	Peers    Role = "peers"
)

// Endpoint is one of an application.
type Endpoint struct {
	Role      Role
	Interface string
	Limit     int
}

// Model is a model. Its exported fields and methods are for one goroutine; hook
// tools may be called from others meanwhile.
type Model struct {
	Name, UUID string
	// Fail, if set, may make a hook tool fail before it does anything.
	Fail func(unit, tool string, args []string) error
	// Log has what charms logged, and Calls each call of a hook tool, with its
	// arguments.
	Log, Calls []string

	mu        sync.Mutex
	rand      *rand.Rand
	apps      map[string]*App
	relations map[int]*Relation
	secrets   map[string]*secret
	next      int
}

// App is an application.
type App struct {
	Name      string
	Endpoints map[string]Endpoint
	charm     Charm
	config    map[string]any
	defaults  map[string]any
	configs   int // version of the configuration
	revision  int // of the charm
	units     []*Unit
	started   int
	leader    *Unit
	status    *hook.Status
	version   string
}

// Relation is between two applications, or within one.
type Relation struct {
	ID   int
	ends []end
	// bags has those of applications and units, by name; versions count changes.
	bags     map[string]relation.Bag
	versions map[string]int
	dying    bool
}

type end struct {
	app      *App
	endpoint string
}

// New makes an empty model. The seed decides in which order things happen.
func New(seed uint64) *Model {
	return &Model{
		Name: "jimm", UUID: "7d2a9f3e-1c4b-4d5e-8f60-a1b2c3d4e5f6", rand: rand.New(rand.NewPCG(seed, 0)),
		apps: map[string]*App{}, relations: map[int]*Relation{}, secrets: map[string]*secret{},
	}
}

// Deploy makes an application without units.
func (m *Model) Deploy(name string, endpoints map[string]Endpoint, defaults map[string]any, charm Charm) *App {
	a := &App{Name: name, Endpoints: endpoints, charm: charm, config: map[string]any{}, defaults: defaults}
	m.apps[name] = a
	for endpoint, e := range endpoints {
		if e.Role == Peers {
			m.addRelation(end{a, endpoint})
		}
	}
	return a
}

// App gives an application.
func (m *Model) App(name string) *App { return m.apps[name] }

// Units gives an application's units.
func (a *App) Units() []*Unit { return slices.Clone(a.units) }

// Leader gives the unit that leads, nil if there is none.
func (a *App) Leader() *Unit { return a.leader }

// SetCharm replaces the charm, as a refresh does.
func (a *App) SetCharm(charm Charm) {
	a.charm = charm
	a.revision++
}

// Refresh has each unit run upgrade-charm.
func (a *App) Refresh() { a.revision++ }

// AddUnit adds one. Address is its IP address.
func (m *Model) AddUnit(app, address string) *Unit {
	a := m.apps[app]
	u := &Unit{Name: fmt.Sprintf("%s/%d", app, a.started), Address: address, app: a, model: m, seen: seen{
		relations: map[int]*seenRelation{}, secrets: map[string]int{}, removals: map[string]bool{},
	}, Status: hook.Status{Level: "waiting", Message: "installing agent"}}
	a.started++
	a.units = append(a.units, u)
	if a.leader == nil {
		a.leader = u
	}
	return u
}

// RemoveUnit begins to remove a unit; Settle finishes.
func (m *Model) RemoveUnit(u *Unit) { u.dying = true }

// SetLeader moves leadership. The unit that led is not told, as by Juju.
func (m *Model) SetLeader(u *Unit) {
	u.app.leader = u
	u.seen.leader = false
}

// Configure sets options; nil takes one back to its default.
func (m *Model) Configure(app string, options map[string]any) {
	a := m.apps[app]
	for name, value := range options {
		if value == nil {
			delete(a.config, name)
			continue
		}
		a.config[name] = value
	}
	a.configs++
}

func split(spec string) (app, endpoint string) {
	app, endpoint, _ = strings.Cut(spec, ":")
	return app, endpoint
}

// Relate relates two endpoints, app:endpoint each.
func (m *Model) Relate(one, other string) (*Relation, error) {
	var ends []end
	for _, spec := range []string{one, other} {
		name, endpoint := split(spec)
		a := m.apps[name]
		if a == nil || a.Endpoints[endpoint].Interface == "" {
			return nil, fmt.Errorf("cannot relate %s: no such endpoint", spec)
		}
		if limit := a.Endpoints[endpoint].Limit; limit > 0 {
			n := 0
			for _, r := range m.relations {
				if r.endpointOf(a) == endpoint && !r.dying {
					n++
				}
			}
			if n >= limit {
				return nil, fmt.Errorf("cannot relate %s: its limit is %d", spec, limit)
			}
		}
		ends = append(ends, end{a, endpoint})
	}
	a, b := ends[0].app.Endpoints[ends[0].endpoint], ends[1].app.Endpoints[ends[1].endpoint]
	if a.Interface != b.Interface || a.Role == b.Role {
		return nil, fmt.Errorf("cannot relate %s to %s: %s %s and %s %s do not fit", one, other, a.Role, a.Interface, b.Role, b.Interface)
	}
	return m.addRelation(ends...), nil
}

func (m *Model) addRelation(ends ...end) *Relation {
	r := &Relation{ID: m.next, ends: ends, bags: map[string]relation.Bag{}, versions: map[string]int{}}
	m.next++
	m.relations[r.ID] = r
	return r
}

// Unrelate begins to remove a relation; Settle finishes.
func (m *Model) Unrelate(r *Relation) { r.dying = true }

// Relation gives the living relation of an endpoint, app:endpoint.
func (m *Model) Relation(spec string) *Relation {
	name, endpoint := split(spec)
	for _, id := range slices.Sorted(maps.Keys(m.relations)) {
		if r := m.relations[id]; r.endpointOf(m.apps[name]) == endpoint && !r.dying {
			return r
		}
	}
	return nil
}

// Bag gives a copy of the databag of an application or a unit.
func (r *Relation) Bag(who string) relation.Bag { return maps.Clone(r.bags[who]) }

// Write writes somebody's databag by hand, as a hostile charm would.
func (m *Model) Write(r *Relation, who string, changes relation.Bag) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.write(who, changes)
}

func (r *Relation) write(who string, changes relation.Bag) (changed bool) {
	bag := r.bags[who]
	if bag == nil {
		bag = relation.Bag{}
		r.bags[who] = bag
	}
	for key, value := range changes {
		if old, there := bag[key]; value == "" && there {
			delete(bag, key)
			changed = true
		} else if value != "" && old != value {
			bag[key] = value
			changed = true
		}
	}
	if changed {
		r.versions[who]++
	}
	return changed
}

func (r *Relation) endpointOf(a *App) string {
	for _, e := range r.ends {
		if e.app == a {
			return e.endpoint
		}
	}
	return ""
}

// remote is the application at the other side; in a peer relation the same.
func (r *Relation) remote(a *App) *App {
	for _, e := range r.ends {
		if e.app != a {
			return e.app
		}
	}
	return a
}

func (r *Relation) peer() bool { return len(r.ends) == 1 }

func (r *Relation) name(a *App) string { return fmt.Sprintf("%s:%d", r.endpointOf(a), r.ID) }

// Steps is how many events Settle runs before it gives up: a charm that is
// never done makes events for ever.
const Steps = 2000

// Settle runs events until there are none.
func (m *Model) Settle(ctx context.Context) error {
	for range Steps {
		u, e, ok := m.pick()
		if !ok {
			return nil
		}
		if err := u.run(ctx, e); err != nil {
			return fmt.Errorf("%s of %s: %w", e.name(), u.Name, err)
		}
	}
	return fmt.Errorf("the model does not come to rest in %d events", Steps)
}

// Step runs one event, if there is one. An error is of the hook, which the next
// step tries again.
func (m *Model) Step(ctx context.Context) (ran bool, err error) {
	u, e, ok := m.pick()
	if !ok {
		return false, nil
	}
	return true, u.run(ctx, e)
}

// Shuffle gives the numbers from 0 to n-1 in an order that follows from the seed.
func (m *Model) Shuffle(n int) []int { return m.rand.Perm(n) }

// pick chooses one of the events that Juju might run next.
func (m *Model) pick() (*Unit, pending, bool) {
	type choice struct {
		unit  *Unit
		event pending
	}
	var choices []choice
	for _, name := range slices.Sorted(maps.Keys(m.apps)) {
		for _, u := range m.apps[name].units {
			// The unit does nothing else before; that the others do not either lets two
			// runs from one seed have the same events, though hooks fail in one.
			if u.failed != nil {
				return u, *u.failed, true
			}
			for _, e := range u.next() {
				choices = append(choices, choice{u, e})
			}
		}
	}
	if len(choices) == 0 {
		return nil, pending{}, false
	}
	c := choices[m.rand.IntN(len(choices))]
	return c.unit, c.event, true
}
