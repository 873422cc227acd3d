package juju

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

var generations = []sim.Generation{sim.Juju36, sim.Juju41}

// simulated is a simulated controller that takes our tokens.
type simulated struct {
	*sim.Controller
	record estate.Controller
	peers  *Peers
}

const adminPassword = "sekrit"

func simulate(t *testing.T, generation sim.Generation, o PeersOptions) *simulated {
	t.Helper()
	keys := openKeys(t, &memorySecrets{}, &clock{now: time.Now()})
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) }))
	t.Cleanup(published.Close)
	c, err := sim.Start(t.Context(), sim.Config{Name: "blue", Generation: generation, JWKSURL: published.URL, AdminPassword: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	peers := NewPeers(&Dialer{}, &Tokens{Keys: keys, Issuer: "jimm.test"}, o)
	t.Cleanup(peers.Close)
	return &simulated{c, estate.Controller{UUID: c.UUID(), Name: "blue", Addresses: []string{c.Address()}, CACertificate: c.CACert()}, peers}
}

func (s *simulated) superuser() estate.Claims {
	return estate.Claims{names.NewControllerTag(s.UUID()).String(): estate.AccessSuperuser}
}

// maker are the claims of one who may make models.
func (s *simulated) maker() estate.Claims {
	return estate.Claims{names.NewControllerTag(s.UUID()).String(): estate.AccessLogin, names.NewCloudTag("sim").String(): estate.AccessAddModel}
}

func (s *simulated) connect(t *testing.T, u string, claims estate.Claims) estate.Peer {
	t.Helper()
	peer, err := s.peers.Connect(t.Context(), s.record, estate.User{Name: u}, claims)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	return peer
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s never happened", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const (
	someone = "alice@canonical.com"
	another = "bob@canonical.com"
)

var createOne = params.ModelCreateArgs{Name: "one", Qualifier: someone, CloudTag: "cloud-sim", TargetController: "blue"}

func TestEveryGenerationTakesAndGivesTheNewestTypes(t *testing.T) {
	for _, generation := range generations {
		t.Run(generation.String(), func(t *testing.T) {
			c := simulate(t, generation, PeersOptions{Self: estate.User{Name: "jimm@jimm.test"}})
			facts, err := c.peers.Probe(t.Context(), c.record, "admin", adminPassword)
			if err != nil {
				t.Fatal(err)
			}
			if facts.UUID != c.UUID() || facts.AgentVersion != generation.String() || facts.Cloud != "sim" || facts.Region != "default" || !slices.Equal(facts.Addresses, []string{c.Address()}) {
				t.Errorf("the facts are %+v", facts)
			}
			if _, ok := facts.Clouds[names.NewCloudTag("sim")]; !ok {
				t.Errorf("the clouds are %v", facts.Clouds)
			}

			info, err := c.connect(t, someone, c.maker()).CreateModel(t.Context(), createOne)
			if err != nil {
				t.Fatal(err)
			}
			if info.Qualifier != someone || info.Name != "one" {
				t.Errorf("the model made is %+v", info)
			}
			model := names.NewModelTag(info.UUID)
			owner := c.connect(t, someone, estate.Claims{names.NewControllerTag(c.UUID()).String(): estate.AccessLogin, model.String(): estate.AccessAdmin})
			got, err := owner.ModelInfo(t.Context(), info.UUID)
			if err != nil || got.Qualifier != someone || got.UUID != info.UUID {
				t.Errorf("its info is %+v, %v", got, err)
			}
			status, err := owner.ModelStatus(t.Context(), info.UUID)
			if err != nil || status.Qualifier != someone || status.ModelTag != model.String() {
				t.Errorf("its status is %+v, %v", status, err)
			}
			admin := c.connect(t, "jimm@jimm.test", c.superuser())
			summaries, err := admin.ModelSummaries(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(summaries, func(s params.ModelSummary) bool { return s.UUID == info.UUID }); i < 0 || summaries[i].Qualifier != someone {
				t.Errorf("the summaries are %+v", summaries)
			}
			if err := owner.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()}); err != nil {
				t.Fatal(err)
			}
			await(t, "that the model is gone", func() bool {
				_, err := owner.ModelStatus(t.Context(), info.UUID)
				return estate.Is(err, estate.CodeModelNotFound)
			})
			if _, err := owner.ModelInfo(t.Context(), info.UUID); !estate.Is(err, estate.CodeModelNotFound) {
				t.Errorf("the info of a model that is gone is %v, code %q", err, estate.CodeOf(err))
			}
		})
	}
}

