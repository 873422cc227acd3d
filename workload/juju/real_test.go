//go:build integration

package juju

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/estate"
)

var (
	self  = estate.User{Name: "jimm@jimm.test"}
	alice = estate.User{Name: "alice@canonical.com"}
)

// real is a real Juju 4.1 controller that takes our tokens.
type real struct {
	lab    *lab.Controller
	record estate.Controller
	peers  *Peers
}

func startReal(t *testing.T) *real {
	t.Helper()
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, err := OpenKeys(t.Context(), &memorySecrets{}, KeyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(l.HostAddress(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys.JWKS())
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served })

	controllers, err := l.Start(t.Context(), 1, "http://"+listener.Addr().String()+"/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	c := controllers[0]
	peers := NewPeers(&Dialer{}, &Tokens{Keys: keys, Issuer: "jimm.test"}, PeersOptions{Self: self})
	t.Cleanup(peers.Close)
	return &real{c, estate.Controller{UUID: c.UUID, Name: c.Name, Addresses: []string{c.Address}, CACertificate: c.CACert}, peers}
}

func (r *real) connect(t *testing.T, u estate.User, claims estate.Claims) estate.Peer {
	t.Helper()
	peer, err := r.peers.Connect(t.Context(), r.record, u, claims)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	return peer
}

func (r *real) login() estate.Claims {
	return estate.Claims{names.NewControllerTag(r.record.UUID).String(): estate.AccessLogin}
}

func (r *real) superuser() estate.Claims {
	return estate.Claims{names.NewControllerTag(r.record.UUID).String(): estate.AccessSuperuser}
}

// with returns claims with one more.
func with(claims estate.Claims, tag, access string) estate.Claims {
	more := maps.Clone(claims)
	more[tag] = access
	return more
}

// unchecked is a peer whose calls all reach the controller, whatever it claims.
func (r *real) unchecked(t *testing.T, u estate.User, claims estate.Claims) estate.Peer {
	t.Helper()
	p := r.connect(t, u, claims).(*peer)
	p.claims = r.superuser()
	return p
}

func (r *real) credential(t *testing.T, u estate.User, name string) names.CloudCredentialTag {
	t.Helper()
	tag := names.NewCloudCredentialTag(r.lab.Cloud + "/" + u.Name + "/" + name)
	if _, err := r.connect(t, u, r.login()).UpdateCredential(t.Context(), tag, params.CloudCredential{AuthType: "empty"}, false); err != nil {
		t.Fatal(err)
	}
	return tag
}

func (r *real) create(t *testing.T, u estate.User, name string, credential names.CloudCredentialTag) params.ModelInfo {
	t.Helper()
	cloud := names.NewCloudTag(r.lab.Cloud).String()
	info, err := r.connect(t, u, with(r.login(), cloud, estate.AccessAddModel)).CreateModel(t.Context(), params.ModelCreateArgs{
		Name: name, Qualifier: u.Name, CloudTag: cloud, CloudRegion: r.lab.Region, CloudCredentialTag: credential.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// awaitGone waits until the controller does not know a model any more.
func (r *real) awaitGone(t *testing.T, uuid string) {
	t.Helper()
	admin := r.connect(t, self, r.superuser())
	deadline := time.Now().Add(2 * time.Minute)
	for {
		status, err := admin.ModelStatus(t.Context(), uuid)
		if estate.Is(err, estate.CodeModelNotFound) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the model is still there: %+v, %v", status, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestARealController(t *testing.T) {
	r := startReal(t)

	t.Run("tells what it is", func(t *testing.T) {
		facts, err := r.peers.Probe(t.Context(), r.record, r.lab.User, r.lab.Password)
		if err != nil {
			t.Fatal(err)
		}
		if facts.UUID != r.lab.UUID || facts.Cloud != r.lab.Cloud || facts.Region != r.lab.Region {
			t.Errorf("it is %s in %s/%s, want %s in %s/%s", facts.UUID, facts.Cloud, facts.Region, r.lab.UUID, r.lab.Cloud, r.lab.Region)
		}
		if facts.AgentVersion != "4.1-beta2" {
			t.Errorf("its version is %q", facts.AgentVersion)
		}
		if !slices.Equal(facts.Addresses, []string{r.lab.Address}) {
			t.Errorf("its addresses are %q, want %q", facts.Addresses, r.lab.Address)
		}
		cloud, ok := facts.Clouds[names.NewCloudTag(r.lab.Cloud)]
		if !ok || len(cloud.Regions) != 1 || cloud.Regions[0].Name != r.lab.Region {
			t.Errorf("its clouds are %+v", facts.Clouds)
		}
		if !slices.Contains(facts.Facades["ModelManager"], 11) {
			t.Errorf("its facades are %v", facts.Facades)
		}
		if _, err := r.peers.Probe(t.Context(), r.record, r.lab.User, "wrong"); !estate.Is(err, estate.CodeUnauthorized) {
			t.Errorf("a wrong password gives %v, code %q", err, estate.CodeOf(err))
		}
		other := r.record
		other.CACertificate = ""
		if _, err := r.peers.Probe(t.Context(), other, r.lab.User, r.lab.Password); !estate.Is(err, estate.CodeConnectionFailed) {
			t.Errorf("another CA gives %v, code %q", err, estate.CodeOf(err))
		}
	})

	t.Run("makes, shows and destroys a model for a user", func(t *testing.T) {
		credential := r.credential(t, alice, "first")
		info := r.create(t, alice, "one", credential)
		if info.Name != "one" || info.Qualifier != alice.Name || !names.IsValidModel(info.UUID) {
			t.Fatalf("it made %+v", info)
		}
		admin := r.connect(t, self, r.superuser())
		summaries, err := admin.ModelSummaries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := slices.IndexFunc(summaries, func(s params.ModelSummary) bool { return s.UUID == info.UUID })
		if found < 0 || summaries[found].Qualifier != alice.Name {
			t.Errorf("the summaries are %+v", summaries)
		}
		model := names.NewModelTag(info.UUID)
		owner := r.connect(t, alice, with(r.login(), model.String(), estate.AccessAdmin))
		second := r.credential(t, alice, "second")
		if err := owner.ChangeModelCredential(t.Context(), info.UUID, second); err != nil {
			t.Error(err)
		}
		got, err := owner.ModelInfo(t.Context(), info.UUID)
		if err != nil {
			t.Fatal(err)
		}
		if got.CloudCredentialTag != second.String() {
			t.Errorf("its credential is %s, want %s", got.CloudCredentialTag, second)
		}
		if err := owner.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()}); err != nil {
			t.Fatal(err)
		}
		r.awaitGone(t, info.UUID)
		// Not before: 4.1-beta2 never removes a model that once used a
		// credential which is gone.
		if err := r.connect(t, alice, r.login()).RevokeCredential(t.Context(), credential, false); err != nil {
			t.Error(err)
		}
		if err := r.connect(t, alice, r.login()).RevokeCredential(t.Context(), credential, false); !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("a credential that is not there is revoked with %v, code %q", err, estate.CodeOf(err))
		}
		for name, err := range map[string]error{
			"ModelInfo":    func() error { _, err := owner.ModelInfo(t.Context(), info.UUID); return err }(),
			"ModelStatus":  func() error { _, err := owner.ModelStatus(t.Context(), info.UUID); return err }(),
			"DestroyModel": owner.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()}),
		} {
			if !estate.Is(err, estate.CodeModelNotFound) {
				t.Errorf("%s of a model that is gone gives %v, code %q", name, err, estate.CodeOf(err))
			}
		}
		for _, uuid := range []string{info.UUID, "7b3c64cb-2d1f-4f1e-8a77-8a7a4d3a1e55"} {
			_, _, err = r.peers.DialModel(t.Context(), estate.Route{Model: estate.Model{UUID: uuid}, Controller: r.record}, alice, r.login())
			if !estate.Is(err, estate.CodeModelNotFound) {
				t.Errorf("dialling model %s, which is not there, gives %v, code %q", uuid, err, estate.CodeOf(err))
			}
		}
	})

	t.Run("wants exactly what the table of needs says", func(t *testing.T) {
		credential := r.credential(t, alice, "exact")
		model := names.NewModelTag(r.create(t, alice, "exact", credential).UUID)
		cloud := names.NewCloudTag(r.lab.Cloud)
		controller := names.NewControllerTag(r.lab.UUID)
		made := 0
		calls := []struct {
			name string
			do   func(estate.Peer) error
		}{
			{"Clouds", func(p estate.Peer) error { _, err := p.Clouds(t.Context()); return err }},
			{"ModelSummaries", func(p estate.Peer) error { _, err := p.ModelSummaries(t.Context()); return err }},
			{"CreateModel", func(p estate.Peer) error {
				made++
				_, err := p.CreateModel(t.Context(), params.ModelCreateArgs{
					Name: fmt.Sprint("made-", made), Qualifier: alice.Name, CloudTag: cloud.String(), CloudCredentialTag: credential.String(),
				})
				return err
			}},
			{"ModelInfo", func(p estate.Peer) error { _, err := p.ModelInfo(t.Context(), model.Id()); return err }},
			{"ModelStatus", func(p estate.Peer) error { _, err := p.ModelStatus(t.Context(), model.Id()); return err }},
			{"ChangeModelCredential", func(p estate.Peer) error { return p.ChangeModelCredential(t.Context(), model.Id(), credential) }},
			{"UpdateCredential", func(p estate.Peer) error {
				_, err := p.UpdateCredential(t.Context(), credential, params.CloudCredential{AuthType: "empty"}, false)
				return err
			}},
			{"UpdateCredential, forced", func(p estate.Peer) error {
				_, err := p.UpdateCredential(t.Context(), credential, params.CloudCredential{AuthType: "empty"}, true)
				return err
			}},
			{"RevokeCredential", func(p estate.Peer) error {
				spare := names.NewCloudCredentialTag(r.lab.Cloud + "/" + alice.Name + "/spare")
				if _, err := p.UpdateCredential(t.Context(), spare, params.CloudCredential{AuthType: "empty"}, false); err != nil {
					return err
				}
				return p.RevokeCredential(t.Context(), spare, false)
			}},
			{"DestroyModel", func(p estate.Peer) error {
				return p.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()})
			}},
		}
		if len(calls) != len(needs) {
			t.Errorf("%d calls are tried, the table has %d", len(calls), len(needs))
		}
		ladders := map[string][]string{
			names.ControllerTagKind: {estate.AccessLogin, estate.AccessSuperuser},
			names.CloudTagKind:      {"", estate.AccessAddModel},
			names.ModelTagKind:      {"", estate.AccessRead, estate.AccessWrite, estate.AccessAdmin},
			"":                      {""},
		}
		tags := map[string]string{names.ControllerTagKind: controller.String(), names.CloudTagKind: cloud.String(), names.ModelTagKind: model.String()}
		for _, call := range calls {
			n, ok := needs[call.name]
			if !ok {
				t.Errorf("the table does not have %s", call.name)
			}
			suffices := false
			for _, access := range ladders[n.kind] {
				claims := r.login()
				if access != "" {
					claims = with(claims, tags[n.kind], access)
				}
				suffices = suffices || access == n.access
				// Past our own check: it is the controller that answers.
				err := call.do(r.unchecked(t, alice, claims))
				if suffices && err != nil {
					t.Errorf("%s with %v gives %v", call.name, claims, err)
				}
				if !suffices && err == nil {
					t.Errorf("%s with %v is not refused, although the table says it needs %s", call.name, claims, n.access)
				}
				if refused := call.do(r.connect(t, alice, claims)); !suffices && !estate.Is(refused, estate.CodeUnauthorized) {
					t.Errorf("%s with %v is not refused by ourselves but gives %v", call.name, claims, refused)
				}
			}
			if !suffices {
				t.Errorf("%s needs %q, which is no access to a %s", call.name, n.access, n.kind)
			}
			// Also for a model that is dying.
			if err := call.do(r.connect(t, alice, r.superuser())); err != nil {
				t.Errorf("%s as superuser gives %v", call.name, err)
			}
		}
	})
}
