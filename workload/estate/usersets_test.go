package estate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"jimm/workload/estate"
)

// rel is a relationship in reading order.
func rel(subject, relation, target string) estate.Relationship {
	return estate.Relationship{Subject: subject, Relation: relation, Target: target}
}

func (w *world) relate(list ...estate.Relationship) {
	w.Helper()
	must(w.T, w.AddRelations(w.ctx, admin, list))
}

func (w *world) group(name string) estate.Userset {
	w.Helper()
	s, err := w.AddUserset(w.ctx, admin, estate.KindGroup, name)
	must(w.T, err)
	return s
}

func (w *world) role(name string) estate.Userset {
	w.Helper()
	s, err := w.AddUserset(w.ctx, admin, estate.KindRole, name)
	must(w.T, err)
	return s
}

// may reports whether a user has a relation, as an administrator is told.
func (w *world) may(u estate.User, relation, target string) bool {
	w.Helper()
	ok, err := w.CheckRelation(w.ctx, admin, rel("user-"+u.Name, relation, target))
	must(w.T, err)
	return ok
}

func TestGroupsAndRolesAreForAdministratorsOfJIMM(t *testing.T) {
	w := newWorld(t)
	g := w.group("engineering")
	for _, kind := range []estate.Kind{estate.KindGroup, estate.KindRole} {
		_, err := w.AddUserset(w.ctx, alice, kind, "mine")
		wantCode(t, err, estate.CodeUnauthorized)
		_, err = w.Userset(w.ctx, alice, kind, g.UUID)
		wantCode(t, err, estate.CodeUnauthorized)
		wantCode(t, w.RenameUserset(w.ctx, alice, kind, "engineering", "mine"), estate.CodeUnauthorized)
		wantCode(t, w.RemoveUserset(w.ctx, alice, kind, "engineering"), estate.CodeUnauthorized)
		_, _, err = w.ListUsersets(w.ctx, alice, kind, "", 0, 0)
		wantCode(t, err, estate.CodeUnauthorized)
	}
	got, err := w.Userset(w.ctx, admin, estate.KindGroup, "engineering")
	must(t, err)
	if got != g {
		t.Errorf("got %+v, want %+v", got, g)
	}
}

func TestNamesOfGroups(t *testing.T) {
	w := newWorld(t)
	for name, ok := range map[string]bool{
		"eng": true, "a-b": true, "Team.One_2": true, strings.Repeat("a", 128): true,
		"": false, "ab": false, "1st": false, "eng-": false, "en g": false, "eng#member": false, "group:*": false, "ünit": false,
		"eng\n": false, "eng\x00": false, strings.Repeat("a", 129): false, strings.Repeat("a", 1<<16): false,
		"a9d1a2b4-0b4e-4c09-9a0d-1f6d0e3f7a11": false,
	} {
		_, err := w.AddUserset(w.ctx, admin, estate.KindGroup, name)
		switch {
		case ok && err != nil:
			t.Errorf("%q is refused: %v", name, err)
		case !ok && !estate.Is(err, estate.CodeBadRequest):
			t.Errorf("%.40q gives %v", name, err)
		case !ok && len(err.Error()) > 300:
			t.Errorf("the error for %.40q has %d bytes", name, len(err.Error()))
		}
	}
	_, err := w.AddUserset(w.ctx, admin, estate.KindGroup, "eng")
	wantCode(t, err, estate.CodeAlreadyExists)
	if _, err := w.AddUserset(w.ctx, admin, estate.KindRole, "eng"); err != nil {
		t.Errorf("a role cannot be called as a group: %v", err)
	}
	wantCode(t, w.RenameUserset(w.ctx, admin, estate.KindGroup, "eng", "a-b"), estate.CodeAlreadyExists)
	wantCode(t, w.RenameUserset(w.ctx, admin, estate.KindGroup, "eng", "a b"), estate.CodeBadRequest)
	wantCode(t, w.RenameUserset(w.ctx, admin, estate.KindGroup, "none", "abc"), estate.CodeNotFound)
	wantCode(t, w.RemoveUserset(w.ctx, admin, estate.KindGroup, "en%"), estate.CodeNotFound)
}

