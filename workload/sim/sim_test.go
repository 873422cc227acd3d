package sim_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

const alice = "user-alice@canonical.com"

// issuer publishes keys and signs tokens with them, as a gateway does.
type issuer struct {
	url     string
	fetches func() int

	mu     sync.Mutex
	set    jwk.Set
	header http.Header
	count  int
}

func newIssuer(t *testing.T, address string) *issuer {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	ok(t, err)
	is := &issuer{set: jwk.NewSet(), header: http.Header{"Cache-Control": {"max-age=60"}}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		is.mu.Lock()
		defer is.mu.Unlock()
		is.count++
		maps.Copy(w.Header(), is.header)
		_ = json.NewEncoder(w).Encode(is.set)
	}))
	ok(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	is.url = server.URL + "/.well-known/jwks.json"
	is.fetches = func() int {
		is.mu.Lock()
		defer is.mu.Unlock()
		return is.count
	}
	return is
}

// key makes a private key and publishes its public half, with the attributes given.
func (is *issuer) key(t *testing.T, attributes map[string]any) jwk.Key {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	private, err := jwk.FromRaw(raw)
	ok(t, err)
	for name, value := range attributes {
		ok(t, private.Set(name, value))
	}
	public, err := private.PublicKey()
	ok(t, err)
	is.mu.Lock()
	defer is.mu.Unlock()
	ok(t, is.set.AddKey(public))
	return private
}

// sign makes a token as it is on the wire.
func sign(t *testing.T, key jwk.Key, subject string, access map[string]string, expires time.Time) string {
	t.Helper()
	token, err := jwt.NewBuilder().Subject(subject).Expiration(expires).Build()
	ok(t, err)
	if access != nil {
		ok(t, token.Set("access", access))
	}
	raw, err := jwt.Sign(token, jwt.WithKey(jwa.ES256, key))
	ok(t, err)
	return base64.StdEncoding.EncodeToString(raw)
}

// peer is a controller, simulated or real.
type peer struct {
	uuid, address, caCert, password, cloud string
}

// world is a controller whose tokens can be signed.
type world struct {
	// Controller is nil if the peer is real.
	*sim.Controller
	peer   peer
	issuer *issuer
	// signer's key is as it must be; those of the others lack something.
	signer, withoutAlg, withoutID jwk.Key
}

// worldOf is a world without tokens.
func worldOf(c *sim.Controller) *world {
	return &world{Controller: c, peer: peer{
		uuid: c.UUID(), address: c.Address(), caCert: c.CACert(), password: c.AdminPassword(), cloud: "sim",
	}}
}

// trusts publishes the keys.
func (w *world) trusts(t *testing.T, is *issuer) {
	w.issuer = is
	w.signer = is.key(t, map[string]any{"kid": "k1", "alg": "ES256"})
	w.withoutAlg = is.key(t, map[string]any{"kid": "bare"})
	w.withoutID = is.key(t, map[string]any{"alg": "ES256"})
}

func newWorld(t *testing.T, generation sim.Generation, change ...func(*sim.Config)) *world {
	t.Helper()
	is := newIssuer(t, "127.0.0.1:0")
	config := sim.Config{Name: "blue", Generation: generation, JWKSURL: is.url, AdminPassword: "sekrit"}
	for _, f := range change {
		f(&config)
	}
	c, err := sim.Start(t.Context(), config)
	ok(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	w := worldOf(c)
	w.trusts(t, is)
	return w
}

func (w *world) controllerTag() string { return "controller-" + w.peer.uuid }

func (w *world) tlsConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(w.peer.caCert))
	return &tls.Config{RootCAs: pool, ServerName: "juju-apiserver"}
}

// newModel makes a model and returns its UUID.
func (w *world) newModel(t *testing.T, name string) string {
	t.Helper()
	var info params.ModelInfo
	ok(t, call(t, w.asAdmin(t, "/api"), "ModelManager", 11, "CreateModel", params.ModelCreateArgs{Name: name, Qualifier: "admin"}, &info))
	return info.UUID
}

func (w *world) dial(t *testing.T, path string) *rpc.Client {
	t.Helper()
	conn, _, err := rpc.Dial(t.Context(), "wss://"+w.peer.address+path, nil, w.tlsConfig(), rpc.Options{})
	ok(t, err)
	client := rpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (w *world) login(t *testing.T, client *rpc.Client, req params.LoginRequest) (params.LoginResult, error) {
	t.Helper()
	var result params.LoginResult
	err := client.Call(t.Context(), "Admin", 3, "", "Login", req, &result)
	return result, err
}

// asAdmin logs in by password.
func (w *world) asAdmin(t *testing.T, path string) *rpc.Client {
	t.Helper()
	client := w.dial(t, path)
	_, err := w.login(t, client, params.LoginRequest{AuthTag: "user-admin", Credentials: w.peer.password})
	ok(t, err)
	return client
}

// as logs in by a token with these claims.
func (w *world) as(t *testing.T, path, user string, access map[string]string) *rpc.Client {
	t.Helper()
	client := w.dial(t, path)
	_, err := w.login(t, client, params.LoginRequest{Token: sign(t, w.signer, user, access, time.Now().Add(time.Minute))})
	ok(t, err)
	return client
}

func call(t *testing.T, client *rpc.Client, facade string, version int, method string, arg, result any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return client.Call(ctx, facade, version, "", method, arg, result)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("differs from what is wanted (-want +got):\n%s", diff)
	}
}

// errorOf is an error as it was on the wire.
func errorOf(t *testing.T, err error) rpc.Error {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) {
		t.Fatalf("no error of the controller: %v", err)
	}
	return *e
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	ok(t, err)
	var out bytes.Buffer
	ok(t, json.Indent(&out, data, "", "  "))
	return out.String()
}
