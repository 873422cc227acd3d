package openfga_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jimm/workload/estate"
)

// hostile are ids that OpenFGA cannot hold, or would read as something else.
// Each would match "m" or "alice@x" if its odd part were cut off.
func hostile(id string) []string {
	return []string{
		"", "*", " ", id + " ", " " + id, id + "\n", id + "\x00", "\x1b[2J" + id, id + "\t", id + "\u2028", id + "\u00a0",
		id + "\xff", id + ":" + id, "model:" + id, id + "#reader", "#" + id, id + "#", id + "*", "*" + id,
		strings.Repeat(id, 10_000/len(id)), id + strings.Repeat("é", 200),
	}
}

func TestIdsThatAreNoneAreRefusedAndMatchNothing(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		stored := tuples(
			"user:* administrator model:m", "user:alice@x administrator model:m",
			"user:* administrator controller:m", "controller:m controller model:m",
		)
		write(t, p, stored, nil)
		before := readAll(t, p, estate.TupleFilter{}, 100)
		alice := estate.User{Name: "alice@x"}
		ctx := t.Context()

		for _, id := range hostile("m") {
			o := estate.Object{Kind: estate.KindModel, ID: id}
			what := fmt.Sprintf("model %.20q", id)
			_, err := p.Check(ctx, alice, estate.Reader, o)
			wantBadRequest(t, "Check of "+what, err)
			_, err = p.CheckSubject(ctx, alice.Subject(), estate.Reader, o)
			wantBadRequest(t, "CheckSubject of "+what, err)
			_, err = p.CheckEach(ctx, alice, []estate.Question{{Relation: estate.Reader, Object: object("model:m")}, {Relation: estate.Reader, Object: o}})
			wantBadRequest(t, "CheckEach of "+what, err)
			_, err = p.ListUsers(ctx, estate.Reader, o)
			wantBadRequest(t, "ListUsers of "+what, err)
			add := estate.Tuple{Subject: alice.Subject(), Relation: estate.Reader, Object: o}
			wantBadRequest(t, "Write to "+what, p.Write(ctx, []estate.Tuple{add}, nil))
			wantBadRequest(t, "Write without "+what, p.Write(ctx, nil, []estate.Tuple{add}))
			if id != "" { // which asks for any
				_, _, err = p.Read(ctx, estate.TupleFilter{Object: o}, 10, "")
				wantBadRequest(t, "Read of "+what, err)
			}
		}
		for _, id := range hostile("alice@x") {
			u := estate.User{Name: id}
			what := fmt.Sprintf("user %.20q", id)
			_, err := p.Check(ctx, u, estate.Reader, object("model:m"))
			wantBadRequest(t, "Check for "+what, err)
			_, err = p.CheckEach(ctx, u, []estate.Question{{Relation: estate.Reader, Object: object("model:m")}})
			wantBadRequest(t, "CheckEach for "+what, err)
			_, err = p.ListObjects(ctx, u, estate.Reader, estate.KindModel)
			wantBadRequest(t, "ListObjects for "+what, err)
			if id == estate.EveryoneID { // who is a subject, but nobody who asks
				continue
			}
			_, err = p.CheckSubject(ctx, u.Subject(), estate.Reader, object("model:m"))
			wantBadRequest(t, "CheckSubject for "+what, err)
			add := estate.Tuple{Subject: u.Subject(), Relation: estate.Reader, Object: object("model:m")}
			wantBadRequest(t, "Write for "+what, p.Write(ctx, []estate.Tuple{add}, nil))
			wantBadRequest(t, "Write without "+what, p.Write(ctx, nil, []estate.Tuple{add}))
			if id != "" {
				_, _, err = p.Read(ctx, estate.TupleFilter{Subject: u.Subject(), Object: object("model:m")}, 10, "")
				wantBadRequest(t, "Read for "+what, err)
			}
		}
		for _, relation := range []estate.Relation{"", "reader ", "READER", "reader#x", "member", "consumer", "\x00", estate.Relation(strings.Repeat("r", 10_000))} {
			what := fmt.Sprintf("relation %.20q", relation)
			_, err := p.Check(ctx, alice, relation, object("model:m"))
			wantBadRequest(t, "Check of "+what, err)
			_, err = p.ListObjects(ctx, alice, relation, estate.KindModel)
			wantBadRequest(t, "ListObjects of "+what, err)
			_, err = p.ListUsers(ctx, relation, object("model:m"))
			wantBadRequest(t, "ListUsers of "+what, err)
			wantBadRequest(t, "Write of "+what, p.Write(ctx, []estate.Tuple{{Subject: alice.Subject(), Relation: relation, Object: object("model:m")}}, nil))
		}
		for _, kind := range []estate.Kind{"", "models", "model:m#", "user:*", "MODEL"} {
			_, err := p.Check(ctx, alice, estate.Reader, estate.Object{Kind: kind, ID: "m"})
			wantBadRequest(t, fmt.Sprintf("Check of kind %q", kind), err)
			_, err = p.ListObjects(ctx, alice, estate.Reader, kind)
			wantBadRequest(t, fmt.Sprintf("ListObjects of kind %q", kind), err)
		}
		wantEqual(t, "stored", readAll(t, p, estate.TupleFilter{}, 100), before)
	})
}