func TestAListOfGroupsIsPaged(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.group(fmt.Sprintf("team-%02d", i))
	}
	for name, test := range map[string]struct {
		match         string
		limit, offset int
		first         string
		count, total  int
	}{
		"fifty if nothing is said":        {"", 0, 0, "team-00", 50, 60},
		"a negative limit says nothing":   {"", -7, 0, "team-00", 50, 60},
		"as many as asked":                {"", 10, 15, "team-15", 10, 60},
		"an absurd limit is bounded":      {"", 1 << 30, 0, "team-00", 60, 60},
		"a negative offset is none":       {"", 5, -1 << 30, "team-00", 5, 60},
		"nothing is beyond the end":       {"", 5, 1 << 30, "", 0, 60},
		"part of a name":                  {"-5", 0, 0, "team-50", 10, 10},
		"a part that is no pattern":       {"%", 0, 0, "", 0, 0},
		"a part that could end a literal": {"'; drop", 0, 0, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			list, total, err := w.ListUsersets(w.ctx, admin, estate.KindGroup, test.match, test.limit, test.offset)
			must(t, err)
			first := ""
			if len(list) > 0 {
				first = list[0].Name
			}
			if first != test.first || len(list) != test.count || total != test.total {
				t.Errorf("got %d of %d from %q, want %d of %d from %q", len(list), total, first, test.count, test.total, test.first)
			}
		})
	}
}

func TestAccessThroughGroupsAndRoles(t *testing.T) {
	w := twoGenerations(t)
	m := w.create(alice, "shop", "c41")
	eng, core, ops := w.group("engineering"), w.group("core"), w.role("operator")
	const shop = "model-alice@example.com/shop"
	w.relate(
		rel("group-core#member", "member", "group-engineering"), // nested
		rel("group-engineering#member", "assignee", "role-"+ops.UUID),
		rel("role-operator#assignee", "writer", shop),
	)
	if w.may(bob, "reader", shop) {
		t.Fatal("bob may read before he is in any group")
	}
	w.relate(rel("user-Bob@Example.com", "member", "group-core"))
	if !w.may(bob, "writer", shop) || w.may(bob, "administrator", shop) {
		t.Error("bob is not just a writer through group, group and role")
	}
	t.Run("models are listed", func(t *testing.T) {
		list, err := w.ListModels(w.ctx, bob)
		must(t, err)
		if len(list) != 1 || list[0].UUID != m.UUID {
			t.Errorf("bob sees %v", list)
		}
	})
	t.Run("a new name changes nothing", func(t *testing.T) {
		must(t, w.RenameUserset(w.ctx, admin, estate.KindGroup, "engineering", "builders"))
		if !w.may(bob, "writer", shop) {
			t.Error("bob lost it")
		}
		_, err := w.CheckRelation(w.ctx, admin, rel("group-engineering#member", "writer", shop))
		wantCode(t, err, estate.CodeNotFound)
		ok, err := w.CheckRelation(w.ctx, admin, rel("group-builders#member", "writer", shop))
		must(t, err)
		if !ok {
			t.Error("the group as such is no writer")
		}
	})
	t.Run("groups of the identity provider count in the caller's own session", func(t *testing.T) {
		w.relate(rel("idpgroup-Platform team: 1#member", "assignee", "role-operator"))
		dave := estate.User{Name: "dave@example.com", Groups: []string{"Platform team: 1"}}
		if ok, err := w.CheckRelation(w.ctx, dave, rel("user-dave@example.com", "writer", shop)); err != nil || !ok {
			t.Errorf("dave is told %v, %v", ok, err)
		}
		if w.may(dave, "writer", shop) {
			t.Error("somebody else sees dave's groups")
		}
		must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("idpgroup-Platform team: 1#member", "assignee", "role-operator")}))
	})
	t.Run("everyone can be in a group", func(t *testing.T) {
		carol := estate.User{Name: "carol@example.com"}
		w.relate(rel("user-everyone@external", "member", "group-builders"))
		if !w.may(carol, "writer", shop) {
			t.Error("carol is not everyone")
		}
		must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-everyone@external", "member", "group-builders")}))
		if w.may(carol, "writer", shop) {
			t.Error("carol still is")
		}
	})
	t.Run("it ends with the group in between", func(t *testing.T) {
		must(t, w.RemoveUserset(w.ctx, admin, estate.KindGroup, "builders"))
		if w.may(bob, "reader", shop) {
			t.Error("bob still may")
		}
		if left := w.tuples(eng.Object()); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if left := w.tuples(ops.Object()); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if got := w.tuples(core.Object()); len(got) == 0 {
			t.Error("the members of the other group went, too")
		}
	})
}

func TestARemovalOfAGroupThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"userset removing", "userset grants removed", "userset tuples removed"} {
		for _, by := range []string{"the sweep", "the next try"} {
			t.Run(step+", by "+by, func(t *testing.T) {
				w := twoGenerations(t)
				w.create(alice, "shop", "c41")
				g := w.group("engineering")
				w.relate(rel("user-bob@example.com", "member", "group-engineering"), rel("group-engineering#member", "reader", "model-alice@example.com/shop"))
				if !w.dieAt(step, func() { _ = w.RemoveUserset(w.ctx, admin, estate.KindGroup, "engineering") }) {
					t.Fatal("the step is not reached")
				}
				wantCode(t, w.AddRelations(w.ctx, admin, []estate.Relationship{rel("user-carol@example.com", "member", "group-engineering")}), estate.CodeNotFound)
				if by == "the sweep" {
					must(t, w.Sweep(w.ctx))
				} else {
					must(t, w.RemoveUserset(w.ctx, admin, estate.KindGroup, "engineering"))
				}
				wantCode(t, w.RemoveUserset(w.ctx, admin, estate.KindGroup, "engineering"), estate.CodeNotFound)
				if left := w.tuples(g.Object()); len(left) > 0 || w.may(bob, "reader", "model-alice@example.com/shop") {
					t.Errorf("bob may still read; left: %v", left)
				}
				w.group("engineering") // the name is free
			})
		}
	}
}

