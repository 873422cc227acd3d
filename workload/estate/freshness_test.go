package estate_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/sim"
)

// quick keeps up so closely that tests need not wait. What a controller may take
// is the default: a busy machine is not a dead controller.
var quick = estate.Freshness{
	Fast: 50 * time.Millisecond, Watched: 100 * time.Millisecond, Slow: 200 * time.Millisecond,
	Reconcile: time.Second, Settle: 100 * time.Millisecond, Probe: 100 * time.Millisecond,
	Retry: 20 * time.Millisecond, Share: 50 * time.Millisecond, Access: 100 * time.Millisecond,
}

// announced is quick, but finds nothing in OpenFGA by itself: what it hears of access
// it is told of.
func announced() estate.Freshness {
	f := quick
	f.Access = time.Hour
	return f
}

// unit is one of several processes of an estate.
type unit struct {
	*estate.Estate
	stop func()
}

// unit starts another process on the same database and OpenFGA.
func (w *world) unit(f estate.Freshness) *unit {
	w.Helper()
	store, err := postgres.Open(w.ctx, w.store.Pool().Config().ConnString(), postgres.Options{Log: slog.New(slog.DiscardHandler)})
	must(w.T, err)
	e := &estate.Estate{
		Store: store, Permissions: estate.Announce(w.Permissions, store), Secrets: w.Secrets, Peers: w.Peers,
		UUID: w.UUID, Self: w.Self, Now: w.Now, NewUUID: w.NewUUID, Log: w.Log,
		CallTimeout: w.CallTimeout, IntentAge: w.IntentAge,
	}
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() { e.KeepFresh(ctx, f) })
	u := &unit{e, sync.OnceFunc(func() { cancel(); running.Wait(); store.Close() })}
	w.Cleanup(u.stop)
	return u
}

// watch starts a watcher that is stopped with the test.
func (w *world) watch(u *unit, user estate.User) *estate.ModelWatcher {
	w.Helper()
	watcher, err := u.WatchModels(w.ctx, user)
	must(w.T, err)
	w.Cleanup(watcher.Stop)
	return watcher
}

// until asks a watcher until it has told of a model what is wanted.
func (w *world) until(watcher *estate.ModelWatcher, what, uuid string, wanted func(params.ModelAbstract) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	for {
		models, err := watcher.Next(ctx)
		if err != nil {
			w.Fatalf("never: %s: %v", what, err)
		}
		for _, m := range models {
			if m.UUID == uuid && wanted(m) {
				return
			}
		}
	}
}

func there(m params.ModelAbstract) bool   { return !m.Removed }
func removed(m params.ModelAbstract) bool { return m.Removed }

// summaryOf returns what a list says of a model.
func (w *world) summaryOf(u estate.User, uuid string) params.ModelSummary {
	w.Helper()
	list, err := w.ModelSummaries(w.ctx, u)
	must(w.T, err)
	i := slices.IndexFunc(list, func(s params.ModelSummary) bool { return s.UUID == uuid })
	if i < 0 {
		w.Fatalf("model %s is not listed", uuid)
	}
	return list[i]
}

func TestUnitsShareTheControllersEvenly(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.controller(fmt.Sprintf("c%d", i), sim.Juju41, "lab")
	}
	// A unit in another process keeps connections of its own; here what tells
	// them apart is what the database says of its sessions.
	share := func() []int {
		rows, err := w.store.Pool().Query(w.ctx, `select count(*) from pg_locks
			where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
			and database = (select oid from pg_database where datname = current_database()) group by pid order by 1`)
		must(t, err)
		defer rows.Close()
		var counts []int
		for rows.Next() {
			var n int
			must(t, rows.Scan(&n))
			counts = append(counts, n)
		}
		return counts
	}
	a := w.unit(quick)
	eventually(t, "one unit keeps up with all", func() bool { return slices.Equal(share(), []int{4}) })
	b := w.unit(quick)
	eventually(t, "two units share", func() bool { return slices.Equal(share(), []int{2, 2}) })
	a.stop()
	eventually(t, "the one left keeps up with all", func() bool { return slices.Equal(share(), []int{4}) })
	_, err := w.RemoveController(w.ctx, admin, "c3", false)
	must(t, err)
	eventually(t, "one that was removed is left alone", func() bool { return slices.Equal(share(), []int{3}) })
	b.stop()
	eventually(t, "nobody keeps up", func() bool { return len(share()) == 0 })
}

