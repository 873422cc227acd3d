package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/gateway"
	"jimm/workload/juju"
)

const (
	passModel      = "deadbeef-0bad-400d-8000-4b1d0d06f00d"
	passController = "914487b5-60e7-42bb-bd63-1adc3fd3a388"
	otherModel     = "7b3c64cb-2d1f-4f1e-8a77-8a7a4d3a1e55"
)

// passing is a Transfer before a controller that records what reaches it.
type passing struct {
	*gateway.Transfer
	url        string
	controller estate.Controller
	// grants is what users may do on passModel; superuser is on its controller.
	grants map[string]string

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc
	events   []estate.AuditEvent
	// unrecorded is what the recorder says of requests.
	unrecorded error
}

// Basic lets in everyone with the password "good", as who they say; an empty
// name is alice.
func (p *passing) Basic(_ context.Context, username, password string) (estate.User, error) {
	switch password {
	case "good":
		if username == "" {
			username = "alice@canonical.com"
		}
		return estate.User{Name: username}, nil
	case "broken":
		return estate.User{}, fmt.Errorf("the database is on fire: password=hunter2")
	}
	return estate.User{}, estate.Errorf(estate.CodeSessionTokenInvalid, "session token is not valid")
}

func (p *passing) Route(_ context.Context, u estate.User, uuid string) (estate.Route, error) {
	access := p.grants[u.Name]
	if access == "" || uuid != passModel {
		return estate.Route{}, estate.Errorf(estate.CodeModelNotFound, "model %q not found", uuid)
	}
	claims := estate.Claims{"controller-" + passController: "login", "model-" + uuid: access}
	if access == "superuser" {
		claims = estate.Claims{"controller-" + passController: "superuser", "model-" + uuid: "admin"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return estate.Route{Model: estate.Model{UUID: uuid}, Controller: p.controller, Claims: claims}, nil
}

func (p *passing) Widen(_ context.Context, _ estate.User, _ estate.Route, have estate.Claims, required map[string]string) (estate.Claims, error) {
	ranks := map[string]int{"login": 1, "superuser": 2, "read": 1, "write": 2, "admin": 3}
	claims := maps.Clone(have)
	for tag, access := range required {
		if ranks[have[tag]] < ranks[access] {
			return nil, estate.Errorf(estate.CodeUnauthorized, "permission denied")
		}
		claims[tag] = access
	}
	return claims, nil
}

// Mint makes tokens that can be read.
func (p *passing) Mint(uuid string, u estate.User, claims estate.Claims) (string, error) {
	text, err := json.Marshal(map[string]any{"controller": uuid, "user": u.Name, "claims": claims})
	return base64.RawURLEncoding.EncodeToString(text), err
}

// passwords are the secrets with the login of the controller.
type passwords struct{ estate.Secrets }

func (passwords) Get(_ context.Context, path string) (map[string]string, error) {
	if path != "controllers/"+passController {
		return nil, estate.Errorf(estate.CodeNotFound, "secret not found")
	}
	return map[string]string{"username": "admin", "password": "sekrit"}, nil
}

func startPassing(t *testing.T, version string) *passing {
	t.Helper()
	p := &passing{grants: map[string]string{"alice@canonical.com": "write", "reader@canonical.com": "read", "owner@canonical.com": "admin", "root@canonical.com": "superuser"}}
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r)
		answer := p.answer
		p.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.bodies = append(p.bodies, string(body))
		p.mu.Unlock()
		w.Header().Set("Juju-Curl", "local:one-7")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, "answer")
	}))
	t.Cleanup(upstream.Close)
	p.controller = estate.Controller{
		UUID: passController, Name: "blue", AgentVersion: version, Addresses: []string{upstream.Listener.Addr().String()}, TLSHostname: "example.com",
		CACertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})),
	}
	p.Transfer = gateway.NewTransfer(gateway.TransferConfig{Models: p, Logins: p, Controllers: &juju.Dialer{}, Tokens: p, Secrets: passwords{}, Recorder: p})
	t.Cleanup(p.Close)
	mux := http.NewServeMux()
	mux.Handle("GET /model/{uuid}/log", p.Log())
	mux.Handle("/", p.Transfer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// send makes a request as a user, with the password "good".
func (p *passing) send(t *testing.T, method, path, user, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	if user != "-" && request.Header.Get("Authorization") == "" {
		request.SetBasicAuth(user, "good")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(answer)
}

// Record implements gateway.Recorder.
func (p *passing) Record(_ context.Context, e estate.AuditEvent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	if p.unrecorded != nil && !e.IsResponse {
		return p.unrecorded
	}
	return nil
}

// await waits until what was recorded fulfils a condition.
func (p *passing) await(t *testing.T, condition func() bool) {
	t.Helper()
	fulfilled := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return condition()
	}
	for deadline := time.Now().Add(time.Minute); !fulfilled(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("recorded are %+v", p.events)
		}
	}
}