func TestARelationToAGroupThatIsRemovedMeanwhileLeavesNothing(t *testing.T) {
	w := newWorld(t)
	g := w.group("engineering")
	w.Pause = func(step string) {
		if step == "relations resolved" {
			must(t, w.RemoveUserset(w.ctx, admin, estate.KindGroup, "engineering"))
		}
	}
	wantCode(t, w.AddRelations(w.ctx, admin, []estate.Relationship{rel("user-bob@example.com", "member", "group-engineering")}), estate.CodeNotFound)
	if left := w.tuples(g.Object()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestListsOfRelations(t *testing.T) {
	w := twoGenerations(t)
	m := w.create(alice, "shop", "c41")
	g, r := w.group("engineering"), w.role("operator")
	gone := "model-" + uuid.NewString()
	w.relate(
		rel("user-bob@example.com", "member", "group-engineering"),
		rel("group-engineering#member", "assignee", "role-operator"),
		rel("role-operator#assignee", "writer", "model-"+m.UUID),
		rel("user-everyone@external", "reader", "model-"+m.UUID),
		rel("idpgroup-staff#member", "reader", "model-"+m.UUID),
	)
	// What is left of a model that is gone.
	must(t, w.Permissions.Write(w.ctx, []estate.Tuple{{Subject: bob.Subject(), Relation: estate.Reader, Object: estate.Object{Kind: estate.KindModel, ID: strings.TrimPrefix(gone, "model-")}}}, nil))
	list := func(q estate.RelationshipQuery) ([]string, []string) {
		t.Helper()
		var all, unknown []string
		for {
			page, err := w.ListRelations(w.ctx, admin, q)
			must(t, err)
			for _, x := range page.List {
				all = append(all, x.Subject+" "+x.Relation+" "+x.Target)
			}
			unknown = append(unknown, page.Unknown...)
			if q.Continuation = page.Continuation; q.Continuation == "" {
				slices.Sort(all)
				return all, unknown
			}
		}
	}
	for name, test := range map[string]struct {
		query estate.RelationshipQuery
		want  []string
	}{
		"who has what of a model, by UUID": {
			estate.RelationshipQuery{Target: "model-alice@example.com/shop"},
			[]string{
				"controller-" + w.sims["c41"].UUID() + " controller model-" + m.UUID,
				"idpgroup-staff#member reader model-" + m.UUID,
				"role-" + r.UUID + "#assignee writer model-" + m.UUID,
				"user-alice@example.com administrator model-" + m.UUID,
				"user-everyone@external reader model-" + m.UUID,
			},
		},
		"the same by name": {
			estate.RelationshipQuery{Target: "model-" + m.UUID, Resolve: true, PageSize: 2},
			[]string{
				"controller-c41 controller model-alice@example.com/shop",
				"idpgroup-staff#member reader model-alice@example.com/shop",
				"role-operator#assignee writer model-alice@example.com/shop",
				"user-alice@example.com administrator model-alice@example.com/shop",
				"user-everyone@external reader model-alice@example.com/shop",
			},
		},
		"one relation": {
			estate.RelationshipQuery{Target: "model-" + m.UUID, Relation: "writer"},
			[]string{"role-" + r.UUID + "#assignee writer model-" + m.UUID},
		},
		"what a role is given, with or without its people": {
			estate.RelationshipQuery{Subject: "role-operator", Target: "model", Resolve: true},
			[]string{"role-operator#assignee writer model-alice@example.com/shop"},
		},
		"who is in a group": {
			estate.RelationshipQuery{Relation: "member", Target: "group-engineering"},
			[]string{"user-bob@example.com member group-" + g.UUID},
		},
		"what everyone is given": {
			estate.RelationshipQuery{Subject: "user-everyone@external", Target: "model-"},
			[]string{"user-everyone@external reader model-" + m.UUID},
		},
		"what one has of something that is gone": {
			estate.RelationshipQuery{Subject: "user-bob@example.com", Target: gone},
			[]string{"user-bob@example.com reader " + gone},
		},
		"nothing of something unheard of": {
			estate.RelationshipQuery{Target: "model-" + uuid.NewString()},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, unknown := list(test.query)
			if !slices.Equal(got, test.want) || len(unknown) > 0 {
				t.Errorf("got\n%s\nand unknown %v, want\n%s", strings.Join(got, "\n"), unknown, strings.Join(test.want, "\n"))
			}
		})
	}
	t.Run("all of them, with one that has no name", func(t *testing.T) {
		got, unknown := list(estate.RelationshipQuery{Resolve: true, PageSize: 3})
		for _, want := range []string{
			"user-admin@example.com administrator controller-jimm",
			"controller-jimm controller controller-c36",
			"controller-c36 controller cloud-lab",
			"user-bob@example.com member group-engineering",
			"user-bob@example.com reader " + gone,
		} {
			if !slices.Contains(got, want) {
				t.Errorf("%q is not among\n%s", want, strings.Join(got, "\n"))
			}
		}
		if !slices.Equal(unknown, []string{gone}) {
			t.Errorf("unknown are %v", unknown)
		}
		if _, unknown := list(estate.RelationshipQuery{}); len(unknown) > 0 {
			t.Errorf("unknown, though no names were asked for: %v", unknown)
		}
	})
	t.Run("what is left can be removed", func(t *testing.T) {
		wantCode(t, w.AddRelations(w.ctx, admin, []estate.Relationship{rel("user-bob@example.com", "reader", gone)}), estate.CodeNotFound)
		must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-bob@example.com", "reader", gone)}))
		if got, _ := list(estate.RelationshipQuery{Target: gone}); len(got) > 0 {
			t.Errorf("left: %v", got)
		}
	})
	for name, test := range map[string]struct {
		query estate.RelationshipQuery
		code  string
	}{
		"a subject without a target":     {estate.RelationshipQuery{Subject: "user-bob@example.com"}, estate.CodeBadRequest},
		"a relation without a target":    {estate.RelationshipQuery{Relation: "reader"}, estate.CodeBadRequest},
		"a relation of another kind":     {estate.RelationshipQuery{Relation: "consumer", Target: "model"}, estate.CodeTupleInvalid},
		"a kind there is not":            {estate.RelationshipQuery{Target: "machine"}, estate.CodeTupleInvalid},
		"a name nothing has":             {estate.RelationshipQuery{Target: "group-nobody"}, estate.CodeNotFound},
		"a continuation that is none":    {estate.RelationshipQuery{Continuation: "nonsense"}, estate.CodeBadRequest},
		"a target with something after":  {estate.RelationshipQuery{Target: "group-engineering#member"}, estate.CodeTupleInvalid},
		"a subject that smuggles a star": {estate.RelationshipQuery{Subject: "user-*", Target: "model"}, estate.CodeTupleInvalid},
		"a tag of ten kilobytes":         {estate.RelationshipQuery{Target: "model-" + strings.Repeat("x", 10<<10)}, estate.CodeTupleInvalid},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			_, err := w.ListRelations(w.ctx, admin, test.query)
			wantCode(t, err, test.code)
		})
	}
	_, err := w.ListRelations(w.ctx, alice, estate.RelationshipQuery{Target: "model-" + m.UUID})
	wantCode(t, err, estate.CodeUnauthorized)
}

