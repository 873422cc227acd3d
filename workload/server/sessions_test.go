package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/jimmapi"
	"jimm/workload/login"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
	"jimm/workload/sealed"
	"jimm/workload/server"
	"jimm/workload/sim"
)

const (
	jimmUUID = "914487b5-60e7-42bb-bd63-1adc3fd3a388"
	password = "the-password"
	robotKey = "the-robots-key"
	// redirectURL is where browsers come back to, which nothing serves.
	redirectURL = "https://jimm.example.com/auth/callback"
	// closing is for how long a connection may live on without its session, on a
	// machine however busy; who is not told of its end finds out after a minute.
	closing = 30 * time.Second
)

// house is an identity provider, a database, a controller and two units of JIMM.
type house struct {
	*testing.T
	dsn         string
	issuer      string
	exchanges   atomic.Int64 // requests to the issuer's token endpoint
	permissions estate.Permissions
	// lookup, where set, makes what is asked for groups, which no token has then.
	lookup func(issuer string) estate.IdPGroups
	// refusing makes the issuer refuse to refresh anything, or to give a token.
	refusing atomic.Bool
	// tokenLife is how long the issuer's tokens are good (default 1 h).
	tokenLife time.Duration
	limits    login.Limits
	// ahead is by how much the clock of units is, in nanoseconds; if stopped is set,
	// ahead of that.
	ahead   atomic.Int64
	stopped time.Time
	// patience bounds how long the database may take, and callers wait for the audit
	// log (default 1 m); 0 is as in production.
	patience time.Duration
	config   server.Config // what is not for all

	groups     estate.IdPGroups
	units      [2]*instance
	controller *sim.Controller
}

type instance struct {
	*server.Server
	url    string // ws://host:port
	logins *login.Service
	trail  *audit.Log
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t *testing.T, changes ...func(*house)) *house {
	h := &house{T: t, dsn: cluster.ForTest(t).NewDatabase(t), patience: time.Minute}
	for _, change := range changes {
		change(h)
	}
	var provider http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			h.exchanges.Add(1)
			if h.refusing.Load() {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
				return
			}
		}
		provider.ServeHTTP(w, r)
	}))
	t.Cleanup(issuer.Close)
	h.issuer = issuer.URL
	var err error
	provider, err = idp.New(idp.Config{
		Issuer:          h.issuer,
		Users:           []idp.User{{Email: "alice@example.com", Password: password, Groups: []string{"tea"}}, {Email: "boss@example.com", Password: password}},
		Clients:         []idp.Client{{ID: "jimm", Secret: "jimms-secret", RedirectURIs: []string{redirectURL}}},
		TokenLife:       h.tokenLife,
		ServiceAccounts: []idp.ServiceAccount{{ID: "robot", Secret: robotKey}},
	})
	check(t, err)
	if h.lookup != nil {
		h.groups = h.lookup(h.issuer)
	}
	permissions, err := embedded.Open(t.Context(), embedded.Config{}) // in memory
	check(t, err)
	t.Cleanup(func() { _ = permissions.Close() })
	h.permissions = permissions
	for i := range h.units {
		h.units[i] = h.newUnit()
	}
	h.controller, err = sim.Start(t.Context(), sim.Config{
		Name: "blue", Generation: sim.Juju41, JWKSURL: strings.Replace(h.units[0].url, "ws://", "http://", 1) + "/.well-known/jwks.json",
		Cloud: sim.Cloud{Name: "dev", Regions: []string{"west"}}, AdminPassword: password, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	t.Cleanup(func() { _ = h.controller.Close() })
	_, err = h.units[0].Estate.AddController(t.Context(), estate.User{Name: "boss@example.com"}, estate.AddControllerArgs{
		Name: "blue", UUID: h.controller.UUID(), Addresses: []string{h.controller.Address()}, CACertificate: h.controller.CACert(),
		Username: "admin", Password: password,
	})
	check(t, err)
	return h
}

func (h *house) now() time.Time {
	now := h.stopped
	if now.IsZero() {
		now = time.Now()
	}
	return now.Add(time.Duration(h.ahead.Load()))
}

func (h *house) newUnit() *instance {
	t := h.T
	log := slog.New(slog.DiscardHandler)
	store, err := postgres.Open(t.Context(), h.dsn, postgres.Options{Log: log, Now: h.now, Patience: h.patience})
	check(t, err)
	t.Cleanup(store.Close)
	secrets, err := sealed.New(store.Pool(), []byte("a key of thirty-two bytes or more"))
	check(t, err)
	claim := "groups"
	if h.groups != nil {
		claim = ""
	}
	logins, err := login.New(t.Context(), login.Config{
		Issuer: h.issuer, ClientID: "jimm", ClientSecret: "jimms-secret", Scopes: []string{"openid", "profile", "email"}, GroupClaim: claim, IdPGroups: h.groups,
		SessionKey: []byte(strings.Repeat("the-session-key-", 4)), SessionLife: time.Hour, Identities: store, Sessions: store, Log: log,
		RedirectURL: redirectURL, BrowserLife: time.Hour, BrowserIdle: time.Hour, Secrets: secrets, Limits: h.limits,
		Now: h.now,
	})
	check(t, err)
	trail := audit.New(store, audit.Options{Log: log, MaxWait: h.patience})
	u := &instance{logins: logins, trail: trail}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { u.Handler().ServeHTTP(w, r) }))
	u.url = "ws" + strings.TrimPrefix(front.URL, "http")
	c := h.config
	c.UUID, c.DNSName, c.Admins, c.Log = jimmUUID, strings.TrimPrefix(front.URL, "http://"), []string{"boss@example.com"}, log
	u.Server, err = server.New(t.Context(), c, server.Adapters{Store: store, Permissions: h.permissions, Secrets: secrets, Logins: logins, IdPGroups: h.groups, Audit: trail})
	check(t, err)
	u.Estate.Now = h.now
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); u.Run(ctx) }()
	t.Cleanup(func() {
		u.Close()
		front.Close()
		cancel()
		<-done
		closing, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		check(t, trail.Close(closing))
	})
	return u
}

