//go:build integration

package operate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/gorilla/websocket"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/idp"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
	"jimm/workload/sim"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// program is jimmsrv and jimmctl the command beside it, built once.
var program, jimmctl string

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "jimm-operate-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, jimmctl = filepath.Join(dir, "jimmsrv"), filepath.Join(dir, "jimmctl")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3 -X main.commit=abcdef", "-o", dir, "../../workload/cmd/jimmsrv", "../../workload/cmd/jimmctl")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build jimmsrv and jimmctl: %v\n%s", err, out)
		return 1
	}
	return cluster.RunTests(m)
}

// The service accounts: the first administers JIMM.
const (
	admin, adminSecret = "ops", "hush-ops-secret"
	user, userSecret   = "ci", "hush-ci-secret"
)

// world is all that units of JIMM need.
type world struct {
	t *testing.T
	// jimmDSN and fgaDSN are of the two databases.
	jimmDSN, fgaDSN string
	fga             *embedded.Server
	fgaServer       *httptest.Server
	issuer          *httptest.Server
	front           *balancer
	controllers     []*sim.Controller
	environ         map[string]string
	secrets         []string
}

func newWorld(t *testing.T) *world {
	pg := cluster.ForTest(t)
	w := &world{t: t, jimmDSN: pg.NewDatabase(t), fgaDSN: pg.NewDatabase(t), front: newBalancer(t)}
	w.startOpenFGA(w.fgaDSN)
	t.Cleanup(w.stopOpenFGA)

	var provider http.Handler
	w.issuer = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { provider.ServeHTTP(out, r) }))
	t.Cleanup(w.issuer.Close)
	clientSecret, sessionKey, sealKey := random(24), random(64), random(32)
	var err error
	provider, err = idp.New(idp.Config{
		Issuer:          w.issuer.URL,
		Clients:         []idp.Client{{ID: "jimm", Secret: clientSecret}},
		ServiceAccounts: []idp.ServiceAccount{{ID: admin, Secret: adminSecret}, {ID: user, Secret: userSecret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	fgaHost, fgaPort, err := net.SplitHostPort(strings.TrimPrefix(w.fgaServer.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	w.environ = map[string]string{
		"JIMM_UUID": "7e5dbfbf-1111-4222-8333-94e1d8fd2b1c", "JIMM_DNS_NAME": w.front.address(), "JIMM_DSN": w.jimmDSN,
		"JIMM_ADMINS": admin + "@serviceaccount", "JIMM_LOG_LEVEL": "debug",
		"JIMM_OAUTH_ISSUER_URL": w.issuer.URL, "JIMM_OAUTH_CLIENT_ID": "jimm", "JIMM_OAUTH_CLIENT_SECRET": clientSecret,
		"JIMM_SESSION_SECRET_KEY": sessionKey, "JIMM_SECRET_STORAGE_KEYS": sealKey,
		"OPENFGA_HOST": fgaHost, "OPENFGA_PORT": fgaPort, "OPENFGA_LIST_OBJECTS_MAX_RESULTS": "0",
	}
	w.secrets = []string{clientSecret, sessionKey, sealKey, adminSecret, userSecret}
	return w
}

func (w *world) startOpenFGA(dsn string) {
	w.t.Helper()
	var err error
	if w.fga, err = embedded.Open(w.t.Context(), embedded.Config{DSN: dsn}); err != nil {
		w.t.Fatal(err)
	}
	if w.fgaServer == nil {
		w.fgaServer = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { w.fga.Handler().ServeHTTP(out, r) }))
		w.t.Cleanup(w.fgaServer.Close)
	}
}

func (w *world) stopOpenFGA() {
	if err := w.fga.Close(); err != nil {
		w.t.Error(err)
	}
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// addControllers starts simulated controllers and adds them to the estate.
func (w *world) addControllers(n int) {
	w.t.Helper()
	c := w.logIn(admin, adminSecret)
	for i := range n {
		password := "hush-controller-" + random(9)
		w.secrets = append(w.secrets, password)
		controller, err := sim.Start(w.t.Context(), sim.Config{
			Name: fmt.Sprintf("blue%d", i), Generation: sim.Juju41, JWKSURL: "http://" + w.front.address() + "/.well-known/jwks.json",
			Cloud: sim.Cloud{Name: "dev", Regions: []string{"east"}}, AdminPassword: password, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = controller.Close() })
		w.controllers = append(w.controllers, controller)
		c.must("JIMM", 4, "AddController", jimmparams.AddControllerRequest{
			UUID: controller.UUID(), Name: controller.Name(), APIAddresses: []string{controller.Address()}, CACertificate: controller.CACert(),
			Username: "admin", Password: password,
		}, nil)
	}
}

// unit is a running jimmsrv.
type unit struct {
	w        *world
	name     string
	cmd      *exec.Cmd
	log      *journal
	address  string // of the public listener
	internal string
	ended    chan struct{}
	err      error // how it ended
}

// start starts a unit and waits until it is ready. extra are further variables.
func (w *world) start(name string, extra map[string]string) *unit {
	w.t.Helper()
	for range 5 {
		if u := w.tryStart(name, extra); u != nil {
			return u
		}
	}
	w.t.Fatal("others take every address that was free")
	return nil
}

// tryStart is start, which gives nil if somebody else has taken the unit's address
// meanwhile.
func (w *world) tryStart(name string, extra map[string]string) *unit {
	w.t.Helper()
	u := &unit{w: w, name: name, log: &journal{}, address: freeAddress(), internal: freeAddress(), ended: make(chan struct{})}
	u.cmd = exec.Command(program)
	u.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "JIMM_LISTEN_ADDR=" + u.address, "JIMM_INTERNAL_LISTEN_ADDR=" + u.internal}
	for _, set := range []map[string]string{w.environ, extra} {
		for name, value := range set {
			u.cmd.Env = append(u.cmd.Env, name+"="+value)
		}
	}
	u.cmd.Stderr, u.cmd.Stdout = u.log, u.log
	if err := u.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { u.err = u.cmd.Wait(); close(u.ended) }()
	w.t.Cleanup(func() {
		u.kill()
		if w.t.Failed() {
			w.t.Logf("log of unit %s:\n%s", name, u.log.tail(12))
		}
		for _, secret := range w.secrets {
			if strings.Contains(u.log.text(), secret) {
				w.t.Errorf("unit %s has a secret in its log: %.8s…", name, secret)
			}
		}
	})
	taken := false
	w.eventually("unit "+name+" is ready", func() error {
		select {
		case <-u.ended:
			if taken = strings.Contains(u.log.text(), "address already in use"); taken {
				return nil
			}
			w.t.Fatalf("unit %s has ended: %v\n%s", name, u.err, u.log.tail(40))
		default:
		}
		status, body, err := u.get("/debug/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	if taken {
		return nil
	}
	return u
}

// stop tells a unit to stop and waits until it has.
func (u *unit) stop() {
	u.w.t.Helper()
	_ = u.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-u.ended:
	case <-time.After(2 * time.Minute):
		u.w.t.Fatalf("unit %s does not stop\n%s", u.name, u.log.tail(40))
	}
	if u.err != nil {
		u.w.t.Errorf("unit %s stopped with %v\n%s", u.name, u.err, u.log.tail(40))
	}
}

func (u *unit) kill() {
	_ = u.cmd.Process.Kill()
	<-u.ended
}

// get asks the internal listener.
func (u *unit) get(path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.internal+path, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// eventually waits until something works.
func (w *world) eventually(what string, try func() error) {
	w.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not after two minutes: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// freeAddress returns one that nobody listens at, with a port below those that the
// kernel gives to connections.
func freeAddress() string {
	const first, count = 20_000, 12_000
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+mathrand.IntN(count)))
		if l, err := net.Listen("tcp", address); err == nil && l.Close() == nil {
			return address
		}
	}
}

// journal is the log of a unit.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(j.text()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// client is a connection of a Juju client.
type client struct {
	w    *world
	conn *rpc.Conn
	*rpc.Client
}

// dial connects through the balancer. path is /api or /model/UUID/api.
func (w *world) dial(path string) (*rpc.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, response, err := rpc.Dial(ctx, "ws://"+w.front.address()+path, nil, nil, rpc.Options{})
	if errors.Is(err, websocket.ErrBadHandshake) && response != nil {
		return nil, fmt.Errorf("the handshake is answered %s", response.Status)
	}
	return conn, err
}

// tryLogIn connects and logs in as a service account.
func (w *world) tryLogIn(path, id, secret string) (*client, error) {
	conn, err := w.dial(path)
	if err != nil {
		return nil, err
	}
	c := &client{w, conn, rpc.NewClient(conn)}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err = c.Call(ctx, "Admin", 4, "", "LoginWithClientCredentials", map[string]string{"client-id": id, "client-secret": secret}, nil)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// logIn logs in on a controller connection.
func (w *world) logIn(id, secret string) *client {
	w.t.Helper()
	c, err := w.tryLogIn("/api", id, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *client) must(facade string, version int, method string, args, result any) {
	c.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Call(ctx, facade, version, "", method, args, result); err != nil {
		c.w.t.Fatalf("%s.%s: %v", facade, method, err)
	}
}

// createModel makes a model of the caller's.
func (c *client) createModel(name, owner string) (params.ModelInfo, error) {
	var made params.ModelInfo
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := c.Call(ctx, "ModelManager", 11, "", "CreateModel", params.ModelCreateArgs{
		Name: name, Qualifier: owner, CloudTag: "cloud-dev", CloudRegion: "east",
	}, &made)
	return made, err
}

// models returns the names of the models that an account has, with their UUIDs.
func (c *client) models(owner string) map[string]string {
	c.w.t.Helper()
	var list params.UserModelList
	c.must("ModelManager", 11, "ListModels", params.Entity{Tag: "user-" + owner}, &list)
	found := map[string]string{}
	for _, m := range list.UserModels {
		found[m.Name] = m.UUID
	}
	return found
}

// letAddModels gives the account access to the cloud.
func (w *world) letAddModels(id string) {
	w.t.Helper()
	w.logIn(admin, adminSecret).must("JIMM", 4, "AddRelation", jimmparams.AddRelationRequest{Tuples: []jimmparams.RelationshipTuple{
		{Object: "user-" + id + "@serviceaccount", Relation: "can_addmodel", TargetObject: "cloud-dev"},
	}}, nil)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
