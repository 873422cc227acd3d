package estate_test

import (
	"slices"
	"strings"
	"testing"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

func TestAddControllerChecksWhoAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.start("c41", sim.Juju41, "lab")
	other := w.start("other", sim.Juju41, "lab")
	for name, test := range map[string]struct {
		change func(*estate.AddControllerArgs)
		code   string
	}{
		"another UUID":               {func(a *estate.AddControllerArgs) { a.UUID = other.UUID() }, estate.CodeBadRequest},
		"another's certificate":      {func(a *estate.AddControllerArgs) { a.CACertificate = other.CACert() }, estate.CodeConnectionFailed},
		"a wrong password":           {func(a *estate.AddControllerArgs) { a.Password = "guess-guess" }, estate.CodeUnauthorized},
		"nobody there":               {func(a *estate.AddControllerArgs) { a.Addresses = []string{"127.0.0.1:1"} }, estate.CodeConnectionFailed},
		"an address without a port":  {func(a *estate.AddControllerArgs) { a.PublicAddress = "example.com" }, estate.CodeBadRequest},
		"JIMM's own name":            {func(a *estate.AddControllerArgs) { a.Name = "jimm" }, estate.CodeBadRequest},
		"a name with a control code": {func(a *estate.AddControllerArgs) { a.Name = "a\nb" }, estate.CodeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			a := args(c)
			test.change(&a)
			_, err := w.AddController(w.ctx, admin, a)
			wantCode(t, err, test.code)
			if strings.Contains(err.Error(), a.Password) {
				t.Error("the error quotes the password")
			}
		})
	}
	_, err := w.AddController(w.ctx, alice, args(c))
	wantCode(t, err, estate.CodeUnauthorized)
	if left, err := w.store.Controllers(w.ctx, estate.ControllerAdding, estate.ControllerLive); err != nil || len(left) > 0 {
		t.Fatalf("left over: %v, %v", left, err)
	}
	_, err = w.AddController(w.ctx, admin, args(c))
	must(t, err)
	_, err = w.AddController(w.ctx, admin, args(c))
	wantCode(t, err, estate.CodeAlreadyExists)
}

func TestAControllerIsShownToThoseWhoMayUseIt(t *testing.T) {
	w := newWorld(t)
	w.controller("c36", sim.Juju36, "lab")
	w.controller("c41", sim.Juju41, "lab")
	list, err := w.ListControllers(w.ctx, alice)
	must(t, err)
	if len(list) != 2 { // everyone may add models, until that is taken away
		t.Fatalf("alice sees %v", list)
	}
	must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{{Subject: "user-everyone@external", Relation: "can_addmodel", Target: "controller-c36"}}))
	list, err = w.ListControllers(w.ctx, alice)
	must(t, err)
	if len(list) != 1 || list[0].Name != "c41" {
		t.Fatalf("alice sees %v", list)
	}
	if list, err = w.ListControllers(w.ctx, admin); err != nil || len(list) != 2 {
		t.Fatalf("the administrator sees %v, %v", list, err)
	}
}

func TestADeprecatedControllerGetsNoNewModels(t *testing.T) {
	w := twoGenerations(t)
	_, err := w.SetDeprecated(w.ctx, admin, "c36", true)
	must(t, err)
	info, err := w.CreateModel(w.ctx, alice, estate.CreateModelArgs{Name: "m", Cloud: "lab"})
	must(t, err)
	m, err := w.store.Model(w.ctx, info.UUID)
	must(t, err)
	if m.ControllerUUID != w.sims["c41"].UUID() {
		t.Errorf("the model is on %s", m.ControllerUUID)
	}
	c, err := w.SetDeprecated(w.ctx, admin, "c36", false)
	must(t, err)
	if c.Deprecated {
		t.Error("it cannot be undone")
	}
}

func TestAControllerWithModelsIsOnlyRemovedByForce(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	_, err := w.RemoveController(w.ctx, admin, "c41", false)
	wantCode(t, err, estate.CodeStillAlive)
	_, err = w.RemoveController(w.ctx, admin, "c41", true)
	must(t, err)
	for _, object := range []estate.Object{{Kind: estate.KindModel, ID: info.UUID}, {Kind: estate.KindController, ID: w.sims["c41"].UUID()}} {
		if left := w.tuples(object); len(left) > 0 {
			t.Errorf("tuples are left: %v", left)
		}
	}
	if clouds, err := w.Clouds(w.ctx, alice); err != nil || len(clouds) != 1 {
		t.Errorf("the cloud that the other controller serves: %v, %v", clouds, err)
	}
	_, err = w.RemoveController(w.ctx, admin, "c36", false)
	must(t, err)
	if clouds, err := w.store.Clouds(w.ctx, nil); err != nil || len(clouds) != 0 {
		t.Errorf("clouds are left: %v, %v", clouds, err)
	}
	if left := w.tuples(estate.Object{Kind: estate.KindCloud, ID: "lab"}); len(left) > 0 {
		t.Errorf("tuples are left: %v", left)
	}
}

