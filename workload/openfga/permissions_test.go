package openfga_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

const key = "a preshared key"

// adapters are the ways to an OpenFGA server that the same suite goes.
var adapters = []struct {
	name string
	// open returns permissions in an empty store.
	open func(t testing.TB, dsn string) estate.Permissions
}{{
	name: "in process",
	open: func(t testing.TB, dsn string) estate.Permissions {
		return start(t, embedded.Config{DSN: dsn, StoreName: storeName()})
	},
}, {
	name: "over HTTP",
	open: func(t testing.TB, dsn string) estate.Permissions {
		server := start(t, embedded.Config{DSN: dsn, ListLimit: openfga.DefaultListLimit, ListDeadline: openfga.DefaultListDeadline})
		return connect(t, openfga.Config{URL: serve(t, server), Token: key, StoreName: storeName()})
	},
}, {
	name: "over HTTP from a server that cuts every list",
	open: func(t testing.TB, _ string) estate.Permissions {
		server := start(t, embedded.Config{ListLimit: 1, ListDeadline: time.Microsecond})
		return connect(t, openfga.Config{URL: serve(t, server), Token: key, StoreName: storeName(), ListLimit: 1, ListDeadline: time.Microsecond})
	},
}}

var stores atomic.Int64

func storeName() string { return fmt.Sprintf("store-%d", stores.Add(1)) }

func start(t testing.TB, config embedded.Config) *embedded.Server {
	t.Helper()
	server, err := embedded.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// serve puts a server's HTTP API on a socket, behind a preshared key as
// OpenFGA's own binary does it, and returns its URL.
func serve(t testing.TB, server *embedded.Server) string {
	t.Helper()
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code":"unauthenticated","message":"unauthenticated"}`)
			return
		}
		server.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(listening.Close)
	return listening.URL
}

