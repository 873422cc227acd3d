package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

const (
	modelUUID = "deadbeef-0bad-400d-8000-4b1d0d06f00d"
	jimmUUID  = "914487b5-60e7-42bb-bd63-1adc3fd3a388"
	modelTag  = "model-" + modelUUID
)

func TestErrorCodesOfTheWireAreThoseOfTheEstate(t *testing.T) {
	for rpcCode, code := range map[string]string{
		rpc.CodeBadRequest:       estate.CodeBadRequest,
		rpc.CodeTooLarge:         estate.CodeTooLarge,
		rpc.CodeConnectionFailed: estate.CodeConnectionFailed,
	} {
		if rpcCode != code {
			t.Errorf("rpc has %q, estate %q", rpcCode, code)
		}
	}
}

// controller answers as a Juju controller does, for one model. What a
// connection may do is in the header that its dialer sends.
type controller struct {
	server *httptest.Server
	mu     sync.Mutex
	// logins are the claims of each connection made.
	logins []estate.Claims
	conns  []*rpc.Conn
	// done counts what each entry of a bulk request had done to it.
	done     map[string]int
	requests []string
	// events lets the watchers' Next return, each once a value.
	events chan string
	wait   sync.WaitGroup
}

func startController(t testing.TB) *controller {
	c := &controller{done: map[string]int{}, events: make(chan string, 10)}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.wait.Add(1)
		defer c.wait.Done()
		conn, err := rpc.Upgrade(w, r, nil, rpc.Options{})
		if err != nil {
			t.Errorf("cannot upgrade: %v", err)
			return
		}
		var claims estate.Claims
		if err := json.Unmarshal([]byte(r.Header.Get("Claims")), &claims); err != nil {
			t.Errorf("cannot read claims: %v", err)
		}
		c.mu.Lock()
		c.logins = append(c.logins, claims)
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
		p := &peer{controller: c, claims: claims, conn: conn}
		_ = rpc.Serve(context.Background(), conn, p, rpc.ServeOptions{Waits: func(r *rpc.Request) bool { return r.Method == "Next" }})
	}))
	t.Cleanup(func() {
		c.mu.Lock()
		for _, conn := range c.conns {
			conn.Abort()
		}
		c.mu.Unlock()
		c.wait.Wait()
		c.server.Close()
	})
	return c
}

// peer is one connection of a controller.
type peer struct {
	*controller
	claims   estate.Claims
	conn     *rpc.Conn
	mu       sync.Mutex
	watchers int
}

func required(tag, access string) *rpc.Error {
	return &rpc.Error{Code: "access required", Message: "access permissions required: map[" + tag + ":" + access + "]", Info: map[string]any{tag: access}}
}

func (p *peer) ServeRPC(ctx context.Context, r *rpc.Request) (any, error) {
	p.controller.mu.Lock()
	p.requests = append(p.requests, r.Type+"."+r.Method+"("+r.ID+")")
	p.controller.mu.Unlock()
	switch r.Type + "." + r.Method {
	case "Pinger.Ping":
		return nil, nil
	case "Echo.Echo":
		return r.Params, nil
	case "Application.Deploy":
		if !covers(p.claims, map[string]string{modelTag: "write"}) {
			return nil, required(modelTag, "write")
		}
		return map[string]string{"deployed": "yes"}, nil
	case "Application.Stubborn":
		return nil, required(modelTag, "write")
	case "ModelManager.Destroy":
		return p.destroy(r)
	case "Application.Watch":
		if !covers(p.claims, map[string]string{modelTag: "write"}) {
			return nil, required(modelTag, "write")
		}
		return p.watch(), nil
	case "Client.WatchAll":
		return p.watch(), nil
	case "AllWatcher.Next":
		select {
		case event := <-p.events:
			return map[string]string{"event": event, "watcher": r.ID}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "AllWatcher.Stop":
		return map[string]string{"stopped": r.ID}, nil
	case "Client.Die":
		p.conn.Abort()
		return nil, nil
	}
	return nil, &rpc.Error{Code: "not implemented", Message: "unknown facade type \"" + r.Type + "\""}
}

func (p *peer) watch() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers++
	return map[string]string{"watcher-id": strconv.Itoa(p.watchers)}
}

