package estate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

func (w *world) create(u estate.User, name, controller string) params.ModelInfo {
	w.Helper()
	info, err := w.CreateModel(w.ctx, u, estate.CreateModelArgs{Name: name, Cloud: "lab", TargetController: controller})
	must(w.T, err)
	return info
}

func (w *world) addCredential(u estate.User) {
	w.Helper()
	_, err := w.UpdateCredential(w.ctx, u, names.NewCloudCredentialTag("lab/"+u.Name+"/default"),
		params.CloudCredential{AuthType: "certificate", Attributes: map[string]string{"client-cert": "c", "client-key": "k", "server-cert": "s"}}, false)
	must(w.T, err)
}

// twoGenerations is an estate with a controller of Juju 3.6 and one of 4.1 on
// one cloud, and a user with a credential.
func twoGenerations(t *testing.T) *world {
	w := newWorld(t)
	w.controller("c36", sim.Juju36, "lab")
	w.controller("c41", sim.Juju41, "lab")
	w.addCredential(alice)
	return w
}

func (w *world) destroy(u estate.User, uuid string) error {
	yes := true
	return w.DestroyModel(w.ctx, u, params.DestroyModelParams{ModelTag: names.NewModelTag(uuid).String(), DestroyStorage: &yes})
}

func TestModelsOfBothGenerationsAreInOneList(t *testing.T) {
	w := twoGenerations(t)
	for _, controller := range []string{"c36", "c41"} {
		info := w.create(alice, "on-"+controller, controller)
		if info.ControllerUUID != w.UUID || info.Qualifier != alice.Name {
			t.Errorf("the model's controller is %s and its owner %s", info.ControllerUUID, info.Qualifier)
		}
		if len(info.Users) != 2 || !slices.ContainsFunc(info.Users, func(u params.ModelUserInfo) bool { return u.UserName == alice.Name && u.Access == "admin" }) {
			// The owner, and the administrator of JIMM by inheritance.
			t.Errorf("users are %v", info.Users)
		}
	}
	summaries, err := w.ModelSummaries(w.ctx, alice)
	must(t, err)
	var found []string
	for _, s := range summaries {
		found = append(found, s.Name+" "+string(s.UserAccess)+" "+s.Qualifier)
	}
	if want := []string{"on-c36 admin alice@example.com", "on-c41 admin alice@example.com"}; !slices.Equal(found, want) {
		t.Errorf("got %v, want %v", found, want)
	}
	if others, err := w.ModelSummaries(w.ctx, bob); err != nil || len(others) != 0 {
		t.Errorf("another user sees %v, %v", others, err)
	}
}

func TestTheNextControllerIsTriedWhenOneFails(t *testing.T) {
	for name, fail := range map[string]func(*sim.Controller){
		"it does not answer":  func(c *sim.Controller) { c.Faults().Die() },
		"it refuses":          func(c *sim.Controller) { c.Faults().Fail("ModelManager.CreateModel", "", "no more room", 1) },
		"it breaks in before": func(c *sim.Controller) { c.Faults().DropBefore("ModelManager.CreateModel", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := twoGenerations(t)
			fail(w.sims["c36"])
			// The order is by priority, then by name: c36 is first.
			info, err := w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab"})
			must(t, err)
			m, err := w.store.Model(w.ctx, info.UUID)
			must(t, err)
			if m.ControllerUUID != w.sims["c41"].UUID() || m.State != estate.ModelLive {
				t.Errorf("the model is %s on %s", m.State, m.ControllerUUID)
			}
		})
	}
}

func TestAModelMadeOnAConnectionThatBrokeIsFound(t *testing.T) {
	w := twoGenerations(t)
	w.sims["c41"].Faults().DropAfter("ModelManager.CreateModel", 1)
	info := w.create(alice, "m", "c41")
	got, err := w.ModelInfo(w.ctx, alice, info.UUID)
	must(t, err)
	if got.Name != "m" {
		t.Errorf("got %q", got.Name)
	}
}

func TestNobodyKnowsWhetherAModelWasMade(t *testing.T) {
	w := twoGenerations(t)
	c := w.sims["c41"]
	c.Faults().DropAfter("ModelManager.CreateModel", 1)
	c.Faults().Fail("ModelManager.ListModelSummaries", "", "busy", 1)
	_, err := w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", TargetController: "c41"})
	wantCode(t, err, estate.CodeConnectionFailed)
	_, err = w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab"})
	wantCode(t, err, estate.CodeAlreadyExists) // the name is kept
	must(t, w.Sweep(w.ctx))
	models, err := w.ListModels(w.ctx, alice)
	must(t, err)
	if len(models) != 1 || models[0].State != estate.ModelLive {
		t.Fatalf("after the sweep there are %v", models)
	}
}