// connection is a websocket on which requests are answered.
type connection struct {
	*rpc.Conn
	t    *testing.T
	name string
	last uint64
	// closed is closed when the other end has closed it.
	closed  chan struct{}
	replies chan []byte
}

func (h *house) dial(u *instance, path, name string) *connection {
	h.Helper()
	return h.dialWith(u, path, name, http.Header{"X-Juju-ClientVersion": {"4.1.0"}})
}

func (h *house) dialWith(u *instance, path, name string, header http.Header) *connection {
	h.Helper()
	conn, _, err := rpc.Dial(h.Context(), u.url+path, header, nil, rpc.Options{})
	check(h.T, err)
	c := &connection{Conn: conn, t: h.T, name: name, closed: make(chan struct{}), replies: make(chan []byte, 1)}
	h.Cleanup(c.Abort)
	go func() {
		defer close(c.closed)
		for {
			frame, err := conn.ReadFrame()
			if err != nil {
				return
			}
			c.replies <- append([]byte(nil), frame.Bytes()...)
			frame.Release()
		}
	}()
	return c
}

// call returns the code of the error there was.
func (c *connection) call(facade string, version int, method string, args, result any) (code string) {
	c.t.Helper()
	raw, err := json.Marshal(args)
	check(c.t, err)
	c.last++
	if err := c.WriteFrame(rpc.AppendRequest(nil, &rpc.Request{RequestID: c.last, Type: facade, Version: version, Method: method, Params: raw})); err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
	var reply []byte
	select {
	case reply = <-c.replies:
	case <-c.closed:
		select { // the last word
		case reply = <-c.replies:
		default:
			c.t.Fatalf("%s is closed", c.name)
		}
	}
	var r struct {
		Error    string          `json:"error"`
		Code     string          `json:"error-code"`
		Response json.RawMessage `json:"response"`
	}
	check(c.t, json.Unmarshal(reply, &r))
	if r.Error != "" {
		return r.Error + " (" + r.Code + ")"
	}
	if result != nil {
		check(c.t, json.Unmarshal(r.Response, result))
	}
	return ""
}

func (c *connection) must(facade string, version int, method string, args, result any) {
	c.t.Helper()
	if code := c.call(facade, version, method, args, result); code != "" {
		c.t.Fatalf("%s: %s.%s: %s", c.name, facade, method, code)
	}
}

// wantOpen makes sure that the other end answers.
func (c *connection) wantOpen() {
	c.t.Helper()
	c.must("Pinger", 1, "Ping", struct{}{}, nil)
}

// logIn logs a person in by device.
func (h *house) logIn(u *instance, email string) (token string) {
	h.Helper()
	c := h.dial(u, "/api", "login of "+email)
	defer c.Close()
	var device struct {
		UserCode string `json:"user-code"`
		URI      string `json:"verification-uri"`
	}
	c.must("Admin", 4, "LoginDevice", struct{}{}, &device)
	check(h.T, idp.ApproveDevice(h.Context(), nil, device.URI, device.UserCode, email, password))
	var result struct {
		Token string `json:"session-token"`
	}
	c.must("Admin", 4, "GetDeviceSessionToken", struct{}{}, &result)
	return result.Token
}

