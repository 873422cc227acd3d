//go:build integration

package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/estate"
	"jimm/workload/gateway"
	"jimm/workload/juju"
)

// oneSecret holds the signing keys.
type oneSecret struct {
	estate.Secrets
	value   map[string]string
	version int
}

func (s *oneSecret) GetVersion(context.Context, string) (map[string]string, int, error) {
	return s.value, s.version, nil
}

func (s *oneSecret) PutIfVersion(_ context.Context, _ string, version int, value map[string]string) (bool, error) {
	if version != s.version {
		return false, nil
	}
	s.value, s.version = maps.Clone(value), version+1
	return true, nil
}

// realPassing is a Transfer before a real controller with one model.
type realPassing struct {
	passing // for its users and what they may do
	lab     *lab.Controller
	model   string
}

func (p *realPassing) Route(_ context.Context, u estate.User, uuid string) (estate.Route, error) {
	access := p.grants[u.Name]
	if access == "" || uuid != p.model {
		return estate.Route{}, estate.Errorf(estate.CodeModelNotFound, "model %q not found", uuid)
	}
	return estate.Route{Model: estate.Model{UUID: uuid}, Controller: p.controller, Claims: estate.Claims{
		names.NewControllerTag(p.controller.UUID).String(): estate.AccessLogin,
		names.NewModelTag(uuid).String():                   access,
	}}, nil
}

func startRealPassing(t *testing.T) *realPassing {
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
	keys, err := juju.OpenKeys(t.Context(), &oneSecret{}, juju.KeyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(l.HostAddress(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	published := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) })}}
	published.Start()
	t.Cleanup(published.Close)
	controllers, err := l.Start(t.Context(), 1, published.URL+"/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	c := controllers[0]
	p := &realPassing{lab: c}
	p.grants = map[string]string{"alice@canonical.com": "write", "reader@canonical.com": "read"}
	p.controller = estate.Controller{UUID: c.UUID, Name: c.Name, AgentVersion: "4.1-beta2", Addresses: []string{c.Address}, CACertificate: c.CACert}
	dialer := &juju.Dialer{}
	tokens := &juju.Tokens{Keys: keys, Issuer: "jimm.test"}
	// The owner is local: 4.1's CLI deploys for an administrator only into models
	// the controller itself knows them to own.
	if _, err := c.Juju(t.Context(), "add-model", "one"); err != nil {
		t.Fatal(err)
	}
	shown, err := c.Juju(t.Context(), "show-model", "one", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var models map[string]struct {
		UUID string `json:"model-uuid"`
	}
	if err := json.Unmarshal([]byte(shown), &models); err != nil {
		t.Fatal(err)
	}
	p.model = models["one"].UUID
	p.Transfer = gateway.NewTransfer(gateway.TransferConfig{Models: p, Logins: p, Controllers: dialer, Tokens: tokens, Secrets: passwords{}})
	t.Cleanup(p.Close)
	mux := http.NewServeMux()
	mux.Handle("GET /model/{uuid}/log", p.Log())
	mux.Handle("/", p.Transfer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func TestARealControllerTakesAndGivesFilesAndLogs(t *testing.T) {
	p := startRealPassing(t)
	dir := t.TempDir()
	path, err := lab.Charm(dir, "one", lab.CharmOptions{})
	if err != nil {
		t.Fatal(err)
	}
	charm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(charm)
	object := "/model-" + p.model + "/charms/one-" + hex.EncodeToString(sum[:])[:7]
	zip := http.Header{"Content-Type": {"application/zip"}, "Juju-Curl": {"local:one"}}

	if response, body := p.send(t, "PUT", object, "reader@canonical.com", string(charm), zip); response.StatusCode != http.StatusForbidden {
		t.Errorf("a reader's upload is answered with %s: %s", response.Status, body)
	}
	response, body := p.send(t, "PUT", object, "alice@canonical.com", string(charm), zip)
	if response.StatusCode != http.StatusOK || response.Header.Get("Juju-Curl") != "local:one-0" {
		t.Fatalf("the charm's upload is answered with %s %v: %s", response.Status, response.Header, body)
	}
	if response, body := p.send(t, "GET", object, "reader@canonical.com", "", nil); response.StatusCode != http.StatusOK || !bytes.Equal([]byte(body), charm) {
		t.Errorf("the charm comes back with %s, %d bytes of %d", response.Status, len(body), len(charm))
	}

	blob := filepath.Join(dir, "blob.txt")
	if err := os.WriteFile(blob, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.lab.Juju(t.Context(), "deploy", path, "one", "-m", "one", "--resource", "blob="+blob); err != nil {
		t.Fatal(err)
	}
	resource := "/model/" + p.model + "/applications/one/resources/blob"
	if response, body := p.send(t, "GET", resource, "reader@canonical.com", "", nil); response.StatusCode != http.StatusOK || body != "first" {
		t.Errorf("the resource comes with %s: %q", response.Status, body)
	}
	digest := sha512.Sum384([]byte("second"))
	upload := http.Header{"Content-Type": {"application/octet-stream"}, "Content-Sha384": {hex.EncodeToString(digest[:])}, "Content-Disposition": {`form-data; filename="blob.txt"`}}
	if response, body := p.send(t, "PUT", resource, "alice@canonical.com", "second", upload); response.StatusCode != http.StatusOK {
		t.Errorf("the resource's upload is answered with %s: %s", response.Status, body)
	}
	if response, body := p.send(t, "GET", resource, "reader@canonical.com", "", nil); response.StatusCode != http.StatusOK || body != "second" {
		t.Errorf("the resource comes back with %s: %q", response.Status, body)
	}
	if response, body := p.send(t, "GET", "/model/"+p.model+"/applications/none/resources/blob", "reader@canonical.com", "", nil); response.StatusCode != http.StatusNotFound || !strings.Contains(body, `"error"`) {
		t.Errorf("a resource that is not there is answered with %s: %s", response.Status, body)
	}

	ws, first := p.openLog(t, "/model/"+p.model+"/log?version=2&replay=true&noTail=true", "reader@canonical.com", "good")
	if first.Error != nil {
		t.Fatal(first.Error)
	}
	_ = ws.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for {
		_, line, err := ws.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
			break
		}
		if err != nil {
			t.Fatalf("the log ends with %v", err)
		}
		var message params.LogMessage
		if err := json.Unmarshal(line, &message); err != nil {
			t.Fatal(err)
		}
		if message.ModelUUID != p.model {
			t.Errorf("the log has a line of another model: %s", line)
		}
	}
}