func TestAControllerThatIsNotWhatItShouldBeIsNotTakenIn(t *testing.T) {
	c := simulate(t, sim.Juju41, PeersOptions{Self: estate.User{Name: "jimm@jimm.test"}})
	other := simulate(t, sim.Juju41, PeersOptions{})
	for _, test := range []struct {
		name               string
		change             func(*estate.Controller)
		peers              *Peers
		username, password string
		want               string
	}{
		{"wrong password", nil, c.peers, "admin", "wrong", estate.CodeUnauthorized},
		{"no such user", nil, c.peers, "nobody", adminPassword, estate.CodeUnauthorized},
		{"no user name", nil, c.peers, "a b", adminPassword, estate.CodeBadRequest},
		{"another's CA", func(r *estate.Controller) { r.CACertificate = other.CACert() }, c.peers, "admin", adminPassword, estate.CodeConnectionFailed},
		{"no CA", func(r *estate.Controller) { r.CACertificate = "" }, c.peers, "admin", adminPassword, estate.CodeConnectionFailed},
		{"nobody there", func(r *estate.Controller) { r.Addresses = []string{"127.0.0.1:1"} }, c.peers, "admin", adminPassword, estate.CodeConnectionFailed},
		{"it takes another's tokens", nil, NewPeers(&Dialer{}, other.peers.tokens, PeersOptions{Self: estate.User{Name: "jimm@jimm.test"}}), "admin", adminPassword, estate.CodeUnauthorized},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := c.record
			if test.change != nil {
				test.change(&record)
			}
			_, err := test.peers.Probe(t.Context(), record, test.username, test.password)
			if !estate.Is(err, test.want) {
				t.Errorf("got %v, code %q, want code %q", err, estate.CodeOf(err), test.want)
			}
		})
	}
}

