package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crypto/tls"
	"crypto/x509"

	"jimm/workload/dev"
	"jimm/workload/facade"
	"jimm/workload/idp"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
	"jimm/workload/server"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

var update = flag.Bool("update", false, "write the golden frames anew")

// step is one request. Params may name what earlier replies gave: ${name}.
type step struct {
	facade, method, params string
	// keep names parts of the reply for later steps: name to a path of keys and
	// indexes, "response.results.0.uuid".
	keep map[string]string
	// id is the object's, such as a watcher's.
	id string
	// gone names a model that has to be gone before the next step.
	gone string
	// provide names a model that gets the application db, which provides sql.
	provide string
}

const (
	alice      = "user-alice@example.com"
	bob        = "user-bob@example.com"
	credential = "cloudcred-dev_alice@example.com_default"
)

// story is what a version of a facade is asked, in order, with real arguments.
// What it leaves out is asked with none.
func story(name string, version int) []step {
	model := func(method, format string) step { return step{facade: name, method: method, params: format} }
	entities := `{"entities":[{"tag":"model-${model}"},{"tag":"model-00000000-0000-4000-8000-000000000000"},{"tag":"nonsense"}]}`
	switch name {
	case "ModelManager":
		create := fmt.Sprintf(`{"name":"m%d","qualifier":"alice@example.com","cloud-tag":"cloud-dev","region":"west"}`, version)
		if version < 11 {
			create = fmt.Sprintf(`{"name":"m%d","owner-tag":%q,"cloud-tag":"cloud-dev","region":"west"}`, version, alice)
		}
		access := func(action, access string) string {
			return fmt.Sprintf(`{"changes":[{"user-tag":%q,"action":%q,"access":%q,"model-tag":"model-${model}"}]}`, bob, action, access)
		}
		create2 := strings.Replace(create, `"name":"m`, `"name":"M`, 1)
		return []step{
			{facade: name, method: "CreateModel", params: create, keep: map[string]string{"model": "response.uuid"}},
			model("CreateModel", create), model("CreateModel", create2),
			model("ListModels", fmt.Sprintf(`{"tag":%q}`, alice)),
			model("ListModelSummaries", fmt.Sprintf(`{"user-tag":%q,"all":true}`, alice)),
			model("ModelInfo", entities), model("ModelStatus", entities),
			model("ModifyModelAccess", access("grant", "write")), model("ModifyModelAccess", access("grant", "read")),
			model("ModifyModelAccess", access("revoke", "read")), model("ModifyModelAccess", access("grant", "owner")),
			model("SetModelDefaults", `{"config":[{"cloud-tag":"cloud-dev","config":{"ftp-proxy":"p"}}]}`),
			model("ModelDefaultsForClouds", `{"entities":[{"tag":"cloud-dev"},{"tag":"cloud-moon"}]}`),
			model("UnsetModelDefaults", `{"keys":[{"cloud-tag":"cloud-dev","keys":["ftp-proxy"]}]}`),
			model("ChangeModelCredential", fmt.Sprintf(`{"model-credentials":[{"model-tag":"model-${model}","credential-tag":%q}]}`, credential)),
			model("DumpModelsDB", entities),
			model("DestroyModels", `{"models":[{"model-tag":"model-${model}","destroy-storage":true},{"model-tag":"nonsense"}]}`),
			{gone: "${model}"},
		}
	case "Cloud":
		user := fmt.Sprintf(`{"user-clouds":[{"user-tag":%q,"cloud-tag":"cloud-dev"}]}`, alice)
		clouds := `{"entities":[{"tag":"cloud-dev"},{"tag":"cloud-moon"},{"tag":"nonsense"}]}`
		return []step{
			model("Clouds", `{}`), model("Cloud", clouds), model("CloudInfo", clouds),
			model("ListCloudInfo", fmt.Sprintf(`{"user-tag":%q}`, alice)),
			model("UpdateCredentialsCheckModels", fmt.Sprintf(`{"credentials":[{"tag":%q,"credential":{"auth-type":"empty"}},{"tag":"cloudcred-dev_bob_default","credential":{"auth-type":"empty"}}]}`, credential)),
			model("CheckCredentialsModels", fmt.Sprintf(`{"credentials":[{"tag":%q,"credential":{"auth-type":"moon"}}]}`, credential)),
			model("UserCredentials", user),
			model("Credential", fmt.Sprintf(`{"entities":[{"tag":%q}]}`, credential)),
			model("CredentialContents", `{"credentials":[{"cloud-name":"dev","credential-name":"default"}],"include-secrets":true}`),
			model("ModifyCloudAccess", fmt.Sprintf(`{"changes":[{"user-tag":%q,"cloud-tag":"cloud-dev","action":"grant","access":"admin"}]}`, bob)),
			model("ModifyCloudAccess", fmt.Sprintf(`{"changes":[{"user-tag":%q,"cloud-tag":"cloud-dev","action":"revoke","access":"add-model"}]}`, bob)),
			model("AddCloud", `{"name":"k8s","cloud":{"type":"openstack"}}`),
			model("RemoveClouds", `{"entities":[{"tag":"cloud-moon"}]}`),
		}
	case "ApplicationOffers":
		name := fmt.Sprintf("shop%d", version)
		url := "alice@example.com/" + name + ".db"
		urls := fmt.Sprintf(`{"offer-urls":[%q,"alice@example.com/%s.none","nonsense",%q,%q],"bakery-version":3}`, url, name, url+":sql", "blue:"+url)
		owner := "model-qualifier"
		if version < 6 {
			owner = "owner-name"
		}
		filters := fmt.Sprintf(`{"Filters":[{%q:"alice@example.com","model-name":%q,"offer-name":"^db$","endpoints":[{"interface":"mysql"}]}]}`, owner, name)
		offer := func(application, endpoint string) step {
			return model("Offer", fmt.Sprintf(`{"Offers":[{"model-tag":"model-${shop}","offer-name":"db","application-name":%q,"endpoints":{%q:%q},"owner-tag":%q}]}`, application, endpoint, endpoint, alice))
		}
		access := func(action, access string) step {
			return model("ModifyOfferAccess", fmt.Sprintf(`{"changes":[{"user-tag":%q,"action":%q,"access":%q,"offer-url":%q}]}`, bob, action, access, url))
		}
		return []step{
			{facade: "ModelManager", method: "CreateModel", params: fmt.Sprintf(`{"name":%q,"qualifier":"alice@example.com","cloud-tag":"cloud-dev","region":"west"}`, name), keep: map[string]string{"shop": "response.uuid"}},
			{provide: "${shop}"},
			offer("db", "sql"), offer("db", "sql"), offer("web", "sql"),
			model("Offer", `{"Offers":[{"model-tag":"nonsense"},{"model-tag":"model-00000000-0000-4000-8000-000000000000","application-name":"db","endpoints":{"a":"a"}}]}`),
			model("ApplicationOffers", urls),
			model("FindApplicationOffers", filters), model("FindApplicationOffers", `{"Filters":[{}]}`), model("FindApplicationOffers", `{"Filters":[]}`),
			model("ListApplicationOffers", filters), model("ListApplicationOffers", `{"Filters":[{}]}`),
			access("grant", "consume"), access("grant", "read"), access("grant", "write"), access("revoke", "consume"), access("lend", "read"),
			model("GetConsumeDetails", fmt.Sprintf(`{"offer-urls":%s}`, urls)),
			model("GetConsumeDetails", fmt.Sprintf(`{"offer-urls":{"offer-urls":[%q]},"user-tag":%q}`, url, bob)),
			model("RemoteApplicationInfo", urls),
			model("DestroyOffers", fmt.Sprintf(`{"offer-urls":[%q,%q,"nonsense"],"force":true}`, url, url)),
			{facade: "ModelManager", method: "DestroyModels", params: `{"models":[{"model-tag":"model-${shop}","destroy-storage":true}]}`},
			{gone: "${shop}"},
		}
	case "Controller":
		return []step{model("GetControllerAccess", fmt.Sprintf(`{"entities":[{"tag":%q},{"tag":%q},{"tag":"nonsense"}]}`, alice, bob))}
	case "UserManager":
		return []step{model("UserInfo", fmt.Sprintf(`{"entities":[{"tag":%q},{"tag":%q}]}`, alice, bob))}
	case "ModelSummaryWatcher":
		return []step{
			{facade: "ModelManager", method: "CreateModel", params: `{"name":"watched","cloud-tag":"cloud-dev","region":"west"}`},
			{facade: "Controller", method: "WatchModelSummaries", params: `{}`, keep: map[string]string{"watcher": "response.watcher-id"}},
			{facade: name, method: "Next", id: "${watcher}", params: `{}`},
			{facade: name, method: "Stop", id: "${watcher}", params: `{}`},
			{facade: name, method: "Next", id: "${watcher}", params: `{}`},
		}
	case "JIMM":
		tuples := fmt.Sprintf(`{"tuples":[{"object":%q,"relation":"can_addmodel","target_object":"controller-juju41"}]}`, bob)
		return []step{
			model("AddRelation", tuples), model("CheckRelation", fmt.Sprintf(`{"tuple":{"object":%q,"relation":"can_addmodel","target_object":"controller-juju41"}}`, bob)),
			model("RemoveRelation", tuples), model("AddRelation", `{"tuples":[{"object":"user-bob","relation":"reader","target_object":"model-x"}]}`),
			model("ShowController", `{"controller-name":"juju41"}`), model("ShowController", `{"controller-name":"none"}`),
			model("SetControllerDeprecated", `{"name":"juju36","deprecated":true}`), model("SetControllerDeprecated", `{"name":"juju36","deprecated":false}`),
			model("RemoveController", `{"name":"none"}`),
			model("CheckRelations", fmt.Sprintf(`{"tuples":[{"object":%q,"relation":"administrator","target_object":"controller-jimm"},{"object":"group-none#member","relation":"reader","target_object":"cloud-dev"}]}`, alice)),
			model("AddGroup", `{"name":"engineering"}`), model("AddGroup", `{"name":"engineering"}`), model("AddGroup", `{"name":"e"}`),
			{facade: name, method: "GetGroup", params: `{"name":"engineering"}`, keep: map[string]string{"group": "response.uuid"}},
			model("GetGroup", `{"uuid":"${group}"}`), model("GetGroup", `{"name":"none"}`), model("ListGroups", `{"limit":-1,"offset":-1}`),
			model("AddRole", `{"name":"operator"}`), model("GetRole", `{"name":"operator"}`), model("ListRoles", `{}`),
			model("AddRelation", `{"tuples":[{"object":"group-engineering#member","relation":"assignee","target_object":"role-operator"},{"object":"role-operator#assignee","relation":"can_addmodel","target_object":"cloud-dev"}]}`),
			model("ListRelationshipTuples", `{"tuple":{"object":"role-operator","target_object":"cloud"},"resolve_uuids":true}`),
			model("ListRelationshipTuples", `{"tuple":{"relation":"assignee","target_object":"role-operator"},"page_size":1}`),
			model("ListRelationshipTuples", `{"tuple":{"object":"group-engineering#member"}}`),
			model("ExplainRelation", fmt.Sprintf(`{"tuple":{"object":%q,"relation":"administrator","target_object":"cloud-dev"}}`, alice)),
			model("ExplainRelation", fmt.Sprintf(`{"tuple":{"object":%q,"relation":"assignee","target_object":"role-operator"}}`, bob)),
			model("RenameGroup", `{"name":"engineering","new-name":"builders"}`), model("RenameRole", `{"name":"operator","new-name":"ops"}`),
			model("RemoveGroup", `{"name":"builders"}`), model("RemoveGroup", `{"name":"builders"}`), model("RemoveRole", `{"name":"ops"}`),
			model("ShowSigningKeys", `{}`), model("RotateSigningKeys", `{"emergency":false}`),
			model("ListSessions", `{}`), model("ListSessions", fmt.Sprintf(`{"user-tag":%q}`, bob)), model("ListSessions", `{"all":true}`),
			model("RevokeSessions", `{"ids":["0000"]}`), model("RevokeSessions", `{"ids":["000000000000"]}`), model("RevokeSessions", fmt.Sprintf(`{"user-tag":%q}`, bob)), model("RevokeSessions", `{}`),
			model("GrantAuditLogAccess", fmt.Sprintf(`{"user-tag":%q,"level":"read"}`, bob)), model("GrantAuditLogAccess", fmt.Sprintf(`{"user-tag":%q,"level":"write"}`, bob)),
			model("FindAuditEvents", `{"before":"2001-01-01T00:00:00Z"}`), model("FindAuditEvents", `{"limit":-1}`), model("FindAuditEvents", `{"after":"yesterday"}`),
			model("PurgeLogs", `{"date":"2001-01-01T00:00:00Z"}`), model("PurgeLogs", `{"date":"2999-01-01T00:00:00Z"}`),
			model("RevokeAuditLogAccess", fmt.Sprintf(`{"user-tag":%q,"level":"read"}`, bob)),
			{facade: "ModelManager", method: "CreateModel", params: fmt.Sprintf(`{"name":"asked%d","qualifier":"alice@example.com","cloud-tag":"cloud-dev","region":"west"}`, version), keep: map[string]string{"asked": "response.uuid"}},
			model("ModelControllerInfo", `{"model":"${asked}"}`), model("ModelControllerInfo", fmt.Sprintf(`{"model":"alice@example.com/asked%d"}`, version)),
			model("ModelControllerInfo", `{"model":"alice@example.com/none"}`),
			model("ListMigrationTargets", `{"model-tag":"model-${asked}"}`), model("ListModelsOnController", `{"controller-name":"juju36"}`),
			model("FullModelStatus", `{"ModelTag":"model-${asked}","Patterns":["none"]}`),
			model("CrossModelQuery", fmt.Sprintf(`{"type":"jq","query":"select(.model.name == \"asked%d\") | .model.controller"}`, version)),
			model("CrossModelQuery", `{"type":"jq","query":".["}`), model("CrossModelQuery", `{"type":"sql","query":"select"}`),
			{facade: "ModelManager", method: "DestroyModels", params: `{"models":[{"model-tag":"model-${asked}","destroy-storage":true}]}`},
			{gone: "${asked}"},
			model("ListUserClouds", fmt.Sprintf(`{"user":%q}`, bob)), model("ListUserClouds", `{"user":"bob"}`),
			model("SaveControllerProfile", `{"name":"small","juju-version":"4.1","cloud":{"name":"dev","region":{"name":"west"}},"bootstrap-options":{"bootstrap-constraints":{"mem":"4G"}}}`),
			model("SaveControllerProfile", `{"name":"small","juju-version":"4.1","version":7,"cloud":{"name":"dev","region":{"name":"west"}},"bootstrap-options":{}}`),
			model("GetControllerProfile", `{"name":"small"}`), model("ListControllerProfiles", `{"juju-version":"4.1.3"}`),
			model("RemoveControllerProfile", `{"name":"small"}`), model("RemoveControllerProfile", `{"name":"small"}`),
			model("JobInfo", `{"job-id":"1"}`), model("ListJobs", `{"count":-1}`), model("SupportedJujuVersions", `{"min-version":"3.6.11"}`),
			model("ImportModel", `{"controller":"juju41","model-tag":"model-00000000-0000-4000-8000-000000000000","owner":"bob@example.com"}`),
			model("UpdateMigratedModel", `{"model-tag":"model-00000000-0000-4000-8000-000000000000","target-controller":"juju41"}`),
		}
	}
	return nil
}

