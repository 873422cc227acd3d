package estate_test

import (
	"fmt"
	"slices"
	"testing"

	"jimm/workload/estate"
)

func TestUsersOfAModelAreListedWithWhatTheyHaveThroughGroupsAndRoles(t *testing.T) {
	w := twoGenerations(t)
	m := w.create(alice, "shop", "c41")
	shop := "model-" + m.UUID
	w.group("engineering")
	w.group("core")
	w.role("operator")
	w.relate(
		rel("user-bob@example.com", "reader", shop),
		rel("user-bob@example.com", "member", "group-core"),
		rel("user-carol@example.com", "member", "group-engineering"),
		rel("user-dave@example.com", "assignee", "role-operator"),
		rel("group-core#member", "member", "group-engineering"),
		rel("group-engineering#member", "writer", shop),
		rel("role-operator#assignee", "reader", shop),
		rel("idpgroup-staff#member", "writer", shop),
		rel("user-everyone@external", "reader", shop),
		rel("user-erin@example.com", "administrator", "controller-c41"),
	)
	listed := func(u estate.User) []string {
		t.Helper()
		info, err := w.ModelInfo(w.ctx, u, m.UUID)
		must(t, err)
		var list []string
		for _, user := range info.Users {
			list = append(list, fmt.Sprint(user.UserName, " ", user.Access))
		}
		return list
	}
	want := []string{
		"admin@example.com admin", "alice@example.com admin", "bob@example.com write", "carol@example.com write",
		"dave@example.com read", "erin@example.com admin", "everyone@external read",
	}
	if got := listed(alice); !slices.Equal(got, want) {
		t.Errorf("alice sees\n%q, want\n%q", got, want)
	}
	if got := listed(bob); !slices.Equal(got, []string{"bob@example.com write"}) {
		t.Errorf("bob sees %q", got)
	}
	// Each is what a check says.
	for _, line := range want[:len(want)-1] {
		var name, access string
		fmt.Sscan(line, &name, &access)
		relation := map[string]string{"admin": "administrator", "write": "writer", "read": "reader"}[access]
		if !w.may(estate.User{Name: name}, relation, shop) {
			t.Errorf("%s is listed with %s", name, access)
		}
	}

	t.Run("a large group is not listed in full", func(t *testing.T) {
		g := w.group("everybody")
		var add []estate.Tuple
		for i := range 1000 {
			add = append(add, estate.Tuple{Subject: estate.User{Name: fmt.Sprintf("user%d@example.com", i)}.Subject(), Relation: estate.Member, Object: g.Object()})
		}
		must(t, w.Permissions.Write(w.ctx, add, nil))
		w.relate(rel("group-everybody#member", "reader", shop))
		got := listed(alice)
		if len(got) > 250 {
			t.Errorf("%d are listed", len(got))
		}
		for _, line := range []string{"alice@example.com admin", "bob@example.com write", "everyone@external read"} {
			if !slices.Contains(got, line) {
				t.Errorf("%q is not listed", line)
			}
		}
		// A member that is not listed has it all the same, and is told.
		if got := listed(estate.User{Name: "user999@example.com"}); !slices.Equal(got, []string{"user999@example.com read"}) {
			t.Errorf("one of them sees %q", got)
		}
	})
	t.Run("one of the identity provider's groups sees the model", func(t *testing.T) {
		frank := estate.User{Name: "frank@example.com", Groups: []string{"staff"}}
		if got := listed(frank); !slices.Equal(got, []string{"frank@example.com write"}) {
			t.Errorf("frank sees %q", got)
		}
		models, err := w.ListModels(w.ctx, frank)
		must(t, err)
		if len(models) != 1 || models[0].UUID != m.UUID {
			t.Errorf("frank lists %v", models)
		}
	})
}
