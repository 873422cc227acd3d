package rebac_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"

	"jimm/workload/estate"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rebac"
	"jimm/workload/sealed"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

const (
	admin = "admin@example.com"
	alice = "alice@example.com"
	jimm  = "11111111-1111-4111-8111-111111111111"
)

// world is an estate on a real PostgreSQL and an OpenFGA in this process, behind
// the API and a proxy's prefix.
type world struct {
	*testing.T
	*estate.Estate
	handler  http.Handler
	document *openapi3.T
	// called are the operations that have been, "GET /groups".
	called map[string]bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := postgres.Open(t.Context(), cluster.ForTest(t).NewDatabase(t), postgres.Options{Log: log})
	must(t, err)
	t.Cleanup(store.Close)
	permissions, err := embedded.Open(t.Context(), embedded.Config{})
	must(t, err)
	t.Cleanup(func() { _ = permissions.Close() })
	secrets, err := sealed.New(store.Pool(), []byte("a key of thirty-two bytes or more"))
	must(t, err)
	w := &world{T: t, called: map[string]bool{}, Estate: &estate.Estate{
		Store: store, Permissions: permissions, Secrets: secrets, UUID: jimm, Self: estate.User{Name: "jimm@jimm.internal"},
		Now: time.Now, NewUUID: uuid.NewString, Log: log, IntentAge: time.Minute,
	}}
	must(t, w.EnsureAdmins(t.Context(), []string{admin}))
	must(t, store.SaveLogin(t.Context(), alice, "Alice Liddell", time.Now()))
	w.handler, err = rebac.Handler(rebac.Config{
		Estate: w.Estate, Language: openfga.Language, Prefix: "/blue", Log: log,
		Authenticate: func(_ http.ResponseWriter, r *http.Request) (estate.User, error) {
			name := r.Header.Get("Test-User")
			if name == "" {
				return estate.User{}, estate.Errorf(estate.CodeUnauthorized, "not logged in")
			}
			return estate.User{Name: name}, nil
		},
	})
	must(t, err)
	_, text := w.ask(t, admin, http.MethodGet, "/swagger.json", "", nil)
	w.document, err = openapi3.NewLoader().LoadFromData(text)
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) request(user, method, target, body string, headers map[string]string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(context.Background(), method, rebac.Path+target, reader)
	r.Header.Set("Test-User", user)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}

func (w *world) ask(t *testing.T, user, method, target, body string, headers map[string]string) (int, []byte) {
	t.Helper()
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, w.request(user, method, target, body, headers))
	return answer.Code, answer.Body.Bytes()
}

// operation finds the operation of the document that a request is one of.
func (w *world) operation(method, target string) (string, *openapi3.PathItem, *openapi3.Operation) {
	path, _, _ := strings.Cut(target, "?")
	if item := w.document.Paths.Value(path); item != nil {
		return path, item, item.GetOperation(method)
	}
	segments := strings.Split(path, "/")
	for pattern, item := range w.document.Paths.Map() {
		parts := strings.Split(pattern, "/")
		if len(parts) != len(segments) {
			continue
		}
		fits := !slices.ContainsFunc(parts, func(p string) bool {
			i := slices.Index(parts, p)
			return p != segments[i] && !strings.HasPrefix(p, "{")
		})
		if op := item.GetOperation(method); fits && op != nil {
			return pattern, item, op
		}
	}
	return "", nil, nil
}

// call is ask, and checks that the answer is one that the document allows.
func (w *world) call(t *testing.T, method, target, body string, want int) map[string]any {
	t.Helper()
	pattern, item, op := w.operation(method, target)
	if op == nil {
		t.Fatalf("%s %s is not in the document", method, target)
	}
	w.called[method+" "+pattern] = true
	r := w.request(admin, method, target, body, nil)
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if answer.Code != want {
		t.Fatalf("%s %s: got %d, want %d: %s", method, target, answer.Code, want, answer.Body)
	}
	text := answer.Body.Bytes()
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, Route: &routers.Route{Spec: w.document, Path: pattern, PathItem: item, Method: method, Operation: op},
		},
		Status: answer.Code, Header: answer.Header(), Body: io.NopCloser(strings.NewReader(string(text))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s answers what the document does not allow: %v", method, target, err)
	}
	var result map[string]any
	_ = json.Unmarshal(text, &result)
	return result
}

