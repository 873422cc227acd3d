package estate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

// seed makes a model on a controller itself, as its local administrator does.
func (w *world) seed(controller, name string) string {
	w.Helper()
	uuids, err := w.sims[controller].SeedModels(1, func(int) sim.Model { return sim.Model{Name: name, Owner: "admin"} })
	must(w.T, err)
	return uuids[0]
}

func TestAModelMadeOnAControllerIsTakenIntoTheList(t *testing.T) {
	for _, controller := range []string{"c36", "c41"} {
		t.Run(controller, func(t *testing.T) {
			w := twoGenerations(t)
			uuid := w.seed(controller, "old")
			must(t, w.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: controller, UUID: uuid, Owner: alice.Name}))
			s := w.summaryOf(alice, uuid)
			if s.Name != "old" || s.Qualifier != alice.Name || s.UserAccess != "admin" || s.ControllerUUID != w.UUID || s.CloudRegion != "r1" {
				t.Errorf("it is listed as %+v", s)
			}
			info, err := w.ModelInfo(w.ctx, alice, uuid)
			must(t, err)
			if info.Qualifier != alice.Name || info.CloudCredentialTag != "cloudcred-lab_alice@example.com_default" {
				t.Errorf("it is shown as %+v", info)
			}
			if _, err := w.ModelStatus(w.ctx, bob, uuid); !estate.Is(err, estate.CodeModelNotFound) {
				t.Errorf("another user gets %v", err)
			}
			must(t, w.destroy(alice, uuid))
			eventually(t, "it is destroyed like any other", func() bool {
				_, err := w.ModelStatus(w.ctx, alice, uuid)
				return estate.Is(err, estate.CodeModelNotFound)
			})
		})
	}
}

func TestImportModelRefusesWhatMakesNoSense(t *testing.T) {
	w := twoGenerations(t)
	uuid := w.seed("c41", "old")
	_, err := w.store.Pool().Exec(w.ctx, `update clouds set details = jsonb_set(details, '{auth-types}', '["certificate"]')`)
	must(t, err)
	w.create(alice, "taken", "c36")
	taken := w.seed("c41", "taken")
	known := w.create(alice, "known", "c41").UUID
	peer, err := w.Peers.Connect(w.ctx, w.record("c41"), w.Self, estate.Claims{"controller-" + w.sims["c41"].UUID(): estate.AccessSuperuser})
	must(t, err)
	defer peer.Close()
	list, err := peer.ModelSummaries(w.ctx)
	must(t, err)
	own := list[slices.IndexFunc(list, func(s params.ModelSummary) bool { return s.IsController })].UUID
	for name, test := range map[string]struct {
		user estate.User
		args estate.ImportModelArgs
		code string
	}{
		"by one who does not administer JIMM": {alice, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: alice.Name}, estate.CodeUnauthorized},
		"a controller that is not there":      {admin, estate.ImportModelArgs{Controller: "c9", UUID: uuid, Owner: alice.Name}, estate.CodeNotFound},
		"a model that is elsewhere":           {admin, estate.ImportModelArgs{Controller: "c36", UUID: uuid, Owner: alice.Name}, estate.CodeModelNotFound},
		"no UUID":                             {admin, estate.ImportModelArgs{Controller: "c41", UUID: "old", Owner: alice.Name}, estate.CodeBadRequest},
		"a local owner":                       {admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: "admin"}, estate.CodeBadRequest},
		"its own owner, who is local":         {admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid}, estate.CodeBadRequest},
		"an owner without a credential":       {admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: bob.Name}, estate.CodeNotFound},
		"a name that is taken":                {admin, estate.ImportModelArgs{Controller: "c41", UUID: taken, Owner: alice.Name}, estate.CodeAlreadyExists},
		"a model that is in the list":         {admin, estate.ImportModelArgs{Controller: "c41", UUID: known, Owner: alice.Name}, estate.CodeAlreadyExists},
		"a controller's own model":            {admin, estate.ImportModelArgs{Controller: "c41", UUID: own, Owner: alice.Name}, estate.CodeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, w.ImportModel(w.ctx, test.user, test.args), test.code)
		})
	}
	models, err := w.store.Models(w.ctx, nil)
	must(t, err)
	if len(models) != 2 {
		t.Errorf("there are %d models, want 2", len(models))
	}
	for _, id := range []string{uuid, taken, own} {
		if left := w.tuples(estate.Object{Kind: estate.KindModel, ID: id}); len(left) > 0 {
			t.Errorf("tuples are left: %v", left)
		}
	}
}

