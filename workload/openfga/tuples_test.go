package openfga_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"jimm/workload/estate"
)

func TestWritingAgainWhatIsThereIsNoError(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		a, b, c := tuple("user:a@x reader model:m"), tuple("user:b@x reader model:m"), tuple("user:c@x reader model:m")
		for _, step := range []struct {
			name        string
			add, remove []estate.Tuple
			want        []string
		}{
			{"nothing", nil, nil, nil},
			{"add", []estate.Tuple{a}, nil, []string{a.String()}},
			{"add again, with another", []estate.Tuple{a, b}, nil, []string{a.String(), b.String()}},
			{"add one twice in a write", []estate.Tuple{c, c}, nil, []string{a.String(), b.String(), c.String()}},
			{"remove", nil, []estate.Tuple{a}, []string{b.String(), c.String()}},
			{"remove again, with another, and twice", nil, []estate.Tuple{a, b, b}, []string{c.String()}},
			{"add and remove", []estate.Tuple{a, c}, []estate.Tuple{b, tuple("user:d@x reader model:m")}, []string{a.String(), c.String()}},
		} {
			write(t, p, step.add, step.remove)
			wantEqual(t, step.name, readAll(t, p, estate.TupleFilter{}, 100), step.want)
		}
	})
}

func TestARefusedWriteChangesNothing(t *testing.T) {
	good := tuple("user:a@x reader model:m")
	for _, bad := range []struct {
		name        string
		add, remove []estate.Tuple
	}{
		{"a group without #member has a model", tuples("group:eng reader model:m"), nil},
		{"a role is a member of a group", tuples("role:ops#assignee member group:eng"), nil},
		{"a model has no consumers", tuples("user:a@x consumer model:m"), nil},
		{"an offer belongs to a controller", tuples("controller:c controller applicationoffer:o"), nil},
		{"a user belongs to an idpgroup", tuples("user:a@x member idpgroup:staff"), nil},
		{"there are no serviceaccounts", tuples("user:a@x administrator serviceaccount:s"), nil},
		{"groups have no assignees", tuples("group:eng#assignee reader model:m"), nil},
		{"an idpgroup has no administrator", nil, tuples("idpgroup:staff#administrator reader model:m")},
		{"one is added and removed", nil, []estate.Tuple{good}},
	} {
		t.Run(bad.name, func(t *testing.T) {
			forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
				err := p.Write(t.Context(), append([]estate.Tuple{good}, bad.add...), bad.remove)
				wantBadRequest(t, "Write", err)
				wantEqual(t, "stored", readAll(t, p, estate.TupleFilter{}, 100), nil)
			})
		})
	}
}

func TestAWriteIsSeenAsAWholeOrNotAtAll(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		var even, odd []estate.Tuple
		for i := range 50 {
			even = append(even, tuple(fmt.Sprintf("user:even%d@x reader model:m", i)))
			odd = append(odd, tuple(fmt.Sprintf("user:odd%d@x reader model:m", i)))
		}
		write(t, p, even, nil)
		done := make(chan error, 1)
		go func() {
			for range 10 {
				if err := p.Write(t.Context(), odd, even); err != nil {
					done <- err
					return
				}
				if err := p.Write(t.Context(), even, odd); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for reads := 0; ; reads++ {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d reads", reads)
				return
			default:
			}
			page, _, err := p.Read(t.Context(), estate.TupleFilter{Object: object("model:m")}, 100, "")
			if err != nil {
				t.Fatal(err)
			}
			isOdd := len(page) > 0 && slices.Contains(odd, page[0])
			for _, got := range page {
				if slices.Contains(odd, got) != isOdd {
					t.Fatalf("found %s beside %s", got, page[0])
				}
			}
			if len(page) != 50 {
				t.Fatalf("found %d tuples of a write of 50", len(page))
			}
		}
	})
}

