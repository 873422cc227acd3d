package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/juju/juju/rpc/params"
)

const jaasUUID = "a9d1a2b4-0b4e-4c09-9a0d-1f6d0e3f7a11"

// trusted is a certificate for 127.0.0.1 that the system roots include.
var trusted tls.Certificate

// TestMain makes the certificate before anything has read the system roots.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "jaas")
	if err != nil {
		panic(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	trusted = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", file)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server answers on /api as JAAS does, as far as the commands see it.
type server struct {
	address string
	// tokens and secrets say who logs in with what: token to user name, and
	// client id to secret.
	tokens, secrets map[string]string
	// device is the token that the device flow ends with.
	device string
	// answers are the methods of the JIMM facade.
	answers map[string]any

	mu    sync.Mutex
	calls []call
}

// call is a call of the JIMM facade that arrived.
type call struct {
	Method string
	Params map[string]any
}

// coded is an answer that is an error.
type coded struct{ code, message string }

func newServer(t *testing.T) *server {
	s := &server{
		tokens:  map[string]string{"alices-token": "alice@example.com"},
		secrets: map[string]string{"robot": "robots-secret"},
		device:  "alices-token",
		answers: map[string]any{},
	}
	h := httptest.NewUnstartedServer(s)
	h.TLS = &tls.Config{Certificates: []tls.Certificate{trusted}}
	h.StartTLS()
	t.Cleanup(h.Close)
	s.address = h.Listener.Addr().String()
	return s
}

func (s *server) received() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ServeHTTP serves one connection until the client closes it.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var upgrader websocket.Upgrader
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		var request struct {
			ID      uint64          `json:"request-id"`
			Type    string          `json:"type"`
			Version int             `json:"version"`
			Request string          `json:"request"`
			Params  json.RawMessage `json:"params"`
		}
		if conn.ReadJSON(&request) != nil {
			return
		}
		reply := map[string]any{"request-id": request.ID}
		result := s.answer(fmt.Sprintf("%s.%d.%s", request.Type, request.Version, request.Request), request.Request, request.Params)
		if failure, ok := result.(coded); ok {
			reply["error"], reply["error-code"] = failure.message, failure.code
		} else {
			reply["response"] = result
		}
		if conn.WriteJSON(reply) != nil {
			return
		}
	}
}

func (s *server) answer(full, method string, raw json.RawMessage) any {
	var p map[string]any
	if len(raw) > 0 && json.Unmarshal(raw, &p) != nil {
		return coded{params.CodeBadRequest, "params are no object"}
	}
	switch full {
	case "Pinger.1.Ping":
		return map[string]any{}
	case "Admin.4.LoginDevice":
		return map[string]any{"verification-uri": "https://login.example.com/device", "user-code": "ABCD-EFGH"}
	case "Admin.4.GetDeviceSessionToken":
		return map[string]any{"session-token": s.device}
	case "Admin.4.LoginWithSessionToken":
		token, _ := p["session-token"].(string)
		user, ok := s.tokens[token]
		if !ok {
			return coded{params.CodeSessionTokenInvalid, "session token invalid"}
		}
		return s.login(user)
	case "Admin.4.LoginWithClientCredentials":
		id, _ := p["client-id"].(string)
		if secret, ok := s.secrets[id]; !ok || secret != p["client-secret"] {
			return coded{params.CodeUnauthorized, "client credentials refused"}
		}
		return s.login(id + "@serviceaccount")
	}
	result, ok := s.answers[method]
	if full != "JIMM.4."+method || !ok {
		return coded{params.CodeNotImplemented, "unknown facade type"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call{method, p})
	// A list is successive answers, the last of which stays.
	if list, ok := result.([]any); ok {
		if len(list) > 1 {
			s.answers[method] = list[1:]
		}
		return list[0]
	}
	return result
}

func (s *server) login(user string) any {
	return map[string]any{
		"controller-tag": "controller-" + jaasUUID,
		"server-version": "4.1.0",
		"user-info":      map[string]any{"identity": "user-" + user, "display-name": "", "controller-access": "administrator"},
		"facades":        []any{map[string]any{"name": "Pinger", "versions": []int{1}}},
	}
}