// reached returns what has reached the controller.
func (p *passing) reached() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

const (
	charmsPath   = "/model/" + passModel + "/charms"
	objectPath   = "/model-" + passModel + "/charms/one-0123abc"
	resourcePath = "/model/" + passModel + "/applications/one/resources/blob"
	toolsPath    = "/model/" + passModel + "/tools"
	backupsPath  = "/model/" + passModel + "/backups"
)

func TestWhatPassesAndWithWhichRights(t *testing.T) {
	login := func(model string) string {
		return `{"controller-` + passController + `":"login","model-` + passModel + `":"` + model + `"}`
	}
	super := func(model string) string {
		return `{"controller-` + passController + `":"superuser","model-` + passModel + `":"` + model + `"}`
	}
	const basic = "Basic dXNlci1hZG1pbjpzZWtyaXQ=" // user-admin:sekrit
	for _, test := range []struct {
		name, version, method, path, user string
		status                            int
		// want is what the token claims, or the header.
		want string
	}{
		{"a writer uploads a charm to 4.1", "4.1-beta2", "PUT", objectPath, "", 200, login("write")},
		{"a writer uploads a charm to 3.6, which hears superusers only", "3.6.11", "PUT", objectPath, "", 200, super("write")},
		{"a writer uploads a charm to 3.5, which takes no tokens", "3.5.4", "PUT", objectPath, "", 200, basic},
		{"a reader uploads no charm", "3.5.4", "PUT", objectPath, "reader@canonical.com", 403, ""},
		{"a reader gets a charm", "3.6.11", "GET", objectPath, "reader@canonical.com", 200, login("read")},
		{"a writer uploads a charm the old way", "3.6.11", "POST", charmsPath + "?series=jammy", "", 200, super("write")},
		{"a reader uploads no charm the old way", "3.6.11", "POST", charmsPath, "reader@canonical.com", 403, ""},
		{"a reader gets a charm the old way", "3.6.11", "GET", charmsPath + "?url=local%3Aone-7&file=%2A", "reader@canonical.com", 200, login("read")},
		{"a writer uploads a resource to 4.1", "4.1-beta2", "PUT", resourcePath + "?pendingid=7", "", 200, login("write")},
		{"a writer uploads a resource to 3.6", "3.6.11", "PUT", resourcePath, "", 200, login("write")},
		{"a reader uploads no resource, though 3.6 would let them", "3.6.11", "PUT", resourcePath, "reader@canonical.com", 403, ""},
		{"a reader gets a resource", "4.1-beta2", "GET", resourcePath, "reader@canonical.com", 200, login("read")},
		{"a stranger does not learn of the model", "4.1-beta2", "GET", resourcePath, "eve@canonical.com", 404, ""},
		{"a writer uploads no agent", "4.1-beta2", "POST", toolsPath, "", 403, ""},
		{"an owner uploads an agent", "4.1-beta2", "POST", toolsPath, "owner@canonical.com", 200, login("admin")},
		{"an owner gets no backup", "3.6.11", "GET", backupsPath, "owner@canonical.com", 403, ""},
		{"a superuser gets a backup", "3.6.11", "GET", backupsPath, "root@canonical.com", 200, super("admin")},
		{"another method", "4.1-beta2", "DELETE", resourcePath, "", 405, ""},
		{"another path", "4.1-beta2", "GET", "/model/" + passModel + "/commands", "", 404, ""},
		{"the controller's own", "4.1-beta2", "GET", "/introspection/units", "", 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startPassing(t, test.version)
			response, body := p.send(t, test.method, test.path, test.user, "", nil)
			if response.StatusCode != test.status {
				t.Errorf("the answer is %s: %s", response.Status, body)
			}
			reached := p.reached()
			if test.status != 200 {
				if len(reached) != 0 {
					t.Errorf("%s reached the controller", reached[0].URL)
				}
				var result params.ErrorResult
				if err := json.Unmarshal([]byte(body), &result); err != nil || result.Error == nil || result.Error.Message == "" || result.Error.Code == "" {
					t.Errorf("the error is %q", body)
				}
				return
			}
			if len(reached) != 1 || reached[0].RequestURI != test.path || reached[0].Method != test.method {
				t.Fatalf("%v reached the controller", reached)
			}
			got := reached[0].Header.Get("Authorization")
			if token, ok := strings.CutPrefix(got, "Bearer "); ok {
				text, err := base64.RawURLEncoding.DecodeString(token)
				if err != nil {
					t.Fatal(err)
				}
				var minted struct {
					Controller string
					Claims     json.RawMessage
				}
				if err := json.Unmarshal(text, &minted); err != nil || minted.Controller != passController {
					t.Errorf("the token is %s", text)
				}
				got = string(minted.Claims)
			}
			if got != test.want {
				t.Errorf("the controller is told %s, want %s", got, test.want)
			}
		})
	}
}