func TestWhoMayAskAndWriteRelations(t *testing.T) {
	w := twoGenerations(t)
	w.create(alice, "shop", "c41")
	w.create(alice, "other", "c41")
	w.group("engineering")
	const shop, other, none = "model-alice@example.com/shop", "model-alice@example.com/other", "model-alice@example.com/none"
	w.relate(rel("user-bob@example.com", "administrator", shop))
	t.Run("an administrator of every target writes", func(t *testing.T) {
		must(t, w.AddRelations(w.ctx, bob, []estate.Relationship{rel("group-engineering#member", "reader", shop)}))
		must(t, w.RemoveRelations(w.ctx, bob, []estate.Relationship{rel("group-engineering#member", "reader", shop)}))
	})
	for name, test := range map[string]struct {
		list []estate.Relationship
		code string
	}{
		"not all targets are one's own":        {[]estate.Relationship{rel("user-bob@example.com", "reader", shop), rel("user-bob@example.com", "reader", other)}, estate.CodeUnauthorized},
		"a target that is not there":           {[]estate.Relationship{rel("user-bob@example.com", "reader", none)}, estate.CodeUnauthorized},
		"who is in a group":                    {[]estate.Relationship{rel("user-bob@example.com", "member", "group-engineering")}, estate.CodeUnauthorized},
		"JIMM itself":                          {[]estate.Relationship{rel("user-bob@example.com", "administrator", "controller-jimm")}, estate.CodeUnauthorized},
		"a group that is not there":            {[]estate.Relationship{rel("group-nobody#member", "reader", shop)}, estate.CodeNotFound},
		"a group without its members":          {[]estate.Relationship{rel("group-engineering", "reader", shop)}, estate.CodeTupleInvalid},
		"a local user":                         {[]estate.Relationship{rel("user-admin", "reader", shop)}, estate.CodeTupleInvalid},
		"members of a group of the provider's": {[]estate.Relationship{rel("user-bob@example.com", "member", "idpgroup-staff")}, estate.CodeTupleInvalid},
		"what belongs to what":                 {[]estate.Relationship{rel("controller-c41", "controller", shop)}, estate.CodeTupleInvalid},
		"nothing":                              {nil, estate.CodeBadRequest},
	} {
		t.Run(name+" is refused, and nothing written", func(t *testing.T) {
			wantCode(t, w.AddRelations(w.ctx, bob, test.list), test.code)
			if test.code != estate.CodeTupleInvalid && test.code != estate.CodeBadRequest {
				wantCode(t, w.RemoveRelations(w.ctx, bob, test.list), test.code)
			}
		})
	}
	if w.may(bob, "reader", other) {
		t.Error("bob may read the other model")
	}
	t.Run("checks", func(t *testing.T) {
		carol := estate.User{Name: "carol@example.com", Groups: []string{"staff"}}
		w.relate(rel("idpgroup-staff#member", "reader", other))
		results, err := w.CheckRelations(w.ctx, carol, []estate.Relationship{
			rel("user-carol@example.com", "reader", other),
			rel("user-carol@example.com", "writer", other),
			rel("user-carol@example.com", "reader", none),
			rel("user-alice@example.com", "reader", other),
			rel("user-alice@example.com", "reader", none),
			rel("user-carol@example.com", "owner", other),
		})
		must(t, err)
		var got []string
		for _, r := range results {
			got = append(got, fmt.Sprint(r.Allowed, " ", estate.CodeOf(r.Err)))
		}
		want := []string{"true ", "false ", "false ", "false " + estate.CodeUnauthorized, "false " + estate.CodeUnauthorized, "false " + estate.CodeTupleInvalid}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if ok, err := w.CheckRelation(w.ctx, alice, rel("user-bob@example.com", "writer", shop)); err != nil || !ok {
			t.Errorf("an administrator of the target is told %v, %v", ok, err)
		}
		_, err = w.CheckRelation(w.ctx, admin, rel("user-bob@example.com", "writer", none))
		wantCode(t, err, estate.CodeNotFound)
		_, err = w.CheckRelations(w.ctx, admin, make([]estate.Relationship, 1001))
		wantCode(t, err, estate.CodeBadRequest)
	})
}

