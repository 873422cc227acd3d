package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/login"
	"jimm/workload/postgres/cluster"
)

// soon bounds how long anybody waits for the word that the database is away.
const soon = time.Minute

// refused wants an answer that tells of the database, with a code, and soon.
func (c *connection) refused(facade string, version int, method string, args any, code string) {
	c.t.Helper()
	began := time.Now()
	got := c.call(facade, version, method, args, nil)
	took := time.Since(began)
	c.t.Logf("%s: after %v %s.%s: %s", c.name, took.Round(time.Millisecond), facade, method, got)
	if !strings.Contains(got, "database") || !strings.Contains(got, "try again in a minute") || !strings.HasSuffix(got, "("+code+")") || took > soon {
		c.t.Errorf("%s: after %v %s.%s is answered with %q", c.name, took, facade, method, got)
	}
}

// get wants an answer to a request with a session token.
func (h *house) get(u *instance, method, path, token, body string, status int, text string) {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), method, strings.Replace(u.url, "ws", "http", 1)+path, strings.NewReader(body))
	check(h.T, err)
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth("", token)
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	check(h.T, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	check(h.T, err)
	if took := time.Since(began); response.StatusCode != status || !strings.Contains(string(got), text) || took > soon {
		h.Errorf("after %v %s %s is answered with %s: %s", took, method, path, response.Status, got)
	}
}

func TestClientsAreToldThatTheDatabaseIsAway(t *testing.T) {
	h := newHouse(t, func(h *house) { h.patience = 0 })
	u := h.units[0]
	token := h.logIn(u, "boss@example.com")
	boss := h.withToken(u, "/api", "boss", token)
	var model struct {
		UUID string `json:"uuid"`
	}
	boss.must("ModelManager", 10, "CreateModel", map[string]any{
		"name": "m", "owner-tag": "user-boss@example.com", "cloud-tag": "cloud-dev", "region": "west"}, &model)
	pg := cluster.ForTest(t)
	for _, outage := range []struct {
		name       string
		begin, end func() error
	}{
		{"stopped", func() error { return pg.Down(false) }, func() error { return pg.Up(context.WithoutCancel(t.Context())) }},
		{"frozen", pg.Freeze, pg.Thaw},
	} {
		t.Run("it is "+outage.name, func(t *testing.T) {
			check(t, outage.begin())
			ended := false
			defer func() {
				if !ended {
					check(t, outage.end())
				}
			}()
			h.get(u, "GET", "/rebac/v1/groups", token, "", http.StatusServiceUnavailable, "JIMM's database")
			h.get(u, "GET", "/model/"+model.UUID+"/charms?url=local:a-1", token, "", http.StatusGatewayTimeout, "JIMM's database")
			boss.refused("ModelManager", 10, "ListModels", map[string]string{"tag": "user-boss@example.com"}, estate.CodeConnectionFailed)
			session := map[string]string{"session-token": token}
			for _, path := range []string{"/api", "/model/" + model.UUID + "/api"} {
				newcomer := h.dial(u, path, "a newcomer at "+path)
				newcomer.refused("Admin", 4, "LoginWithSessionToken", session, estate.CodeConnectionFailed)
			}
			for began := time.Now(); !strings.Contains(boss.call("ModelManager", 10, "ListModels", map[string]string{"tag": "user-boss@example.com"}, nil), "audit log"); {
				if time.Since(began) > soon {
					t.Fatal("requests are done that cannot be audited")
				}
				time.Sleep(10 * time.Millisecond)
			}
			h.get(u, "POST", "/rebac/v1/groups", token, `{"name":"refused"}`, http.StatusServiceUnavailable, "JIMM's audit log cannot be written")
			// The code with which a client does not go on to ask for a password.
			h.dial(u, "/api", "a person").refused("Admin", 4, "LoginDevice", struct{}{}, login.CodeLoginFailed)
			check(t, outage.end())
			ended = true
			for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
				c := h.dial(u, "/api", "boss again")
				got := c.call("Admin", 4, "LoginWithSessionToken", session, nil)
				if got == "" {
					got = c.call("ModelManager", 10, "ListModels", map[string]string{"tag": "user-boss@example.com"}, nil)
				}
				if got == "" {
					boss = c
					break
				}
				if time.Since(began) > soon {
					t.Fatalf("it does not heal: %s", got)
				}
			}
		})
	}
}

func TestNothingIsDoneThatCannotBeAudited(t *testing.T) {
	h := newHouse(t, func(h *house) { h.patience = 0 })
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
	boss.refused("JIMM", 4, "AddGroup", map[string]string{"name": "refused"}, estate.CodeConnectionFailed)
	onModel.wantOpen() // what is not audited goes on
	h.get(u, "POST", "/rebac/v1/groups", token, `{"name":"refused"}`, http.StatusServiceUnavailable, "JIMM's audit log cannot be written")
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
	var requests, replies int // each is written, if it took too long perhaps more than once
	check(t, admin.QueryRow(t.Context(), `select count(distinct message_id) filter (where not is_response), count(distinct message_id) filter (where is_response)
		from audit_events where facade = 'Annotations' and method = 'Set'`).Scan(&requests, &replies))
	if requests != len(acted) || replies != len(acted) {
		t.Errorf("%d requests and %d replies are in the log, want %d of each", requests, replies, len(acted))
	}
}
