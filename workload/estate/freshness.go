package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// Freshness says how closely the units keep up with controllers. Zero fields
// take the defaults.
type Freshness struct {
	// Fast is how often a controller is asked about its models while these
	// change (default 2 s), Watched while a client watches (5 s), and Slow when
	// all is quiet (30 s), where the controller does not push what changes.
	Fast, Watched, Slow time.Duration
	// Reconcile is how often one is asked that does (default 1 m); Settle is
	// for how long what it pushes is gathered before it is asked (10 s).
	Reconcile, Settle time.Duration
	// Probe is how often the connection is tried (default 5 s), and Timeout what
	// the controller may take to answer before it counts as dead (10 s).
	Probe, Timeout time.Duration
	// Retry is how soon a dead one is tried again at first (default 1 s), ever
	// less often, up to Timeout.
	Retry time.Duration
	// Share is how often the units look whether each keeps up with its share of
	// the controllers (default 2 s).
	Share time.Duration
	// Access is how often a unit looks for changes of permissions in OpenFGA
	// while a client watches (default 500 ms).
	Access time.Duration
}

func (f Freshness) withDefaults() Freshness {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&f.Fast, 2 * time.Second}, {&f.Watched, 5 * time.Second}, {&f.Slow, 30 * time.Second},
		{&f.Reconcile, time.Minute}, {&f.Settle, 10 * time.Second},
		{&f.Probe, 5 * time.Second}, {&f.Timeout, 10 * time.Second}, {&f.Retry, time.Second},
		{&f.Share, 2 * time.Second}, {&f.Access, 500 * time.Millisecond},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return f
}

// KeepFresh keeps what we remember of controllers and their models up to date,
// feeds the watchers of this process and ends connections whose users have lost
// access, until ctx ends. Of all processes that
// share the store and run it, one keeps up with each controller, and each with
// as many as the others.
func (e *Estate) KeepFresh(ctx context.Context, f Freshness) {
	f = f.withDefaults()
	s := &e.stream
	s.mu.Lock()
	s.keepers, s.replan, s.watching = map[string]*keeper{}, make(chan struct{}, 1), make(chan struct{}, 1)
	s.mu.Unlock()
	e.holds.mu.Lock()
	e.holds.woken = make(chan struct{}, 1)
	e.holds.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() { e.listen(ctx) })
	running.Go(func() { e.keepHolds(ctx) })
	running.Go(func() { e.readAccess(ctx, f.Access) })
	running.Go(func() {
		for ctx.Err() == nil {
			err := e.Store.Leases(ctx, func(ctx context.Context, l Leases) error { return e.share(ctx, l, f) })
			if ctx.Err() == nil {
				e.Log.ErrorContext(ctx, "cannot keep up with controllers", "error", err)
				pause(ctx, f.Retry)
			}
		}
	})
	running.Wait()
}

// Groups of processes, for the leases.
const (
	groupUnits   = "units"
	groupWatched = "watched"
)