func TestAnErrorTextDoesNotRepeatALongOrUnprintableId(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		_, err := p.Check(t.Context(), estate.User{Name: "alice@x"}, estate.Reader, estate.Object{Kind: estate.KindModel, ID: "\x1b[2J" + strings.Repeat("m", 10_000)})
		wantBadRequest(t, "Check", err)
		if text := err.Error(); len(text) > 500 || strings.ContainsRune(text, '\x1b') {
			t.Errorf("got %q", text)
		}
	})
}

func TestGroupsOfTheIdentityProviderMayBeCalledAnything(t *testing.T) {
	names := []string{
		"IT Support", "cn=eng,ou=people", "/keycloak/eng", "a:b", "a#member", "*", "100%", "%41", "Größe", "🦊", " ",
		"8f14e45f-ceea-467f-a8c2-1c6f0c1d2b3a", strings.Repeat("g", 247),
	}
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		for i, name := range names {
			model := object(fmt.Sprintf("model:m%d", i))
			grant := estate.Tuple{
				Subject:  estate.Subject{Object: estate.Object{Kind: estate.KindIdPGroup, ID: name}, Relation: estate.Member},
				Relation: estate.Reader, Object: model,
			}
			write(t, p, []estate.Tuple{grant}, nil)
			page, _, err := p.Read(t.Context(), estate.TupleFilter{Object: model}, 10, "")
			if err != nil || !slices.Equal(page, []estate.Tuple{grant}) {
				t.Errorf("%q: stored %v, %v", name, page, err)
			}
			for j, other := range names {
				got, err := p.Check(t.Context(), estate.User{Name: "alice@x", Groups: []string{other}}, estate.Reader, model)
				if err != nil || got != (i == j) {
					t.Errorf("%q: got %v, %v for a member of %q", name, got, err, other)
				}
			}
		}
	})
}

func TestAGroupThatOpenFGACannotNameTakesNothingAway(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		write(t, p, tuples("idpgroup:staff#member reader model:m"), nil)
		u := estate.User{Name: "alice@x", Groups: []string{"", "\x00", "a\xff", strings.Repeat("g", 10_000), "staff"}}
		if got, err := p.Check(t.Context(), u, estate.Reader, object("model:m")); err != nil || !got {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestAUserMayBringMoreGroupsAlongThanARequestTakes(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		u := estate.User{Name: "alice@x"}
		for i := range 120 {
			u.Groups = append(u.Groups, fmt.Sprintf("%0200d", i))
		}
		var grants []estate.Tuple
		var questions []estate.Question
		var want []bool
		for i := range 60 {
			m := object(fmt.Sprintf("model:m%d", i))
			questions = append(questions, estate.Question{Relation: estate.Reader, Object: m})
			want = append(want, i%3 != 0)
			if i%3 != 0 {
				group := estate.Object{Kind: estate.KindIdPGroup, ID: u.Groups[2*i]}
				grants = append(grants, estate.Tuple{Subject: estate.Subject{Object: group, Relation: estate.Member}, Relation: estate.Reader, Object: m})
			}
		}
		write(t, p, grants, nil)
		got, err := p.CheckEach(t.Context(), u, questions)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("CheckEach:\n got %v\nwant %v", got, want)
		}
		for _, i := range []int{0, 1, 59} {
			if got, err := p.Check(t.Context(), u, estate.Reader, questions[i].Object); err != nil || got != want[i] {
				t.Errorf("Check %d: got %v, %v", i, got, err)
			}
		}
		ids, err := p.ListObjects(t.Context(), u, estate.Reader, estate.KindModel)
		if err != nil || len(ids) != len(grants) {
			t.Errorf("ListObjects: got %d models, %v; want %d", len(ids), err, len(grants))
		}
	})
}

func TestAnySubjectCanBeAskedAbout(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		write(t, p, tuples(
			"user:alice@x writer model:m", "group:eng#member reader model:m", "group:dev#member member group:eng",
			"idpgroup:staff#member assignee role:ops", "role:ops#assignee administrator model:m", "user:* reader model:open",
		), nil)
		for text, want := range map[string]bool{
			"user:alice@x reader model:m":                  true,
			"user:bob@x reader model:m":                    false,
			"user:bob@x reader model:open":                 true,
			"user:* reader model:open":                     true,
			"user:* reader model:m":                        false,
			"group:eng#member reader model:m":              true,
			"group:dev#member reader model:m":              true,
			"group:ops#member reader model:m":              false,
			"role:ops#assignee writer model:m":             true,
			"idpgroup:staff#member administrator model:m":  true,
			"idpgroup:others#member administrator model:m": false,
		} {
			q := tuple(text)
			if got, err := p.CheckSubject(t.Context(), q.Subject, q.Relation, q.Object); err != nil || got != want {
				t.Errorf("%s: got %v, %v", text, got, err)
			}
		}
		if got, err := p.CheckEach(t.Context(), estate.User{Name: "alice@x"}, nil); err != nil || len(got) != 0 {
			t.Errorf("no questions: got %v, %v", got, err)
		}
	})
}