// destroy does each entry that the claims allow: "model-x:admin" needs admin of model-x.
func (p *peer) destroy(r *rpc.Request) (any, error) {
	var args struct {
		Models []string `json:"models"`
		Note   string   `json:"note"`
	}
	if err := json.Unmarshal(r.Params, &args); err != nil {
		return nil, err
	}
	type result struct {
		Error *params.Error `json:"error,omitempty"`
		Done  string        `json:"done,omitempty"`
	}
	var results struct {
		Results []result `json:"results"`
	}
	for _, m := range args.Models {
		tag, access, _ := strings.Cut(m, ":")
		if access != "" && !covers(p.claims, map[string]string{tag: access}) {
			e := required(tag, access)
			results.Results = append(results.Results, result{Error: &params.Error{Message: e.Message, Code: e.Code, Info: e.Info}})
			continue
		}
		p.controller.mu.Lock()
		p.done[m]++
		p.controller.mu.Unlock()
		results.Results = append(results.Results, result{Done: m + args.Note})
	}
	return results, nil
}

// world is what the gateway asks: who may do what, and where things are.
type world struct {
	gateway    *Gateway
	controller *controller
	mu         sync.Mutex
	// may is what alice may get beside reading the model.
	may      map[string]string
	dialErr  error
	recorded []estate.AuditEvent
	// unrecorded is what the recorder says; nil is that all is well.
	unrecorded func(estate.AuditEvent) error
	// token is let in by a login.
	release chan struct{}
}

var alice = estate.User{Name: "alice@canonical.com"}

func (w *world) Handle(ctx context.Context, version int, method string, raw json.RawMessage) (any, *estate.User, error) {
	switch method {
	case "LoginDevice":
		return map[string]string{"user-code": "1234"}, nil, nil
	case "GetDeviceSessionToken":
		select {
		case <-w.release:
			return map[string]string{"session-token": "good"}, nil, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	case "LoginWithSessionToken":
		var args struct {
			Token string `json:"session-token"`
		}
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, nil, estate.Errorf(estate.CodeBadRequest, "cannot log in: %v", err)
		}
		if args.Token != "good" {
			return nil, nil, estate.Errorf(estate.CodeSessionTokenInvalid, "session token is not valid")
		}
		return nil, &alice, nil
	}
	return nil, nil, estate.Errorf(estate.CodeNotSupported, "cannot log in: this client is too old")
}

func (w *world) Route(_ context.Context, u estate.User, uuid string) (estate.Route, error) {
	if uuid != modelUUID || u.Name != alice.Name {
		return estate.Route{}, estate.Errorf(estate.CodeModelNotFound, "model %q not found", uuid)
	}
	return estate.Route{
		Model:      estate.Model{UUID: uuid, Owner: alice.Name, Name: "shop"},
		Controller: estate.Controller{Name: "blue"},
		Claims:     estate.Claims{modelTag: "read"},
	}, nil
}

func (w *world) Widen(_ context.Context, _ estate.User, _ estate.Route, have estate.Claims, need map[string]string) (estate.Claims, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := estate.Claims{}
	for tag, access := range have {
		out[tag] = access
	}
	for tag, access := range need {
		if !covers(w.may, map[string]string{tag: access}) {
			return nil, estate.Errorf(estate.CodeUnauthorized, "permission denied")
		}
		out[tag] = access
	}
	return out, nil
}

func (w *world) DialModel(ctx context.Context, r estate.Route, u estate.User, claims estate.Claims) (*rpc.Conn, json.RawMessage, error) {
	if w.dialErr != nil {
		return nil, nil, w.dialErr
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		return nil, nil, err
	}
	conn, _, err := rpc.Dial(ctx, "ws"+strings.TrimPrefix(w.controller.server.URL, "http"), http.Header{"Claims": {string(raw)}}, nil, rpc.Options{})
	login := `{"servers":[[{"value":"10.0.0.1","port":17070}]],"public-dns-name":"blue.example","controller-tag":"controller-1","model-tag":"` + modelTag + `","server-version":"4.1","facades":[{"name":"Client","versions":[8]}],"new-field":[1]}`
	return conn, json.RawMessage(login), err
}