// TestFramesOfEachMethod asks each method of each version of each facade over a
// websocket, and compares request and reply with testdata/frames.
func TestFramesOfEachMethod(t *testing.T) {
	w := newWire(t)
	served := facade.Served()
	// A credential is there before models need it.
	names := append([]string{"Cloud"}, slices.DeleteFunc(slices.Sorted(maps.Keys(served)), func(s string) bool { return s == "Cloud" })...)
	for _, name := range names {
		for _, version := range slices.Sorted(maps.Keys(served[name])) {
			t.Run(name+"-"+strconv.Itoa(version), func(t *testing.T) {
				w.t = t
				w.tell(name, version, served[name][version])
			})
		}
	}
}

func TestBulkCallsAnswerEachItemInOrder(t *testing.T) {
	w := newWire(t)
	info := w.ask("ModelManager", 11, "", "CreateModel", `{"name":"m","cloud-tag":"cloud-dev"}`)
	model := at(t, info, "response.uuid")
	for _, n := range []int{0, 1, 10_000} {
		tags := make([]string, n)
		for i := range tags {
			switch i % 3 {
			case 0:
				tags[i] = "nonsense"
			case 1:
				tags[i] = fmt.Sprintf("model-00000000-0000-4000-8000-%012d", i)
			case 2:
				tags[i] = "model-nothing"
			}
		}
		if n > 1 {
			tags[n-1] = "model-" + model
		}
		var args struct {
			Entities []map[string]string `json:"entities"`
		}
		for _, tag := range tags {
			args.Entities = append(args.Entities, map[string]string{"tag": tag})
		}
		b, err := json.Marshal(args)
		if err != nil {
			t.Fatal(err)
		}
		var reply struct {
			Response struct {
				Results []struct {
					Error  *struct{ Message, Code string }
					Result *struct{ UUID string }
				}
			}
		}
		w.decode(w.ask("ModelManager", 11, "", "ModelInfo", string(b)), &reply)
		results := reply.Response.Results
		if len(results) != n {
			t.Fatalf("%d items have %d results", n, len(results))
		}
		for i, r := range results {
			switch {
			case n > 1 && i == n-1:
				if r.Result == nil || r.Result.UUID != model {
					t.Errorf("the last of %d is %+v", n, r)
				}
			case r.Error == nil || r.Error.Code == "" || !strings.Contains(r.Error.Message, strings.TrimPrefix(tags[i], "model-")):
				t.Fatalf("item %d of %d, %s, has the result %+v", i, n, tags[i], r.Error)
			}
		}
	}
}

