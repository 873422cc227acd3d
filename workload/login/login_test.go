package login_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/login"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

const (
	clientSecret = "the-client-secret"
	robotSecret  = "the-robot-secret"
	password     = "the-password"
)

var sessionKey = []byte(strings.Repeat("the-session-key-", 4))

// lab is an identity provider, and a Service that relies on it.
type lab struct {
	*login.Service
	store  *postgres.Store
	issuer string
	// front, if set, answers a request to the token endpoint itself when it
	// returns true.
	front  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	tokens atomic.Int64 // requests to the token endpoint
	log    syncBuffer
	offset atomic.Int64 // of the Service's clock, nanoseconds
	// stopped, where set, is where the Service's clock stands but for the offset.
	stopped atomic.Pointer[time.Time]
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (l *lab) now() time.Time {
	now := time.Now()
	if stopped := l.stopped.Load(); stopped != nil {
		now = *stopped
	}
	return now.Add(time.Duration(l.offset.Load()))
}

// stop stops the Service's clock, for what is told to the second.
func (l *lab) stop() {
	now := time.Now()
	l.stopped.Store(&now)
}

// provider makes the identity provider of a lab.
func (l *lab) provider(t *testing.T, issuer string, change func(*idp.Config)) http.Handler {
	t.Helper()
	c := idp.Config{
		Issuer: issuer,
		Users: []idp.User{
			{Email: "Alice.Liddell@Example.COM", Name: "Alice Liddell", Password: password, Groups: []string{"tea", "engineering"}},
			{Email: "mallory@example.com", Password: password, Unverified: true},
			{Email: "everyone@external", Password: password},
			{Email: "robot@serviceaccount", Password: password},
		},
		Clients:         []idp.Client{{ID: "jimm", Secret: clientSecret}},
		ServiceAccounts: []idp.ServiceAccount{{ID: "robot", Secret: robotSecret, Groups: []string{"machines"}}, {ID: "r@bot", Secret: robotSecret}},
	}
	if change != nil {
		change(&c)
	}
	p, err := idp.New(c)
	check(t, err)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			l.tokens.Add(1)
			if front := l.front.Load(); front != nil && (*front)(w, r) {
				return
			}
		}
		p.ServeHTTP(w, r)
	})
}

func (l *lab) config() login.Config {
	return login.Config{
		Issuer: l.issuer, ClientID: "jimm", ClientSecret: clientSecret, Scopes: []string{"email", "profile"}, GroupClaim: "groups",
		SessionKey: sessionKey, SessionLife: time.Hour, Identities: l.store, Sessions: l.store, Now: l.now, Reserved: []string{"jimm@example.com"},
		Log: slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func newLab(t *testing.T, changeProvider func(*idp.Config), change func(*login.Config)) *lab {
	t.Helper()
	l := emptyLab(t)
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	l.issuer = server.URL
	handler = l.provider(t, l.issuer, changeProvider)
	c := l.config()
	if change != nil {
		change(&c)
	}
	var err error
	l.Service, err = login.New(t.Context(), c)
	check(t, err)
	return l
}

// emptyLab has no provider yet, and checks in the end that no secret was logged.
func emptyLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{}
	store, err := postgres.Open(t.Context(), cluster.ForTest(t).NewDatabase(t), postgres.Options{Now: l.now, Patience: time.Minute})
	check(t, err)
	t.Cleanup(store.Close)
	l.store = store
	t.Cleanup(func() {
		for _, secret := range []string{clientSecret, robotSecret, password, string(sessionKey), "wrong-secret"} {
			if text := l.log.String(); strings.Contains(text, secret) {
				t.Errorf("a secret is in the log: %s", text)
			}
		}
	})
	return l
}

// logIn does a whole device login.
func (l *lab) logIn(t *testing.T, email string) (string, estate.User, error) {
	t.Helper()
	device, err := l.StartDevice(t.Context())
	check(t, err)
	check(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURI, device.UserCode, email, password))
	return l.AwaitDevice(t.Context(), device)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %#v\nwant %#v", what, got, want)
	}
}