func TestCreateModelRefusesWhatMakesNoSense(t *testing.T) {
	w := twoGenerations(t)
	w.create(alice, "taken", "c41")
	for name, test := range map[string]struct {
		user estate.User
		args estate.CreateModelArgs
		code string
	}{
		"a name that is taken":             {alice, estate.CreateModelArgs{Name: "taken", Cloud: "lab"}, estate.CodeAlreadyExists},
		"a name with control characters":   {alice, estate.CreateModelArgs{Name: "a\x00b", Cloud: "lab"}, estate.CodeBadRequest},
		"a name of ten kilobytes":          {alice, estate.CreateModelArgs{Name: strings.Repeat("a", 10<<10), Cloud: "lab"}, estate.CodeBadRequest},
		"a cloud that is not there":        {alice, estate.CreateModelArgs{Name: "m", Cloud: "moon"}, estate.CodeUnauthorized},
		"a region that is not there":       {alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", Region: "r9"}, estate.CodeNotFound},
		"a controller that is not there":   {alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", TargetController: "c9"}, estate.CodeNotFound},
		"an owner of the controller's own": {admin, estate.CreateModelArgs{Name: "m", Cloud: "lab", Owner: "bob"}, estate.CodeBadRequest},
		"an owner who is somebody else":    {alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", Owner: bob.Name}, estate.CodeUnauthorized},
		"another's credential":             {bob, estate.CreateModelArgs{Name: "m", Cloud: "lab", Credential: "lab/alice@example.com/default"}, estate.CodeUnauthorized},
		"a credential that is not there":   {alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", Credential: "lab/alice@example.com/lost"}, estate.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.CreateModel(w.ctx, test.user, test.args)
			wantCode(t, err, test.code)
			if len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	models, err := w.store.Models(w.ctx, nil)
	must(t, err)
	if len(models) != 1 {
		t.Errorf("there are %d models, want 1", len(models))
	}
}

func TestADestroyedModelLeavesWhenItsControllerSaysSo(t *testing.T) {
	for _, controller := range []string{"c36", "c41"} {
		t.Run(controller, func(t *testing.T) {
			w := twoGenerations(t)
			info := w.create(alice, "m", controller)
			wantCode(t, w.destroy(bob, info.UUID), estate.CodeModelNotFound)
			must(t, w.destroy(alice, info.UUID))
			eventually(t, "the model is gone", func() bool {
				_, err := w.ModelStatus(w.ctx, alice, info.UUID)
				return estate.Is(err, estate.CodeModelNotFound)
			})
			if left := w.tuples(estate.Object{Kind: estate.KindModel, ID: info.UUID}); len(left) > 0 {
				t.Errorf("tuples are left: %v", left)
			}
			w.create(alice, "m", controller) // its name is free
		})
	}
}

func TestADestroyThatIsRefusedLeavesTheModel(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	w.sims["c41"].Faults().Fail("ModelManager.DestroyModels", params.CodeHasPersistentStorage, "model has persistent storage", 1)
	wantCode(t, w.destroy(alice, info.UUID), params.CodeHasPersistentStorage)
	m, err := w.store.Model(w.ctx, info.UUID)
	must(t, err)
	if m.State != estate.ModelLive {
		t.Errorf("the model is %s", m.State)
	}
}

func TestAModelThatVanishesIsKeptAndCanBeDestroyed(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	c := w.sims["c41"]
	must(t, c.RemoveModel(info.UUID))
	got, err := w.ModelInfo(w.ctx, alice, info.UUID)
	must(t, err)
	if got.Status.Status != "unavailable" {
		t.Errorf("its status is %q", got.Status.Status)
	}
	must(t, w.destroy(alice, info.UUID))
	eventually(t, "it leaves the list", func() bool {
		_, err := w.ModelStatus(w.ctx, alice, info.UUID)
		return estate.Is(err, estate.CodeModelNotFound)
	})
}

func TestADeadControllersModelsAreListedAsUnavailable(t *testing.T) {
	w := twoGenerations(t)
	w.create(alice, "dead", "c36")
	w.create(alice, "well", "c41")
	w.sims["c36"].Faults().Die()
	c, err := w.store.ControllerByName(w.ctx, "c36")
	must(t, err)
	if err := w.RefreshController(w.ctx, c); err == nil {
		t.Fatal("a dead controller answers")
	}
	summaries, err := w.ModelSummaries(w.ctx, alice)
	must(t, err)
	if len(summaries) != 2 || summaries[0].Status.Status != "unavailable" || summaries[0].Status.Since == nil || summaries[1].Status.Status == "unavailable" {
		t.Errorf("got %+v", summaries)
	}
	must(t, w.sims["c36"].Faults().Accept())
	if c, err = w.store.ControllerByName(w.ctx, "c36"); err != nil || c.UnavailableSince.IsZero() {
		t.Fatalf("got %v, %v", c, err)
	}
	must(t, w.RefreshController(w.ctx, c))
	if c, err = w.store.ControllerByName(w.ctx, "c36"); err != nil || !c.UnavailableSince.IsZero() {
		t.Errorf("after its return: %v, %v", c, err)
	}
}

func TestGrantsAndRevokesMeanWhatTheyMeanInJuju(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	grant := func(access string) error {
		return w.ModifyModelAccess(w.ctx, alice, info.UUID, estate.AccessChange{User: bob.Name, Grant: true, Access: access})
	}
	revoke := func(access string) error {
		return w.ModifyModelAccess(w.ctx, alice, info.UUID, estate.AccessChange{User: bob.Name, Access: access})
	}
	has := func(want string) {
		t.Helper()
		r, err := w.Route(w.ctx, bob, info.UUID)
		got := r.Claims[names.NewModelTag(info.UUID).String()]
		if want == "" {
			wantCode(t, err, estate.CodeModelNotFound)
		} else if must(t, err); got != want {
			t.Fatalf("bob has %q, want %q", got, want)
		}
	}
	has("")
	wantCode(t, revoke("read"), estate.CodeNotFound)
	must(t, grant("write"))
	has("write")
	wantCode(t, grant("read"), estate.CodeAlreadyExists)
	must(t, grant("admin"))
	has("admin")
	must(t, revoke("admin"))
	has("write")
	must(t, revoke("write"))
	has("read")
	must(t, revoke("read"))
	has("")
	must(t, grant("admin"))
	must(t, revoke("read"))
	has("")
	wantCode(t, grant("owner"), estate.CodeBadRequest)
	wantCode(t, w.ModifyModelAccess(w.ctx, bob, info.UUID, estate.AccessChange{User: bob.Name, Grant: true, Access: "read"}), estate.CodeModelNotFound)
	must(t, grant("read"))
	wantCode(t, w.ModifyModelAccess(w.ctx, bob, info.UUID, estate.AccessChange{User: bob.Name, Grant: true, Access: "admin"}), estate.CodeUnauthorized)
	must(t, w.ModifyModelAccess(w.ctx, bob, info.UUID, estate.AccessChange{User: bob.Name, Access: "read"})) // one's own
	has("")
}

// errDied is what a process says that stops in the middle.
var errDied = errors.New("died")

// dieAt runs f until it reaches a step, and reports whether it did.
func (w *world) dieAt(step string, f func()) (reached bool) {
	w.Pause = func(at string) {
		if at == step {
			panic(errDied)
		}
	}
	defer func() {
		w.Pause = nil
		if p := recover(); p != nil {
			if p != errDied {
				panic(p)
			}
			reached = true
		}
	}()
	f()
	return false
}

func TestACreationThatDiesAnywhereIsFinishedOrUndone(t *testing.T) {
	for _, step := range []string{"model inserted", "model placed", "model credential pushed", "model created", "model tuples written"} {
		t.Run(step, func(t *testing.T) {
			w := twoGenerations(t)
			w.create(alice, "before", "c41")
			if !w.dieAt(step, func() {
				_, _ = w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", TargetController: "c41"})
			}) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			models, err := w.ListModels(w.ctx, alice)
			must(t, err)
			var found []string
			for _, m := range models {
				found = append(found, m.Name+" "+string(m.State))
			}
			done := []string{"before live", "m live"}
			undone := []string{"before live"}
			switch {
			case slices.Equal(found, done):
				i := slices.IndexFunc(models, func(m estate.Model) bool { return m.Name == "m" })
				if _, err := w.ModelInfo(w.ctx, alice, models[i].UUID); err != nil {
					t.Error(err)
				}
			case slices.Equal(found, undone):
				w.create(alice, "m", "c41")
			default:
				t.Fatalf("there are %v", found)
			}
		})
	}
}

func TestADestructionThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"model dying", "model destroy sent", "model gone", "model tuples removed"} {
		t.Run(step, func(t *testing.T) {
			w := twoGenerations(t)
			info := w.create(alice, "m", "c41")
			reached := w.dieAt(step, func() {
				must(t, w.destroy(alice, info.UUID))
				eventually(t, "the model is gone", func() bool {
					_, err := w.ModelStatus(w.ctx, alice, info.UUID)
					return err != nil
				})
			})
			if !reached {
				t.Fatal("the step is not reached")
			}
			eventually(t, "the sweep finishes", func() bool {
				must(t, w.Sweep(w.ctx))
				_, err := w.store.Model(w.ctx, info.UUID)
				return estate.Is(err, estate.CodeModelNotFound)
			})
			if left := w.tuples(estate.Object{Kind: estate.KindModel, ID: info.UUID}); len(left) > 0 {
				t.Errorf("tuples are left: %v", left)
			}
		})
	}
}

func TestDefaultsOfTheUserGoUnderWhatIsAskedFor(t *testing.T) {
	w := twoGenerations(t)
	must(t, w.ChangeModelDefaults(w.ctx, alice, "lab", "", map[string]any{"ftp-proxy": "cloud", "http-proxy": "cloud", "no-proxy": "cloud"}, nil))
	must(t, w.ChangeModelDefaults(w.ctx, alice, "lab", "r1", map[string]any{"http-proxy": "region", "no-proxy": "region"}, nil))
	info, err := w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab", Region: "r1", TargetController: "c41", Config: map[string]any{"no-proxy": "asked"}})
	must(t, err)
	config := w.sims["c41"].ModelConfig(info.UUID)
	for name, want := range map[string]any{"ftp-proxy": "cloud", "http-proxy": "region", "no-proxy": "asked"} {
		if config[name] != want {
			t.Errorf("%s is %v, want %v", name, config[name], want)
		}
	}
	must(t, w.ChangeModelDefaults(w.ctx, alice, "lab", "", nil, []string{"ftp-proxy", "http-proxy", "no-proxy"}))
	defaults, err := w.ModelDefaults(w.ctx, alice, "lab")
	must(t, err)
	if d := defaults["http-proxy"]; d.Controller != nil || len(d.Regions) != 1 || d.Default == nil {
		t.Errorf("left is %+v", d)
	}
	others, err := w.ModelDefaults(w.ctx, bob, "lab")
	must(t, err)
	if d := others["http-proxy"]; d.Controller != nil || len(d.Regions) != 0 || d.Default == nil {
		t.Errorf("another user has %+v", d)
	}
	wantCode(t, w.ChangeModelDefaults(w.ctx, alice, "lab", "r9", map[string]any{"a": 1}, nil), estate.CodeNotFound)
	wantCode(t, w.ChangeModelDefaults(w.ctx, alice, "moon", "", map[string]any{"a": 1}, nil), estate.CodeNotFound)
}

func TestDefaultsOfTheUserAreThereWhenNoControllerAnswers(t *testing.T) {
	w := twoGenerations(t)
	must(t, w.ChangeModelDefaults(w.ctx, alice, "lab", "", map[string]any{"http-proxy": "mine"}, nil))
	for _, c := range w.sims {
		must(t, c.Close())
	}
	defaults, err := w.ModelDefaults(w.ctx, alice, "lab")
	must(t, err)
	if len(defaults) != 1 || defaults["http-proxy"].Controller != "mine" {
		t.Errorf("the defaults are %v", defaults)
	}
}

func TestAModelCanUseAnotherCredential(t *testing.T) {
	for _, controller := range []string{"c36", "c41"} {
		t.Run(controller, func(t *testing.T) {
			w := twoGenerations(t)
			info := w.create(alice, "m", controller)
			second := names.NewCloudCredentialTag("lab/" + alice.Name + "/second")
			wantCode(t, w.ChangeModelCredential(w.ctx, alice, info.UUID, second), estate.CodeNotFound)
			_, err := w.UpdateCredential(w.ctx, alice, second, params.CloudCredential{AuthType: "empty"}, false)
			must(t, err)
			must(t, w.ChangeModelCredential(w.ctx, alice, info.UUID, second))
			got, err := w.ModelInfo(w.ctx, alice, info.UUID)
			must(t, err)
			if got.CloudCredentialTag != second.String() {
				t.Errorf("the model uses %s", got.CloudCredentialTag)
			}
			wantCode(t, w.RevokeCredential(w.ctx, alice, second, false), estate.CodeStillAlive)
			wantCode(t, w.ChangeModelCredential(w.ctx, bob, info.UUID, second), estate.CodeModelNotFound)
		})
	}
}