func (h *house) withToken(u *instance, path, name, token string) *connection {
	h.Helper()
	c := h.dial(u, path, name)
	c.must("Admin", 4, "LoginWithSessionToken", map[string]string{"session-token": token}, nil)
	return c
}

func (h *house) withSecret(u *instance, path, name string) *connection {
	h.Helper()
	c := h.dial(u, path, name)
	c.must("Admin", 4, "LoginWithClientCredentials", map[string]string{"client-id": "robot", "client-secret": robotKey}, nil)
	return c
}

// log opens the log of a model; what is returned is closed when it ends.
func (h *house) log(u *instance, model, username, secret string) <-chan struct{} {
	h.Helper()
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+secret))}}
	ws, _, err := websocket.DefaultDialer.DialContext(h.Context(), u.url+"/model/"+model+"/log", header)
	check(h.T, err)
	h.Cleanup(func() { _ = ws.Close() })
	_, first, err := ws.ReadMessage()
	check(h.T, err)
	if strings.Contains(string(first), "error\":{") {
		h.Fatalf("log begins with %s", first)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}()
	return closed
}

// wantClosed waits for connections to close, and returns how long it took.
func wantClosed(t *testing.T, since time.Time, closed map[string]<-chan struct{}) {
	t.Helper()
	late, cancel := context.WithDeadline(t.Context(), since.Add(closing))
	defer cancel()
	for name, c := range closed {
		select {
		case <-c:
			continue
		case <-late.Done():
		}
		select { // what was before may have taken all the time
		case <-c:
		default:
			t.Errorf("%s is open %v after the end of its session", name, time.Since(since))
		}
	}
	t.Logf("%d connections closed in %v", len(closed), time.Since(since))
}

