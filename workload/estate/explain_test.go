package estate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

// told is an explanation as text: a line for each path or grant.
func told(ex estate.Explanation) string {
	lines := []string{fmt.Sprint(ex.Allowed)}
	chain := func(path []estate.ExplanationStep) string {
		var steps []string
		for _, s := range path {
			steps = append(steps, fmt.Sprintf("%s %s %s (%s)", s.Subject, s.Relation, s.Target, s.Kind))
		}
		return strings.Join(steps, "; ")
	}
	for _, path := range ex.Paths {
		lines = append(lines, chain(path))
	}
	for _, g := range ex.Grants {
		lines = append(lines, "add "+chain(g.Path))
	}
	return strings.Join(lines, "\n")
}

func TestExplanations(t *testing.T) {
	w := newWorld(t)
	w.controller("c41", sim.Juju41, "lab")
	w.addCredential(alice)
	w.create(alice, "shop", "c41")
	for _, name := range []string{"engineering", "core", "circle"} {
		w.group(name)
	}
	w.role("operator")
	const shop = "model-alice@example.com/shop"
	carol := estate.User{Name: "carol@example.com", Groups: []string{"On Call"}}
	w.relate(
		rel("group-core#member", "member", "group-engineering"),
		rel("group-circle#member", "member", "group-core"),
		rel("group-core#member", "member", "group-circle"), // that there is a circle does no harm
		rel("group-engineering#member", "assignee", "role-operator"),
		rel("role-operator#assignee", "writer", shop),
		rel("idpgroup-On Call#member", "reader", shop),
		rel("user-bob@example.com", "member", "group-core"),
		rel("user-everyone@external", "can_addmodel", "cloud-lab"),
	)
	explain := func(t *testing.T, by estate.User, r estate.Relationship) string {
		t.Helper()
		ex, err := w.ExplainRelation(w.ctx, by, r)
		must(t, err)
		if ex.Incomplete {
			t.Error("it is not complete")
		}
		return told(ex)
	}
	for _, test := range []struct {
		name string
		by   estate.User
		r    estate.Relationship
		want string
	}{{
		"through groups and a role", admin, rel("user-bob@example.com", "reader", shop),
		"true\nuser-bob@example.com member group-core (granted); group-core#member member group-engineering (granted); " +
			"group-engineering#member assignee role-operator (granted); role-operator#assignee writer " + shop + " (granted); " + shop + "#writer reader " + shop + " (implied)",
	}, {
		"a group as such", admin, rel("group-engineering#member", "writer", shop),
		"true\ngroup-engineering#member assignee role-operator (granted); role-operator#assignee writer " + shop + " (granted)",
	}, {
		"from the controller on", admin, rel("user-admin@example.com", "administrator", shop),
		"true\nuser-admin@example.com administrator controller-jimm (granted); controller-jimm#administrator administrator controller-c41 (inherited); " +
			"controller-c41#administrator administrator " + shop + " (inherited)",
	}, {
		"because everyone has it", bob, rel("user-bob@example.com", "can_addmodel", "cloud-lab"),
		"true\nuser-everyone@external can_addmodel cloud-lab (granted)",
	}, {
		"by the groups of one's own login", carol, rel("user-carol@example.com", "reader", shop),
		"true\nuser-carol@example.com member idpgroup-On Call (login); idpgroup-On Call#member reader " + shop + " (granted)",
	}, {
		"what is denied has the nearest grants", alice, rel("user-carol@example.com", "reader", shop),
		"false\nadd user-carol@example.com reader " + shop + " (missing)\n" +
			"add user-carol@example.com member idpgroup-On Call (missing); idpgroup-On Call#member reader " + shop + " (granted)\n" +
			"add user-carol@example.com assignee role-operator (missing); role-operator#assignee writer " + shop + " (granted); " + shop + "#writer reader " + shop + " (implied)\n" +
			"add user-carol@example.com member group-engineering (missing); group-engineering#member assignee role-operator (granted); role-operator#assignee writer " + shop + " (granted); " + shop + "#writer reader " + shop + " (implied)\n" +
			"add user-carol@example.com member group-core (missing); group-core#member member group-engineering (granted); group-engineering#member assignee role-operator (granted); role-operator#assignee writer " + shop + " (granted); " + shop + "#writer reader " + shop + " (implied)\n" +
			"add user-carol@example.com member group-circle (missing); group-circle#member member group-core (granted); group-core#member member group-engineering (granted); group-engineering#member assignee role-operator (granted); role-operator#assignee writer " + shop + " (granted); " + shop + "#writer reader " + shop + " (implied)",
	}, {
		"one who has nothing learns nothing", bob, rel("user-bob@example.com", "administrator", shop),
		"false\nadd user-bob@example.com administrator " + shop + " (missing)",
	}, {
		"nor whether the model is there", bob, rel("user-bob@example.com", "administrator", "model-alice@example.com/none"),
		"false\nadd user-bob@example.com administrator model-alice@example.com/none (missing)",
	}} {
		t.Run(test.name, func(t *testing.T) {
			if got := explain(t, test.by, test.r); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	t.Run("each grant that is named does give it", func(t *testing.T) {
		ex, err := w.ExplainRelation(w.ctx, admin, rel("user-dave@example.com", "reader", shop))
		must(t, err)
		dave := estate.User{Name: "dave@example.com"}
		for _, g := range ex.Grants {
			if strings.HasPrefix(g.Add.Target, "idpgroup-") {
				continue
			}
			w.relate(g.Add)
			if !w.may(dave, "reader", shop) {
				t.Errorf("%v gives nothing", g.Add)
			}
			must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{g.Add}))
		}
		if len(ex.Grants) != 6 || w.may(dave, "reader", shop) {
			t.Errorf("the grants were %v", ex.Grants)
		}
	})
	t.Run("who may not check may not ask why", func(t *testing.T) {
		_, err := w.ExplainRelation(w.ctx, bob, rel("user-alice@example.com", "reader", shop))
		wantCode(t, err, estate.CodeUnauthorized)
		_, err = w.ExplainRelation(w.ctx, bob, rel("user-alice@example.com", "reader", "model-alice@example.com/none"))
		wantCode(t, err, estate.CodeUnauthorized)
		_, err = w.ExplainRelation(w.ctx, admin, rel("user-alice@example.com", "reader", "model-alice@example.com/none"))
		wantCode(t, err, estate.CodeNotFound)
		_, err = w.ExplainRelation(w.ctx, admin, rel("user-alice@example.com", "owner", shop))
		wantCode(t, err, estate.CodeTupleInvalid)
	})
}

func TestAnExplanationIsBounded(t *testing.T) {
	w := newWorld(t)
	w.controller("c41", sim.Juju41, "lab")
	// Many users in a group, and forty groups one in the other.
	g := w.group("everybody")
	var add []estate.Tuple
	for i := range 500 {
		u := estate.User{Name: fmt.Sprintf("user%d@example.com", i)}
		add = append(add, estate.Tuple{Subject: u.Subject(), Relation: estate.Member, Object: g.Object()})
	}
	must(t, w.Permissions.Write(w.ctx, add, nil))
	w.relate(rel("group-everybody#member", "can_addmodel", "cloud-lab"))
	must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-everyone@external", "can_addmodel", "cloud-lab")}))
	ex, err := w.ExplainRelation(w.ctx, admin, rel("user-user7@example.com", "can_addmodel", "cloud-lab"))
	must(t, err)
	if !ex.Allowed || len(ex.Paths) != 1 || len(ex.Paths[0]) != 2 {
		t.Errorf("got %s", told(ex))
	}
	before := "cloud-lab"
	relation := "administrator"
	for i := range 40 {
		name := fmt.Sprintf("level-%02d", i)
		w.group(name)
		w.relate(rel("group-"+name+"#member", relation, before))
		before, relation = "group-"+name, "member"
	}
	ex, err = w.ExplainRelation(w.ctx, admin, rel("user-nobody@example.com", "administrator", "cloud-lab"))
	must(t, err)
	if ex.Allowed || !ex.Incomplete || len(ex.Grants) != 10 || !slices.IsSortedFunc(ex.Grants, func(a, b estate.PossibleGrant) int { return len(a.Path) - len(b.Path) }) {
		t.Errorf("got %s", told(ex))
	}
}