func TestOneUnitAsksAControllerForAll(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	for _, c := range w.sims {
		c.Faults().Clear()
	}
	slow := quick
	slow.Fast, slow.Slow, slow.Watched, slow.Reconcile = time.Minute, time.Minute, time.Minute, time.Minute
	units := []*unit{w.unit(slow), w.unit(slow)}
	eventually(t, "it was asked", func() bool { return w.sims["c41"].Faults().Calls("ModelManager.ListModelSummaries") > 0 })
	before := w.sims["c41"].Faults().Calls("ModelManager.ListModelSummaries")
	started := time.Now()
	for range 200 {
		for _, u := range units {
			if list, err := u.ListSummaries(w.ctx, alice); err != nil || len(list) != 1 || list[0].UUID != info.UUID {
				t.Fatal(list, err)
			}
		}
	}
	asked := w.sims["c41"].Faults().Calls("ModelManager.ListModelSummaries") - before
	if allowed := 2 + int(time.Since(started)/(500*time.Millisecond)); asked > allowed {
		t.Errorf("400 lists in %v asked the controller %d times, more than %d", time.Since(started), asked, allowed)
	}
}

func TestWhatAControllerSaysIsSoonInTheList(t *testing.T) {
	for _, controller := range []string{"c36", "c41"} {
		t.Run(controller, func(t *testing.T) {
			w := twoGenerations(t)
			info := w.create(alice, "m", controller)
			w.unit(quick)
			eventually(t, "its agent version is known", func() bool { return w.summaryOf(alice, info.UUID).AgentVersion != nil })
			must(t, w.sims[controller].Deploy(info.UUID, "app"))
			eventually(t, "its unit is counted", func() bool {
				return slices.Contains(w.summaryOf(alice, info.UUID).Counts, params.ModelEntityCount{Entity: params.Units, Count: 1})
			})
			must(t, w.destroy(alice, info.UUID))
			eventually(t, "it leaves the list without anybody asking for it", func() bool {
				list, err := w.ListSummaries(w.ctx, alice)
				must(t, err)
				return len(list) == 0
			})
		})
	}
}

func TestAControllerThatDiesOrHangsIsUnavailableAndDelaysNobody(t *testing.T) {
	for name, fail := range map[string]struct {
		fault func(*sim.Controller)
		heal  func(*sim.Controller) error
	}{
		"dies":  {func(c *sim.Controller) { c.Faults().Die() }, func(c *sim.Controller) error { return c.Faults().Accept() }},
		"hangs": {func(c *sim.Controller) { c.Faults().Hang("", -1) }, func(c *sim.Controller) error { c.Faults().Clear(); return nil }},
	} {
		for _, controller := range []string{"c36", "c41"} {
			t.Run(controller+" "+name, func(t *testing.T) {
				w := twoGenerations(t)
				other := map[string]string{"c36": "c41", "c41": "c36"}[controller]
				ill, well := w.create(alice, "ill", controller), w.create(alice, "well", other)
				impatient := quick
				impatient.Timeout = 500 * time.Millisecond
				u := w.unit(impatient)
				watcher := w.watch(u, alice)
				w.until(watcher, "the model is told of", ill.UUID, there)
				fail.fault(w.sims[controller])
				w.until(watcher, "it turns red", ill.UUID, func(m params.ModelAbstract) bool { return m.Status == "red" })
				// What it answered before may still be on its way.
				eventually(t, "it is listed as unavailable", func() bool {
					s := w.summaryOf(alice, ill.UUID).Status
					return s.Status == "unavailable" && s.Since != nil
				})
				// The other is kept up with all the while.
				must(t, w.sims[other].Deploy(well.UUID, "app"))
				eventually(t, "the other controller's unit is counted", func() bool {
					return slices.Contains(w.summaryOf(alice, well.UUID).Counts, params.ModelEntityCount{Entity: params.Units, Count: 1})
				})
				w.CallTimeout = time.Hour // a list that asks it does not end
				if _, err := w.ListSummaries(w.ctx, alice); err != nil {
					t.Errorf("a list: %v", err)
				}
				must(t, fail.heal(w.sims[controller]))
				w.until(watcher, "it turns green", ill.UUID, func(m params.ModelAbstract) bool { return m.Status == "green" })
			})
		}
	}
}