func TestASessionThatIsRevokedEndsOnAllUnits(t *testing.T) {
	h := newHouse(t)
	a, b := h.units[0], h.units[1]
	alice, other, boss := h.logIn(a, "alice@example.com"), h.logIn(b, "alice@example.com"), h.logIn(b, "boss@example.com")

	bossHere := h.withToken(a, "/api", "boss at a", boss)
	var model struct {
		UUID string `json:"uuid"`
	}
	stays := h.withToken(b, "/api", "alice's other session at b", other)
	robot := h.withSecret(b, "/api", "robot at b")
	bossHere.must("Cloud", 7, "ModifyCloudAccess", map[string]any{"changes": []any{map[string]any{
		"user-tag": "user-alice@example.com", "cloud-tag": "cloud-dev", "action": "grant", "access": "add-model"}}}, nil)
	stays.must("ModelManager", 10, "CreateModel", map[string]any{
		"name": "m", "owner-tag": "user-alice@example.com", "cloud-tag": "cloud-dev", "region": "west"}, &model)
	path := "/model/" + model.UUID + "/api"
	staysToo := h.withToken(a, path, "model of alice's other session at a", other)

	closed := map[string]<-chan struct{}{}
	for name, u := range map[string]*instance{"a": a, "b": b} {
		api, onModel := h.withToken(u, "/api", "api at "+name, alice), h.withToken(u, path, "model at "+name, alice)
		closed[api.name], closed[onModel.name] = api.closed, onModel.closed
		closed["log at "+name] = h.log(u, model.UUID, "", alice)
	}

	var list jimmapi.ListSessionsResponse
	bossHere.must("JIMM", 4, "ListSessions", jimmapi.ListSessionsRequest{UserTag: "user-alice@example.com"}, &list)
	if len(list.Sessions) != 2 {
		t.Fatalf("sessions are %+v", list)
	}
	mine := list.Sessions[1] // the older one
	if mine.Client != "juju 4.1.0" || mine.Address != "127.0.0.1" || mine.Kind != "device" || mine.Current {
		t.Errorf("session is %+v", mine)
	}
	since := time.Now()
	bossHere.must("JIMM", 4, "RevokeSessions", jimmapi.RevokeSessionsRequest{IDs: []string{mine.ID[:8]}}, nil)
	for _, u := range h.units {
		c := h.dial(u, "/api", "a connection after the end")
		if code := c.call("Admin", 4, "LoginWithSessionToken", map[string]string{"session-token": alice}, nil); !strings.Contains(code, estate.CodeSessionTokenInvalid) {
			t.Errorf("the token is taken after the end of its session: %s", code)
		}
	}
	wantClosed(t, since, closed)
	stays.wantOpen()
	staysToo.wantOpen()
	bossHere.wantOpen()

	t.Run("also when a unit has lost the connection on which it listens", func(t *testing.T) {
		admin, err := pgx.Connect(t.Context(), h.dsn)
		check(t, err)
		defer admin.Close(t.Context())
		again := h.withToken(b, path, "model again", h.logIn(a, "alice@example.com"))
		bossHere.must("JIMM", 4, "ListSessions", jimmapi.ListSessionsRequest{UserTag: "user-alice@example.com"}, &list)
		var ended int
		check(t, admin.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and query ilike 'listen "sessions"'`).Scan(&ended))
		since := time.Now()
		bossHere.must("JIMM", 4, "RevokeSessions", jimmapi.RevokeSessionsRequest{IDs: []string{list.Sessions[0].ID}}, nil)
		if ended != 2 {
			t.Errorf("%d listeners were there", ended)
		}
		wantClosed(t, since, map[string]<-chan struct{}{again.name: again.closed})
		stays.wantOpen()
	})

	t.Run("and so do the connections of a service account", func(t *testing.T) {
		// Who could not listen has forgotten what it knew of credentials.
		h.withSecret(b, "/api", "robot at b").wantOpen()
		before := h.exchanges.Load()
		h.withSecret(b, "/api", "robot at b").wantOpen()
		if n := h.exchanges.Load() - before; n != 0 {
			t.Errorf("%d exchanges for credentials that are known", n)
		}
		onA := h.withSecret(a, "/api", "robot at a")
		before = h.exchanges.Load()
		since := time.Now()
		bossHere.must("JIMM", 4, "RevokeSessions", jimmapi.RevokeSessionsRequest{UserTag: "user-robot@serviceaccount"}, nil)
		wantClosed(t, since, map[string]<-chan struct{}{onA.name: onA.closed, robot.name: robot.closed})
		h.withSecret(a, "/api", "robot at a, again").wantOpen()
		h.withSecret(b, "/api", "robot at b, again").wantOpen()
		if n := h.exchanges.Load() - before; n != 2 {
			t.Errorf("%d exchanges after the end of all connections, want 2", n)
		}
		stays.wantOpen()
	})

	t.Run("and all at once", func(t *testing.T) {
		robot := h.withSecret(a, "/api", "robot")
		since := time.Now()
		bossHere.must("JIMM", 4, "RevokeSessions", jimmapi.RevokeSessionsRequest{All: true}, nil)
		wantClosed(t, since, map[string]<-chan struct{}{
			robot.name: robot.closed, stays.name: stays.closed, staysToo.name: staysToo.closed, bossHere.name: bossHere.closed})
	})
}

// Juju 4 tries its session token, which is empty if it has none, after any error
// of a login by client credentials.
func TestAClientWhoseCredentialsAreRefusedIsNotAskedToLogInAsAPerson(t *testing.T) {
	h := newHouse(t)
	token := h.logIn(h.units[0], "boss@example.com")
	for _, path := range []string{"/api", "/model/" + jimmUUID + "/api"} {
		c := h.dial(h.units[0], path, "robot at "+path)
		try := func(token string) string {
			return c.call("Admin", 4, "LoginWithSessionToken", map[string]string{"session-token": token}, nil)
		}
		if got := try(""); !strings.HasSuffix(got, "("+estate.CodeSessionTokenInvalid+")") {
			t.Errorf("who has shown nothing is told %q", got)
		}
		got := c.call("Admin", 4, "LoginWithClientCredentials", map[string]string{"client-id": "robot", "client-secret": "wrong"}, nil)
		if got != "invalid client id or client secret ("+estate.CodeUnauthorized+")" {
			t.Errorf("wrong credentials are answered with %q", got)
		}
		if got := try(""); got != "invalid client id or client secret ("+login.CodeLoginFailed+")" {
			t.Errorf("after that the client is told %q", got)
		}
		if got := try("old"); !strings.HasSuffix(got, "("+estate.CodeSessionTokenInvalid+")") {
			t.Errorf("who has logged in once as a person is told %q", got)
		}
	}
	c := h.dial(h.units[0], "/api", "a person")
	_ = c.call("Admin", 4, "LoginWithClientCredentials", map[string]string{"client-id": "robot", "client-secret": "wrong"}, nil)
	c.must("Admin", 4, "LoginWithSessionToken", map[string]string{"session-token": token}, nil)
}
