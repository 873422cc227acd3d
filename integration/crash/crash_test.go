package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

// world is a JIMM with controllers: of its units, one is here, the others come and are killed.
type world struct {
	t           *testing.T
	settings    settings
	unit        *unit
	controllers []*sim.Controller
	// extra is a controller that is not part of the estate at first.
	extra *sim.Controller
	names int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, settings: newSettings(t)}
	var err error
	if w.unit, err = startUnit(t.Context(), w.settings, t.Output(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.unit.Close(); err != nil {
			t.Error(err)
		}
	})
	keys := httptest.NewServer(w.unit.KeySetHandler())
	t.Cleanup(keys.Close)
	start := func(name, cloud string, generation sim.Generation) *sim.Controller {
		c, err := sim.Start(context.WithoutCancel(t.Context()), sim.Config{
			Name: name, Generation: generation, JWKSURL: keys.URL + "/.well-known/jwks.json",
			Cloud: sim.Cloud{Name: cloud}, AdminPassword: "admin-password", RemovalDelay: time.Millisecond,
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	w.controllers = []*sim.Controller{start("juju36", "cloud36", sim.Juju36), start("juju41", "cloud41", sim.Juju41)}
	w.extra = start("extra", "extra-cloud", sim.Juju41)
	for _, c := range w.controllers {
		w.must(operation{AddController: registration(c)})
	}
	// What was there before must be there after, whatever dies.
	w.must(operation{CreateModel: &estate.CreateModelArgs{Name: "bystander", Cloud: "cloud41"}})
	w.must(operation{UpdateCredential: "cloudcred-cloud36_" + admin.Name + "_bystander"})
	return w
}

func registration(c *sim.Controller) *estate.AddControllerArgs {
	return &estate.AddControllerArgs{
		Name: c.Name(), UUID: c.UUID(), Addresses: []string{c.Address()}, CACertificate: c.CACert(),
		Username: "admin", Password: c.AdminPassword(),
	}
}

// must does a write here, where nothing dies.
func (w *world) must(o operation) {
	w.t.Helper()
	if err := o.on(w.t.Context(), w.unit.Estate); err != nil {
		w.t.Fatal(err)
	}
}

// newName is one that no model has had.
func (w *world) newName() string {
	w.names++
	return fmt.Sprintf("model-%d", w.names)
}

// newModel makes a model and returns its UUID.
func (w *world) newModel(cloud string) string {
	w.t.Helper()
	name := w.newName()
	w.must(operation{CreateModel: &estate.CreateModelArgs{Name: name, Cloud: cloud}})
	m, err := w.unit.store.ModelByName(w.t.Context(), admin.Name, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.UUID
}

// run has a unit do a write and die at a step, or if that is empty live; it returns the
// steps on the way of one that lives.
func (w *world) run(t *testing.T, o operation, killAt string) []string {
	t.Helper()
	input, err := json.Marshal(order{Settings: w.settings, Do: o, KillAt: killAt})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var steps, log bytes.Buffer
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asUnit+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &steps, &log
	err = cmd.Run()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL && ctx.Err() == nil
	if killAt == "" && err != nil || killAt != "" && !killed {
		t.Fatalf("the unit that was to die at step %q ended with %v:\n%s", killAt, err, &log)
	}
	return strings.Split(strings.TrimSpace(steps.String()), "\n")
}

// sweep has the living unit settle what dead ones left, until the world is as wanted.
func (w *world) sweep(t *testing.T, want []string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		if err := w.unit.Estate.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := w.snapshot()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the sweep the world is not as it should be:\n%s", difference(got, want))
		}
	}
}

// write is a write and what must be left of it when its unit has died at a step: all of it or nothing.
type write struct {
	// prepare makes what the write is about, and gives the write.
	prepare func(w *world) operation
	steps   map[string]outcome
}

type outcome bool

const (
	undone outcome = false
	done   outcome = true
)

var writes = map[string]write{
	"create model": {
		prepare: func(w *world) operation {
			return operation{CreateModel: &estate.CreateModelArgs{
				Name: w.newName(), Cloud: "cloud36", Credential: "cloud36/" + admin.Name + "/bystander",
			}}
		},
		steps: map[string]outcome{
			"model inserted":          undone,
			"model placed":            undone,
			"model credential pushed": undone,
			"model created":           done,
			"model tuples written":    done,
		},
	},
	"create model on a Juju 4 controller": {
		prepare: func(w *world) operation {
			return operation{CreateModel: &estate.CreateModelArgs{Name: w.newName(), Cloud: "cloud41"}}
		},
		steps: map[string]outcome{
			"model inserted":          undone,
			"model placed":            undone,
			"model credential pushed": undone,
			"model created":           done,
			"model tuples written":    done,
		},
	},
	"destroy model": {
		prepare: func(w *world) operation { return operation{DestroyModel: w.newModel("cloud36")} },
		steps: map[string]outcome{
			"model dying":          done,
			"model destroy sent":   done,
			"model gone":           done,
			"model tuples removed": done,
		},
	},
	"destroy model on a Juju 4 controller": {
		prepare: func(w *world) operation { return operation{DestroyModel: w.newModel("cloud41")} },
		steps: map[string]outcome{
			"model dying":          done,
			"model destroy sent":   done,
			"model gone":           done,
			"model tuples removed": done,
		},
	},
	"add controller": {
		prepare: func(w *world) operation {
			if _, err := w.unit.store.ControllerByName(w.t.Context(), w.extra.Name()); err == nil {
				w.must(operation{RemoveController: w.extra.Name()})
			}
			return operation{AddController: registration(w.extra)}
		},
		steps: map[string]outcome{
			"controller inserted":       undone,
			"controller secret stored":  undone,
			"controller clouds saved":   undone,
			"controller tuples written": undone,
		},
	},
	"remove controller with its models": {
		prepare: func(w *world) operation {
			if _, err := w.unit.store.ControllerByName(w.t.Context(), w.extra.Name()); err != nil {
				w.must(operation{AddController: registration(w.extra)})
			}
			w.newModel("extra-cloud")
			return operation{RemoveController: w.extra.Name()}
		},
		steps: map[string]outcome{
			"controller removing":         done,
			"model tuples removed":        done,
			"controller models forgotten": done,
			"controller tuples removed":   done,
			"controller secret deleted":   done,
		},
	},
}

func TestWritesOfADeadUnitAreDoneOrUndone(t *testing.T) {
	w := newWorld(t)
	for _, name := range slices.Sorted(maps.Keys(writes)) {
		write := writes[name]
		t.Run(name, func(t *testing.T) {
			w.t = t
			// Alive, to see which steps there are and what the write does to the world.
			o := write.prepare(w)
			passed := w.run(t, o, "")
			slices.Sort(passed)
			passed = slices.Compact(passed)
			known := slices.Sorted(maps.Keys(write.steps))
			if !slices.Equal(passed, known) {
				t.Fatalf("the write has the steps\n\t%q\nthe test those\n\t%q", passed, known)
			}
			for _, step := range known {
				t.Run("killed at "+step, func(t *testing.T) {
					w.t = t
					w.killAndSettle(write, step)
				})
			}
		})
	}
}

func (w *world) killAndSettle(write write, step string) {
	t, outcome := w.t, write.steps[step]
	o := write.prepare(w)
	before := w.snapshot()
	w.run(t, o, step)
	want := before
	if outcome == done {
		want = w.after(o, before)
	}
	w.sweep(t, want)

	// What is left can be worked with: the same write again is refused as one that has been
	// done is, or does it.
	err := o.on(t.Context(), w.unit.Estate)
	switch {
	case outcome == undone:
		if err != nil {
			t.Errorf("cannot do it again: %v", err)
		}
		w.sweep(t, w.after(o, before))
	case o.CreateModel != nil:
		if !estate.Is(err, estate.CodeAlreadyExists) {
			t.Errorf("creating the model again gives %v", err)
		}
		m, err := w.unit.store.ModelByName(t.Context(), admin.Name, o.CreateModel.Name)
		if err != nil {
			t.Fatal(err)
		}
		w.must(operation{DestroyModel: m.UUID})
		w.sweep(t, before)
	case o.DestroyModel != "":
		if err != nil { // on takes "not found" for success
			t.Errorf("destroying the model again gives %v", err)
		}
	case o.RemoveController != "":
		if !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("removing the controller again gives %v", err)
		}
	}
}

func TestSweepsThatDieAreSwept(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		write, killedAt string
		sweeps          []string
	}{
		{"create model", "model created", []string{"model tuples written"}},
		{"destroy model", "model dying", []string{"model gone", "model tuples removed"}},
		{"add controller", "controller tuples written", []string{
			"controller models forgotten", "controller tuples removed", "controller secret deleted"}},
		{"remove controller with its models", "controller removing", []string{
			"model tuples removed", "controller models forgotten", "controller tuples removed", "controller secret deleted"}},
	} {
		for _, step := range test.sweeps {
			t.Run(test.write+" killed at "+test.killedAt+", its sweep at "+step, func(t *testing.T) {
				w.t = t
				write := writes[test.write]
				o := write.prepare(w)
				before := w.snapshot()
				w.run(t, o, test.killedAt)
				w.run(t, operation{Sweep: true}, step)
				want := before
				if write.steps[test.killedAt] == done {
					want = w.after(o, before)
				}
				w.sweep(t, want)
			})
		}
	}
}