func TestWatchersSeeWhatTheyMayOnEveryUnit(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	one, two, three := w.unit(announced()), w.unit(announced()), w.unit(quick)
	bobs, another := w.watch(two, bob), w.watch(three, bob)
	all, err := two.WatchAllModels(w.ctx, admin)
	must(t, err)
	t.Cleanup(all.Stop)
	_, err = two.WatchAllModels(w.ctx, alice)
	wantCode(t, err, estate.CodeUnauthorized)
	w.until(all, "the administrator sees it", info.UUID, there)

	grant := estate.AccessChange{User: bob.Name, Grant: true, Access: "read"}
	must(t, one.ModifyModelAccess(w.ctx, alice, info.UUID, grant))
	w.until(bobs, "bob is told of a grant on another unit", info.UUID, there)
	w.until(another, "bob sees it", info.UUID, there)
	grant.Grant = false
	must(t, one.ModifyModelAccess(w.ctx, alice, info.UUID, grant))
	w.until(bobs, "bob is told of a revoke on another unit", info.UUID, removed)
	w.until(another, "bob sees it no more", info.UUID, removed)
	if list, err := two.ListSummaries(w.ctx, bob); err != nil || len(list) != 0 {
		t.Errorf("after the revoke bob's list is %v, %v", list, err)
	}

	// Made in OpenFGA itself, where nobody announces it: by way of a role.
	model := estate.Object{Kind: estate.KindModel, ID: info.UUID}
	role := estate.Object{Kind: estate.KindRole, ID: "00000000-0000-0000-0000-000000000001"}
	direct := []estate.Tuple{{Subject: bob.Subject(), Relation: estate.Assignee, Object: role}}
	must(t, w.Permissions.Write(w.ctx, []estate.Tuple{{Subject: estate.Subject{Object: role, Relation: estate.Assignee}, Relation: estate.Writer, Object: model}}, nil))
	must(t, w.Permissions.Write(w.ctx, direct, nil))
	w.until(another, "bob sees it by a role", info.UUID, there)
	must(t, w.Permissions.Write(w.ctx, nil, direct))
	w.until(another, "bob has the role no more", info.UUID, removed)

	made := w.create(alice, "made-later", "c36")
	w.until(all, "a new model is told of", made.UUID, there)
	alices := w.watch(one, alice)
	w.until(alices, "alice sees it", made.UUID, there)
	must(t, w.destroy(alice, made.UUID))
	w.until(alices, "it is gone", made.UUID, removed)

	bobs.Stop()
	_, err = bobs.Next(w.ctx)
	wantCode(t, err, estate.CodeStopped)
}

func TestAModelMadeAfterAGrantOfAControllerIsTold(t *testing.T) {
	w := twoGenerations(t)
	u := w.unit(quick)
	bobs := w.watch(u, bob)
	must(t, u.AddRelations(w.ctx, admin, []estate.Relationship{{Subject: "user-" + bob.Name, Relation: "administrator", Target: "controller-c41"}}))
	info := w.create(alice, "m", "c41")
	w.until(bobs, "who administers the controller sees it", info.UUID, there)
	must(t, u.RemoveRelations(w.ctx, admin, []estate.Relationship{{Subject: "user-" + bob.Name, Relation: "administrator", Target: "controller-c41"}}))
	w.until(bobs, "it is gone with that", info.UUID, removed)
}

func TestASlowClientGetsOneAnswerForManyChanges(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	u := w.unit(quick)
	slow, quickOne := w.watch(u, alice), w.watch(u, alice)
	w.until(slow, "it is told of", info.UUID, there)
	w.until(quickOne, "it is told of", info.UUID, there)
	for i := range 3 {
		must(t, w.sims["c41"].Deploy(info.UUID, fmt.Sprintf("app%d", i)))
		w.until(quickOne, "each unit is counted", info.UUID, func(m params.ModelAbstract) bool { return m.Size.Units == i+1 })
	}
	models, err := slow.Next(w.ctx)
	must(t, err)
	if len(models) != 1 || models[0].Size.Units != 3 {
		t.Errorf("got %+v", models)
	}
	ctx, cancel := context.WithTimeout(w.ctx, 300*time.Millisecond)
	defer cancel()
	if models, err := slow.Next(ctx); err == nil {
		t.Errorf("nothing changed, and yet it is told of %+v", models)
	}
}

