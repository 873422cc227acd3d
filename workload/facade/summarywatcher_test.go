package facade

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/semversion"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

func TestWatchersEndWithTheirConnection(t *testing.T) {
	e := &estate.Estate{}
	c := &Connection{server: &Server{Estate: e}}
	c.user.Store(&estate.User{Name: "alice@example.com"})
	var last string
	for i := range maxWatchers {
		id, err := watchModelSummaries(t.Context(), c)
		if err != nil || id.WatcherID == last {
			t.Fatalf("watcher %d is %q, %v", i, id.WatcherID, err)
		}
		last = id.WatcherID
	}
	if _, err := watchModelSummaries(t.Context(), c); !estate.Is(err, estate.CodeBadRequest) {
		t.Errorf("one watcher too many gives %v", err)
	}
	if err := c.watchers.stop(last); err != nil {
		t.Error(err)
	}
	if err := c.watchers.stop(last); !estate.Is(err, estate.CodeNotFound) {
		t.Errorf("a watcher that is stopped is stopped again with %v", err)
	}
	if _, err := summaryWatcherMethods["Next"].serve(t.Context(), c, last, nil); !estate.Is(err, estate.CodeNotFound) {
		t.Errorf("a watcher that is stopped is asked with %v", err)
	}
	first, err := c.watchers.get("1")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := first.Next(t.Context()); !estate.Is(err, estate.CodeStopped) {
		t.Errorf("after the end of the connection Next gives %v", err)
	}
	if _, err := watchModelSummaries(t.Context(), c); err == nil {
		t.Error("a watcher is made after the end of its connection")
	}
}

func TestSummariesAreEncodedAsJujuDecodesThem(t *testing.T) {
	now := time.Date(2026, 7, 13, 12, 0, 0, 0, time.UTC)
	version := semversion.MustParse("4.1.0")
	said := params.ModelSummary{
		Name: "theirs", Qualifier: "admin", UUID: "u", Type: "caas", ControllerUUID: "other", IsController: true,
		ProviderType: "lxd", CloudTag: "cloud-other", CloudRegion: "r2", CloudCredentialTag: "cloudcred-a_b_c",
		Life: life.Alive, Status: params.EntityStatus{Status: "available", Info: `a "quote"`, Since: &now},
		UserAccess: "admin", UserLastConnection: &now, AgentVersion: &version,
		Counts:    []params.ModelEntityCount{{Entity: params.Units, Count: 3}},
		Migration: &params.ModelMigrationStatus{Status: "aborted", Start: &now},
	}
	encoded, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	model := estate.ListedModel{
		UUID: "uuid", Owner: "älice@example.com", Name: "ours", State: estate.ModelLive, Cloud: "lab", Region: "r1",
		Credential: "lab/alice@example.com/cred", Type: "iaas", CreatedAt: now, Said: encoded, Access: "write",
	}
	well := params.ModelSummary{
		Name: "ours", Qualifier: "älice@example.com", UUID: "uuid", Type: "iaas", ControllerUUID: "jimm", IsController: true,
		ProviderType: "lxd", CloudTag: "cloud-lab", CloudRegion: "r2", CloudCredentialTag: "cloudcred-lab_alice@example.com_cred",
		Life: life.Alive, Status: said.Status, UserAccess: "write", AgentVersion: &version, Counts: said.Counts, Migration: said.Migration,
	}
	with := func(change func(*estate.ListedModel, *params.ModelSummary)) (m estate.ListedModel, s params.ModelSummary) {
		m, s = model, well
		change(&m, &s)
		return m, s
	}
	for name, change := range map[string]func(*estate.ListedModel, *params.ModelSummary){
		"a model that is well": func(*estate.ListedModel, *params.ModelSummary) {},
		"a model that is dying": func(m *estate.ListedModel, s *params.ModelSummary) {
			m.State, s.Life = estate.ModelDying, life.Dying
		},
		"a model whose controller does not answer": func(m *estate.ListedModel, s *params.ModelSummary) {
			m.UnavailableSince = now
			s.Status = params.EntityStatus{Status: "unavailable", Info: "its controller does not answer", Since: &now}
		},
		"a model without a credential of ours": func(m *estate.ListedModel, s *params.ModelSummary) {
			m.Credential, s.CloudCredentialTag = "", "cloudcred-a_b_c"
		},
		"a model of which its controller said nothing yet": func(m *estate.ListedModel, s *params.ModelSummary) {
			m.Said = nil
			s.IsController, s.ProviderType, s.CloudRegion, s.AgentVersion, s.Migration = false, "", "r1", nil, nil
			s.Counts, s.Status = []params.ModelEntityCount{}, params.EntityStatus{Status: "available", Since: &now}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, want := with(change)
			b, err := summaryResults{models: []estate.ListedModel{m, m}, controllerUUID: "jimm"}.AppendJSON([]byte("before "))
			if err != nil {
				t.Fatal(err)
			}
			var got params.ModelSummaryResults
			if err := json.Unmarshal(b[len("before "):], &got); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			if len(got.Results) != 2 || !reflect.DeepEqual(*got.Results[1].Result, want) {
				t.Errorf("got %s\nwant %s", asJSON(got.Results[0].Result), asJSON(want))
			}
			b, err = summaryResults{models: []estate.ListedModel{m}, controllerUUID: "jimm", legacy: true}.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			var legacy params.ModelSummaryResultsLegacy
			if err := json.Unmarshal(b, &legacy); err != nil {
				t.Fatal(err)
			}
			if owner := legacy.Results[0].Result.OwnerTag; owner != "user-älice@example.com" {
				t.Errorf("its owner's tag is %q", owner)
			}
		})
	}
	if b, err := (summaryResults{}).AppendJSON(nil); err != nil || string(b) != `{"results":[]}` {
		t.Errorf("no models are %s, %v", b, err)
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