func TestHeadersAndBodiesPassButCredentialsDoNot(t *testing.T) {
	p := startPassing(t, "4.1-beta2")
	kept := http.Header{
		"Juju-Curl": {"local:one"}, "Content-Type": {"application/zip"}, "Content-Sha384": {"abc"},
		"Content-Disposition": {`form-data; filename="blob.txt"`}, "X-Juju-Clientversion": {"4.1-beta2"}, "Something-New": {"yes"},
	}
	sent := http.Header{
		"Cookie": {"session=1"}, "Macaroons": {"bTE="}, "Bakery-Protocol-Version": {"3"}, "X-Juju-Nonce": {"n"},
		"X-Forwarded-For": {"1.2.3.4"}, "X-Juju-Migration-Model-Uuid": {otherModel}, "Connection": {"X-Hop"}, "X-Hop": {"1"},
	}
	maps.Copy(sent, kept)
	response, body := p.send(t, "PUT", objectPath, "", "the charm", sent)
	if body != "answer" || response.Header.Get("Juju-Curl") != "local:one-7" || response.Header.Get("Set-Cookie") != "" {
		t.Errorf("the answer is %q with %v", body, response.Header)
	}
	reached := p.reached()
	if len(reached) != 1 || p.bodies[0] != "the charm" {
		t.Fatalf("%d requests reached the controller, with bodies %q", len(reached), p.bodies)
	}
	got := reached[0].Header.Clone()
	for _, name := range []string{"Authorization", "User-Agent", "Accept-Encoding", "Content-Length"} {
		got.Del(name)
	}
	if !reflect.DeepEqual(got, kept) {
		t.Errorf("the controller gets %v, want %v", got, kept)
	}
}

func TestHostileRequestsReachNoController(t *testing.T) {
	p := startPassing(t, "4.1-beta2")
	for _, path := range []string{
		"/model/" + passModel + "/applications/one/resources/..%2F..%2F..%2Ftools",
		"/model/" + passModel + "/applications/..%2Fx/resources/blob",
		"/model/" + passModel + "/applications/%2e%2e/resources/blob",
		"/model/" + passModel + "/applications/one/resources/a%5Cb",
		"/model/" + passModel + "/applications/one/resources/a%00b",
		"/model/" + passModel + "/applications/one/resources/a%0d%0ab",
		"/model/" + passModel + "/applications/one/resources/" + strings.Repeat("x", 10_000),
		"/model/" + passModel + "/applications//resources/blob",
		"/model/" + strings.ToUpper(passModel) + "/charms",
		"/model/not-a-uuid/charms",
		"/model/" + passModel + "%2f/charms",
		"/model-" + passModel + "%2f..%2fother/charms/one-0123abc",
		"/model-/charms/one-0123abc",
		objectPath + "?:modeluuid=" + otherModel,
		objectPath + "?%3Amodeluuid=" + otherModel,
		objectPath + "?a=%zz",
		objectPath + "?a;b",
	} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", p.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.URL.Opaque = "//" + request.URL.Host + path // as it is
		request.SetBasicAuth("", "good")
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode < 300 || response.StatusCode >= 500 {
			t.Errorf("%.80s is answered with %s", path, response.Status)
		}
	}
	if reached := p.reached(); len(reached) != 0 {
		t.Errorf("%s reached the controller", reached[0].URL)
	}
}

