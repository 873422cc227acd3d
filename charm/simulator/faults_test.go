package simulator_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"jimm/charm/simulator"
)

// stages are what may happen to a deployment. Each is gone through again and
// again, with another call of a hook tool that fails.
var stages = []struct {
	name  string
	begin func(w *world)
	// fresh has it happen to an empty model; stops tells that JIMM stops on the way.
	fresh, stops bool
}{
	{name: "a deployment", fresh: true, begin: func(w *world) {
		w.relate("jimm:vault", "vault:vault-kv")
		w.relateNeeded()
	}},
	{name: "options", begin: func(w *world) {
		w.Configure("jimm", map[string]any{"log-level": "debug", "controller-admins": "alice@example.com"})
	}},
	{name: "a new password", begin: func(w *world) {
		for user := range w.passwords {
			w.passwords[user] = "pg-p@ss/word-2"
		}
		w.update("postgresql")
	}},
	{name: "a certificate and authorities", begin: func(w *world) {
		w.relate("jimm:certificates", "ca:certificates")
		w.relate("jimm:receive-ca-cert", "ca:send-ca-cert")
	}},
	{name: "another address", begin: func(w *world) {
		w.traefik.Host = "login.example.com"
		w.update("traefik")
	}},
	{name: "a new container", stops: true, begin: func(w *world) { w.pods["jimm/0"].restart() }},
	{name: "a relation that goes", stops: true, begin: func(w *world) { w.Unrelate(w.Relation("jimm:openfga")) }},
	{name: "another unit, which leads", begin: func(w *world) { w.SetLeader(w.scale()) }},
	{name: "a refresh", begin: func(w *world) { w.App("jimm").Refresh() }},
}

func (w *world) update(app string) {
	w.t.Helper()
	if err := w.App(app).Units()[0].Update(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// place is a call of a hook tool: its number in one of the runs of JIMM's charm.
type place struct {
	run, call int
}

var (
	errTool = errors.New("connection is shut down")
	errBear = errors.New("this hook bears the failure")
)

// TestEachToolFailsOnce lets each call of a hook tool fail, one at a time. Where
// that makes the hook fail, Juju takes back what it has written and tries it
// again, so that one run of a stage has all those failures after one another.
// Where the charm bears it, what the hook did stays. If that is not what it does
// without the failure, the stage is gone through from its beginning with this one.
func TestEachToolFailsOnce(t *testing.T) {
	for i, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			w := stageWorld(t, i)
			at, tried, work := place{}, 0, w.work()
			var borne, elsewise, last []place
			wrote := map[place][]string{}
			w.around = func(dispatch func() error) error {
				failed := w.failAt(at.call)
				err := dispatch()
				if *failed != "" {
					tried++
					if err == nil {
						borne = append(borne, at)
						wrote[at] = w.written.calls
						err = errBear
					}
					at.call++
					return err
				}
				// This run has had all its failures, and now none.
				elsewise = append(elsewise, slices.DeleteFunc(slices.Clone(borne), func(p place) bool {
					return w.work() == work && slices.Equal(wrote[p], w.written.calls)
				})...)
				at, last, borne, work = place{run: at.run + 1}, borne, nil, w.work()
				return err
			}
			stage.begin(w)
			w.goOn(stage.stops)
			w.around, w.Fail = nil, nil
			w.recovers(i)
			if t.Failed() {
				return
			}
			for _, p := range last {
				if !slices.Contains(elsewise, p) {
					elsewise = append(elsewise, p)
				}
			}
			t.Logf("%d calls; gone through again with the failure of %d", tried, len(elsewise))

			parts := runtime.GOMAXPROCS(0)
			for part := range parts {
				t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
					t.Parallel()
					for n := part; n < len(elsewise) && !t.Failed(); n += parts {
						w := stageWorld(t, i)
						run, failed := 0, ""
						w.around = func(dispatch func() error) error {
							if w.Fail = nil; run == elsewise[n].run {
								tool := w.failAt(elsewise[n].call)
								defer func() { failed = *tool }()
							}
							run++
							return dispatch()
						}
						stage.begin(w)
						w.goOn(stage.stops)
						w.around, w.Fail = nil, nil
						w.recovers(i)
						// A call that only a failure before it has brought about does not come.
						if t.Failed() {
							t.Errorf("when call %d of run %d of the charm, from 0, fails: %s", elsewise[n].call, elsewise[n].run, failed)
						}
					}
				})
			}
		})
	}
}