func wantError(t *testing.T, err error, code, part string) {
	t.Helper()
	if err == nil || estate.CodeOf(err) != code || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v with code %q, want one with %q and code %q", err, estate.CodeOf(err), part, code)
	}
}

func TestAPersonLogsInByDevice(t *testing.T) {
	for _, style := range []string{login.AuthStyleBasic, login.AuthStylePost} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil, func(c *login.Config) { c.AuthStyle = style })
			device, err := l.StartDevice(t.Context())
			check(t, err)
			if device.UserCode == "" || !strings.HasPrefix(device.VerificationURI, l.issuer+"/device?user_code="+device.UserCode) {
				t.Errorf("device is %q at %q", device.UserCode, device.VerificationURI)
			}
			approved := make(chan error, 1)
			go func() {
				approved <- idp.ApproveDevice(t.Context(), nil, device.VerificationURI, "", "alice.liddell@example.com", password)
			}()
			token, u, err := l.AwaitDevice(t.Context(), device)
			check(t, errors.Join(<-approved, err))
			alice := estate.User{Name: "alice.liddell@example.com", Groups: []string{"engineering", "tea"}}
			alice.Session = u.Session
			equal(t, "user", u, alice)

			u, err = l.VerifyToken(t.Context(), token)
			check(t, err)
			equal(t, "user of the token", u, alice)
			u, err = l.Basic(t.Context(), "", token)
			check(t, err)
			equal(t, "user of the token as basic authentication", u, alice)

			identity, err := l.store.Identity(t.Context(), alice.Name)
			check(t, err)
			equal(t, "display name", identity.DisplayName, "Alice Liddell")
			if identity.LastLogin.IsZero() {
				t.Error("the login has not been saved")
			}

			l.offset.Store(int64(time.Hour + time.Second))
			_, err = l.VerifyToken(t.Context(), token)
			wantError(t, err, estate.CodeSessionTokenInvalid, "juju login")
		})
	}
}

func TestASessionTokenIsBase64OfAJWT(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	l.stop()
	token, _, err := l.logIn(t, "alice.liddell@example.com")
	check(t, err)
	compact, err := base64.StdEncoding.DecodeString(token)
	check(t, err)
	parts := strings.Split(string(compact), ".")
	equal(t, "number of parts", len(parts), 3)
	var header struct{ Alg string }
	var claims struct {
		Sub, Iss, Jti string
		Iat, Exp      int64
	}
	for part, into := range map[int]any{0: &header, 1: &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[part])
		check(t, err)
		check(t, json.Unmarshal(text, into))
	}
	equal(t, "algorithm", header.Alg, "HS256")
	equal(t, "subject", claims.Sub, "alice.liddell@example.com")
	equal(t, "life", claims.Exp-claims.Iat, int64(3600))
	if claims.Iss == "" || len(claims.Jti) != 32 {
		t.Errorf("iss %q, jti %q", claims.Iss, claims.Jti)
	}
}

func TestAPersonMayBeTurnedAway(t *testing.T) {
	for name, c := range map[string]struct{ email, problem string }{
		"whose e-mail address is not verified": {"mallory@example.com", "not verified"},
		"who would be everyone":                {"everyone@external", "not one that people can have"},
		"who would be a service account":       {"robot@serviceaccount", "not one that people can have"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil, nil)
			token, u, err := l.logIn(t, c.email)
			wantError(t, err, login.CodeLoginFailed, c.problem)
			if token != "" || u.Name != "" {
				t.Errorf("got token %q for %q", token, u.Name)
			}
			_, err = l.store.Identity(t.Context(), c.email)
			wantError(t, err, estate.CodeUserNotFound, "")
		})
	}
}

func TestAPersonDenies(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	device, err := l.StartDevice(t.Context())
	check(t, err)
	check(t, idp.DenyDevice(t.Context(), nil, device.VerificationURI, "", "alice.liddell@example.com", password))
	_, _, err = l.AwaitDevice(t.Context(), device)
	wantError(t, err, login.CodeLoginFailed, "denied")
}

