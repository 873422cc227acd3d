package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery/checkers"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/httpbakery"
	"github.com/google/uuid"

	"jimm/workload/estate"
	"jimm/workload/hookservice"
	"jimm/workload/hookservice/standin"
	"jimm/workload/macaroons"
)

// withLookup is a house whose groups hook-service knows.
func withLookup(t *testing.T, known map[string][]string) (*house, *standin.Service) {
	t.Helper()
	service, err := standin.Start("", nil, standin.Groups(known))
	check(t, err)
	t.Cleanup(func() { _ = service.Stop() })
	return newHouse(t, func(h *house) {
		h.lookup = func(issuer string) estate.IdPGroups {
			return hookservice.New(hookservice.Config{
				Address: service.Address, Plain: true, Issuer: issuer, ClientID: "robot", ClientSecret: robotKey, Timeout: 20 * time.Second,
			})
		}
	}), service
}

// modelOf makes a model of boss's, and gives a group of the identity provider
// something of it.
func (h *house) modelOf(boss *connection, group string) (uuid string) {
	h.Helper()
	var model struct {
		UUID string `json:"uuid"`
	}
	boss.must("ModelManager", 10, "CreateModel", map[string]any{
		"name": "m", "owner-tag": "user-boss@example.com", "cloud-tag": "cloud-dev", "region": "west"}, &model)
	boss.must("JIMM", 4, "AddRelation", map[string]any{"tuples": []any{map[string]string{
		"object": "idpgroup-" + group + "#member", "relation": "reader", "target_object": "model-" + model.UUID}}}, nil)
	return model.UUID
}

// models lists the models that a connection sees.
func (c *connection) models(user string) string {
	c.t.Helper()
	var list json.RawMessage
	c.must("ModelManager", 10, "ListModels", map[string]string{"tag": "user-" + user}, &list)
	return string(list)
}

func TestAGroupThatIsLookedUpGivesWhatItHas(t *testing.T) {
	h, service := withLookup(t, map[string][]string{"alice@example.com": {"tea"}, "robot": {"machines"}})
	u := h.units[0]
	boss := h.withToken(u, "/api", "boss", h.logIn(u, "boss@example.com"))
	model := h.modelOf(boss, "tea")

	token := h.logIn(u, "alice@example.com")
	for _, unit := range h.units {
		if list := h.withToken(unit, "/api", "alice", token).models("alice@example.com"); !strings.Contains(list, model) {
			t.Errorf("alice, who is in the group, sees %s", list)
		}
	}
	h.withToken(u, "/model/"+model+"/api", "alice on the model", token).wantOpen()
	if list := h.withSecret(u, "/api", "robot").models("robot@serviceaccount"); strings.Contains(list, model) {
		t.Errorf("robot, who is not in it, sees %s", list)
	}
	boss.must("JIMM", 4, "AddRelation", map[string]any{"tuples": []any{map[string]string{
		"object": "idpgroup-machines#member", "relation": "reader", "target_object": "model-" + model}}}, nil)
	if list := h.withSecret(u, "/api", "robot").models("robot@serviceaccount"); !strings.Contains(list, model) {
		t.Errorf("robot, whose group may see it, sees %s", list)
	}

	t.Run("and nobody logs in without an answer", func(t *testing.T) {
		check(t, service.Stop())
		// What was right a moment ago is not asked again.
		u.Estate.ForgetAccount("")
		c := h.dial(u, "/api", "robot")
		got := c.call("Admin", 4, "LoginWithClientCredentials", map[string]string{"client-id": "robot", "client-secret": robotKey}, nil)
		if !strings.Contains(got, "hook-service, which knows them, does not answer as it should; try again later") || !strings.Contains(got, "("+estate.CodeConnectionFailed+")") {
			t.Errorf("the answer is %s", got)
		}
		h.withToken(u, "/api", "alice, who has a session", token).wantOpen()
		status := u.status(t, "groups")
		if !strings.Contains(status, `"degraded"`) || !strings.Contains(status, service.Address) {
			t.Errorf("the status is %s", status)
		}
		again, err := standin.Start(service.Address, nil, standin.Groups(nil))
		check(t, err)
		t.Cleanup(func() { _ = again.Stop() })
		if list := h.withSecret(u, "/api", "robot").models("robot@serviceaccount"); strings.Contains(list, model) {
			t.Errorf("robot, who is in no group any more, sees %s", list)
		}
	})
}

// discharge has JIMM confirm that a user may consume an offer, as a controller
// does.
func (u *instance) discharge(t *testing.T, user, offer string) error {
	t.Helper()
	locator := httpbakery.NewThirdPartyLocator(nil, nil)
	locator.AllowInsecure()
	offering := bakery.New(bakery.BakeryParams{Key: bakery.MustGenerateKey(), Locator: locator})
	m, err := offering.Oven.NewMacaroon(t.Context(), bakery.LatestVersion, []checkers.Caveat{
		{Location: strings.Replace(u.url, "ws", "http", 1) + macaroons.Path, Condition: "is-consumer user-" + user + " " + offer},
	}, bakery.Op{Entity: offer, Action: "consume"})
	check(t, err)
	_, err = httpbakery.NewClient().DischargeAll(t.Context(), m)
	return err
}

func TestAGroupThatIsLookedUpMayConsumeAnOffer(t *testing.T) {
	h, service := withLookup(t, map[string][]string{"alice@example.com": {"tea"}})
	u := h.units[0]
	offer := uuid.NewString()
	check(t, h.permissions.Write(t.Context(), []estate.Tuple{
		{Subject: estate.Subject{Object: estate.Object{Kind: estate.KindIdPGroup, ID: "tea"}, Relation: estate.Member}, Relation: estate.Consumer, Object: estate.Object{Kind: estate.KindOffer, ID: offer}},
		{Subject: estate.User{Name: "bob@example.com"}.Subject(), Relation: estate.Consumer, Object: estate.Object{Kind: estate.KindOffer, ID: offer}},
	}, nil))
	check(t, u.discharge(t, "alice@example.com", offer))
	check(t, u.discharge(t, "bob@example.com", offer))
	if err := u.discharge(t, "carol@example.com", offer); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("carol, who is in no group: %v", err)
	}
	check(t, service.Stop())
	if err := u.discharge(t, "alice@example.com", offer); err == nil || !strings.Contains(err.Error(), "hook-service, which knows them, does not answer") {
		t.Errorf("without an answer: %v", err)
	}
	// Who needs no group for it is not kept waiting for one.
	check(t, u.discharge(t, "bob@example.com", offer))
}

// status is what the internal listener says of one thing that JIMM needs.
func (u *instance) status(t *testing.T, of string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/status", nil)
	check(t, err)
	w := httptest.NewRecorder()
	u.InternalHandler().ServeHTTP(w, request)
	var all map[string]json.RawMessage
	check(t, json.Unmarshal(w.Body.Bytes(), &all))
	return string(all[of])
}