// list is the data of an answer, one field of each.
func list(answer map[string]any, field string) []string {
	var values []string
	data, _ := answer["data"].([]any)
	for _, each := range data {
		v, _ := each.(map[string]any)[field].(string)
		values = append(values, v)
	}
	return values
}

func patches(items ...string) string { return `{"patches":[` + strings.Join(items, ",") + `]}` }

func TestEveryOperationOfTheDocument(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	equal := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	w.call(t, "GET", "/swagger.json", "", 200)

	// Groups.
	group := w.call(t, "POST", "/groups", `{"name":"engineering"}`, 201)["id"].(string)
	inner := w.call(t, "POST", "/groups", `{"name":"compilers"}`, 201)["id"].(string)
	equal("groups", list(w.call(t, "GET", "/groups", "", 200), "name"), []string{"compilers", "engineering"})
	equal("groups with engin", list(w.call(t, "GET", "/groups?filter=engin", "", 200), "name"), []string{"engineering"})
	equal("group", w.call(t, "GET", "/groups/"+group, "", 200)["name"], "engineering")
	equal("renamed", w.call(t, "PUT", "/groups/"+group, `{"id":"`+group+`","name":"engineers"}`, 200)["name"], "engineers")
	w.call(t, "PATCH", "/groups/"+group+"/identities", patches(`{"identity":"alice@example.com","op":"add"}`, `{"identity":"bob@example.com","op":"add"}`), 200)
	equal("members", list(w.call(t, "GET", "/groups/"+group+"/identities", "", 200), "id"), []string{alice, "bob@example.com"})
	w.call(t, "PATCH", "/groups/"+group+"/identities", patches(`{"identity":"bob@example.com","op":"remove"}`), 200)
	equal("members", list(w.call(t, "GET", "/groups/"+group+"/identities", "", 200), "id"), []string{alice})

	// Roles.
	role := w.call(t, "POST", "/roles", `{"name":"operator"}`, 201)["id"].(string)
	equal("roles", list(w.call(t, "GET", "/roles?filter=oper", "", 200), "name"), []string{"operator"})
	equal("role", w.call(t, "GET", "/roles/"+role, "", 200)["name"], "operator")
	equal("renamed", w.call(t, "PUT", "/roles/"+role, `{"id":"`+role+`","name":"operators"}`, 200)["name"], "operators")
	w.call(t, "PATCH", "/groups/"+group+"/roles", patches(`{"role":"`+role+`","op":"add"}`), 200)
	equal("roles of the group", list(w.call(t, "GET", "/groups/"+group+"/roles", "", 200), "id"), []string{role})
	toJIMM := func(relation, op string) string {
		return fmt.Sprintf(`{"entitlement":{"entitlement":%q,"entity_type":"controller","entity_id":%q},"op":%q}`, relation, jimm, op)
	}
	w.call(t, "PATCH", "/roles/"+role+"/entitlements", patches(toJIMM("audit_log_viewer", "add")), 200)
	equal("entitlements of the role", list(w.call(t, "GET", "/roles/"+role+"/entitlements", "", 200), "entitlement"), []string{"audit_log_viewer"})
	// alice is in the group, which has the role, which may do this.
	may, err := w.Permissions.Check(ctx, estate.User{Name: alice}, estate.AuditLogViewer, estate.Object{Kind: estate.KindController, ID: jimm})
	must(t, err)
	equal("alice may", may, true)

	// Identities.
	equal("identities", list(w.call(t, "GET", "/identities", "", 200), "id"), []string{admin, alice, "bob@example.com"})
	equal("identities with Lidd", list(w.call(t, "GET", "/identities?filter=Lidd", "", 200), "email"), []string{alice})
	equal("identity", w.call(t, "GET", "/identities/"+alice, "", 200)["lastName"], "Liddell")
	w.call(t, "PATCH", "/identities/"+alice+"/groups", patches(`{"group":"`+group+`","op":"remove"}`, `{"group":"`+inner+`","op":"add"}`), 200)
	equal("groups of alice", list(w.call(t, "GET", "/identities/"+alice+"/groups", "", 200), "name"), []string{"compilers"})
	w.call(t, "PATCH", "/identities/"+alice+"/roles", patches(`{"role":"`+role+`","op":"add"}`), 200)
	equal("roles of alice", list(w.call(t, "GET", "/identities/"+alice+"/roles", "", 200), "name"), []string{"operators"})
	w.call(t, "PATCH", "/identities/"+alice+"/entitlements", patches(toJIMM("can_addmodel", "add"), toJIMM("administrator", "add")), 200)
	w.call(t, "PATCH", "/groups/"+group+"/entitlements", patches(toJIMM("can_addmodel", "add")), 200)
	equal("entitlements of the group", list(w.call(t, "GET", "/groups/"+group+"/entitlements", "", 200), "entity_id"), []string{jimm})
	// Page by page, and kind by kind.
	var seen []string
	target := "/identities/" + alice + "/entitlements?size=1"
	for pages := 0; ; pages++ {
		answer := w.call(t, "GET", target, "", 200)
		seen = append(seen, list(answer, "entitlement")...)
		meta := answer["_meta"].(map[string]any)
		next, more := meta["pageToken"].(string)
		if !more {
			break
		}
		href := answer["_links"].(map[string]any)["next"].(map[string]any)["href"].(string)
		if !strings.HasPrefix(href, "/blue/rebac/v1/identities/"+alice+"/entitlements?nextToken="+next) || pages > 10 {
			t.Fatalf("the next page is at %q", href)
		}
		target = strings.TrimPrefix(href, "/blue/rebac/v1")
	}
	slices.Sort(seen)
	equal("entitlements of alice", seen, []string{"administrator", "can_addmodel", "member"})

	// What there is.
	equal("kinds", list(w.call(t, "GET", "/entitlements?filter=audit", "", 200), "receiver_type"), []string{"group#member", "idpgroup#member", "role#assignee", "user", "user:*"})
	w.call(t, "GET", "/entitlements/raw", "", 200)
	resources := w.call(t, "GET", "/resources?entityType=controller", "", 200)
	equal("resources", resources["data"], []any{map[string]any{"entity": map[string]any{"id": jimm, "name": "jimm", "type": "controller"}}})

	// What JIMM leaves to the identity provider.
	const person = `{"email":"carol@example.com","addedBy":"me","source":"me"}`
	w.call(t, "POST", "/identities", person, 501)
	w.call(t, "PUT", "/identities/"+alice, `{"id":"alice@example.com","email":"alice@example.com","addedBy":"me","source":"me"}`, 501)
	w.call(t, "DELETE", "/identities/"+alice, "", 501)
	w.call(t, "GET", "/authentication", "", 501)
	w.call(t, "POST", "/authentication", `{"name":"x"}`, 501)
	w.call(t, "GET", "/authentication/providers", "", 501)
	w.call(t, "GET", "/authentication/x", "", 501)
	w.call(t, "PUT", "/authentication/x", `{"id":"x"}`, 501)
	w.call(t, "DELETE", "/authentication/x", "", 501)

	w.call(t, "DELETE", "/roles/"+role, "", 200)
	w.call(t, "GET", "/roles/"+role, "", 404)
	w.call(t, "DELETE", "/groups/"+group, "", 200)
	w.call(t, "DELETE", "/groups/"+group, "", 404)

	// Capabilities are what has answered with anything but 501.
	claimed := map[string]bool{}
	for _, each := range w.call(t, "GET", "/capabilities", "", 200)["data"].([]any) {
		for _, method := range each.(map[string]any)["methods"].([]any) {
			claimed[method.(string)+" "+each.(map[string]any)["endpoint"].(string)] = true
		}
	}
	for path, item := range w.document.Paths.Map() {
		for method := range item.Operations() {
			operation := method + " " + path
			if !w.called[operation] {
				t.Errorf("%s has not been called", operation)
			}
			left := strings.HasPrefix(path, "/authentication") || strings.HasPrefix(path, "/identities") && !strings.Contains(path, "}/") && method != "GET"
			if claimed[operation] == left {
				t.Errorf("%s is a capability: %v", operation, claimed[operation])
			}
		}
	}
}