// share keeps up with this process's share of the controllers until ctx ends.
func (e *Estate) share(ctx context.Context, l Leases, f Freshness) error {
	mine := &keepers{estate: e, leases: l, settings: f, running: map[string]*keeper{}}
	defer mine.stopAll()
	if err := l.Join(ctx, groupUnits, true); err != nil {
		return err
	}
	for {
		if err := mine.plan(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			e.Log.WarnContext(ctx, "cannot share out the controllers", "error", err)
		}
		// Not all at the same moment.
		timer := time.NewTimer(f.Share/2 + rand.N(f.Share))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-e.stream.replan:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// keepers are those of one process.
type keepers struct {
	estate   *Estate
	leases   Leases
	settings Freshness
	running  map[string]*keeper
}

func keeperLease(controllerUUID string) string { return "controller " + controllerUUID }

// plan starts and stops keepers, so that each process has its share.
func (k *keepers) plan(ctx context.Context) error {
	e := k.estate
	controllers, err := e.Store.Controllers(ctx, ControllerLive)
	if err != nil {
		return err
	}
	if err := k.leases.Join(ctx, groupWatched, e.stream.watched()); err != nil {
		return err
	}
	watched, err := k.leases.Members(ctx, groupWatched)
	if err != nil {
		return err
	}
	units, err := k.leases.Members(ctx, groupUnits)
	if err != nil {
		return err
	}
	share := (len(controllers) + max(units, 1) - 1) / max(units, 1)
	for uuid, running := range k.running {
		running.setWatched(watched > 0)
		known := slices.ContainsFunc(controllers, func(c Controller) bool { return c.UUID == uuid })
		if !known || len(k.running) > share {
			if err := k.stop(ctx, running); err != nil {
				return err
			}
		}
	}
	// From anywhere on, so that units that start together do not all want the same.
	first := 0
	if len(controllers) > 0 {
		first = rand.IntN(len(controllers))
	}
	for i := range controllers {
		c := controllers[(first+i)%len(controllers)]
		if k.running[c.UUID] != nil {
			continue
		}
		if len(k.running) >= share {
			break
		}
		got, err := k.leases.Take(ctx, keeperLease(c.UUID))
		if err != nil {
			return err
		}
		if got {
			k.start(ctx, c, watched > 0)
		}
	}
	return nil
}

func (k *keepers) start(ctx context.Context, c Controller, watched bool) {
	ctx, cancel := context.WithCancel(ctx)
	keeper := &keeper{
		estate: k.estate, settings: k.settings, controller: c, watched: watched,
		nudged: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	k.running[c.UUID] = keeper
	s := &k.estate.stream
	s.mu.Lock()
	s.keepers[c.UUID] = keeper
	s.mu.Unlock()
	go func() {
		defer close(keeper.done)
		keeper.run(ctx)
	}()
}

func (k *keepers) stop(ctx context.Context, keeper *keeper) error {
	keeper.cancel()
	<-keeper.done
	uuid := keeper.controller.UUID
	delete(k.running, uuid)
	s := &k.estate.stream
	s.mu.Lock()
	delete(s.keepers, uuid)
	s.mu.Unlock()
	return k.leases.Release(ctx, keeperLease(uuid))
}

// stopAll stops all; their leases end with the session.
func (k *keepers) stopAll() {
	for _, keeper := range k.running {
		keeper.cancel()
	}
	s := &k.estate.stream
	for uuid, keeper := range k.running {
		<-keeper.done
		s.mu.Lock()
		delete(s.keepers, uuid)
		s.mu.Unlock()
	}
}

// keeper keeps up with one controller.
type keeper struct {
	estate     *Estate
	settings   Freshness
	controller Controller
	nudged     chan struct{}
	cancel     context.CancelFunc
	done       chan struct{}

	mu      sync.Mutex
	watched bool

	// hash is that of what the controller last said, and saved when all of it
	// was last compared with what we have.
	hash  uint64
	saved time.Time
}

// nudge has the controller asked at once.
func (k *keeper) nudge() { wake(k.nudged) }

func (k *keeper) setWatched(watched bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if watched && !k.watched {
		k.nudge()
	}
	k.watched = watched
}

func (k *keeper) isWatched() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.watched
}

// run keeps up until ctx ends, whatever the controller does.
func (k *keeper) run(ctx context.Context) {
	retry := k.settings.Retry
	for ctx.Err() == nil {
		answered, err := k.attend(ctx)
		if ctx.Err() != nil {
			return
		}
		if answered {
			// It may just have restarted, or be gone: that is told apart at once.
			retry = k.settings.Retry
			if k.estate.tryController(ctx, k.controller.UUID, k.settings.Timeout) == nil {
				continue
			}
		}
		k.estate.Log.DebugContext(ctx, "controller does not answer", "controller", k.controller.Name, "error", err)
		timer := time.NewTimer(retry/2 + rand.N(retry))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		retry = min(2*retry, k.settings.Timeout)
	}
}

// tryController notes whether a controller takes connections.
func (e *Estate) tryController(ctx context.Context, uuid string, timeout time.Duration) error {
	c, err := e.Store.Controller(ctx, uuid)
	if err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	peer, err := e.Peers.Connect(calling, c, e.Self, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return e.noteSilence(ctx, c, err)
	}
	return peer.Close()
}

// attend keeps a connection to the controller, and asks for its models when
// that may be worth it, until it does not answer. answered is false if it
// never did.
func (k *keeper) attend(ctx context.Context) (answered bool, err error) {
	e, f := k.estate, k.settings
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := e.Store.Controller(ctx, k.controller.UUID)
	if err != nil {
		return false, err
	}
	connecting, connected := context.WithTimeout(ctx, f.Timeout)
	peer, err := e.Peers.Connect(connecting, c, e.Self, Claims{c.tag(): AccessSuperuser})
	connected()
	if err != nil {
		return false, e.noteSilence(ctx, c, err)
	}
	defer peer.Close()
	busy, changed, err := k.ask(ctx, peer)
	if err != nil {
		return false, err
	}

	// What it pushes says that there is something to ask for.
	pushed := make(chan struct{}, 1)
	pushing := make(chan error, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		pushing <- peer.WatchModelSummaries(ctx, func(models []params.ModelAbstract) error { return k.take(ctx, models, pushed) })
	})
	pushes := true
	probe := time.NewTicker(f.Probe)
	defer probe.Stop()
	asked, interval := time.Now(), f.Fast
	next := time.NewTimer(k.interval(busy, changed, pushes, &interval))
	defer next.Stop()
	for {
		ask := false
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-peer.Done():
			return true, errors.New("the connection broke")
		case err := <-pushing:
			if !Is(err, CodeNotSupported) {
				return true, err
			}
			pushes, pushing = false, nil
			next.Reset(k.interval(busy, changed, pushes, &interval))
		case <-pushed:
			// Gathered, since of one change there is seldom only one.
			if wait := time.Until(asked.Add(f.Settle)); wait > 0 {
				next.Reset(wait)
			} else {
				ask = true
			}
		case <-probe.C:
			pinging, pinged := context.WithTimeout(ctx, f.Timeout)
			err := peer.Ping(pinging)
			pinged()
			if err != nil {
				return true, e.noteSilence(ctx, c, err)
			}
		case <-k.nudged:
			ask, k.saved = true, time.Time{}
		case <-next.C:
			ask = true
		}
		if ask {
			if busy, changed, err = k.ask(ctx, peer); err != nil {
				return true, err
			}
			asked = time.Now()
			next.Reset(k.interval(busy, changed, pushes, &interval))
		}
	}
}