func TestAControllerThatMakesNoSenseChangesNothing(t *testing.T) {
	for name, answer := range map[string]func(*sim.Controller, []params.ModelSummary) []params.ModelSummary{
		"no models at all": func(*sim.Controller, []params.ModelSummary) []params.ModelSummary { return nil },
		"another controller": func(c *sim.Controller, s []params.ModelSummary) []params.ModelSummary {
			s[0].ControllerUUID = w2
			return s
		},
		"a model twice": func(c *sim.Controller, s []params.ModelSummary) []params.ModelSummary { return append(s, s...) },
		"no UUID":       func(c *sim.Controller, s []params.ModelSummary) []params.ModelSummary { s[0].UUID = "../x"; return s },
	} {
		t.Run(name, func(t *testing.T) {
			w := twoGenerations(t)
			info := w.create(alice, "m", "c41")
			c, err := w.store.ControllerByName(w.ctx, "c41")
			must(t, err)
			must(t, w.RefreshController(w.ctx, c))
			before, err := w.store.Model(w.ctx, info.UUID)
			must(t, err)
			w.Peers = lying{w.Peers, func(s []params.ModelSummary) []params.ModelSummary { return answer(w.sims["c41"], s) }}
			wantCode(t, w.RefreshController(w.ctx, c), estate.CodeConnectionFailed)
			after, err := w.store.Model(w.ctx, info.UUID)
			must(t, err)
			if !after.GoneSince.IsZero() || after.Summary.Life != life.Alive || fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the model became %+v", after)
			}
		})
	}
}

func TestAModelLeftOutOfAListIsNotGone(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	must(t, w.sims["c41"].RemoveModel(w.create(alice, "lost", "c41").UUID))
	c, err := w.store.ControllerByName(w.ctx, "c41")
	must(t, err)
	w.CallTimeout = time.Nanosecond // all models are old enough to be missed
	w.Peers = lying{w.Peers, func(s []params.ModelSummary) []params.ModelSummary {
		return slices.DeleteFunc(s, func(s params.ModelSummary) bool { return !s.IsController })
	}}
	w.Now = func() time.Time { return time.Now().Add(time.Hour) }
	w.CallTimeout = 10 * time.Second
	must(t, w.RefreshController(w.ctx, c))
	m, err := w.store.Model(w.ctx, info.UUID)
	must(t, err)
	if !m.GoneSince.IsZero() {
		t.Error("a model that is there is taken for gone")
	}
	lost, err := w.store.ModelByName(w.ctx, alice.Name, "lost")
	must(t, err)
	if lost.GoneSince.IsZero() {
		t.Error("a model that is gone is not taken for it")
	}
}

// w2 is the UUID of nobody.
const w2 = "11111111-2222-4333-8444-555555555555"

// lying are peers that change what controllers list.
type lying struct {
	estate.Peers
	change func([]params.ModelSummary) []params.ModelSummary
}

func (l lying) Connect(ctx context.Context, c estate.Controller, u estate.User, claims estate.Claims) (estate.Peer, error) {
	p, err := l.Peers.Connect(ctx, c, u, claims)
	return lyingPeer{p, l.change}, err
}

type lyingPeer struct {
	estate.Peer
	change func([]params.ModelSummary) []params.ModelSummary
}

func (l lyingPeer) ModelSummaries(ctx context.Context) ([]params.ModelSummary, error) {
	s, err := l.Peer.ModelSummaries(ctx)
	return l.change(s), err
}

func TestAnotherControllerAtTheAddressIsNotTakenForIt(t *testing.T) {
	w := newWorld(t)
	c := w.controller("c41", sim.Juju41, "lab")
	other := w.start("other", sim.Juju41, "lab")
	record, err := w.store.Controller(w.ctx, c.UUID())
	must(t, err)
	record.Addresses, record.CACertificate = []string{other.Address()}, other.CACert()
	must(t, w.store.UpdateController(w.ctx, record))
	wantCode(t, w.RefreshController(w.ctx, record), estate.CodeConnectionFailed)
	record, err = w.store.Controller(w.ctx, c.UUID())
	must(t, err)
	if record.UnavailableSince.IsZero() {
		t.Error("it is taken for available")
	}
}