func TestAnAddingThatDiesAnywhereIsUndone(t *testing.T) {
	for _, step := range []string{"controller inserted", "controller secret stored", "controller clouds saved", "controller tuples written"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			c := w.start("c41", sim.Juju41, "lab")
			if !w.dieAt(step, func() { _, _ = w.AddController(w.ctx, admin, args(c)) }) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			if left := w.tuples(estate.Object{Kind: estate.KindController, ID: c.UUID()}); len(left) > 0 {
				t.Errorf("tuples are left: %v", left)
			}
			_, err := w.Secrets.Get(w.ctx, "controllers/"+c.UUID())
			wantCode(t, err, estate.CodeNotFound)
			_, err = w.AddController(w.ctx, admin, args(c))
			must(t, err)
		})
	}
}

func TestARemovalThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"controller removing", "controller models forgotten", "controller tuples removed", "controller secret deleted"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			c := w.controller("c41", sim.Juju41, "lab")
			if !w.dieAt(step, func() { _, _ = w.RemoveController(w.ctx, admin, "c41", false) }) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			all, err := w.store.Controllers(w.ctx, estate.ControllerAdding, estate.ControllerLive, estate.ControllerRemoving)
			must(t, err)
			if len(all) > 0 {
				t.Fatalf("left over: %v", all)
			}
			_, err = w.AddController(w.ctx, admin, args(c))
			must(t, err)
		})
	}
}

func TestRelationsAreForAdministrators(t *testing.T) {
	w := twoGenerations(t)
	info := w.create(alice, "m", "c41")
	reader := []estate.Relationship{{Subject: "user-bob@example.com", Relation: "reader", Target: "model-alice@example.com/m"}}
	wantCode(t, w.AddRelations(w.ctx, bob, reader), estate.CodeUnauthorized)
	must(t, w.AddRelations(w.ctx, alice, reader)) // her own model
	if _, err := w.Route(w.ctx, bob, info.UUID); err != nil {
		t.Error(err)
	}
	wantCode(t, w.AddRelations(w.ctx, alice, []estate.Relationship{{Subject: "user-bob@example.com", Relation: "administrator", Target: "controller-jimm"}}), estate.CodeUnauthorized)
	group := []estate.Relationship{{Subject: "idpgroup-ops#member", Relation: "administrator", Target: "controller-jimm"}}
	must(t, w.AddRelations(w.ctx, admin, group))
	if ok, err := w.IsAdmin(w.ctx, estate.User{Name: "carol@example.com", Groups: []string{"ops"}}); err != nil || !ok {
		t.Errorf("one of the group is an administrator: %v, %v", ok, err)
	}
	for _, bad := range []estate.Relationship{
		{Subject: "user-bob", Relation: "reader", Target: "model-alice@example.com/m"},
		{Subject: "user-bob@example.com#member", Relation: "reader", Target: "model-alice@example.com/m"},
		{Subject: "user-bob@example.com", Relation: "member", Target: "model-alice@example.com/m"},
		{Subject: "cloud-lab", Relation: "reader", Target: "model-alice@example.com/m"},
		{Subject: "idpgroup-ops", Relation: "reader", Target: "model-alice@example.com/m"},
	} {
		wantCode(t, w.AddRelations(w.ctx, admin, []estate.Relationship{bad}), estate.CodeTupleInvalid)
	}
	wantCode(t, w.AddRelations(w.ctx, admin, []estate.Relationship{{Subject: "user-bob@example.com", Relation: "reader", Target: "model-alice@example.com/none"}}), estate.CodeNotFound)
	before := w.tuples(estate.Object{Kind: estate.KindModel, ID: info.UUID})
	must(t, w.RemoveRelations(w.ctx, alice, reader))
	after := w.tuples(estate.Object{Kind: estate.KindModel, ID: info.UUID})
	if len(after) != len(before)-1 || slices.Contains(after, "user:bob@example.com reader model:"+info.UUID) {
		t.Errorf("%v became %v", before, after)
	}
}