func TestManyMayWriteTheSameAtOnce(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		same := tuples("user:a@x reader model:m", "user:b@x writer model:m", "model:m model applicationoffer:o")
		for round := range 4 {
			var writers sync.WaitGroup
			for range 8 {
				writers.Go(func() {
					var err error
					if round%2 == 0 {
						err = p.Write(t.Context(), same, nil)
					} else {
						err = p.Write(t.Context(), nil, same)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			writers.Wait()
			want := 3 * (1 - round%2)
			if got := readAll(t, p, estate.TupleFilter{}, 100); len(got) != want {
				t.Fatalf("round %d: found %q, want %d tuples", round, got, want)
			}
		}
	})
}

func TestWhatWasTakenAwayIsGoneWithTheNextQuestion(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		u := estate.User{Name: "alice@x"}
		grant := tuples("user:alice@x administrator controller:blue")
		write(t, p, tuples("controller:blue controller model:m"), nil)
		for range 10 {
			for _, want := range []bool{true, false} {
				if want {
					write(t, p, grant, nil)
				} else {
					write(t, p, nil, grant)
				}
				got, err := p.Check(t.Context(), u, estate.Reader, object("model:m"))
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Fatalf("right after the write: got %v, want %v", got, want)
				}
			}
		}
	})
}

func TestReadFindsWhatTheFilterSays(t *testing.T) {
	stored := []string{
		"controller:blue controller model:m1",
		"group:eng#member reader model:m1",
		"group:eng#member reader model:m2",
		"group:eng#member writer model:m1",
		"idpgroup:staff#member assignee role:ops",
		"user:* reader model:m1",
		"user:alice@x member group:eng",
		"user:alice@x reader model:m1",
		"user:alice@x reader model:m2",
		"user:bob@x reader model:m1",
	}
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		write(t, p, tuples(stored...), nil)
		for _, test := range []struct {
			name   string
			filter estate.TupleFilter
			want   []int // of stored
		}{
			{"nothing said", estate.TupleFilter{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
			{"an object", estate.TupleFilter{Object: object("model:m1")}, []int{0, 1, 3, 5, 7, 9}},
			{"an object and a relation", estate.TupleFilter{Object: object("model:m1"), Relation: estate.Reader}, []int{1, 5, 7, 9}},
			{"an object and a subject", estate.TupleFilter{Object: object("model:m1"), Subject: subject("group:eng#member")}, []int{1, 3}},
			{"a whole tuple", estate.TupleFilter{Object: object("model:m2"), Relation: estate.Reader, Subject: subject("user:alice@x")}, []int{8}},
			{"everyone", estate.TupleFilter{Object: object("model:m1"), Subject: subject("user:*")}, []int{5}},
			{"a subject and a kind of object", estate.TupleFilter{Subject: subject("user:alice@x"), Object: object("model:")}, []int{7, 8}},
			{"a subject, a relation and a kind of object", estate.TupleFilter{Subject: subject("group:eng#member"), Relation: estate.Writer, Object: object("model:")}, []int{3}},
			{"a group itself is not its members", estate.TupleFilter{Subject: subject("group:eng"), Object: object("model:")}, nil},
			{"a kind of object", estate.TupleFilter{Object: object("role:")}, []int{4}},
			{"a kind of object and a relation", estate.TupleFilter{Object: object("model:"), Relation: estate.Writer}, []int{3}},
			{"a relation", estate.TupleFilter{Relation: estate.Member}, []int{6}},
			{"a subject", estate.TupleFilter{Subject: subject("user:alice@x")}, []int{6, 7, 8}},
			{"a kind of subject", estate.TupleFilter{Subject: subject("group:")}, []int{1, 2, 3}},
			{"what is not there", estate.TupleFilter{Object: object("model:m3")}, nil},
		} {
			var want []string
			for _, i := range test.want {
				want = append(want, stored[i])
			}
			for _, pageSize := range []int{1, 3, 100} {
				wantEqual(t, fmt.Sprintf("%s, in pages of %d", test.name, pageSize), readAll(t, p, test.filter, pageSize), want)
			}
		}
	})
}

func TestWritesOfMoreThanATransactionAreReadPageByPage(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		var all []estate.Tuple
		var want []string
		for i := range 250 {
			all = append(all, tuple(fmt.Sprintf("user:u%03d@x reader model:m", i)))
			want = append(want, all[i].String())
		}
		write(t, p, all, nil)
		wantEqual(t, "stored", readAll(t, p, estate.TupleFilter{Object: object("model:m")}, 40), want)

		page, next, err := p.Read(t.Context(), estate.TupleFilter{}, 0, "")
		if err != nil || len(page) != 100 || next == "" {
			t.Fatalf("got a page of %d and continuation %q, %v; want 100 and one", len(page), next, err)
		}
		_, _, err = p.Read(t.Context(), estate.TupleFilter{}, 10, "no such continuation \x00")
		wantBadRequest(t, "an invented continuation", err)

		write(t, p, nil, all)
		wantEqual(t, "left", readAll(t, p, estate.TupleFilter{}, 100), nil)
	})
}