func TestOnlyAdministratorsGetIn(t *testing.T) {
	w := newWorld(t)
	for path, item := range w.document.Paths.Map() {
		for method := range item.Operations() {
			target := strings.ReplaceAll(path, "{id}", uuid.NewString())
			for user, part := range map[string]string{"": "failed to authenticate", alice: "user is not an admin"} {
				status, text := w.ask(t, user, method, target, `{"name":"mine"}`, nil)
				if path == "/swagger.json" {
					continue // for everybody
				}
				if status != 401 || !strings.Contains(string(text), part) {
					t.Errorf("%s %s as %q: got %d %s", method, path, user, status, text)
				}
			}
		}
	}
	if _, total, err := w.ListUsersets(t.Context(), estate.User{Name: admin}, estate.KindGroup, "", 0, 0); err != nil || total != 0 {
		t.Errorf("there are %d groups, %v", total, err)
	}
}

func TestBadInputChangesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	made, err := w.AddUserset(ctx, estate.User{Name: admin}, estate.KindGroup, "engineering")
	must(t, err)
	group, nobody := made.UUID, uuid.NewString()
	member := `{"identity":"alice@example.com","op":"add"}`
	for name, c := range map[string]struct {
		method, target, body string
		headers              map[string]string
		status               int
		part                 string
	}{
		"a size below 0":                   {"GET", "/groups?size=-1", "", nil, 400, "size must be 1 or more, not -1"},
		"a size of 0":                      {"GET", "/identities?size=0", "", nil, 400, "size must be 1 or more"},
		"an absurd size":                   {"GET", "/groups?size=2000000000", "", nil, 200, "engineering"},
		"a size that is no number":         {"GET", "/groups?size=many", "", nil, 400, "size"},
		"a size beyond numbers":            {"GET", "/groups?size=99999999999999999999999", "", nil, 400, "size"},
		"a page of 0":                      {"GET", "/roles?page=0", "", nil, 400, "page must be between 1"},
		"a page below 0":                   {"GET", "/resources?page=-3", "", nil, 400, "page must be between 1"},
		"a page after the last":            {"GET", "/groups?page=7", "", nil, 200, `"data":[]`},
		"an absurd page":                   {"GET", "/groups?page=9223372036854775807", "", nil, 400, "page must be between 1"},
		"two sizes":                        {"GET", "/groups?size=1&size=2", "", nil, 400, "size"},
		"a token that is none":             {"GET", "/groups/" + group + "/identities?nextToken=garbage!", "", nil, 400, "not one that this API gave out"},
		"a token of another list":          {"GET", "/groups/" + group + "/identities?nextToken=eyJraW5kIjoicm9sZSIsInRva2VuIjoieCJ9", "", nil, 400, "of another list"},
		"a token of OpenFGA that is none":  {"GET", "/groups/" + group + "/identities?nextToken=eyJraW5kIjoidXNlciIsInRva2VuIjoieCJ9", "", nil, 400, ""},
		"a token that is none in a header": {"GET", "/groups/" + group + "/entitlements", "", map[string]string{"Next-Page-Token": "%%%"}, 400, "not one that"},
		"a filter with a NUL":              {"GET", "/groups?filter=%00", "", nil, 400, "control characters"},
		"a filter that is not UTF-8":       {"GET", "/groups?filter=%ff", "", nil, 400, "UTF-8"},
		"a filter for a pattern":           {"GET", "/groups?filter=%25", "", nil, 200, `"data":[]`},
		"a query that is none":             {"GET", "/groups?filter=%zz", "", nil, 400, ""},
		"a kind that there is not":         {"GET", "/resources?entityType=serviceaccount", "", nil, 400, "is not a kind of resource: there is applicationoffer"},
		"a body that is not JSON":          {"POST", "/groups", "name=x", nil, 400, "the body is not JSON"},
		"a body with more after it":        {"POST", "/groups", `{"name":"second"}{"name":"third"}`, nil, 400, "the body is not JSON"},
		"a body of a form":                 {"POST", "/groups", `{"name":"second"}`, map[string]string{"Content-Type": "text/plain"}, 415, "must be application/json"},
		"a body without a type":            {"POST", "/groups", `{"name":"second"}`, map[string]string{"Content-Type": ""}, 415, "must be application/json"},
		"a body that is a list":            {"POST", "/groups", `[]`, nil, 400, ""},
		"a body of null":                   {"POST", "/groups", `null`, nil, 400, ""},
		"a body that is too long":          {"POST", "/groups", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "longer than 1 MiB"},
		"a body with a control character":  {"POST", "/groups", `{"name":"a\u0000b"}`, nil, 400, "control characters"},
		"a number for a name":              {"POST", "/groups", `{"name":7}`, nil, 400, ""},
		"no name":                          {"POST", "/groups", `{}`, nil, 400, "required"},
		"a name that cannot be":            {"POST", "/groups", `{"name":"-"}`, nil, 400, "is not a name for a group"},
		"a name that is taken":             {"POST", "/groups", `{"name":"engineering"}`, nil, 409, "engineering"},
		"another id than the path's":       {"PUT", "/groups/" + group, `{"id":"` + nobody + `","name":"other"}`, nil, 400, "does not match"},
		"a rename of nothing":              {"PUT", "/groups/" + nobody, `{"id":"` + nobody + `","name":"other"}`, nil, 404, "not found"},
		"a role with entitlements":         {"POST", "/roles", `{"name":"operator","entitlements":[{"entitlement":"x"}]}`, nil, 400, "patch /roles/{id}/entitlements"},
		"a group that is not there":        {"GET", "/groups/" + nobody, "", nil, 404, "not found"},
		"members of no group":              {"PATCH", "/groups/" + nobody + "/identities", patches(member), nil, 404, "not found"},
		"a group of a strange name":        {"GET", "/groups/..%2f..%2fadmin", "", nil, 404, ""},
		"an identity that is not there":    {"GET", "/identities/nobody@example.com", "", nil, 404, "not found"},
		"entitlements of nobody":           {"GET", "/identities/nobody@example.com/entitlements", "", nil, 404, "not found"},
		"a member that is no user":         {"PATCH", "/groups/" + group + "/identities", patches(`{"identity":"admin","op":"add"}`), nil, 400, ""},
		"a member that is a group":         {"PATCH", "/groups/" + group + "/identities", patches(`{"identity":"x#member","op":"add"}`), nil, 400, ""},
		"no patches":                       {"PATCH", "/groups/" + group + "/identities", patches(), nil, 400, "Patches"},
		"a patch that does nothing known":  {"PATCH", "/groups/" + group + "/identities", patches(`{"identity":"alice@example.com","op":"replace"}`), nil, 400, "oneof"},
		"one good and one bad patch":       {"PATCH", "/groups/" + group + "/identities", patches(member, `{"identity":"admin","op":"add"}`), nil, 400, ""},
		"a patch and its opposite":         {"PATCH", "/groups/" + group + "/identities", patches(member, `{"identity":"alice@example.com","op":"remove"}`), nil, 400, "both add and remove"},
		"too many patches":                 {"PATCH", "/groups/" + group + "/identities", patches(slices.Repeat([]string{member}, 101)...), nil, 400, "101 patches are too many"},
		"a role that is not there":         {"PATCH", "/groups/" + group + "/roles", patches(`{"role":"` + nobody + `","op":"add"}`), nil, 404, "not found"},
		"an entitlement that is none":      {"PATCH", "/groups/" + group + "/entitlements", patches(`{"entitlement":{"entitlement":"own","entity_type":"controller","entity_id":"` + jimm + `"},"op":"add"}`), nil, 400, "is not a relation"},
		"an entitlement to nothing known":  {"PATCH", "/groups/" + group + "/entitlements", patches(`{"entitlement":{"entitlement":"administrator","entity_type":"moon","entity_id":"x"},"op":"add"}`), nil, 400, "moon"},
		"an entitlement to what is gone":   {"PATCH", "/groups/" + group + "/entitlements", patches(`{"entitlement":{"entitlement":"administrator","entity_type":"model","entity_id":"` + nobody + `"},"op":"add"}`), nil, 404, ""},
		"a path that is none":              {"GET", "/users", "", nil, 404, "/capabilities lists what there is"},
		"a method that is none":            {"DELETE", "/groups", "", nil, 405, "/capabilities lists what there is"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := w.ask(t, admin, c.method, c.target, c.body, c.headers)
			if status != c.status || !strings.Contains(string(text), c.part) {
				t.Errorf("got %d, want %d with %q: %s", status, c.status, c.part, text)
			}
			var answer struct {
				Message string
				Status  int
			}
			if status != 200 && (json.Unmarshal(text, &answer) != nil || answer.Status != status || answer.Message == "") {
				t.Errorf("the answer is not the API's: %s", text)
			}
			groups, total, err := w.ListUsersets(ctx, estate.User{Name: admin}, estate.KindGroup, "", 0, 0)
			must(t, err)
			tuples, _, err := w.Permissions.Read(ctx, estate.TupleFilter{Object: made.Object()}, 10, "")
			must(t, err)
			if total != 1 || groups[0].Name != "engineering" || len(tuples) != 0 {
				t.Errorf("it has changed something: %v %v", groups, tuples)
			}
		})
	}
}