// stageWorld is that in which a stage begins.
func stageWorld(t *testing.T, stage int) *world {
	t.Helper()
	w := newWorld(t, 16)
	if !stages[stage].fresh {
		w.relate("jimm:vault", "vault:vault-kv")
		w.relate("jimm:dashboard", "dashboard:controller")
		w.relateNeeded()
		w.settle()
	}
	return w
}

// failAt lets a call of JIMM's charm fail, from now on; which tool that was is
// told when it has happened.
func (w *world) failAt(call int) (failed *string) {
	failed = new(string)
	calls := 0
	w.Fail = func(unit, tool string, _ []string) error {
		if !strings.HasPrefix(unit, "jimm/") {
			return nil
		}
		if calls++; calls != call+1 {
			return nil
		}
		*failed = tool
		return errTool
	}
	return failed
}

// work counts what has been done to containers.
func (w *world) work() int {
	n := 0
	for _, p := range w.pods {
		n += p.changes
	}
	return n
}

// goOn runs events until there are none, whether or not hooks fail. JIMM always
// has the keys that Juju keeps, and nothing that it has told others is taken
// back for a while.
func (w *world) goOn(stops bool) {
	w.t.Helper()
	told := w.told()
	ran := map[string]bool{}
	for range 100 * simulator.Steps {
		more, err := w.Step(w.ctx)
		if err != nil && !strings.Contains(err.Error(), errTool.Error()) && !errors.Is(err, errBear) {
			w.t.Fatal(err)
		}
		for name, p := range w.pods {
			if ran[name] && p.running == nil && !stops {
				w.t.Errorf("JIMM was stopped in %s", name)
			}
			ran[name] = p.running != nil
			for variable, key := range map[string][2]string{
				"JIMM_UUID": {"identity", "uuid"}, "JIMM_SESSION_SECRET_KEY": {"session_key", "sessionkey"}, "JIMM_SECRET_STORAGE_KEYS": {"sealing_key", "sealingkey"},
			} {
				kept, _ := w.Secret("jimm", key[0])
				if value := w.env(name, variable); value != "" && value != kept[key[1]] {
					w.t.Errorf("%s in %s is not what Juju keeps", variable, name)
				}
			}
		}
		now := w.told()
		for what := range told {
			if now[what] == "" {
				w.t.Errorf("%s was taken back", what)
			}
		}
		if told = now; !more || w.t.Failed() {
			return
		}
	}
	w.t.Fatal("the model does not come to rest")
}

// told is what JIMM's charm has written for others, of relations that go on.
func (w *world) told() map[string]string {
	all := map[string]string{}
	for _, endpoint := range []string{"peer", "database", "openfga", "oauth", "ingress", "vault", "dashboard", "certificates"} {
		r := w.Relation("jimm:" + endpoint)
		if r == nil {
			continue
		}
		for _, who := range []string{"jimm", "jimm/0", "jimm/1"} {
			for key, value := range r.Bag(who) {
				all[fmt.Sprintf("%s of %s in %s", key, who, endpoint)] = value
			}
		}
	}
	return all
}

// recovers checks that all is well in the end.
func (w *world) recovers(stage int) {
	w.t.Helper()
	w.poke("jimm")
	if !stages[stage].stops || w.Relation("jimm:openfga") != nil {
		w.serving()
	} else {
		w.says("blocked", "juju integrate jimm:openfga")
	}
}