// interval is how long to wait before asking again.
func (k *keeper) interval(busy, changed, pushes bool, last *time.Duration) time.Duration {
	f := k.settings
	switch {
	case busy || changed && !pushes:
		*last = f.Fast
		return f.Fast
	case pushes:
		return f.Reconcile
	}
	*last = *last * 3 / 2
	if k.isWatched() {
		return min(*last, f.Watched)
	}
	*last = min(*last, f.Slow)
	return *last
}

// take saves what was pushed.
func (k *keeper) take(ctx context.Context, models []params.ModelAbstract, pushed chan struct{}) error {
	there := make([]params.ModelAbstract, 0, len(models))
	for _, m := range models {
		if !m.Removed && names.IsValidModel(m.UUID) {
			there = append(there, m)
		}
	}
	if err := k.estate.Store.SavePushed(ctx, k.controller.UUID, there); err != nil {
		return err
	}
	wake(pushed)
	return nil
}

// ask asks the controller about its models and saves what it says. busy is
// true while models there begin or end their life.
func (k *keeper) ask(ctx context.Context, peer Peer) (busy, changed bool, err error) {
	e := k.estate
	c, err := e.Store.Controller(ctx, k.controller.UUID)
	if err != nil {
		return false, false, err
	}
	asking, cancel := context.WithTimeout(ctx, k.settings.Timeout)
	summaries, err := askSummaries(asking, c, peer)
	cancel()
	if err != nil {
		return false, false, e.noteSilence(ctx, c, err)
	}
	hash, err := hashOf(summaries)
	if err != nil {
		return false, false, err
	}
	changed = hash != k.hash
	if !changed && time.Since(k.saved) < k.settings.Reconcile && c.UnavailableSince.IsZero() {
		return false, false, nil
	}
	if busy, err = e.noteAnswer(ctx, c, summaries); err != nil {
		return false, false, err
	}
	k.hash, k.saved = hash, time.Now()
	if busy {
		k.saved = time.Time{}
	}
	return busy, changed, nil
}

func hashOf(summaries []params.ModelSummary) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	err := json.NewEncoder(&h).Encode(summaries)
	return h.Sum64(), err
}

// RefreshController asks a controller for the state of its models and saves
// it, or that the controller does not answer.
func (e *Estate) RefreshController(ctx context.Context, c Controller) error {
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	// Only a superuser is told about all models.
	peer, err := e.Peers.Connect(calling, c, e.Self, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return e.noteSilence(ctx, c, err)
	}
	defer peer.Close()
	summaries, err := askSummaries(calling, c, peer)
	if err != nil {
		return e.noteSilence(ctx, c, err)
	}
	_, err = e.noteAnswer(ctx, c, summaries)
	return err
}

func (e *Estate) controllerSummaries(ctx context.Context, c Controller) ([]params.ModelSummary, error) {
	peer, err := e.Peers.Connect(ctx, c, e.Self, Claims{c.tag(): AccessSuperuser})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	return askSummaries(ctx, c, peer)
}