func TestFailuresHaveAStatusAndACodedError(t *testing.T) {
	for _, test := range []struct {
		name     string
		change   func(*passing)
		password string
		status   int
		code     string
		text     string
	}{
		{"no credentials", nil, "", 401, "no credentials provided", "authentication failed: no credentials provided"},
		{"an old session token", nil, "old", 401, "session token invalid", "session token is not valid"},
		{"a failure of ours", nil, "broken", 500, "", "internal error"},
		{"a controller that is not there", func(p *passing) { p.controller.Addresses = []string{"127.0.0.1:1"} }, "good", 504, "connection failed", `controller "blue"`},
		{"a controller that is another", func(p *passing) { p.controller.CACertificate = "" }, "good", 504, "connection failed", `controller "blue"`},
		{"a controller that does not know our keys", func(p *passing) {
			p.answer = func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "authentication failed: no such key", http.StatusUnauthorized)
			}
		}, "good", 504, "connection failed", `controller "blue" does not accept JIMM: authentication failed: no such key`},
		{"a controller that hangs up", func(p *passing) {
			p.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, "good", 504, "connection failed", `controller "blue" has not answered`},
		{"a request that cannot be recorded", func(p *passing) {
			p.unrecorded = estate.Errorf(estate.CodeConnectionFailed, "the log is away")
			p.answer = func(http.ResponseWriter, *http.Request) { t.Error("it is passed on") }
		}, "good", 504, "connection failed", "the log is away"},
		{"a controller's own error", func(p *passing) {
			p.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(400)
				_, _ = io.WriteString(w, `{"error":{"message":"no such resource","code":"bad request"}}`)
			}
		}, "good", 400, "bad request", "no such resource"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startPassing(t, "4.1-beta2")
			if test.change != nil {
				test.change(p)
			}
			header := http.Header{}
			if test.password != "" {
				header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(":"+test.password)))
			}
			response, body := p.send(t, "GET", resourcePath, "-", "", header)
			var result params.ErrorResult
			if err := json.Unmarshal([]byte(body), &result); err != nil || result.Error == nil {
				t.Fatalf("the answer is %s: %s", response.Status, body)
			}
			if response.StatusCode != test.status || result.Error.Code != test.code || !strings.Contains(result.Error.Message, test.text) {
				t.Errorf("the answer is %s: %s", response.Status, body)
			}
			if strings.Contains(body, "hunter2") {
				t.Errorf("the answer tells a secret: %s", body)
			}
			if got := response.Header.Get("WWW-Authenticate") != ""; got != (test.status == http.StatusUnauthorized) {
				t.Errorf("the headers are %v", response.Header)
			}
		})
	}
}

func TestNothingIsHeldBackOnTheWay(t *testing.T) {
	p := startPassing(t, "4.1-beta2")
	up, down := make(chan string), make(chan string)
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		half := make([]byte, 5)
		for range 2 {
			if _, err := io.ReadFull(r.Body, half); err != nil {
				t.Error(err)
			}
			up <- string(half)
		}
		for text := range down {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	}
	body, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), "PUT", p.url+objectPath, body)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("", "good")
	answers := make(chan *http.Response, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
		}
		answers <- response
	}()
	for _, half := range []string{"first", "after"} {
		if _, err := io.WriteString(writer, half); err != nil {
			t.Fatal(err)
		}
		if got := <-up; got != half {
			t.Errorf("the controller gets %q, want %q", got, half)
		}
	}
	_ = writer.Close()
	down <- "early"
	response := <-answers
	defer response.Body.Close()
	for _, text := range []string{"early", "later"} {
		got := make([]byte, len(text))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != text {
			t.Errorf("the client gets %q, %v", got, err)
		}
		if text == "early" {
			down <- "later"
			close(down)
		}
	}
}

