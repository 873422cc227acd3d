package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/postgres/cluster"
)

// soon bounds how long anybody waits for the word that the database is away.
const soon = 30 * time.Second

// refused wants an answer with an error that begins and is coded as those are
// that tell of an outage, and that it comes soon.
func (c *connection) refused(facade string, version int, method string, args any, text string) {
	c.t.Helper()
	began := time.Now()
	got := c.call(facade, version, method, args, nil)
	took := time.Since(began)
	c.t.Logf("%s: after %v %s.%s: %s", c.name, took.Round(time.Millisecond), facade, method, got)
	if !strings.Contains(got, text) || !strings.HasSuffix(got, "("+estate.CodeConnectionFailed+")") || took > soon {
		c.t.Errorf("%s: after %v %s.%s is answered with %q, want %q", c.name, took, facade, method, got, text)
	}
}

func TestNothingIsDoneThatCannotBeAudited(t *testing.T) {
	h := newHouse(t)
	u := h.units[0]
	token := h.logIn(u, "boss@example.com")
	boss := h.withToken(u, "/api", "boss", token)
	var model struct {
		UUID string `json:"uuid"`
	}
	boss.must("ModelManager", 10, "CreateModel", map[string]any{
		"name": "m", "owner-tag": "user-boss@example.com", "cloud-tag": "cloud-dev", "region": "west"}, &model)
	onModel := h.withToken(u, "/model/"+model.UUID+"/api", "boss on the model", token)
	entity := "model-" + model.UUID
	set := func(key string) any {
		return map[string]any{"annotations": []any{map[string]any{"entity": entity, "annotations": map[string]string{key: "set"}}}}
	}
	acted := map[string]bool{}
	// try asks for something that is done without the database, and takes down
	// whether it was.
	try := func(key string) (refused bool) {
		got := onModel.call("Annotations", 2, "Set", set(key), nil)
		refused = strings.HasPrefix(got, "cannot do this now: JIMM's audit log cannot be written") && strings.HasSuffix(got, "("+estate.CodeConnectionFailed+")")
		if got != "" && !refused && !strings.HasPrefix(got, "JIMM cannot write down how this has ended") {
			t.Fatalf("the answer is %q", got)
		}
		if !refused {
			acted[key] = true
		}
		return refused
	}
	try("before")

	pg := cluster.ForTest(t)
	check(t, pg.Freeze())
	frozen := true
	thaw := func() {
		if frozen {
			check(t, pg.Thaw())
			frozen = false
		}
	}
	t.Cleanup(thaw)
	for began := time.Now(); !try(fmt.Sprint("while it is frozen ", len(acted))); {
		if time.Since(began) > soon {
			t.Fatal("nothing is refused")
		}
		time.Sleep(10 * time.Millisecond)
	}
	boss.refused("JIMM", 4, "AddGroup", map[string]string{"name": "refused"}, "cannot do this now: JIMM's audit log cannot be written")
	onModel.wantOpen() // what is not audited goes on
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.Replace(u.url, "ws", "http", 1)+"/rebac/v1/groups", strings.NewReader(`{"name":"refused"}`))
	check(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth("", token)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the admin API answers with %s", response.Status)
	}
	thaw()

	for began := time.Now(); try("after"); {
		if time.Since(began) > soon {
			t.Fatal("it does not go on when the database is back")
		}
		time.Sleep(10 * time.Millisecond)
	}
	var found struct {
		Results []struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"results"`
	}
	onModel.must("Annotations", 2, "Get", map[string]any{"entities": []any{map[string]string{"tag": entity}}}, &found)
	for key := range found.Results[0].Annotations {
		if !acted[key] {
			t.Errorf("what was refused is done: %s", key)
		}
	}
	if n := len(found.Results[0].Annotations); n != len(acted) {
		t.Errorf("%d are done, want %d", n, len(acted))
	}
	var groups json.RawMessage
	boss.must("JIMM", 4, "ListGroups", struct{}{}, &groups)
	if strings.Contains(string(groups), "refused") {
		t.Errorf("the groups are %s", groups)
	}
	admin, err := pgx.Connect(t.Context(), h.dsn)
	check(t, err)
	defer admin.Close(t.Context())
	check(t, u.trail.Close(t.Context()))
	var requests, replies int
	check(t, admin.QueryRow(t.Context(), `select count(*) filter (where not is_response), count(*) filter (where is_response)
		from audit_events where facade = 'Annotations' and method = 'Set'`).Scan(&requests, &replies))
	if requests != len(acted) || replies != len(acted) {
		t.Errorf("%d requests and %d replies are in the log, want %d of each", requests, replies, len(acted))
	}
}
