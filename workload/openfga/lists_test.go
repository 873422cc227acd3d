package openfga_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
)

// manyModels are 1,600 models of the controller blue, of which 200 are also
// given to alice and 1,400 to a group of hers; and the offer of each model.
func manyModels() (ids []string, all []estate.Tuple) {
	all = tuples(
		"controller:jimm controller controller:blue",
		"user:root@x administrator controller:jimm",
		"user:blue@x administrator controller:blue",
		"user:alice@x member group:eng",
	)
	for i := range 1600 {
		id := fmt.Sprintf("m%04d", i)
		ids = append(ids, id)
		holder := "group:eng#member"
		if i < 200 {
			holder = "user:alice@x"
		}
		all = append(all, tuples(
			"controller:blue controller model:"+id,
			holder+" administrator model:"+id,
			"model:"+id+" model applicationoffer:o-"+id,
		)...)
	}
	return ids, all
}

func TestListObjectsNeverLeavesAnObjectOut(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		models, all := manyModels()
		write(t, p, all, nil)
		var offers []string
		for _, id := range models {
			offers = append(offers, "o-"+id)
		}
		for _, test := range []struct {
			name     string
			user     string
			relation estate.Relation
			kind     estate.Kind
			want     []string
		}{
			{"models of an administrator of JIMM", "root@x", estate.Reader, estate.KindModel, models},
			{"models of an administrator of their controller", "blue@x", estate.Administrator, estate.KindModel, models},
			{"models given directly and to a group", "alice@x", estate.Writer, estate.KindModel, models},
			{"offers by way of their models", "alice@x", estate.Consumer, estate.KindOffer, offers},
			{"models of somebody else", "bob@x", estate.Reader, estate.KindModel, nil},
		} {
			t.Run(test.name, func(t *testing.T) {
				got, err := p.ListObjects(t.Context(), estate.User{Name: test.user}, test.relation, test.kind)
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(got)
				if !slices.Equal(got, test.want) {
					t.Fatalf("got %d objects, want %d; the first: %q", len(got), len(test.want), got[:min(3, len(got))])
				}
			})
		}
	})
}

func TestTwentyFiveThousandModelsAreAllListed(t *testing.T) {
	const n = 25_000
	var all []estate.Tuple
	for i := range n {
		all = append(all, tuple(fmt.Sprintf("user:alice@x administrator model:m%d", i)))
	}
	all = append(all, tuples("user:bob@x reader model:m1")...)
	dsn := cluster.ForTest(t).NewDatabase(t)
	unlimited := start(t, embedded.Config{DSN: dsn}).Permissions
	write(t, unlimited, all, nil)
	limited := func(limit int) *openfga.Permissions {
		server := start(t, embedded.Config{DSN: dsn, ListLimit: limit, ListDeadline: openfga.DefaultListDeadline})
		return connect(t, openfga.Config{URL: serve(t, server), Token: key, StoreName: "jimm"})
	}
	for name, p := range map[string]*openfga.Permissions{
		"from a server without limits":          unlimited,
		"from a server with the default limits": limited(openfga.DefaultListLimit),
		// Its limit is lower than ours, and yet nothing is left out.
		"from a server with other limits than it is said to have": limited(500),
	} {
		t.Run(name, func(t *testing.T) {
			for user, want := range map[string]int{"alice@x": n, "bob@x": 1} {
				got, err := p.ListObjects(t.Context(), estate.User{Name: user}, estate.Reader, estate.KindModel)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != want {
					t.Errorf("%s sees %d models, not %d", user, len(got), want)
				}
			}
		})
	}
}

func TestListUsersNeverLeavesAUserOut(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		all := tuples("user:* reader model:m", "group:eng#member reader model:m", "idpgroup:staff#member reader model:m")
		want := []string{estate.EveryoneID}
		for i := range 1100 {
			name := fmt.Sprintf("user%04d@x", i)
			want = append(want, name)
			if i%2 == 0 {
				all = append(all, tuple("user:"+name+" member group:eng"))
			} else {
				all = append(all, tuple("user:"+name+" writer model:m"))
			}
		}
		write(t, p, all, nil)
		got, err := p.ListUsers(t.Context(), estate.Reader, object("model:m"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("got %d users, want %d; the first: %q", len(got), len(want), got[:min(3, len(got))])
		}
	})
}

func TestListUsersNamesEveryoneAndEachUserOnce(t *testing.T) {
	forEachAdapter(t, func(t *testing.T, p estate.Permissions) {
		write(t, p, tuples(
			"controller:blue controller model:m",
			"user:root@x administrator controller:blue",
			"user:* reader model:m",
			"user:alice@x reader model:m",
			"user:alice@x administrator model:m",
			"user:alice@x member group:eng",
			"group:eng#member writer model:m",
		), nil)
		for relation, want := range map[estate.Relation][]string{
			estate.Reader:        {"*", "alice@x", "root@x"},
			estate.Writer:        {"alice@x", "root@x"},
			estate.Administrator: {"alice@x", "root@x"},
		} {
			got, err := p.ListUsers(t.Context(), relation, object("model:m"))
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			wantEqual(t, string(relation), got, want)
		}
	})
}

func TestAListThatTheServerCutsMidwayIsCompleted(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	models, all := manyModels()
	write(t, start(t, embedded.Config{DSN: dsn}), all, nil)
	for _, deadline := range []time.Duration{time.Millisecond, 4 * time.Millisecond, 10 * time.Millisecond} {
		p := start(t, embedded.Config{DSN: dsn, ListDeadline: deadline})
		for _, name := range []string{"root@x", "alice@x"} {
			got, err := p.ListObjects(t.Context(), estate.User{Name: name}, estate.Reader, estate.KindModel)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if !slices.Equal(got, models) {
				t.Errorf("%s after %s: got %d models, want %d", name, deadline, len(got), len(models))
			}
		}
	}
}

// cutStreams is a server whose streams break off after some lines.
func cutStreams(api http.Handler, lines int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/streamed-list-objects") {
			api.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		api.ServeHTTP(whole, r)
		for _, line := range strings.SplitAfter(whole.Body.String(), "\n")[:lines] {
			fmt.Fprint(w, line)
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
}

func TestAListThatBreaksOffIsAnErrorAndNotAShortList(t *testing.T) {
	server := start(t, embedded.Config{DSN: cluster.ForTest(t).NewDatabase(t), StoreName: "broken"})
	write(t, server, tuples("user:alice@x reader model:a", "user:alice@x reader model:b", "user:alice@x reader model:c"), nil)
	cutting := httptest.NewServer(cutStreams(server.Handler(), 2))
	defer cutting.Close()

	// A list that may have met the deadline is completed instead; a busy machine
	// must not make this one seem so.
	p := connect(t, openfga.Config{URL: cutting.URL, StoreName: "broken", ObjectsLimit: 1, ListDeadline: time.Hour})
	if got, err := p.ListObjects(t.Context(), estate.User{Name: "alice@x"}, estate.Reader, estate.KindModel); err == nil {
		t.Fatalf("got %q and no error", got)
	}
}