func TestAnImportThatItsControllerRefusesIsUndone(t *testing.T) {
	w := twoGenerations(t)
	uuid := w.seed("c41", "old")
	w.sims["c41"].Faults().Fail("ModelManager.ChangeModelCredential", "", "this credential does not do", 1)
	if err := w.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: alice.Name}); err == nil {
		t.Fatal("it is imported")
	}
	_, err := w.store.Model(w.ctx, uuid)
	wantCode(t, err, estate.CodeModelNotFound)
	must(t, w.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: alice.Name}))
}

func TestAnImportThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"import inserted", "import credential pushed", "import credential changed", "model tuples written"} {
		t.Run(step, func(t *testing.T) {
			w := twoGenerations(t)
			uuid := w.seed("c41", "old")
			if !w.dieAt(step, func() {
				_ = w.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: alice.Name})
			}) {
				t.Fatal("the step is not reached")
			}
			if list, err := w.ListSummaries(w.ctx, alice); err != nil || len(list) != 0 {
				t.Errorf("half an import is listed: %v, %v", list, err)
			}
			must(t, w.Sweep(w.ctx))
			if s := w.summaryOf(alice, uuid); s.UserAccess != "admin" {
				t.Errorf("it is listed as %+v", s)
			}
		})
	}
}

func TestAnImportThatDiedIsUndoneIfTheModelIsGone(t *testing.T) {
	w := twoGenerations(t)
	uuid := w.seed("c41", "old")
	w.dieAt("import inserted", func() {
		_ = w.ImportModel(w.ctx, admin, estate.ImportModelArgs{Controller: "c41", UUID: uuid, Owner: alice.Name})
	})
	must(t, w.sims["c41"].RemoveModel(uuid))
	must(t, w.Sweep(w.ctx))
	_, err := w.store.Model(w.ctx, uuid)
	wantCode(t, err, estate.CodeModelNotFound)
	w.create(alice, "old", "c41") // its name is free
}

func (w *world) record(controller string) estate.Controller {
	w.Helper()
	c, err := w.store.ControllerByName(w.ctx, controller)
	must(w.T, err)
	return c
}

// migrate has a model appear on another controller, as a migration by juju does.
func (w *world) migrate(uuid, from, to string) {
	w.Helper()
	_, err := w.sims[to].SeedModels(1, func(int) sim.Model { return sim.Model{Name: "moved", Owner: "admin", UUID: uuid} })
	must(w.T, err)
	must(w.T, w.sims[from].RemoveModel(uuid))
}

func TestAMigratedModelIsFoundWhereItIs(t *testing.T) {
	w := twoGenerations(t)
	uuid := w.create(alice, "m", "c36").UUID
	wantCode(t, w.UpdateMigratedModel(w.ctx, admin, uuid, "c41"), estate.CodeModelNotFound) // not yet
	w.migrate(uuid, "c36", "c41")
	must(t, w.RefreshController(w.ctx, w.record("c36")))
	wantCode(t, w.UpdateMigratedModel(w.ctx, alice, uuid, "c41"), estate.CodeUnauthorized)
	wantCode(t, w.UpdateMigratedModel(w.ctx, admin, w2, "c41"), estate.CodeModelNotFound)
	must(t, w.UpdateMigratedModel(w.ctx, admin, uuid, "c41"))
	must(t, w.UpdateMigratedModel(w.ctx, admin, uuid, "c41")) // again
	w.isOn(uuid, "c41")
	if _, err := w.ModelStatus(w.ctx, alice, uuid); err != nil {
		t.Error(err)
	}
}

// isOn checks that a model is on a controller, and on no other.
func (w *world) isOn(uuid, controller string) {
	w.Helper()
	m, err := w.store.Model(w.ctx, uuid)
	must(w.T, err)
	if m.ControllerUUID != w.sims[controller].UUID() || !m.GoneSince.IsZero() {
		w.Errorf("the model is %+v", m)
	}
	var on []string
	for _, tuple := range w.tuples(m.Object()) {
		if tuple[:len("controller")] == "controller" {
			on = append(on, tuple)
		}
	}
	if want := []string{"controller:" + w.sims[controller].UUID() + " controller model:" + uuid}; !slices.Equal(on, want) {
		w.Errorf("tuples are %v, want %v", on, want)
	}
}

func TestAMoveThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"move intended", "move tuple written", "model moved", "move tuples removed"} {
		t.Run(step, func(t *testing.T) {
			w := twoGenerations(t)
			uuid := w.create(alice, "m", "c36").UUID
			w.migrate(uuid, "c36", "c41")
			if !w.dieAt(step, func() { _ = w.UpdateMigratedModel(w.ctx, admin, uuid, "c41") }) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			w.isOn(uuid, "c41")
			if moving, err := w.store.MovingModels(w.ctx, w.Now().Add(time.Second)); err != nil || len(moving) > 0 {
				t.Errorf("it is still on its way: %v, %v", moving, err)
			}
		})
	}
}