// openLog opens the log of the model and returns its first message.
func (p *passing) openLog(t *testing.T, path, user, password string) (*websocket.Conn, params.ErrorResult) {
	t.Helper()
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+path, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	_, first, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(first, []byte("\n")) {
		t.Errorf("the first message is %q, which has no newline: clients wait for it", first)
	}
	var result params.ErrorResult
	if err := json.Unmarshal(first, &result); err != nil {
		t.Fatal(err)
	}
	return ws, result
}

// log answers as a controller does: no error, then what lines has.
func (p *passing) log(t *testing.T, lines chan string, ended chan<- struct{}) {
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		_ = ws.WriteMessage(websocket.TextMessage, []byte("{}\n"))
		gone := make(chan struct{})
		go func() { defer close(gone); _, _, _ = ws.ReadMessage() }()
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
					<-gone
					return
				}
				_ = ws.WriteMessage(websocket.TextMessage, []byte(line))
			case <-gone:
				close(ended)
				return
			}
		}
	}
}

const logPath = "/model/" + passModel + "/log?backlog=10&includeEntity=unit-one-0&version=2"

func TestALogIsPassedLineByLine(t *testing.T) {
	for _, version := range []string{"3.5.4", "3.6.11", "4.1-beta2"} {
		t.Run(version, func(t *testing.T) {
			p := startPassing(t, version)
			lines := make(chan string)
			p.log(t, lines, nil)
			ws, first := p.openLog(t, logPath, "reader@canonical.com", "good")
			if first.Error != nil {
				t.Fatal(first.Error)
			}
			if got := p.reached()[0].RequestURI; got != logPath {
				t.Errorf("the controller is asked for %s", got)
			}
			for _, line := range []string{`{"x":1}`, `{"x":"` + strings.Repeat("long", 100_000) + `"}`} {
				lines <- line
				if _, got, err := ws.ReadMessage(); err != nil || string(got) != line {
					t.Errorf("got %.20q, %v", got, err)
				}
			}
			close(lines)
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

func TestALogEndsWhenEitherSideDoes(t *testing.T) {
	for name, end := range map[string]func(*passing, *websocket.Conn){
		"the client":  func(_ *passing, ws *websocket.Conn) { _ = ws.Close() },
		"the gateway": func(p *passing, _ *websocket.Conn) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := startPassing(t, "4.1-beta2")
			ended := make(chan struct{})
			p.log(t, nil, ended)
			ws, first := p.openLog(t, logPath, "", "good")
			if first.Error != nil {
				t.Fatal(first.Error)
			}
			end(p, ws)
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Error("the controller's side stays open")
			}
		})
	}
}

func TestALogThatMayNotBeReadBeginsWithTheError(t *testing.T) {
	for _, test := range []struct {
		name, path, user, password, code string
	}{
		{"an old session token", logPath, "", "old", estate.CodeSessionTokenInvalid},
		{"a stranger", logPath, "eve@canonical.com", "good", estate.CodeModelNotFound},
		{"another model", strings.Replace(logPath, passModel, otherModel, 1), "", "good", estate.CodeModelNotFound},
		{"the log of all models", logPath + "&firehose=true", "owner@canonical.com", "good", estate.CodeUnauthorized},
		{"the log of all models, said strangely", logPath + "&firehose=T", "owner@canonical.com", "good", estate.CodeUnauthorized},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startPassing(t, "4.1-beta2")
			ws, first := p.openLog(t, test.path, test.user, test.password)
			if first.Error == nil || first.Error.Code != test.code || first.Error.Message == "" {
				t.Errorf("it begins with %+v, want code %q", first.Error, test.code)
			}
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("it ends with %v", err)
			}
			if reached := p.reached(); len(reached) != 0 {
				t.Errorf("%s reached the controller", reached[0].URL)
			}
		})
	}
	t.Run("no controller", func(t *testing.T) {
		p := startPassing(t, "4.1-beta2")
		p.controller.Addresses = []string{"127.0.0.1:1"}
		if _, first := p.openLog(t, logPath, "", "good"); first.Error == nil || first.Error.Code != estate.CodeConnectionFailed {
			t.Errorf("it begins with %+v", first.Error)
		}
	})
	t.Run("no websocket", func(t *testing.T) {
		p := startPassing(t, "4.1-beta2")
		p.answer = func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) }
		if _, first := p.openLog(t, logPath, "", "good"); first.Error == nil || !strings.Contains(first.Error.Message, "404 Not Found") {
			t.Errorf("it begins with %+v", first.Error)
		}
	})
	t.Run("a superuser may read the log of all models", func(t *testing.T) {
		p := startPassing(t, "4.1-beta2")
		p.log(t, nil, make(chan struct{}))
		if _, first := p.openLog(t, logPath+"&firehose=true", "root@canonical.com", "good"); first.Error != nil {
			t.Error(first.Error)
		}
	})
}