func (w *world) Record(_ context.Context, e estate.AuditEvent) error {
	e.Params = slices.Clone(e.Params)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, e)
	if w.unrecorded != nil {
		return w.unrecorded(e)
	}
	return nil
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// start runs a gateway in front of a controller.
func start(t testing.TB, change func(*Config)) (*world, string) {
	t.Helper()
	w := &world{controller: startController(t), may: map[string]string{}, release: make(chan struct{})}
	log := &logBuffer{}
	config := Config{
		Admission:      func(*http.Request) Admission { return w },
		Models:         w,
		Dialer:         w,
		Recorder:       w,
		ControllerUUID: jimmUUID,
		Log:            slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&config)
	}
	g := New(config)
	w.gateway = g
	mux := http.NewServeMux()
	serve := func(w http.ResponseWriter, r *http.Request) { g.ServeModel(w, r, r.PathValue("uuid")) }
	mux.HandleFunc("/model/{uuid}/api", serve)
	mux.HandleFunc("/prefix/model/{uuid}/api", serve)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		g.Close()
		server.Close()
		if t.Failed() {
			t.Logf("log:\n%s", log.b.String())
		}
	})
	return w, "ws" + strings.TrimPrefix(server.URL, "http")
}

func dial(t testing.TB, url string) *rpc.Client {
	t.Helper()
	conn, _, err := rpc.Dial(t.Context(), url, nil, nil, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// login gives a client that is logged in to the model.
func login(t testing.TB, url string) *rpc.Client {
	t.Helper()
	client := dial(t, url+"/model/"+modelUUID+"/api")
	if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil); err != nil {
		t.Fatal(err)
	}
	return client
}

func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %#v, want code %q and text %q", err, code, text)
	}
}

func (c *controller) loginCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.logins)
}

func TestNothingReachesTheControllerBeforeTheLogin(t *testing.T) {
	w, url := start(t, nil)
	client := dial(t, url+"/model/"+modelUUID+"/api")
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Errorf("ping before the login: %v", err)
	}
	wantError(t, client.Call(t.Context(), "Client", 8, "", "FullStatus", nil, nil), "unauthorized access", "not logged in")
	wantError(t, client.Call(t.Context(), "Admin", 3, "", "Login", nil, nil), "not supported", "too old")
	wantError(t, client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": ""}, nil), "session token invalid", "")
	if n := w.controller.loginCount(); n != 0 {
		t.Errorf("%d connections to the controller", n)
	}
	// The same connection can still log in, while it waits for a device.
	waits := make(chan error, 1)
	go func() {
		waits <- client.Call(context.Background(), "Admin", 4, "", "GetDeviceSessionToken", nil, nil)
	}()
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Errorf("ping while waiting for the device: %v", err)
	}
	close(w.release)
	if err := <-waits; err != nil {
		t.Error(err)
	}
	if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil); err != nil {
		t.Error(err)
	}
}

func TestLoginResultIsTheControllersWithOurAddress(t *testing.T) {
	tests := []struct {
		name, path, servers string
	}{
		{"at the root", "/model/", `[[{"value":"127.0.0.1","type":"ipv4","scope":"public","port":PORT}]]`},
		{"behind a prefix, which servers can't say", "/prefix/model/", `[]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, url := start(t, nil)
			client := dial(t, url+test.path+modelUUID+"/api")
			var got json.RawMessage
			if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, &got); err != nil {
				t.Fatal(err)
			}
			host := strings.TrimPrefix(url, "ws://")
			_, port, _ := strings.Cut(host, ":")
			want := `{"controller-tag":"controller-` + jimmUUID + `","facades":[{"name":"Client","versions":[8]}],"model-tag":"` + modelTag +
				`","new-field":[1],"public-dns-name":"","server-version":"4.1","servers":` + strings.ReplaceAll(test.servers, "PORT", port) + `}`
			if string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			err := client.Call(t.Context(), "HighAvailability", 3, "", "ControllerDetails", nil, nil)
			wantError(t, err, estate.CodeNotSupported, "the controllers behind JIMM are reached through it")
		})
	}
}

func TestUnknownAndForbiddenModelsLookTheSame(t *testing.T) {
	_, url := start(t, nil)
	for _, uuid := range []string{"4e7d7c4e-7b63-4ed9-8b1e-1dbd4b8b2f6a", "not-a-uuid"} {
		client := dial(t, url+"/model/"+uuid+"/api")
		err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil)
		wantError(t, err, "model not found", "model \""+uuid+"\" not found")
	}
}