func TestAccessToTheAuditLog(t *testing.T) {
	w := newWorld(t)
	wantCode(t, w.AuditLogAccess(w.ctx, alice, alice.Name, true), estate.CodeUnauthorized)
	wantCode(t, w.AuditLogAccess(w.ctx, admin, "bob", true), estate.CodeBadRequest)
	must(t, w.AuditLogAccess(w.ctx, admin, "Bob@example.com", true))
	must(t, w.AuditLogAccess(w.ctx, admin, bob.Name, true))
	if !w.may(bob, "audit_log_viewer", "controller-jimm") {
		t.Error("bob may not view the audit log")
	}
	must(t, w.AuditLogAccess(w.ctx, admin, bob.Name, false))
	must(t, w.AuditLogAccess(w.ctx, admin, bob.Name, false))
	if w.may(bob, "audit_log_viewer", "controller-jimm") {
		t.Error("bob still may view the audit log")
	}
}

// TestPlainGrantsAndRelationsAreTheSame goes from each level to each other by
// one way, and compares with the other.
func TestPlainGrantsAndRelationsAreTheSame(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url, uuid := offerURL("c41", "hosted"), w.shopUUID("c41")
	// What everyone has of a new offer and cloud would be in the way.
	must(t, w.ModifyOfferAccess(w.ctx, alice, url, estate.AccessChange{User: estate.EveryoneUser, Access: estate.AccessRead}))
	must(t, w.ModifyCloudAccess(w.ctx, admin, "lab", estate.AccessChange{User: estate.EveryoneUser, Access: estate.AccessAddModel}))
	shown, err := w.ShowOffer(w.ctx, alice, url)
	must(t, err)
	type level struct{ word, relation string } // in Juju's words and in ours
	for _, test := range []struct {
		object estate.Object
		target string
		levels []level // the lowest first
		modify func(change estate.AccessChange) error
	}{
		{estate.Object{Kind: estate.KindModel, ID: uuid}, "model-" + uuid, []level{{"read", "reader"}, {"write", "writer"}, {"admin", "administrator"}}, func(c estate.AccessChange) error {
			return w.ModifyModelAccess(w.ctx, admin, uuid, c)
		}},
		{estate.Object{Kind: estate.KindCloud, ID: "lab"}, "cloud-lab", []level{{"add-model", "can_addmodel"}, {"admin", "administrator"}}, func(c estate.AccessChange) error {
			return w.ModifyCloudAccess(w.ctx, admin, "lab", c)
		}},
		{estate.Object{Kind: estate.KindOffer, ID: shown.OfferUUID}, "applicationoffer-" + url, []level{{"read", "reader"}, {"consume", "consumer"}, {"admin", "administrator"}}, func(c estate.AccessChange) error {
			return w.ModifyOfferAccess(w.ctx, admin, url, c)
		}},
	} {
		for i, l := range test.levels {
			for _, user := range []string{bob.Name, "BOB@Example.com", estate.EveryoneUser} {
				t.Run(fmt.Sprintf("%s of a %s for %s", l.word, test.object.Kind, user), func(t *testing.T) {
					relation := func(r string) []estate.Relationship { return []estate.Relationship{rel("user-"+user, r, test.target)} }
					want := func(what string, tuples []string) {
						t.Helper()
						if got := w.tuples(test.object); !slices.Equal(got, tuples) {
							t.Errorf("%s there is\n%q, want\n%q", what, got, tuples)
						}
					}
					before := w.tuples(test.object)
					must(t, test.modify(estate.AccessChange{User: user, Grant: true, Access: l.word}))
					plain := w.tuples(test.object)
					must(t, w.RemoveRelations(w.ctx, admin, relation(l.relation)))
					want("after a grant, taken back as a relation,", before)
					w.relate(relation(l.relation)...)
					want("after a relation, not a grant,", plain)
					wantCode(t, test.modify(estate.AccessChange{User: user, Grant: true, Access: l.word}), estate.CodeAlreadyExists)
					if i > 0 {
						below := test.levels[i-1].relation
						must(t, w.RemoveRelations(w.ctx, admin, relation(l.relation)))
						w.relate(relation(below)...)
						related := w.tuples(test.object)
						must(t, test.modify(estate.AccessChange{User: user, Grant: true, Access: l.word}))
						must(t, test.modify(estate.AccessChange{User: user, Access: l.word}))
						want("after a revoke of "+l.word+", which leaves the level below,", related)
					}
					must(t, test.modify(estate.AccessChange{User: user, Access: test.levels[0].word}))
					want("after a relation, revoked,", before)
					wantCode(t, test.modify(estate.AccessChange{User: user, Access: test.levels[0].word}), estate.CodeNotFound)
				})
			}
		}
	}
}

func TestWhoHasAccessMayGiveItUp(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url, uuid := offerURL("c41", "hosted"), w.shopUUID("c41")
	w.letConsume(url)
	w.relate(rel("user-"+bob.Name, "writer", "model-"+uuid))
	own := estate.AccessChange{User: "BOB@Example.com", Access: estate.AccessRead}
	must(t, w.ModifyOfferAccess(w.ctx, bob, url, own))
	must(t, w.ModifyModelAccess(w.ctx, bob, uuid, own))
	if w.may(bob, "consumer", "applicationoffer-"+url) || w.may(bob, "reader", "model-"+uuid) {
		t.Error("bob still has access")
	}
}