func TestAPageOfAnotherSiteReadsNoLog(t *testing.T) {
	p := startPassing(t, "4.1-beta2")
	header := http.Header{"Origin": {"https://evil.example"}, "Authorization": {"Basic Omdvb2Q="}}
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+logPath, header)
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("it is let in: %v", err)
	}
}

func TestWhatPassesIsAudited(t *testing.T) {
	for _, test := range []struct {
		name, method, path, user, body string
		answer                         http.HandlerFunc
		// request and reply are what is recorded, with a %s for the path.
		request, reply string
	}{
		{"an upload", "PUT", objectPath, "", "charm", nil,
			`UploadCharm by "alice@canonical.com" {"bytes":5,"path":"%s"}`, `UploadCharm by "alice@canonical.com"`},
		{"a download", "GET", resourcePath, "reader@canonical.com", "", nil,
			`DownloadResource by "reader@canonical.com" {"bytes":0,"path":"%s"}`, `DownloadResource by "reader@canonical.com"`},
		{"one that is not allowed", "PUT", objectPath, "reader@canonical.com", "charm", nil,
			`UploadCharm by "reader@canonical.com" {"bytes":5,"path":"%s"}`, `UploadCharm by "reader@canonical.com": permission denied (unauthorized access)`},
		{"a login that fails", "GET", charmsPath, "wrong", "", nil,
			`DownloadCharm by "" {"bytes":0,"path":"%s"}`, `DownloadCharm by "": session token is not valid (session token invalid)`},
		{"one that the controller refuses", "PUT", objectPath, "", "charm", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) },
			`UploadCharm by "alice@canonical.com" {"bytes":5,"path":"%s"}`, `UploadCharm by "alice@canonical.com": controller "blue" has answered 409 Conflict (bad request)`},
		{"one without credentials", "GET", charmsPath, "-", "", nil, "", ""},
		{"what does not pass", "GET", "/model/" + passModel + "/units", "", "", nil, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := startPassing(t, "4.1-beta2")
			p.answer = test.answer
			user := test.user
			if user == "" {
				user = "alice@canonical.com"
			}
			header := http.Header{}
			if user == "wrong" {
				header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(":old")))
			}
			p.send(t, test.method, test.path, user, test.body, header)
			var got []string
			p.await(t, func() bool {
				got = nil
				for _, e := range p.events {
					if e.Facade != "HTTP" || e.Model != passModel || e.Time.IsZero() || e.ConversationID == "" || e.IsResponse != (len(got) == 1) {
						t.Errorf("an event is %+v", e)
					}
					line := fmt.Sprintf("%s by %q", e.Method, e.User)
					if len(e.Params) > 0 {
						line += " " + string(e.Params)
					}
					if e.Error != "" {
						line += fmt.Sprintf(": %s (%s)", e.Error, e.ErrorCode)
					}
					got = append(got, line)
				}
				return len(got) == 2 || test.request == ""
			})
			var want []string
			if test.request != "" {
				want = []string{fmt.Sprintf(test.request, test.path), test.reply}
			}
			if !slices.Equal(got, want) {
				t.Errorf("recorded is\n%q, want\n%q", got, want)
			}
		})
	}
}

func TestATransferThatIsCutOffIsAuditedAsThat(t *testing.T) {
	p := startPassing(t, "4.1-beta2")
	p.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", p.url+resourcePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("reader@canonical.com", "good")
	if response, err := http.DefaultClient.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	p.await(t, func() bool {
		return len(p.events) == 2 && p.events[1].Error == "the transfer was cut off"
	})
}