func TestAConnectionIsSharedByThoseWhoNeedTheSame(t *testing.T) {
	c := simulate(t, sim.Juju41, PeersOptions{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			peer, err := c.peers.Connect(t.Context(), c.record, estate.User{Name: someone}, c.superuser())
			if err != nil {
				t.Error(err)
				return
			}
			defer peer.Close()
			if _, err := peer.Clouds(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := c.Faults().Calls("Admin.Login"); got != 1 {
		t.Errorf("there were %d logins of one user with one set of claims", got)
	}
	for i, other := range []struct {
		user   string
		claims estate.Claims
	}{{someone, c.maker()}, {another, c.superuser()}, {another, nil}} {
		peer, err := c.peers.Connect(t.Context(), c.record, estate.User{Name: other.user}, other.claims)
		if other.claims == nil {
			if !estate.Is(err, estate.CodeConnectionFailed) {
				t.Errorf("a login without a claim gives %v", err)
			}
		} else if err != nil {
			t.Error(err)
		} else {
			_ = peer.Close()
		}
		if got := c.Faults().Calls("Admin.Login"); got != i+2 {
			t.Errorf("%s with %v makes %d logins in all, want %d", other.user, other.claims, got, i+2)
		}
	}
}

func TestConnectionsAreKeptForAWhileAndNotTooMany(t *testing.T) {
	now := &clock{now: time.Now()}
	c := simulate(t, sim.Juju41, PeersOptions{MaxIdle: 2, Now: now.Now})
	use := func(user string) {
		peer, err := c.peers.Connect(t.Context(), c.record, estate.User{Name: user}, c.superuser())
		if err != nil {
			t.Fatal(err)
		}
		_ = peer.Close()
		now.Set(now.Now().Add(time.Second))
	}
	for i := range 4 {
		use(fmt.Sprintf("user%d@canonical.com", i))
	}
	await(t, "that two connections are left", func() bool { return c.Connections() == 2 })
	use("user3@canonical.com")
	use("user2@canonical.com")
	if got := c.Faults().Calls("Admin.Login"); got != 4 {
		t.Errorf("there were %d logins, want that the last two are still there", got)
	}
	now.Set(now.Now().Add(5 * time.Minute))
	use("user3@canonical.com")
	if got := c.Faults().Calls("Admin.Login"); got != 5 {
		t.Errorf("there were %d logins, want a new one when a connection has had its time", got)
	}

	brief := NewPeers(c.peers.dialer, c.peers.tokens, PeersOptions{Idle: 10 * time.Millisecond})
	defer brief.Close()
	c.peers.Close()
	await(t, "that the first pool's connections end with it", func() bool { return c.Connections() == 0 })
	peer, err := brief.Connect(t.Context(), c.record, estate.User{Name: someone}, c.superuser())
	if err != nil {
		t.Fatal(err)
	}
	if c.Connections() != 1 {
		t.Errorf("there are %d connections, want the one in use", c.Connections())
	}
	_ = peer.Close()
	await(t, "that the unused connection ends", func() bool { return c.Connections() == 0 })
}

func TestACallIsRepeatedOnlyIfItNeverLeft(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault func(*simulated, estate.Peer)
		calls int
		fails bool
	}{
		{"the connection broke while nobody used it", func(c *simulated, p estate.Peer) {
			c.Faults().Drop()
			await(t, "that it is noticed", p.(*peer).session.broken)
		}, 1, false},
		{"the controller has acted and not answered", func(c *simulated, _ estate.Peer) { c.Faults().DropAfter("ModelManager.CreateModel", 1) }, 1, true},
		{"the controller may have acted", func(c *simulated, _ estate.Peer) { c.Faults().DropBefore("ModelManager.CreateModel", 1) }, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := simulate(t, sim.Juju41, PeersOptions{})
			p := c.connect(t, someone, c.maker())
			test.fault(c, p)
			_, err := p.CreateModel(t.Context(), createOne)
			if test.fails && !estate.Is(err, estate.CodeConnectionFailed) {
				t.Errorf("got %v, code %q", err, estate.CodeOf(err))
			}
			if !test.fails && err != nil {
				t.Error(err)
			}
			if got := c.Faults().Calls("ModelManager.CreateModel"); got != test.calls {
				t.Errorf("it was called %d times, want %d", got, test.calls)
			}
			// The next call finds a connection that works.
			if _, err := p.CreateModel(t.Context(), params.ModelCreateArgs{Name: "two", Qualifier: someone, CloudTag: "cloud-sim"}); err != nil {
				t.Errorf("the next call fails: %v", err)
			}
		})
	}
}

func TestAControllerThatComesBackIsReachedAgain(t *testing.T) {
	c := simulate(t, sim.Juju41, PeersOptions{})
	p := c.connect(t, "jimm@jimm.test", c.superuser())
	c.Faults().Die()
	await(t, "that it is noticed", p.(*peer).session.broken)
	if _, err := p.Clouds(t.Context()); !estate.Is(err, estate.CodeConnectionFailed) {
		t.Errorf("a dead controller gives %v, code %q", err, estate.CodeOf(err))
	}
	if _, err := c.peers.Connect(t.Context(), c.record, estate.User{Name: someone}, c.superuser()); !estate.Is(err, estate.CodeConnectionFailed) {
		t.Errorf("a dead controller gives %v, code %q", err, estate.CodeOf(err))
	}
	if err := c.Faults().Accept(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Clouds(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrorsCarryTheControllersCode(t *testing.T) {
	c := simulate(t, sim.Juju41, PeersOptions{})
	p := c.connect(t, "jimm@jimm.test", c.superuser())
	c.Faults().Fail("Cloud.Clouds", params.CodeUpgradeInProgress, "upgrade in progress", 1)
	if _, err := p.Clouds(t.Context()); !estate.Is(err, params.CodeUpgradeInProgress) || err.Error() != "upgrade in progress" {
		t.Errorf("got %v, code %q", err, estate.CodeOf(err))
	}
	tag := names.NewCloudCredentialTag("sim/" + someone + "/none")
	if err := p.RevokeCredential(t.Context(), tag, false); !estate.Is(err, estate.CodeNotFound) {
		t.Errorf("the error of a result is %v, code %q", err, estate.CodeOf(err))
	}
	if _, err := p.CreateModel(t.Context(), createOne); err != nil {
		t.Fatal(err)
	}
	if _, err := p.CreateModel(t.Context(), createOne); !estate.Is(err, estate.CodeAlreadyExists) {
		t.Errorf("a name taken gives %v, code %q", err, estate.CodeOf(err))
	}
	var required *estate.Error
	poor := c.connect(t, someone, estate.Claims{names.NewControllerTag(c.UUID()).String(): estate.AccessLogin}).(*peer)
	poor.claims = c.superuser() // past our own check
	_, err := poor.CreateModel(t.Context(), params.ModelCreateArgs{Name: "two", Qualifier: someone, CloudTag: "cloud-sim"})
	if !errors.As(err, &required) || required.Code != estate.CodeAccessRequired || required.Info["cloud-sim"] != estate.AccessAddModel {
		t.Errorf("access required gives %#v", err)
	}
	c.Faults().Hang("Cloud.Clouds", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Clouds(ctx); !estate.Is(err, estate.CodeConnectionFailed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call that is not answered gives %v, code %q", err, estate.CodeOf(err))
	}
	c.Faults().Clear()
}

func TestACallWithoutItsClaimsNeverReachesTheController(t *testing.T) {
	c := simulate(t, sim.Juju41, PeersOptions{})
	p := c.connect(t, someone, c.maker())
	model := "7b3c64cb-2d1f-4f1e-8a77-8a7a4d3a1e55"
	for name, err := range map[string]error{
		"Clouds":                   second(p.Clouds(t.Context())),
		"ModelSummaries":           second(p.ModelSummaries(t.Context())),
		"ModelInfo":                second(p.ModelInfo(t.Context(), model)),
		"ModelStatus":              second(p.ModelStatus(t.Context(), model)),
		"DestroyModel":             p.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: names.NewModelTag(model).String()}),
		"ChangeModelCredential":    p.ChangeModelCredential(t.Context(), model, names.NewCloudCredentialTag("sim/"+someone+"/x")),
		"CreateModel, elsewhere":   second(p.CreateModel(t.Context(), params.ModelCreateArgs{Name: "x", Qualifier: someone, CloudTag: "cloud-other"})),
		"UpdateCredential, forced": second(p.UpdateCredential(t.Context(), names.NewCloudCredentialTag("sim/"+someone+"/x"), params.CloudCredential{}, true)),
	} {
		if !estate.Is(err, estate.CodeUnauthorized) {
			t.Errorf("%s gives %v, code %q", name, err, estate.CodeOf(err))
		}
	}
	if got := c.Faults().Calls(""); got != c.Faults().Calls("Admin.Login") {
		t.Errorf("the controller was called %d times, want the login only", got)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAUserIsLoggedInToAModelWithTheClaimsGiven(t *testing.T) {
	for _, generation := range generations {
		t.Run(generation.String(), func(t *testing.T) {
			c := simulate(t, generation, PeersOptions{})
			info, err := c.connect(t, someone, c.maker()).CreateModel(t.Context(), createOne)
			if err != nil {
				t.Fatal(err)
			}
			claims := estate.Claims{names.NewControllerTag(c.UUID()).String(): estate.AccessLogin, names.NewModelTag(info.UUID).String(): estate.AccessRead}
			route := estate.Route{Model: estate.Model{UUID: info.UUID}, Controller: c.record, Claims: claims}
			conn, result, err := c.peers.DialModel(t.Context(), route, estate.User{Name: another}, claims)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var login params.LoginResult
			if err := json.Unmarshal(result, &login); err != nil {
				t.Fatal(err)
			}
			if login.ModelTag != names.NewModelTag(info.UUID).String() || login.UserInfo.Identity != "user-"+another || login.UserInfo.ModelAccess != estate.AccessRead {
				t.Errorf("the login gives %s", result)
			}
			route.Model.UUID = "7b3c64cb-2d1f-4f1e-8a77-8a7a4d3a1e55"
			if _, _, err := c.peers.DialModel(t.Context(), route, estate.User{Name: another}, claims); !estate.Is(err, estate.CodeModelNotFound) {
				t.Errorf("a model that is not there gives %v, code %q", err, estate.CodeOf(err))
			}
		})
	}
}