func TestDeadControllerIsACodedErrorAndTheLoginCanBeTriedAgain(t *testing.T) {
	w, url := start(t, nil)
	w.dialErr = estate.Errorf(estate.CodeConnectionFailed, "cannot connect to controller \"blue\"")
	client := dial(t, url+"/model/"+modelUUID+"/api")
	token := map[string]string{"session-token": "good"}
	wantError(t, client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", token, nil), "connection failed", "blue")
	w.dialErr = nil
	if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", token, nil); err != nil {
		t.Error(err)
	}
	wantError(t, client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", token, nil), "not implemented", `unknown version 4 for facade type "Admin"`)
}

func TestWhoCouldLogInIsNotAskedToLogInAgain(t *testing.T) {
	w, url := start(t, nil)
	w.dialErr = estate.Errorf(estate.CodeConnectionFailed, "cannot connect to controller %q", "blue")
	client := dial(t, url+"/model/"+modelUUID+"/api")
	try := func(token string) error {
		return client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": token}, nil)
	}
	wantError(t, try(""), estate.CodeSessionTokenInvalid, "not valid")
	wantError(t, try("good"), estate.CodeConnectionFailed, "cannot connect")
	wantError(t, try(""), estate.CodeConnectionFailed, "cannot connect")
}

func TestRequestsAndErrorsPassUnchanged(t *testing.T) {
	_, url := start(t, nil)
	client := login(t, url)
	var got json.RawMessage
	sent := json.RawMessage(`{"z":1,"a":[1.50,"access required"],"Z":null}`)
	if err := client.Call(t.Context(), "Echo", 1, "", "Echo", sent, &got); err != nil {
		t.Fatal(err)
	}
	if string(got) != string(sent) {
		t.Errorf("got %s, sent %s", got, sent)
	}
	large := json.RawMessage(`"` + strings.Repeat("x", 40<<20) + `"`)
	if err := client.Call(t.Context(), "Echo", 1, "", "Echo", large, &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, large) {
		t.Errorf("got %d other bytes than the %d sent", len(got), len(large))
	}
	wantError(t, client.Call(t.Context(), "Nope", 1, "", "Nope", nil, nil), "not implemented", "unknown facade")
	err := client.Call(t.Context(), "Echo", 1, "", "Echo", strings.Repeat("x", 65<<20), nil)
	wantError(t, err, "message too large", "")
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Errorf("after a frame that was too large: %v", err)
	}
}

func TestRequiredAccessIsObtainedInvisibly(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "admin"}
	client := login(t, url)
	for range 3 {
		var got map[string]string
		if err := client.Call(t.Context(), "Application", 1, "", "Deploy", nil, &got); err != nil {
			t.Fatal(err)
		}
		if got["deployed"] != "yes" {
			t.Errorf("got %v", got)
		}
	}
	want := []estate.Claims{{modelTag: "read"}, {modelTag: "write"}}
	if !reflect.DeepEqual(w.controller.logins, want) {
		t.Errorf("tokens had %v, want %v", w.controller.logins, want)
	}
	n := 0
	for _, r := range w.controller.requests {
		if r == "Application.Deploy()" {
			n++
		}
	}
	if n != 4 {
		t.Errorf("the controller was asked %d times for 3 deploys, want one refusal only", n)
	}
}

func TestRequiredAccessTheUserLacksIsDenied(t *testing.T) {
	w, url := start(t, nil)
	client := login(t, url)
	wantError(t, client.Call(t.Context(), "Application", 1, "", "Deploy", nil, nil), "unauthorized access", "permission denied")
	if n := w.controller.loginCount(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

func TestControllerThatNeverHasEnoughIsNotAskedForever(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "admin"}
	client := login(t, url)
	wantError(t, client.Call(t.Context(), "Application", 1, "", "Stubborn", nil, nil), "unauthorized access", "permission denied")
	if n := w.controller.loginCount(); n > 2 {
		t.Errorf("%d logins", n)
	}
}

func TestOnlyTheRefusedEntriesOfABulkRequestAreReplayed(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{"model-a": "admin", "model-b": "admin"}
	client := login(t, url)
	var got struct {
		Results []struct {
			Error *params.Error
			Done  string
		}
	}
	args := map[string]any{"models": []string{"x", "model-a:admin", "model-c:admin", "y", "model-b:admin"}, "note": "!", "other": []int{1}}
	if err := client.Call(t.Context(), "ModelManager", 1, "", "Destroy", args, &got); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got.Results {
		if r.Error != nil {
			lines = append(lines, r.Error.Code)
			continue
		}
		lines = append(lines, r.Done)
	}
	want := []string{"x!", "model-a:admin!", "unauthorized access", "y!", "model-b:admin!"}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got %v, want %v", lines, want)
	}
	wantDone := map[string]int{"x": 1, "y": 1, "model-a:admin": 1, "model-b:admin": 1}
	if !reflect.DeepEqual(w.controller.done, wantDone) {
		t.Errorf("done %v, want %v", w.controller.done, wantDone)
	}
}