func connect(t testing.TB, config openfga.Config) *openfga.Permissions {
	t.Helper()
	p, err := openfga.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// forEachAdapter runs a test against an empty store of every adapter.
func forEachAdapter(t *testing.T, test func(t *testing.T, p estate.Permissions)) {
	for _, adapter := range adapters {
		t.Run(adapter.name, func(t *testing.T) {
			test(t, adapter.open(t, cluster.ForTest(t).NewDatabase(t)))
		})
	}
}

// object reads "model:m1".
func object(text string) estate.Object {
	kind, id, _ := strings.Cut(text, ":")
	return estate.Object{Kind: estate.Kind(kind), ID: id}
}

// subject reads "user:alice@x" and "group:eng#member".
func subject(text string) estate.Subject {
	o, relation, _ := strings.Cut(text, "#")
	return estate.Subject{Object: object(o), Relation: estate.Relation(relation)}
}

// tuple reads "user:alice@x reader model:m1".
func tuple(text string) estate.Tuple {
	parts := strings.Fields(text)
	return estate.Tuple{Subject: subject(parts[0]), Relation: estate.Relation(parts[1]), Object: object(parts[2])}
}

func tuples(texts ...string) []estate.Tuple {
	var all []estate.Tuple
	for _, text := range texts {
		all = append(all, tuple(text))
	}
	return all
}

func write(t testing.TB, p estate.Permissions, add, remove []estate.Tuple) {
	t.Helper()
	if err := p.Write(t.Context(), add, remove); err != nil {
		t.Fatal(err)
	}
}

// readAll returns all stored tuples that match, sorted, and fails on pages that
// are longer than asked for.
func readAll(t testing.TB, p estate.Permissions, filter estate.TupleFilter, pageSize int) []string {
	t.Helper()
	var all []string
	for continuation := ""; ; {
		page, next, err := p.Read(t.Context(), filter, pageSize, continuation)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > pageSize {
			t.Fatalf("got a page of %d tuples, asked for %d", len(page), pageSize)
		}
		for _, tuple := range page {
			all = append(all, tuple.String())
		}
		if next == "" {
			slices.Sort(all)
			return all
		}
		continuation = next
	}
}

func wantEqual(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func wantBadRequest(t testing.TB, what string, err error) {
	t.Helper()
	if !estate.Is(err, estate.CodeBadRequest) {
		t.Errorf("%s: got error %v, want code %q", what, err, estate.CodeBadRequest)
	}
}

// estateTuples is a small estate: JIMM (controller:jimm) has the controllers
// blue and red, each with a cloud and a model, and each model an offer.
var estateTuples = tuples(
	"controller:jimm controller controller:blue",
	"controller:jimm controller controller:red",
	"controller:blue controller cloud:azure",
	"controller:red controller cloud:aws",
	"controller:blue controller model:m-blue",
	"controller:red controller model:m-red",
	"model:m-blue model applicationoffer:o-blue",
	"model:m-red model applicationoffer:o-red",
)

// everything are all questions that can be asked of the small estate.
var everything = []string{
	"administrator controller:jimm", "audit_log_viewer controller:jimm", "can_addmodel controller:jimm",
	"administrator controller:blue", "audit_log_viewer controller:blue", "can_addmodel controller:blue",
	"administrator controller:red", "audit_log_viewer controller:red", "can_addmodel controller:red",
	"administrator cloud:azure", "can_addmodel cloud:azure",
	"administrator cloud:aws", "can_addmodel cloud:aws",
	"administrator model:m-blue", "writer model:m-blue", "reader model:m-blue",
	"administrator model:m-red", "writer model:m-red", "reader model:m-red",
	"administrator applicationoffer:o-blue", "consumer applicationoffer:o-blue", "reader applicationoffer:o-blue",
	"administrator applicationoffer:o-red", "consumer applicationoffer:o-red", "reader applicationoffer:o-red",
}

// blue is what of everything belongs to the controller blue.
var blue = []string{
	"administrator controller:blue", "audit_log_viewer controller:blue", "can_addmodel controller:blue",
	"administrator cloud:azure", "can_addmodel cloud:azure",
	"administrator model:m-blue", "writer model:m-blue", "reader model:m-blue",
	"administrator applicationoffer:o-blue", "consumer applicationoffer:o-blue", "reader applicationoffer:o-blue",
}

var derivations = []struct {
	name   string
	tuples []string // beside those of the estate
	groups []string // that alice brings along
	want   []string // what alice has, of everything
}{{
	name: "nobody has anything by themselves",
}, {
	name:   "an administrator of JIMM has everything",
	tuples: []string{"user:alice@x administrator controller:jimm"},
	want:   everything,
}, {
	name:   "an administrator of a controller has all of it and nothing of the others",
	tuples: []string{"user:alice@x administrator controller:blue"},
	want:   blue,
}, {
	name:   "who may see the audit log of JIMM may do nothing else",
	tuples: []string{"user:alice@x audit_log_viewer controller:jimm"},
	want:   []string{"audit_log_viewer controller:jimm"},
}, {
	name:   "who may add models to a controller may not to its cloud",
	tuples: []string{"user:alice@x can_addmodel controller:blue"},
	want:   []string{"can_addmodel controller:blue"},
}, {
	name:   "an administrator of a cloud may add models and has none of them",
	tuples: []string{"user:alice@x administrator cloud:azure"},
	want:   []string{"administrator cloud:azure", "can_addmodel cloud:azure"},
}, {
	name:   "who may add models to a cloud is not its administrator",
	tuples: []string{"user:alice@x can_addmodel cloud:azure"},
	want:   []string{"can_addmodel cloud:azure"},
}, {
	name:   "an administrator of a model is one of its offers",
	tuples: []string{"user:alice@x administrator model:m-blue"},
	want: []string{
		"administrator model:m-blue", "writer model:m-blue", "reader model:m-blue",
		"administrator applicationoffer:o-blue", "consumer applicationoffer:o-blue", "reader applicationoffer:o-blue",
	},
}, {
	name:   "a writer of a model reads it and has nothing of its offers",
	tuples: []string{"user:alice@x writer model:m-blue"},
	want:   []string{"writer model:m-blue", "reader model:m-blue"},
}, {
	name:   "a reader of a model only reads",
	tuples: []string{"user:alice@x reader model:m-blue"},
	want:   []string{"reader model:m-blue"},
}, {
	name:   "an administrator of an offer has nothing of its model",
	tuples: []string{"user:alice@x administrator applicationoffer:o-blue"},
	want:   []string{"administrator applicationoffer:o-blue", "consumer applicationoffer:o-blue", "reader applicationoffer:o-blue"},
}, {
	name:   "a consumer of an offer reads it",
	tuples: []string{"user:alice@x consumer applicationoffer:o-blue"},
	want:   []string{"consumer applicationoffer:o-blue", "reader applicationoffer:o-blue"},
}, {
	name:   "a reader of an offer only reads",
	tuples: []string{"user:alice@x reader applicationoffer:o-blue"},
	want:   []string{"reader applicationoffer:o-blue"},
}, {
	name:   "what everyone has alice has",
	tuples: []string{"user:* can_addmodel cloud:azure", "user:* reader applicationoffer:o-red"},
	want:   []string{"can_addmodel cloud:azure", "reader applicationoffer:o-red"},
}, {
	name:   "what another user has alice has not",
	tuples: []string{"user:alice@xy administrator controller:jimm", "user:lice@x administrator controller:jimm"},
}, {
	name:   "a member of a group has what the group has",
	tuples: []string{"user:alice@x member group:eng", "group:eng#member writer model:m-blue"},
	want:   []string{"writer model:m-blue", "reader model:m-blue"},
}, {
	name: "groups nest",
	tuples: []string{
		"user:alice@x member group:a", "group:a#member member group:b", "group:b#member member group:c",
		"group:c#member administrator controller:blue",
	},
	want: blue,
}, {
	name: "groups that contain each other give no more than they have",
	tuples: []string{
		"user:alice@x member group:a", "group:a#member member group:b", "group:b#member member group:a",
		"group:b#member reader model:m-red",
	},
	want: []string{"reader model:m-red"},
}, {
	name:   "everyone may be a member of a group",
	tuples: []string{"user:* member group:all", "group:all#member reader model:m-red"},
	want:   []string{"reader model:m-red"},
}, {
	name:   "an assignee of a role has what the role has",
	tuples: []string{"user:alice@x assignee role:ops", "role:ops#assignee administrator model:m-red"},
	want: []string{
		"administrator model:m-red", "writer model:m-red", "reader model:m-red",
		"administrator applicationoffer:o-red", "consumer applicationoffer:o-red", "reader applicationoffer:o-red",
	},
}, {
	name: "a role is assigned to a group",
	tuples: []string{
		"user:alice@x member group:eng", "group:eng#member assignee role:ops",
		"role:ops#assignee can_addmodel cloud:aws",
	},
	want: []string{"can_addmodel cloud:aws"},
}, {
	name:   "a role may be everyone's",
	tuples: []string{"user:* assignee role:guest", "role:guest#assignee reader model:m-blue"},
	want:   []string{"reader model:m-blue"},
}, {
	name:   "a group of the identity provider gives what it has to whom it brings along",
	tuples: []string{"idpgroup:staff#member writer model:m-blue"},
	groups: []string{"staff"},
	want:   []string{"writer model:m-blue", "reader model:m-blue"},
}, {
	name:   "a group of the identity provider gives nothing to others",
	tuples: []string{"idpgroup:staff#member writer model:m-blue"},
	groups: []string{"staf", "staff2"},
}, {
	name:   "a role is assigned to a group of the identity provider",
	tuples: []string{"idpgroup:staff#member assignee role:ops", "role:ops#assignee administrator controller:blue"},
	groups: []string{"other", "staff", "staff"},
	want:   blue,
}, {
	name:   "a group of the identity provider is an administrator of JIMM",
	tuples: []string{"idpgroup:staff#member administrator controller:jimm"},
	groups: []string{"staff"},
	want:   everything,
}, {
	name:   "a group of the identity provider is not the group of the same name",
	tuples: []string{"group:staff#member administrator controller:jimm", "role:staff#assignee administrator controller:jimm"},
	groups: []string{"staff"},
}}

func TestPermissionsFollowFromTuples(t *testing.T) {
	for _, adapter := range adapters {
		t.Run(adapter.name, func(t *testing.T) {
			dsn := cluster.ForTest(t).NewDatabase(t)
			for _, d := range derivations {
				t.Run(d.name, func(t *testing.T) {
					p := adapter.open(t, dsn)
					write(t, p, append(tuples(d.tuples...), estateTuples...), nil)
					wantPermissions(t, p, estate.User{Name: "alice@x", Groups: d.groups}, d.want)
				})
			}
		})
	}
}

// wantPermissions asks for everything in each way there is.
func wantPermissions(t *testing.T, p estate.Permissions, u estate.User, want []string) {
	t.Helper()
	var questions []estate.Question
	for _, text := range everything {
		relation, name, _ := strings.Cut(text, " ")
		questions = append(questions, estate.Question{Relation: estate.Relation(relation), Object: object(name)})
	}
	each, err := p.CheckEach(t.Context(), u, questions)
	if err != nil {
		t.Fatal(err)
	}
	var byEach, byCheck, byObjects, byUsers []string
	lists := map[estate.Question][]string{}
	for i, q := range questions {
		if each[i] {
			byEach = append(byEach, everything[i])
		}
		allowed, err := p.Check(t.Context(), u, q.Relation, q.Object)
		if err != nil {
			t.Fatal(err)
		}
		if allowed {
			byCheck = append(byCheck, everything[i])
		}
		list := estate.Question{Relation: q.Relation, Object: estate.Object{Kind: q.Object.Kind}}
		if _, ok := lists[list]; !ok {
			lists[list], err = p.ListObjects(t.Context(), u, q.Relation, q.Object.Kind)
			if err != nil {
				t.Fatal(err)
			}
		}
		if slices.Contains(lists[list], q.Object.ID) {
			byObjects = append(byObjects, everything[i])
		}
		users, err := p.ListUsers(t.Context(), q.Relation, q.Object)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(users, u.Name) || slices.Contains(users, estate.EveryoneID) {
			byUsers = append(byUsers, everything[i])
		}
	}
	wantEqual(t, "CheckEach", byEach, want)
	wantEqual(t, "Check", byCheck, want)
	wantEqual(t, "ListObjects", byObjects, want)
	if len(u.Groups) == 0 {
		wantEqual(t, "ListUsers", byUsers, want)
	} else {
		wantEqual(t, "ListUsers, which knows nobody's groups of the identity provider", byUsers, nil)
	}
}