// newWire starts a JAAS and logs in to it as its administrator.
func newWire(t *testing.T) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	// A query that takes long on a busy machine is answered all the same.
	patient := func(c *server.Config) { c.QueryTimeout = time.Minute }
	stack, err := dev.Start(ctx, dev.Options{Dir: filepath.Join(t.TempDir(), "dev"), Juju: "sim", Server: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &wire{t: t, ctx: ctx, stack: stack, kept: map[string]string{}}
	w.logIn()
	return w
}

// wire is one connection, and the transcript of what passes on it.
type wire struct {
	t     *testing.T
	ctx   context.Context
	stack *dev.Stack
	conn  *rpc.Conn
	last  uint64
	kept  map[string]string
	text  strings.Builder
}

func (w *wire) logIn() {
	w.t.Helper()
	pem, err := os.ReadFile(w.stack.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	w.conn, _, err = rpc.Dial(w.ctx, "wss://"+w.stack.Address+"/api", nil, &tls.Config{RootCAs: pool}, rpc.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.conn.Close() })
	var device struct {
		Response struct {
			Code string `json:"user-code"`
			URI  string `json:"verification-uri"`
		}
	}
	w.decode(w.ask("Admin", 4, "", "LoginDevice", `{}`), &device)
	if err := idp.ApproveDevice(w.ctx, w.stack.Client(), device.Response.URI, device.Response.Code, dev.Alice.Email, dev.Alice.Password); err != nil {
		w.t.Fatal(err)
	}
	var token struct {
		Response struct {
			Token string `json:"session-token"`
		}
	}
	w.decode(w.ask("Admin", 4, "", "GetDeviceSessionToken", `{}`), &token)
	w.ask("Admin", 4, "", "LoginWithSessionToken", fmt.Sprintf(`{"session-token":%q}`, token.Response.Token))
	w.text.Reset()
}

func (w *wire) decode(reply []byte, into any) {
	w.t.Helper()
	if err := json.Unmarshal(reply, into); err != nil {
		w.t.Fatal(err)
	}
}

// ask sends a request and returns the reply.
func (w *wire) ask(facade string, version int, id, method, params string) []byte {
	w.t.Helper()
	w.last++
	frame := rpc.AppendRequest(nil, &rpc.Request{RequestID: w.last, Type: facade, Version: version, ID: id, Method: method, Params: json.RawMessage(params)})
	if err := w.conn.WriteFrame(frame); err != nil {
		w.t.Fatal(err)
	}
	defer w.conn.Ask()() // as clients do, so that neither side takes the other for dead
	reply, err := w.conn.ReadFrame()
	if err != nil {
		w.t.Fatalf("%s(%d).%s: %v", facade, version, method, err)
	}
	defer reply.Release()
	b := bytes.Clone(reply.Bytes())
	fmt.Fprintf(&w.text, "-> %s\n<- %s\n\n", frame, b)
	return b
}

// tell asks all methods of a version and compares the transcript.
func (w *wire) tell(name string, version int, methods []string) {
	w.t.Helper()
	w.text.Reset()
	w.last = 0
	told := map[string]bool{}
	for _, s := range story(name, version) {
		if s.gone != "" {
			w.awaitGone(w.fill(s.gone))
			continue
		}
		if s.provide != "" {
			w.provide(w.fill(s.provide))
			continue
		}
		v := version
		if s.facade != name {
			v = slices.Max(slices.Collect(maps.Keys(facade.Served()[s.facade])))
		} else {
			told[s.method] = true
		}
		reply := w.ask(s.facade, v, w.fill(s.id), s.method, w.fill(s.params))
		for variable, path := range s.keep {
			w.kept[variable] = at(w.t, reply, path)
		}
	}
	for _, method := range methods {
		if !told[method] {
			w.ask(name, version, "", method, `{}`)
		}
	}
	file := filepath.Join("testdata", "frames", fmt.Sprintf("%s-%d.txt", strings.ToLower(name), version))
	got := normal(w.text.String())
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != string(want) {
		w.t.Errorf("%s differs; go test ./workload/facade -run TestFramesOfEachMethod -update writes it anew\n%s", file, firstDifference(string(want), got))
	}
}

// awaitGone waits until a model has left, off the record.
func (w *wire) awaitGone(uuid string) {
	w.t.Helper()
	text := w.text.String()
	last := w.last
	for !bytes.Contains(w.ask("ModelManager", 11, "", "ModelStatus", fmt.Sprintf(`{"entities":[{"tag":"model-%s"}]}`, uuid)), []byte("not found")) {
		select {
		case <-w.ctx.Done():
			w.t.Fatal("a destroyed model does not go")
		case <-time.After(10 * time.Millisecond): // who is to end it has something to do, too
		}
	}
	w.text.Reset()
	w.text.WriteString(text)
	w.last = last
}

// provide deploys an application, off the record.
func (w *wire) provide(model string) {
	w.t.Helper()
	for _, c := range w.stack.Simulated {
		if c.Provide(model, "db", map[string]string{"sql": "mysql"}) == nil {
			return
		}
	}
	w.t.Fatalf("no controller has model %s", model)
}

func (w *wire) fill(s string) string {
	for variable, value := range w.kept {
		s = strings.ReplaceAll(s, "${"+variable+"}", value)
	}
	return s
}

// at finds a part of a reply.
func at(t *testing.T, reply []byte, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(reply, &v); err != nil {
		t.Fatal(err)
	}
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				t.Fatalf("no %s in %s", path, reply)
			}
			v = x[i]
		}
	}
	s, ok := v.(string)
	if !ok {
		t.Fatalf("no %s in %s", path, reply)
	}
	return s
}

var (
	uuids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times     = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)
	sessions  = regexp.MustCompile(`"[0-9a-f]{32}"`)
	addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	macaroons = regexp.MustCompile(`"macaroon":\{"c":\[.*?\],[^}]*\}`)
	keyIDs    = regexp.MustCompile(`"id":"[A-Za-z0-9_-]{43}"`)
	pems      = regexp.MustCompile(`-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n)?`)
)

// normal puts words in place of what differs from run to run.
func normal(s string) string {
	seen := map[string]string{}
	s = uuids.ReplaceAllStringFunc(s, func(id string) string {
		if strings.HasPrefix(id, "00000000") {
			return id
		}
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("<uuid %d>", len(seen)+1)
		}
		return seen[id]
	})
	s = sessions.ReplaceAllString(s, `"<session>"`)
	s = times.ReplaceAllString(s, "<time>")
	s = addresses.ReplaceAllString(s, "<address>")
	s = keyIDs.ReplaceAllString(s, `"id":"<key>"`)
	s = macaroons.ReplaceAllString(s, `"macaroon":"<macaroon>"`)
	return pems.ReplaceAllString(s, "<certificate>")
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(a), len(b))
}
