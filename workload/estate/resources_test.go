package estate_test

import (
	"slices"
	"testing"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

func TestAdministratorsSeeWhatPeopleCanBeGiven(t *testing.T) {
	w := newWorld(t)
	w.controller("blue", sim.Juju41, "aws")
	found, total, err := w.ListResources(w.ctx, admin, estate.ResourceFilter{Kind: estate.KindController}, 10, 0)
	must(t, err)
	if total != 2 || found[0].Name != "blue" || found[0].Parent.ID != w.UUID || found[1].Name != "jimm" {
		t.Errorf("found %+v", found)
	}
	_, _, err = w.ListResources(w.ctx, admin, estate.ResourceFilter{Kind: estate.KindUser}, 10, 0)
	wantCode(t, err, estate.CodeBadRequest)

	_, _, err = w.ListResources(w.ctx, alice, estate.ResourceFilter{}, 10, 0)
	wantCode(t, err, estate.CodeUnauthorized)
	_, _, err = w.ListIdentities(w.ctx, alice, "", 10, 0)
	wantCode(t, err, estate.CodeUnauthorized)
	_, err = w.Identity(w.ctx, alice, alice.Name)
	wantCode(t, err, estate.CodeUnauthorized)
	_, err = w.IdentitiesNamed(w.ctx, alice, []string{alice.Name})
	wantCode(t, err, estate.CodeUnauthorized)
	_, err = w.UsersetsByUUID(w.ctx, alice, nil)
	wantCode(t, err, estate.CodeUnauthorized)
}

func TestEveryGrantCanBeGivenToTheReceiversItNames(t *testing.T) {
	w := newWorld(t)
	grants := w.Grants()
	if len(grants) < 12 {
		t.Fatalf("there are only %d grants", len(grants))
	}
	for _, g := range grants {
		if !slices.Contains(g.Receivers, "user") || !slices.Contains(g.Receivers, "group#member") {
			t.Errorf("%s of a %s is for %q", g.Relation, g.Kind, g.Receivers)
		}
	}
}

func TestRelationsAreAddedAndRemovedInOneStep(t *testing.T) {
	w := newWorld(t)
	group, err := w.AddUserset(w.ctx, admin, estate.KindGroup, "engineers")
	must(t, err)
	member := func(name string) estate.Relationship {
		return estate.Relationship{Subject: "user-" + name, Relation: "member", Target: "group-engineers"}
	}
	members := func() (names []string) {
		tuples, _, err := w.Permissions.Read(w.ctx, estate.TupleFilter{Object: group.Object()}, 10, "")
		must(t, err)
		for _, tuple := range tuples {
			names = append(names, tuple.Subject.ID)
		}
		return names
	}
	must(t, w.ChangeRelations(w.ctx, admin, []estate.Relationship{member(alice.Name)}, nil))
	must(t, w.ChangeRelations(w.ctx, admin, []estate.Relationship{member(bob.Name)}, []estate.Relationship{member(alice.Name)}))
	if got := members(); !slices.Equal(got, []string{bob.Name}) {
		t.Errorf("members are %q", got)
	}
	for name, change := range map[string]struct {
		u           estate.User
		add, remove []estate.Relationship
		code        string
	}{
		"of nothing":                    {admin, nil, nil, estate.CodeBadRequest},
		"of one relation both ways":     {admin, []estate.Relationship{member(alice.Name)}, []estate.Relationship{member(alice.Name)}, estate.CodeBadRequest},
		"by somebody":                   {alice, []estate.Relationship{member(alice.Name)}, []estate.Relationship{member(bob.Name)}, estate.CodeUnauthorized},
		"with something that is not so": {admin, []estate.Relationship{member(alice.Name)}, []estate.Relationship{{Subject: "user-bob@example.com", Relation: "member", Target: "group-nobody"}}, estate.CodeNotFound},
	} {
		err := w.ChangeRelations(w.ctx, change.u, change.add, change.remove)
		if !estate.Is(err, change.code) {
			t.Errorf("a change %s: got %v, want code %q", name, err, change.code)
		}
		if got := members(); !slices.Equal(got, []string{bob.Name}) {
			t.Fatalf("members after a change %s are %q", name, got)
		}
	}
}