func TestBulkRequestWhoseEntriesAreNotClearIsNotReplayed(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{"model-a": "admin"}
	client := login(t, url)
	var got struct{ Results []params.ErrorResult }
	args := json.RawMessage(`{"models":["x","model-a:admin"],"other":[1,2]}`)
	if err := client.Call(t.Context(), "ModelManager", 1, "", "Destroy", args, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 2 || got.Results[0].Error != nil || got.Results[1].Error == nil || got.Results[1].Error.Code != "unauthorized access" {
		t.Errorf("got %+v", got.Results)
	}
	if !reflect.DeepEqual(w.controller.done, map[string]int{"x": 1}) {
		t.Errorf("done %v", w.controller.done)
	}
}

func TestWatchersOfBothConnectionsGoOnSideBySide(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "write"}
	client := login(t, url)
	var old, wide struct {
		ID string `json:"watcher-id"`
	}
	if err := client.Call(t.Context(), "Client", 1, "", "WatchAll", nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := client.Call(t.Context(), "Application", 1, "", "Watch", nil, &wide); err != nil {
		t.Fatal(err)
	}
	// Both are the first watcher of their own connection.
	if old.ID != "1" || wide.ID == "1" {
		t.Fatalf("watchers are %q and %q", old.ID, wide.ID)
	}
	for _, id := range []string{old.ID, wide.ID} {
		w.controller.events <- "changed"
		var got map[string]string
		if err := client.Call(t.Context(), "AllWatcher", 1, id, "Next", nil, &got); err != nil {
			t.Fatal(err)
		}
		if got["event"] != "changed" || got["watcher"] != "1" {
			t.Errorf("watcher %s gives %v", id, got)
		}
	}
	wantError(t, client.Call(t.Context(), "AllWatcher", 1, "jimm-9-1", "Next", nil, nil), "not found", "watcher")

	// The end of the wide connection does not take the other along.
	w.controller.mu.Lock()
	conn := w.controller.conns[1]
	w.controller.mu.Unlock()
	waiting := make(chan error, 1)
	go func() { waiting <- client.Call(context.Background(), "AllWatcher", 1, wide.ID, "Next", nil, nil) }()
	waitFor(t, func() bool { return w.controller.count("AllWatcher.Next(1)") == 3 })
	conn.Abort()
	wantError(t, <-waiting, "connection failed", "blue")
	if err := client.Call(t.Context(), "AllWatcher", 1, old.ID, "Stop", nil, nil); err != nil {
		t.Error(err)
	}
	if err := client.Call(t.Context(), "Application", 1, "", "Watch", nil, &wide); err != nil {
		t.Errorf("after the wide connection was lost: %v", err)
	}
}

func (c *controller) count(request string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, r := range c.requests {
		if r == request {
			n++
		}
	}
	return n
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("waited for too long")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestClientsPingKeepsAllConnectionsAlive(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "write"}
	client := login(t, url)
	if err := client.Call(t.Context(), "Application", 1, "", "Deploy", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return w.controller.count("Pinger.Ping()") == 2 })
}

func TestControllerThatDiesAnswersWhatIsPendingAndCloses(t *testing.T) {
	_, url := start(t, nil)
	client := login(t, url)
	pending := make(chan error, 1)
	go func() { pending <- client.Call(context.Background(), "AllWatcher", 1, "1", "Next", nil, nil) }()
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, client.Call(t.Context(), "Client", 1, "", "Die", nil, nil), "connection failed", `connection to controller "blue" was lost`)
	err := <-pending
	var closed *rpc.ClosedError
	if !errors.As(err, &closed) { // unless it was sent only after the end
		wantError(t, err, "connection failed", "")
	}
	<-client.Done()
}