// askSummaries asks a controller about its models, by UUID, and does not take
// an answer that cannot be true: what is missing in a list is taken for gone.
func askSummaries(ctx context.Context, c Controller, peer Peer) ([]params.ModelSummary, error) {
	said, err := peer.ModelSummaries(ctx)
	if err != nil {
		return nil, err
	}
	nonsense := func(format string, args ...any) error {
		return Errorf(CodeConnectionFailed, "controller %q makes no sense: "+format, append([]any{c.Name}, args...)...)
	}
	byUUID := make(map[string]params.ModelSummary, len(said))
	own := false
	for _, s := range said {
		if !names.IsValidModel(s.UUID) {
			return nil, nonsense("it has a model with the UUID %q", clip(s.UUID))
		}
		if s.ControllerUUID != "" && s.ControllerUUID != c.UUID {
			return nil, nonsense("it says that it is %s, not %s", clip(s.ControllerUUID), c.UUID)
		}
		if _, twice := byUUID[s.UUID]; twice {
			return nil, nonsense("it has model %s twice", s.UUID)
		}
		// These are about JIMM as a user of the controller.
		s.UserAccess, s.UserLastConnection = "", nil
		byUUID[s.UUID] = s
		own = own || s.IsController
	}
	if !own {
		return nil, nonsense("its own model is not among the %d it lists", len(said))
	}
	return slices.SortedFunc(maps.Values(byUUID), func(a, b params.ModelSummary) int { return strings.Compare(a.UUID, b.UUID) }), nil
}

// noteSilence notes that a controller does not answer, and returns why.
func (e *Estate) noteSilence(ctx context.Context, c Controller, why error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // we are stopping: that says nothing about the controller
	}
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	now, err := e.Store.Controller(saving, c.UUID)
	if err == nil && now.UnavailableSince.IsZero() {
		e.Log.WarnContext(ctx, "controller does not answer", "controller", c.Name, "error", why)
		err = e.Store.SetUnavailable(saving, c.UUID, e.Now())
	}
	return errors.Join(why, err)
}

// noteAnswer saves what a controller says of itself and its models.
func (e *Estate) noteAnswer(ctx context.Context, c Controller, summaries []params.ModelSummary) (busy bool, err error) {
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.callTimeout())
	defer cancel()
	if !c.UnavailableSince.IsZero() {
		e.Log.InfoContext(ctx, "controller answers again", "controller", c.Name)
		if err := e.Store.SetUnavailable(saving, c.UUID, time.Time{}); err != nil {
			return false, err
		}
	}
	for _, s := range summaries {
		if s.IsController && s.AgentVersion != nil && s.AgentVersion.String() != c.AgentVersion {
			if err := e.Store.SaveAgentVersion(saving, c.UUID, s.AgentVersion.String()); err != nil {
				return false, err
			}
		}
	}
	return e.saveSummaries(saving, c, summaries)
}

// maxDoubts is how many models that are missing in one list a controller is
// asked about again; of the others the next list tells.
const maxDoubts = 50

// saveSummaries saves what a controller says of its models, and settles those
// it does not know any more: dying ones are gone, others are marked.
func (e *Estate) saveSummaries(ctx context.Context, c Controller, summaries []params.ModelSummary) (busy bool, err error) {
	if err := e.Store.SaveSummaries(ctx, c.UUID, summaries); err != nil {
		return false, err
	}
	known := make(map[string]bool, len(summaries))
	for _, s := range summaries {
		known[s.UUID] = true
	}
	models, err := e.Store.ModelsOn(ctx, c.UUID)
	if err != nil {
		return false, err
	}
	doubts := 0
	for _, m := range models {
		busy = busy || m.State == ModelDying && m.GoneSince.IsZero()
		switch {
		case m.State == ModelCreating || m.CreatedAt.After(e.Now().Add(-e.callTimeout())) && m.State != ModelDying:
			// The list may be older than the model.
			busy = busy || m.Summary.UUID == ""
		case known[m.UUID] && !m.GoneSince.IsZero():
			err = e.Store.SaveModelGone(ctx, m.UUID, time.Time{})
		case known[m.UUID]:
		case m.State == ModelDying:
			err = e.confirmGone(ctx, c, m)
		case m.GoneSince.IsZero() && doubts < maxDoubts:
			doubts++
			err = e.doubt(ctx, c, m)
		}
		if err != nil {
			return busy, err
		}
	}
	return busy, nil
}

// doubt asks a controller about a live model that its list lacks. It also
// leaves out models that it has trouble with.
func (e *Estate) doubt(ctx context.Context, c Controller, m Model) error {
	calling, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	peer, err := e.Peers.Connect(calling, c, e.Self, Claims{c.tag(): AccessLogin, m.tag(): AccessAdmin})
	if err != nil {
		return err
	}
	defer peer.Close()
	_, err = peer.ModelStatus(calling, m.UUID)
	if err == nil || !isGone(err) {
		if err != nil {
			err = fmt.Errorf("controller %q lists model %s no more, and does not say why: %w", c.Name, m.UUID, err)
			e.Log.WarnContext(ctx, "cannot tell whether a model is gone", "error", err)
		}
		return nil
	}
	e.Log.WarnContext(ctx, "controller does not know a model any more that nobody asked to destroy", "controller", c.Name, "model", m.UUID)
	return e.Store.SaveModelGone(ctx, m.UUID, e.Now())
}
