//go:build integration

package juju

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery/checkers"
	"github.com/juju/names/v6"
	"gopkg.in/macaroon.v2"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/estate"
)

var (
	self  = estate.User{Name: "jimm@jimm.test"}
	alice = estate.User{Name: "alice@canonical.com"}
)

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBnwk5GZvXBTBkPpCzSyUQOkLFl1bnTrVDbXwZ7ZLNGa alice"

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

// offer deploys the application db to a model of alice's and offers it.
func (r *real) offer(t *testing.T, model estate.OfferPath, name string) estate.OfferPath {
	t.Helper()
	charm, err := lab.Charm(t.TempDir(), "db", lab.CharmOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.lab.Juju(t.Context(), "grant", r.lab.User, "admin", model.Qualifier+"/"+model.Model); err != nil {
		t.Fatal(err)
	}
	if _, err := r.lab.Juju(t.Context(), "deploy", charm, "db", "-m", model.Qualifier+"/"+model.Model); err != nil {
		t.Fatal(err)
	}
	tag := names.NewModelTag(model.ModelUUID).String()
	err = r.connect(t, alice, with(r.login(), tag, estate.AccessAdmin)).MakeOffer(t.Context(), params.AddApplicationOffer{
		ModelTag: tag, OfferName: name, ApplicationName: "db", Endpoints: map[string]string{"db": "db"},
	})
	if err != nil {
		t.Fatal(err)
	}
	model.Name = name
	return model
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
	deadline := time.Now().Add(5 * time.Minute)
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

	t.Run("makes, lists, consumes and removes offers", func(t *testing.T) {
		model := names.NewModelTag(r.create(t, alice, "shop", r.credential(t, alice, "shop")).UUID)
		all := estate.OfferPath{ModelUUID: model.Id(), Qualifier: alice.Name, Model: "shop"}
		hosted := r.offer(t, all, "hosted")
		owner := r.connect(t, alice, with(r.login(), model.String(), estate.AccessAdmin))
		args := params.AddApplicationOffer{ModelTag: model.String(), OfferName: "second", ApplicationName: "db", Endpoints: map[string]string{"src": "src"}}
		if err := owner.MakeOffer(t.Context(), args); err != nil {
			t.Fatal(err)
		}
		if err := owner.MakeOffer(t.Context(), args); !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("an offer is made twice with %v, code %q", err, estate.CodeOf(err))
		}
		args.OfferName, args.ApplicationName = "third", "none"
		if err := owner.MakeOffer(t.Context(), args); !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("an unknown application is offered with %v, code %q", err, estate.CodeOf(err))
		}
		listed, err := owner.ModelOffers(t.Context(), all)
		if err != nil || len(listed) != 2 {
			t.Fatalf("the model's offers are %v, %v", listed, err)
		}
		listed, err = owner.ModelOffers(t.Context(), hosted)
		if err != nil || len(listed) != 1 || listed[0].OfferName != "hosted" || listed[0].ApplicationName != "db" || len(listed[0].Endpoints) != 1 || listed[0].Endpoints[0].Interface != "labdb" {
			t.Fatalf("one of the offers is %+v, %v", listed, err)
		}
		// 3.x says that everyone may read it; 4.1 has it so, and does not say it.
		if users := listed[0].Users; len(users) != 1 || users[0].UserName != alice.Name || users[0].Access != estate.AccessAdmin {
			t.Errorf("its users are %+v", users)
		}
		found, err := r.connect(t, self, r.superuser()).AllOffers(t.Context())
		if err != nil || !slices.ContainsFunc(found, func(d params.ApplicationOfferAdminDetailsV5) bool {
			return d.OfferUUID == listed[0].OfferUUID && d.SourceModelTag == model.String()
		}) {
			t.Errorf("all offers are %+v, %v", found, err)
		}
		// A user of whom the controller has never heard, with this one right.
		bob := estate.User{Name: "bob@canonical.com"}
		consumer := r.connect(t, bob, with(r.login(), names.NewApplicationOfferTag(listed[0].OfferUUID).String(), estate.AccessConsume))
		details, err := consumer.ConsumeDetails(t.Context(), listed[0].OfferUUID, hosted, bakery.LatestVersion)
		if err != nil {
			t.Fatal(err)
		}
		if details.Offer.OfferUUID != listed[0].OfferUUID || !slices.Contains(details.ControllerInfo.Addrs, r.lab.Address) ||
			details.ControllerInfo.ControllerTag != names.NewControllerTag(r.lab.UUID).String() || details.ControllerInfo.CACert != r.lab.CACert {
			t.Errorf("got %+v of %+v", details.Offer, details.ControllerInfo)
		}
		declared := checkers.InferDeclared(checkers.New(nil).Namespace(), macaroon.Slice{details.Macaroon})
		if declared["username"] != bob.Name || declared["source-model-uuid"] != model.Id() {
			t.Errorf("the macaroon declares %v", declared)
		}
		missing := hosted
		missing.Name = "none"
		if _, err := consumer.ConsumeDetails(t.Context(), listed[0].OfferUUID, missing, bakery.LatestVersion); !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("an unknown offer is consumed with %v, code %q", err, estate.CodeOf(err))
		}
		if err := owner.RemoveOffer(t.Context(), hosted, false); err != nil {
			t.Error(err)
		}
		if listed, err = owner.ModelOffers(t.Context(), hosted); err != nil || len(listed) != 0 {
			t.Errorf("after its removal there is %v, %v", listed, err)
		}
		if err := owner.RemoveOffer(t.Context(), hosted, true); !estate.Is(err, estate.CodeNotFound) {
			t.Errorf("an offer that is not there is removed with %v, code %q", err, estate.CodeOf(err))
		}
	})

	t.Run("takes SSH keys of which some are there", func(t *testing.T) {
		model := names.NewModelTag(r.create(t, alice, "keys", r.credential(t, alice, "keys")).UUID)
		route := estate.Route{Model: estate.Model{UUID: model.Id()}, Controller: r.record, Claims: with(r.login(), model.String(), estate.AccessAdmin)}
		for range 2 {
			if err := r.peers.AddModelKeys(t.Context(), route, alice, []string{sshKey}); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("obeys JIMM itself with administration of one model", func(t *testing.T) {
		model := names.NewModelTag(r.create(t, alice, "swept", r.credential(t, alice, "swept")).UUID)
		sweeper := r.connect(t, self, with(r.login(), model.String(), estate.AccessAdmin))
		if _, err := sweeper.ModelStatus(t.Context(), model.Id()); err != nil {
			t.Error(err)
		}
		if err := sweeper.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()}); err != nil {
			t.Error(err)
		}
		deadline := time.Now().Add(5 * time.Minute)
		for _, err := sweeper.ModelStatus(t.Context(), model.Id()); !estate.Is(err, estate.CodeModelNotFound); _, err = sweeper.ModelStatus(t.Context(), model.Id()) {
			if time.Now().After(deadline) {
				t.Fatalf("the model is still there: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})

	t.Run("wants exactly what the table of needs says", func(t *testing.T) {
		credential := r.credential(t, alice, "exact")
		model := names.NewModelTag(r.create(t, alice, "exact", credential).UUID)
		cloud := names.NewCloudTag(r.lab.Cloud)
		controller := names.NewControllerTag(r.lab.UUID)
		offers := estate.OfferPath{ModelUUID: model.Id(), Qualifier: alice.Name, Model: "exact"}
		offer := r.offer(t, offers, "hosted")
		listed, err := r.connect(t, alice, with(r.login(), model.String(), estate.AccessAdmin)).ModelOffers(t.Context(), offer)
		if err != nil || len(listed) != 1 {
			t.Fatalf("the offer is listed as %v, %v", listed, err)
		}
		offerUUID := listed[0].OfferUUID
		made := 0
		var claims estate.Claims // of the token of the call that is tried
		// onModel makes a call on a connection to the model, if p may make it.
		onModel := func(p estate.Peer, c estate.Call, args, result any) error {
			if err := p.(*peer).need(c.Facade+"."+c.Method, c.About); err != nil {
				return err
			}
			one, err := r.peers.connectModel(t.Context(), estate.Route{Controller: r.record, Model: estate.Model{UUID: model.Id()}}, alice, claims)
			if err != nil {
				return err
			}
			defer one.session.client.Close()
			one.claims = r.superuser() // past our own check
			return one.Call(t.Context(), c, args, result)
		}
		calls := []struct {
			name string
			do   func(estate.Peer) error
		}{
			{"Cloud.Clouds", func(p estate.Peer) error { _, err := p.Clouds(t.Context()); return err }},
			{"ModelManager.ListModelSummaries", func(p estate.Peer) error { _, err := p.ModelSummaries(t.Context()); return err }},
			{"ModelManager.CreateModel", func(p estate.Peer) error {
				made++
				_, err := p.CreateModel(t.Context(), params.ModelCreateArgs{
					Name: fmt.Sprint("made-", made), Qualifier: alice.Name, CloudTag: cloud.String(), CloudCredentialTag: credential.String(),
				})
				return err
			}},
			{"ModelManager.ModelInfo", func(p estate.Peer) error { _, err := p.ModelInfo(t.Context(), model.Id()); return err }},
			{"ModelManager.ModelStatus", func(p estate.Peer) error { _, err := p.ModelStatus(t.Context(), model.Id()); return err }},
			{"ModelManager.ChangeModelCredential", func(p estate.Peer) error { return p.ChangeModelCredential(t.Context(), model.Id(), credential) }},
			{"Cloud.UpdateCredentialsCheckModels", func(p estate.Peer) error {
				_, err := p.UpdateCredential(t.Context(), credential, params.CloudCredential{AuthType: "empty"}, false)
				return err
			}},
			{forcedUpdate, func(p estate.Peer) error {
				_, err := p.UpdateCredential(t.Context(), credential, params.CloudCredential{AuthType: "empty"}, true)
				return err
			}},
			{"Cloud.RevokeCredentialsCheckModels", func(p estate.Peer) error {
				spare := names.NewCloudCredentialTag(r.lab.Cloud + "/" + alice.Name + "/spare")
				if _, err := p.UpdateCredential(t.Context(), spare, params.CloudCredential{AuthType: "empty"}, false); err != nil {
					return err
				}
				return p.RevokeCredential(t.Context(), spare, false)
			}},
			{"ApplicationOffers.Offer", func(p estate.Peer) error {
				made++
				return p.MakeOffer(t.Context(), params.AddApplicationOffer{
					ModelTag: model.String(), OfferName: fmt.Sprint("made-", made), ApplicationName: "db", Endpoints: map[string]string{"db": "db"},
				})
			}},
			{"ApplicationOffers.ListApplicationOffers", func(p estate.Peer) error { _, err := p.ModelOffers(t.Context(), offers); return err }},
			{"ApplicationOffers.FindApplicationOffers", func(p estate.Peer) error {
				all, err := p.AllOffers(t.Context())
				if err == nil && !slices.ContainsFunc(all, func(d params.ApplicationOfferAdminDetailsV5) bool { return d.OfferName == offer.Name }) {
					err = errors.New("the offer is left out")
				}
				return err
			}},
			{"ApplicationOffers.GetConsumeDetails", func(p estate.Peer) error {
				_, err := p.ConsumeDetails(t.Context(), offerUUID, offer, bakery.LatestVersion)
				return err
			}},
			{"ApplicationOffers.DestroyOffers", func(p estate.Peer) error {
				spare := offer
				spare.Name = "spare"
				err := r.connect(t, alice, r.superuser()).MakeOffer(t.Context(), params.AddApplicationOffer{
					ModelTag: model.String(), OfferName: spare.Name, ApplicationName: "db", Endpoints: map[string]string{"db": "db"},
				})
				if err != nil && !strings.Contains(err.Error(), "already exists") {
					t.Fatal(err)
				}
				return p.RemoveOffer(t.Context(), spare, false)
			}},
			{"Cloud.AddCloud", func(p estate.Peer) error {
				made++
				return p.Call(t.Context(), estate.Call{Facade: "Cloud", Method: "AddCloud"}, params.AddCloudArgs{
					Name: fmt.Sprint("made-", made), Cloud: params.Cloud{Type: "kubernetes", AuthTypes: []string{"certificate"}, Endpoint: "https://10.217.0.99"},
				}, nil)
			}},
			{"Cloud.RemoveClouds", func(p estate.Peer) error {
				made++
				spare := fmt.Sprint("made-", made)
				err := r.connect(t, self, r.superuser()).Call(t.Context(), estate.Call{Facade: "Cloud", Method: "AddCloud"}, params.AddCloudArgs{
					Name: spare, Cloud: params.Cloud{Type: "kubernetes", AuthTypes: []string{"certificate"}, Endpoint: "https://10.217.0.99"},
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				return p.(*peer).change(t.Context(), estate.Call{Facade: "Cloud", Method: "RemoveClouds"}, params.Entities{Entities: []params.Entity{{Tag: names.NewCloudTag(spare).String()}}})
			}},
			{"Cloud.CheckCredentialsModels", func(p estate.Peer) error {
				var results params.UpdateCredentialResults
				err := p.Call(t.Context(), estate.Call{Facade: "Cloud", Method: "CheckCredentialsModels"}, params.TaggedCredentials{
					Credentials: []params.TaggedCredential{{Tag: credential.String(), Credential: params.CloudCredential{AuthType: "empty"}}},
				}, &results)
				return first(err, results.Results, func(r params.UpdateCredentialResult) *params.Error { return r.Error })
			}},
			{"Cloud.ModelConfigSchema", func(p estate.Peer) error {
				var result params.ModelConfigSchemaResult
				err := p.Call(t.Context(), estate.Call{Facade: "Cloud", Method: "ModelConfigSchema"}, params.ModelConfigSchemaArgs{ProviderType: "unmanaged"}, &result)
				return first(err, []params.ModelConfigSchemaResult{result}, func(r params.ModelConfigSchemaResult) *params.Error { return r.Error })
			}},
			{"Controller.AllModels", func(p estate.Peer) error {
				return p.Call(t.Context(), estate.Call{Facade: "Controller", Method: "AllModels"}, nil, nil)
			}},
			{"ModelManager.ModelDefaultsForClouds", func(p estate.Peer) error {
				return p.Call(t.Context(), estate.Call{Facade: "ModelManager", Method: "ModelDefaultsForClouds"}, params.Entities{Entities: []params.Entity{{Tag: cloud.String()}}}, nil)
			}},
			{"ModelManager.DumpModels", func(p estate.Peer) error {
				var results params.StringResults
				err := p.Call(t.Context(), estate.Call{Facade: "ModelManager", Method: "DumpModels", About: model.Id()}, params.DumpModelRequest{Entities: entity(model.Id()).Entities}, &results)
				return first(err, results.Results, func(r params.StringResult) *params.Error { return r.Error })
			}},
			{"Pinger.Ping", func(p estate.Peer) error { return p.Ping(t.Context()) }},
			{"Client.FullStatus", func(p estate.Peer) error {
				return onModel(p, estate.Call{Facade: "Client", Method: "FullStatus", About: model.Id()}, params.StatusParams{}, nil)
			}},
			{"KeyManager.AddKeys", func(p estate.Peer) error {
				var results params.ErrorResults
				err := onModel(p, estate.Call{Facade: "KeyManager", Method: "AddKeys", About: model.Id()}, params.ModifyUserSSHKeys{
					User: alice.Tag().String(), Keys: []string{sshKey},
				}, &results)
				if err = first(err, results.Results, func(r params.ErrorResult) *params.Error { return r.Error }); estate.Is(err, params.CodeUserKeyAlreadyExists) {
					err = nil
				}
				return err
			}},
			// Whether it may is what they are asked; whether it works is not.
			{"Controller.InitiateMigration", func(p estate.Peer) error {
				return allowed(p.Call(t.Context(), estate.Call{Facade: "Controller", Method: "InitiateMigration"}, params.InitiateMigrationArgs{
					Specs: []params.MigrationSpec{{ModelTag: model.String()}}, DryRun: true,
				}, nil))
			}},
			{"ModelUpgrader.UpgradeModel", func(p estate.Peer) error {
				var result params.UpgradeModelResult
				err := p.Call(t.Context(), estate.Call{Facade: "ModelUpgrader", Method: "UpgradeModel", About: model.Id()}, params.UpgradeModelParams{ModelTag: model.String(), DryRun: true}, &result)
				return allowed(first(err, []params.UpgradeModelResult{result}, func(r params.UpgradeModelResult) *params.Error { return r.Error }))
			}},
			{"ModelManager.DestroyModels", func(p estate.Peer) error {
				err := p.DestroyModel(t.Context(), params.DestroyModelParams{ModelTag: model.String()})
				if estate.Is(err, estate.CodeModelNotFound) {
					err = nil // the call before has destroyed it, and it is gone by now
				}
				return err
			}},
		}
		// What 4.1 does not have, whatever the token says.
		tried := map[string]bool{
			"Controller.WatchAllModelSummaries": true, "ModelSummaryWatcher.Next": true, "ModelSummaryWatcher.Stop": true,
			"ModelManager.DumpModelsDB": true, "ModelUpgrader.AbortModelUpgrade": true,
		}
		for _, call := range calls {
			tried[call.name] = true
		}
		for call := range needs {
			if !tried[call] {
				t.Errorf("the call %s is in the table and is not tried", call)
			}
		}
		ladders := map[string][]string{
			names.ControllerTagKind:       {estate.AccessLogin, estate.AccessSuperuser},
			names.CloudTagKind:            {"", estate.AccessAddModel},
			names.ModelTagKind:            {"", estate.AccessRead, estate.AccessWrite, estate.AccessAdmin},
			names.ApplicationOfferTagKind: {"", estate.AccessRead, estate.AccessConsume},
			"":                            {""},
		}
		tags := map[string]string{names.ControllerTagKind: controller.String(), names.CloudTagKind: cloud.String(), names.ModelTagKind: model.String(), names.ApplicationOfferTagKind: names.NewApplicationOfferTag(offerUUID).String()}
		for _, call := range calls {
			n, ok := needs[call.name]
			if !ok {
				t.Errorf("the table does not have %s", call.name)
			}
			suffices := false
			for _, access := range ladders[n.kind] {
				claims = r.login()
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
			claims = r.superuser()
			if err := call.do(r.connect(t, alice, claims)); err != nil {
				t.Errorf("%s as superuser gives %v", call.name, err)
			}
		}
	})
}

// first returns the error of a call, or of its first result.
func first[T any](err error, results []T, of func(T) *params.Error) error {
	if err != nil || len(results) == 0 {
		return err
	}
	return paramsError(of(results[0]))
}

// allowed returns an error only if it says that one may not do that.
func allowed(err error) error {
	if estate.Is(err, estate.CodeUnauthorized) || estate.Is(err, estate.CodeAccessRequired) {
		return err
	}
	return nil
}