func TestClientThatLeavesClosesTheControllersConnection(t *testing.T) {
	w, url := start(t, nil)
	client := login(t, url)
	_ = client.Close()
	w.controller.wait.Wait()
}

func TestClosingTheGatewayEndsItsSessions(t *testing.T) {
	w, url := start(t, nil)
	var g *Gateway
	_ = url
	g = New(Config{Admission: func(*http.Request) Admission { return w }, Models: w, Dialer: w, ControllerUUID: jimmUUID})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { g.ServeModel(rw, r, modelUUID) }))
	defer server.Close()
	client := login(t, "ws"+strings.TrimPrefix(server.URL, "http"))
	g.Close()
	<-client.Done()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new connection gets %s", resp.Status)
	}
}

func TestConnectionWithoutALoginIsClosed(t *testing.T) {
	_, url := start(t, func(c *Config) { c.LoginTimeout = 50 * time.Millisecond })
	client := dial(t, url+"/model/"+modelUUID+"/api")
	<-client.Done()
}

func TestBadFramesAreAnsweredOrCloseTheConnection(t *testing.T) {
	_, url := start(t, nil)
	other := login(t, url)
	tests := []struct {
		name  string
		kind  int
		frame string
		want  string
		close int
	}{
		{"a text that is no JSON", websocket.TextMessage, "hello", `"error-code":"bad request"`, websocket.CloseInvalidFramePayloadData},
		{"a binary message", websocket.BinaryMessage, "{}", "", websocket.CloseUnsupportedData},
		{"wrong types", websocket.TextMessage, `{"request-id":1,"type":5}`, `"error-code":"bad request"`, 0},
		{"no method", websocket.TextMessage, `{"request-id":1,"type":"A"}`, `"error-code":"bad request"`, 0},
		{"a request-id that is ours", websocket.TextMessage, `{"request-id":4611686018427387905,"type":"A","request":"B"}`, `"error-code":"bad request"`, 0},
		{"deep nesting", websocket.TextMessage, `{"request-id":1,"type":"A","request":"B","params":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, `"error-code":"bad request"`, 0},
		{"a frame that is too large before the login", websocket.TextMessage, `{"request-id":1,"type":"A","request":"` + strings.Repeat("x", 2<<20) + `"}`, `"error-code":"message too large"`, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ws, _, err := websocket.DefaultDialer.Dial(url+"/model/"+modelUUID+"/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.Close()
			if err := ws.WriteMessage(test.kind, []byte(test.frame)); err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				_, got, err := ws.ReadMessage()
				if err != nil || !strings.Contains(string(got), test.want) {
					t.Fatalf("got %s, %v; want %s", got, err, test.want)
				}
			}
			if test.close != 0 {
				if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, test.close) {
					t.Fatalf("got %v, want close code %d", err, test.close)
				}
			}
		})
	}
	if err := other.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Errorf("another connection was touched: %v", err)
	}
}

func TestRequestsAndRepliesAreRecordedButPingsAndWatchersNot(t *testing.T) {
	w, url := start(t, func(c *Config) {
		c.NewID = func() string { return "conversation" }
		c.Now = func() time.Time { return time.Unix(1, 0) }
	})
	w.may = map[string]string{modelTag: "write"}
	client := login(t, url)
	w.controller.events <- "changed"
	for _, call := range []struct{ facade, id, method string }{
		{"Pinger", "", "Ping"}, {"AllWatcher", "1", "Next"}, {"Echo", "", "Echo"}, {"Nope", "", "Nope"}, {"Application", "", "Deploy"},
	} {
		_ = client.Call(t.Context(), call.facade, 2, call.id, call.method, map[string]int{"a": 1}, nil)
	}
	event := func(id uint64, facade string, version int, method, params, errText, code, user string, response bool) estate.AuditEvent {
		e := estate.AuditEvent{
			Time: time.Unix(1, 0), ConversationID: "conversation", MessageID: id, Facade: facade, Method: method,
			Version: version, User: user, Model: modelUUID, IsResponse: response, Error: errText, ErrorCode: code,
		}
		if user != "" { // the model is looked up for whoever has logged in
			e.ModelName = alice.Name + "/shop"
		}
		if params != "" {
			e.Params = json.RawMessage(params)
		}
		return e
	}
	user := alice.Name
	want := []estate.AuditEvent{
		event(1, "Admin", 4, "LoginWithSessionToken", `{"session-token":"good"}`, "", "", "", false),
		event(1, "Admin", 4, "LoginWithSessionToken", "", "", "", user, true),
		event(4, "Echo", 2, "Echo", `{"a":1}`, "", "", user, false),
		event(4, "Echo", 2, "Echo", "", "", "", user, true),
		event(5, "Nope", 2, "Nope", `{"a":1}`, "", "", user, false),
		event(5, "Nope", 2, "Nope", "", `unknown facade type "Nope"`, "not implemented", user, true),
		event(6, "Application", 2, "Deploy", `{"a":1}`, "", "", user, false),
		event(6, "Application", 2, "Deploy", "", "", "", user, true),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.recorded) != len(want) {
		t.Fatalf("got %d events, want %d: %+v", len(w.recorded), len(want), w.recorded)
	}
	for i := range want {
		if !reflect.DeepEqual(w.recorded[i], want[i]) {
			t.Errorf("event %d:\ngot  %+v\nwant %+v", i, w.recorded[i], want[i])
		}
	}
}

func TestARequestThatCannotBeRecordedIsNotPassedOn(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "write"}
	client := login(t, url)
	refuse := func(f func(estate.AuditEvent) error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unrecorded = f
	}
	refuse(func(e estate.AuditEvent) error {
		if e.IsResponse {
			return nil
		}
		return estate.Errorf(estate.CodeConnectionFailed, "the log is away")
	})
	wantError(t, client.Call(t.Context(), "Echo", 1, "", "Echo", nil, nil), estate.CodeConnectionFailed, "the log is away")
	wantError(t, client.Call(t.Context(), "HighAvailability", 3, "", "ControllerDetails", nil, nil), estate.CodeConnectionFailed, "the log is away")
	newcomer := dial(t, url+"/model/"+modelUUID+"/api")
	err := newcomer.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil)
	wantError(t, err, estate.CodeConnectionFailed, "the log is away")
	w.controller.mu.Lock()
	if requests := w.controller.requests; len(requests) > 0 {
		t.Errorf("the controller got %q", requests)
	}
	w.controller.mu.Unlock()
	refuse(func(e estate.AuditEvent) error {
		if !e.IsResponse {
			return nil
		}
		return estate.Errorf(estate.CodeConnectionFailed, "how it ended is not written")
	})
	newcomer = dial(t, url+"/model/"+modelUUID+"/api")
	err = newcomer.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": "good"}, nil)
	wantError(t, err, estate.CodeConnectionFailed, "how it ended is not written")
	select {
	case <-newcomer.Done():
	case <-time.After(time.Minute):
		t.Error("who is told that the login failed is logged in")
	}
	for _, method := range []string{"Echo.Echo", "Application.Deploy"} { // the second with a wider token
		facade, method, _ := strings.Cut(method, ".")
		wantError(t, client.Call(t.Context(), facade, 1, "", method, nil, nil), estate.CodeConnectionFailed, "how it ended is not written")
	}
	if err := client.Call(t.Context(), "Pinger", 1, "", "Ping", nil, nil); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
	refuse(nil)
	if err := client.Call(t.Context(), "Echo", 1, "", "Echo", nil, nil); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestManyRequestsAtOnceEachGetTheirOwnReply(t *testing.T) {
	w, url := start(t, nil)
	w.may = map[string]string{modelTag: "write"}
	client := login(t, url)
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			method := "Echo.Echo"
			if i%3 == 0 {
				method = "Application.Deploy"
			}
			facade, method, _ := strings.Cut(method, ".")
			var got map[string]any
			if err := client.Call(t.Context(), facade, 1, "", method, map[string]int{"i": i}, &got); err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			if facade == "Echo" && got["i"] != float64(i) || facade == "Application" && got["deployed"] != "yes" {
				t.Errorf("%d: got %v", i, got)
			}
		})
	}
	calls.Wait()
	if n := w.controller.loginCount(); n != 2 {
		t.Errorf("%d logins, want one for all refusals", n)
	}
}