func TestACodeThatNobodyUsesExpires(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(c *idp.Config) { c.DeviceLife = 1500 * time.Millisecond }, nil)
	device, err := l.StartDevice(t.Context())
	check(t, err)
	_, _, err = l.AwaitDevice(t.Context(), device)
	wantError(t, err, login.CodeLoginFailed, "not used in time")
}

func TestADeviceIsAwaitedNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	device, err := l.StartDevice(t.Context())
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err = l.AwaitDevice(ctx, device); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestADeviceIsAskedForMoreSlowly(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		least  time.Duration
	}{
		"when the provider says so": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"slow_down"}`))
		}, 6 * time.Second},
		"when the provider is in trouble": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil, nil)
			var polls []time.Time
			var mu sync.Mutex
			front := func(w http.ResponseWriter, _ *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				polls = append(polls, time.Now())
				if len(polls) > 1 {
					return false
				}
				c.answer(w)
				return true
			}
			l.front.Store(&front)
			_, u, err := l.logIn(t, "alice.liddell@example.com")
			check(t, err)
			equal(t, "user", u.Name, "alice.liddell@example.com")
			mu.Lock()
			defer mu.Unlock()
			if len(polls) != 2 || polls[1].Sub(polls[0]) < c.least*9/10 {
				t.Errorf("asked at %v, want two times %v apart", polls, c.least)
			}
		})
	}
}

func TestAProviderThatRefusesUsIsTheAdministratorsProblem(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, func(c *login.Config) { c.ClientSecret = "wrong-secret" })
	_, err := l.StartDevice(t.Context())
	wantError(t, err, login.CodeLoginFailed, "administrator of JIMM")
	if !strings.Contains(l.log.String(), "cannot start a login by device") {
		t.Errorf("the log does not say so: %s", l.log.String())
	}
}

func TestAProviderMayComeLaterThanWe(t *testing.T) {
	t.Parallel()
	l := emptyLab(t)
	var provider atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there := provider.Load()
		if there == nil {
			panic(http.ErrAbortHandler)
		}
		(*there).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.issuer = server.URL
	var err error
	l.Service, err = login.New(t.Context(), l.config())
	check(t, err)

	_, err = l.StartDevice(t.Context())
	wantError(t, err, login.CodeLoginFailed, "identity provider does not answer")
	_, err = l.ClientCredentials(t.Context(), "robot", robotSecret)
	wantError(t, err, estate.CodeConnectionFailed, "identity provider does not answer")
	_, err = l.VerifyToken(t.Context(), "")
	wantError(t, err, estate.CodeSessionTokenInvalid, "juju login")

	handler := l.provider(t, l.issuer, nil)
	provider.Store(&handler)
	u, err := l.ClientCredentials(t.Context(), "robot", robotSecret)
	check(t, err)
	equal(t, "user", u, estate.User{Name: "robot@serviceaccount", Groups: []string{"machines"}})
	_, err = l.StartDevice(t.Context())
	check(t, err)
}

func TestAServiceAccountShowsItsCredentials(t *testing.T) {
	for _, style := range []string{"", login.AuthStylePost} {
		t.Run("by "+style, func(t *testing.T) {
			l := newLab(t, nil, func(c *login.Config) { c.AuthStyle = style })
			robot := estate.User{Name: "robot@serviceaccount", Groups: []string{"machines"}}
			u, err := l.ClientCredentials(t.Context(), "robot", robotSecret)
			check(t, err)
			equal(t, "user", u, robot)
			u, err = l.Basic(t.Context(), "robot", robotSecret)
			check(t, err)
			equal(t, "user by basic authentication", u, robot)
			identity, err := l.store.Identity(t.Context(), robot.Name)
			check(t, err)
			if identity.LastLogin.IsZero() {
				t.Error("the login has not been saved")
			}
		})
	}
}

func TestWrongCredentialsTellNothing(t *testing.T) {
	l := newLab(t, nil, nil)
	var first string
	for name, c := range map[string]struct{ id, secret string }{
		"wrong secret":        {"robot", "wrong-secret"},
		"no secret":           {"robot", ""},
		"no id":               {"", robotSecret},
		"unknown id":          {"nobody", "wrong-secret"},
		"JIMM's own":          {"jimm", clientSecret},
		"an id's other case":  {"ROBOT", robotSecret},
		"the secret repeated": {"robot", robotSecret + robotSecret},
	} {
		_, err := l.ClientCredentials(t.Context(), c.id, c.secret)
		if err == nil || !estate.Is(err, estate.CodeUnauthorized) {
			t.Errorf("%s: got error %v", name, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		equal(t, name, err.Error(), first)
	}
	_, err := l.ClientCredentials(t.Context(), "r@bot", robotSecret)
	wantError(t, err, estate.CodeNotValid, "cannot be a Juju user name")
	if strings.Contains(err.Error(), "r@bot") {
		t.Errorf("error %q repeats what may be a secret", err)
	}
}

func TestAnExchangeIsRememberedShortly(t *testing.T) {
	l := newLab(t, nil, nil)
	ask := func(secret string) error {
		_, err := l.ClientCredentials(t.Context(), "robot", secret)
		return err
	}
	check(t, ask(robotSecret))
	check(t, ask(robotSecret))
	equal(t, "exchanges", l.tokens.Load(), int64(1))
	wantError(t, ask("wrong-secret"), estate.CodeUnauthorized, "")
	wantError(t, ask("wrong-secret"), estate.CodeUnauthorized, "")
	equal(t, "exchanges with failed ones", l.tokens.Load(), int64(3))
	l.offset.Store(int64(51 * time.Second))
	check(t, ask(robotSecret))
	equal(t, "exchanges after 51 s", l.tokens.Load(), int64(4))
}

func TestManyConnectionsOfOneServiceAccountAskOnce(t *testing.T) {
	l := newLab(t, nil, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	front := func(http.ResponseWriter, *http.Request) bool {
		arrived <- struct{}{}
		<-release
		return false
	}
	l.front.Store(&front)
	var running sync.WaitGroup
	failed := make(chan error, 21)
	ask := func(ctx context.Context) {
		running.Go(func() {
			_, err := l.ClientCredentials(ctx, "robot", robotSecret)
			failed <- err
		})
	}
	ask(t.Context())
	<-arrived
	for range 19 {
		ask(t.Context())
	}
	// One that does not want to wait need not, and disturbs nobody.
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	ask(impatient)
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("impatient one got %v", err)
	}
	close(release)
	running.Wait()
	for range 20 {
		check(t, <-failed)
	}
	equal(t, "exchanges", l.tokens.Load(), int64(1))
}

func TestAnExchangeThatItsCallerLeavesIsMadeByAnother(t *testing.T) {
	l := newLab(t, nil, nil)
	arrived := make(chan struct{}, 2)
	front := func(_ http.ResponseWriter, r *http.Request) bool {
		arrived <- struct{}{}
		if l.tokens.Load() > 1 {
			return false
		}
		// Only a body that is read lets the server see the client leave.
		_ = r.ParseForm()
		<-r.Context().Done()
		return true
	}
	l.front.Store(&front)
	leaving, leave := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var first, second error
	running.Go(func() { _, first = l.ClientCredentials(leaving, "robot", robotSecret) })
	<-arrived
	running.Go(func() { _, second = l.ClientCredentials(t.Context(), "robot", robotSecret) })
	leave()
	running.Wait()
	if !errors.Is(first, context.Canceled) {
		t.Errorf("the one that left got %v", first)
	}
	check(t, second)
}

func TestAProviderInTroubleIsNotAWrongSecret(t *testing.T) {
	l := newLab(t, nil, nil)
	for name, answer := range map[string]string{
		"broken": "", "in maintenance": `{"error":"temporarily_unavailable"}`, "that wants another scope": `{"error":"invalid_scope"}`,
		"that repeats the secret": `{"error":"server_error","error_description":"what shall I do with ` + robotSecret + `?"}`,
	} {
		front := func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(map[bool]int{true: http.StatusInternalServerError, false: http.StatusBadRequest}[answer == ""])
			_, _ = w.Write([]byte(answer))
			return true
		}
		l.front.Store(&front)
		_, err := l.ClientCredentials(t.Context(), "robot", robotSecret)
		if !estate.Is(err, estate.CodeConnectionFailed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	l := emptyLab(t)
	l.issuer = "https://idp.example.com"
	for part, spoil := range map[string]func(*login.Config){
		"issuer must be":           func(c *login.Config) { c.Issuer = "idp.example.com" },
		"no client id":             func(c *login.Config) { c.ClientID = "" },
		"at least 64":              func(c *login.Config) { c.SessionKey = c.SessionKey[:63] },
		"life must be positive":    func(c *login.Config) { c.SessionLife = 0 },
		"authentication style":     func(c *login.Config) { c.AuthStyle = "private_key_jwt" },
		"no place to save identit": func(c *login.Config) { c.Identities = nil },
	} {
		c := l.config()
		spoil(&c)
		_, err := login.New(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "session-key") {
			t.Errorf("got error %v, want one with %q", err, part)
		}
	}
}

func TestClocksMayDifferByTwoMinutes(t *testing.T) {
	for name, offset := range map[string]time.Duration{"ours is behind": -2 * time.Minute, "ours is ahead": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A token of the issuer lives for a minute only.
			l := newLab(t, func(c *idp.Config) { c.TokenLife = time.Minute }, nil)
			l.offset.Store(int64(offset))
			token, _, err := l.logIn(t, "alice.liddell@example.com")
			check(t, err)
			u, err := l.VerifyToken(t.Context(), token)
			check(t, err)
			equal(t, "groups", u.Groups, []string{"engineering", "tea"})
			u, err = l.ClientCredentials(t.Context(), "robot", robotSecret)
			check(t, err)
			equal(t, "groups of the service account", u.Groups, []string{"machines"})
		})
	}
}

func TestADeviceCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	device, err := l.StartDevice(t.Context())
	check(t, err)
	check(t, idp.ApproveDevice(t.Context(), nil, device.VerificationURI, device.UserCode, "alice.liddell@example.com", password))
	_, _, err = l.AwaitDevice(t.Context(), device)
	check(t, err)
	token, _, err := l.AwaitDevice(t.Context(), device)
	wantError(t, err, login.CodeLoginFailed, "")
	if token != "" {
		t.Error("a replayed code gives a token")
	}
}

func TestGroupsComeFromIntrospectionWhereTokensAreOpaque(t *testing.T) {
	for _, style := range []string{login.AuthStyleBasic, login.AuthStylePost} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, func(c *idp.Config) { c.OpaqueTokens = true }, func(c *login.Config) { c.AuthStyle = style })
			_, u, err := l.logIn(t, "alice.liddell@example.com")
			check(t, err)
			equal(t, "groups", u.Groups, []string{"engineering", "tea"})
			u, err = l.ClientCredentials(t.Context(), "robot", robotSecret)
			check(t, err)
			equal(t, "groups of the service account", u.Groups, []string{"machines"})
		})
	}
}

func TestAServiceAccountWhoseTokenIsInactiveIsRefused(t *testing.T) {
	t.Parallel()
	inactive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":false}`)) }))
	defer inactive.Close()
	l := newLab(t, func(c *idp.Config) { c.OpaqueTokens = true }, func(c *login.Config) { c.IntrospectionURL = inactive.URL })
	_, err := l.ClientCredentials(t.Context(), "robot", robotSecret)
	wantError(t, err, estate.CodeUnauthorized, "invalid client id or client secret")
}

func TestOthersGuessesDoNotKeepAServiceAccountOut(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, func(c *login.Config) { c.Limits = login.Limits{PerClient: 2} })
	l.stop()
	_, err := l.ClientCredentials(t.Context(), "robot", robotSecret)
	check(t, err)
	for _, code := range []string{estate.CodeUnauthorized, estate.CodeUnauthorized, login.CodeTryAgain, login.CodeTryAgain} {
		_, err := l.ClientCredentials(t.Context(), "robot", "wrong-secret")
		wantError(t, err, code, "")
	}
	l.ForgetAccount("")
	_, err = l.ClientCredentials(t.Context(), "robot", robotSecret)
	check(t, err)
	equal(t, "exchanges", l.tokens.Load(), int64(4))
}
