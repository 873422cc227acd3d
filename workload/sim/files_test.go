package sim_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"jimm/integration/lab"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

// http sends a request with a token of some claims; without claims there is none.
func (w *world) http(t *testing.T, method, path string, claims map[string]string, body []byte, header map[string]string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+w.peer.address+path, bytes.NewReader(body))
	ok(t, err)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	if claims != nil {
		request.Header.Set("Authorization", "Bearer "+sign(t, w.signer, alice, claims, time.Now().Add(time.Minute)))
	}
	transport := &http.Transport{TLSClientConfig: w.tlsConfig()}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	ok(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	ok(t, err)
	return response.StatusCode, response.Header, strings.TrimSpace(string(text))
}

func labCharm(t *testing.T) (data []byte, hash string) {
	t.Helper()
	path, err := lab.Charm(t.TempDir(), "labapp", lab.CharmOptions{})
	ok(t, err)
	data, err = os.ReadFile(path)
	ok(t, err)
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:])[:7]
}

func TestACharmAndAResourceAreUploadedAndDeployed(t *testing.T) {
	for _, generation := range []sim.Generation{sim.Juju36, sim.Juju41} {
		t.Run(generation.String(), func(t *testing.T) {
			w := newWorld(t, generation)
			uuids, err := w.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
			ok(t, err)
			uuid, model := uuids[0], "model-"+uuids[0]
			read, write := map[string]string{model: "read"}, map[string]string{model: "write"}
			data, hash := labCharm(t)
			path := "/model-" + uuid + "/charms/labapp-" + hash
			upload := map[string]string{"Content-Type": "application/zip", "Juju-Curl": "local:labapp-0"}

			status, _, text := w.http(t, "PUT", path, nil, data, upload)
			same(t, status, 401)
			same(t, text, "authentication failed: no credentials provided")
			status, _, text = w.http(t, "PUT", path, read, data, upload)
			same(t, status, 403)
			same(t, text, "authorization failed: permission denied")
			status, header, _ := w.http(t, "PUT", path, write, data, upload)
			same(t, status, 200)
			url := header.Get("Juju-Curl")
			want := "local:labapp-0"
			if generation == sim.Juju41 {
				want = "local:amd64/labapp-0"
			}
			same(t, url, want)
			status, _, text = w.http(t, "PUT", "/model-"+uuid+"/charms/labapp-0000000", write, data, upload)
			same(t, status, 400)
			if !strings.Contains(text, "charm hash does not start with") {
				t.Fatal(text)
			}
			status, _, text = w.http(t, "GET", path, read, nil, nil)
			same(t, status, 200)
			same(t, text == strings.TrimSpace(string(data)), true)

			client := w.as(t, "/model/"+uuid+"/api", alice, map[string]string{w.controllerTag(): "login", model: "write"})
			var charm params.Charm
			ok(t, call(t, client, "Charms", 7, "CharmInfo", params.CharmURL{URL: url}, &charm))
			same(t, charm.Meta.Provides["db"].Interface, "labdb")
			var pending params.AddPendingResourcesResult
			ok(t, call(t, client, "Resources", 3, "AddPendingResources", params.AddPendingResourcesArgsV2{
				Entity: params.Entity{Tag: "application-one"}, URL: url,
				Resources: []params.CharmResource{{Name: "blob", Type: "file", Path: "blob.txt", Origin: "upload"}},
			}, &pending))
			blob := []byte("some text")
			sum := sha512.Sum384(blob)
			file := map[string]string{"Content-Sha384": hex.EncodeToString(sum[:]), "Content-Disposition": `form-data; filename="x.txt"`}
			resource := "/model/" + uuid + "/applications/one/resources/blob"
			status, _, _ = w.http(t, "PUT", resource+"?pendingid="+pending.PendingIDs[0], read, blob, file)
			same(t, status, 403)
			status, _, _ = w.http(t, "PUT", resource+"?pendingid="+pending.PendingIDs[0], write, []byte("other"), file)
			same(t, status, 400)
			status, _, _ = w.http(t, "PUT", resource+"?pendingid="+pending.PendingIDs[0], write, blob, file)
			same(t, status, 200)

			var deployed params.ErrorResults
			ok(t, call(t, client, "Application", 20, "Deploy", params.ApplicationsDeploy{Applications: []params.ApplicationDeploy{{
				ApplicationName: "one", CharmURL: url, CharmOrigin: &params.CharmOrigin{Source: "local"}, NumUnits: 2,
				Resources: map[string]string{"blob": pending.PendingIDs[0]},
			}}}, &deployed))
			same(t, deployed, params.ErrorResults{Results: []params.ErrorResult{{}}})
			status, _, text = w.http(t, "GET", resource, read, nil, nil)
			same(t, status, 200)
			same(t, text, "some text")
			status, _, _ = w.http(t, "GET", "/model/"+uuid+"/applications/one/resources/none", read, nil, nil)
			same(t, status, 404)
		})
	}
}

func TestTheOldCharmUploadIsOf36Alone(t *testing.T) {
	data, _ := labCharm(t)
	for generation, want := range map[sim.Generation]int{sim.Juju36: 200, sim.Juju41: 404} {
		w := newWorld(t, generation)
		uuids, err := w.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
		ok(t, err)
		status, _, text := w.http(t, "POST", "/model/"+uuids[0]+"/charms?series=noble", map[string]string{"model-" + uuids[0]: "write"}, data,
			map[string]string{"Content-Type": "application/zip"})
		if status != want {
			t.Errorf("%s: status %d: %s", generation, status, text)
		}
	}
}

func TestAModelInAPathMustBeAUUID(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	for _, path := range []string{"/model/nonsense/api", "/model/nonsense/log", "/model-nonsense/charms/x-1234567"} {
		status, _, text := w.http(t, "GET", path, nil, nil, nil)
		same(t, status, 400)
		same(t, text, `invalid model UUID "nonsense"`)
	}
	status, _, _ := w.http(t, "GET", "/somewhere", nil, nil, nil)
	same(t, status, 404)
	status, _, _ = w.http(t, "GET", "/health", nil, nil, nil)
	same(t, status, 200)
}

func TestTheDebugLogIsFollowed(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	uuids, err := w.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
	ok(t, err)
	follow := func(claims map[string]string) (*websocket.Conn, string) {
		header := http.Header{}
		header.Set("Authorization", "Bearer "+sign(t, w.signer, alice, claims, time.Now().Add(time.Minute)))
		dialer := websocket.Dialer{TLSClientConfig: w.tlsConfig()}
		ws, response, err := dialer.Dial("wss://"+w.peer.address+"/model/"+uuids[0]+"/log?maxLines=1", header)
		ok(t, err)
		_ = response.Body.Close()
		t.Cleanup(func() { _ = ws.Close() })
		_, first, err := ws.ReadMessage()
		ok(t, err)
		return ws, strings.TrimSpace(string(first))
	}
	_, first := follow(map[string]string{w.controllerTag(): "login"})
	same(t, first, `{"error":{"message":"authorization failed: permission denied","code":"unauthorized access"}}`)
	w.Log(uuids[0], "unit-one-0", "INFO", "one")
	w.Log(uuids[0], "unit-one-0", "INFO", "two")
	ws, first := follow(map[string]string{"model-" + uuids[0]: "read"})
	same(t, first, "{}")
	next := func() string {
		var line params.LogMessage
		_, data, err := ws.ReadMessage()
		ok(t, err)
		ok(t, json.Unmarshal(data, &line))
		return line.Message
	}
	same(t, next(), "two")
	w.Log(uuids[0], "unit-one-0", "INFO", "three")
	same(t, next(), "three")
}
