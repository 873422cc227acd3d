//go:build integration

package charm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"jimm/charm/pack"
	"jimm/charm/relation"
	"jimm/charm/simulator/pods"
	"jimm/integration/lab"
)

// TestRealJujuDeploysTheCharm has a real Juju controller deploy the charm on its
// own machine and relate it to a charm that answers all interfaces. JIMM runs in
// a pod, under the Pebble whose socket is where the charm expects it.
func TestRealJujuDeploysTheCharm(t *testing.T) {
	s := startServices(t)
	ctx := t.Context()
	network, err := pods.NewNetwork(s.host)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := network.Start(filepath.Join(s.dir, "p"), s.image())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pod.Stop(); err != nil {
			t.Error(err)
		}
	})
	// A controller sees all of this machine's files but some folders.
	const containers = "/charm/containers"
	if pebble, err := net.Dial("unix", containers+"/jimm/pebble.socket"); err == nil {
		_ = pebble.Close()
		t.Fatalf("%s/jimm is in use: another test of the charm runs", containers)
	}
	_ = os.Remove(containers + "/jimm") // a test that was killed left it
	if err := os.MkdirAll(containers, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(pod.Path(), "charm/containers/jimm"), containers+"/jimm"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(containers + "/jimm"); _ = os.Remove(containers); _ = os.Remove("/charm") })

	controllers, err := s.lab.Start(ctx, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	j := &juju{t: t, c: controllers[0]}
	backend := s.serveBackend(pod)
	jimm, standin := s.packJIMM(), s.packStandin()
	j.run("switch", "controller")
	// A unit of a machine hears nothing from Pebble: what JIMM comes to by itself, the
	// charm sees at the next update-status, else in five minutes.
	j.run("model-config", "update-status-hook-interval=1m")
	bundle := filepath.Join(s.dir, "bundle.yaml")
	if err := os.WriteFile(bundle, fmt.Appendf(nil, `machines: {"0": {}}
applications:
  jimm: {charm: %s, num_units: 1, to: ["0"]}
  services: {charm: %s, num_units: 1, to: ["0"], options: {backend: %q}}
relations:
- [jimm:database, services:database]
- [jimm:openfga, services:openfga]
- [jimm:vault, services:vault-kv]
- [jimm:oauth, services:oauth]
- [jimm:ingress, services:ingress]
- [jimm:receive-ca-cert, services:send-ca-cert]
`, jimm, standin, backend), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log("the bundle is deployed")
	j.run("deploy", bundle, "--map-machines=existing")
	j.status("active", "ready at https://"+s.traefik.Host)
	info := j.action("get-login-info")
	user := s.logsIn(info["login"])
	t.Log("JIMM is used")
	s.usesAController(j, user, info["login-token-refresh-url"])

	t.Log("options and actions")
	j.run("config", "jimm", "jwt-expiry=soon")
	j.status("blocked", `jwt-expiry="soon"`)
	s.logsIn(info["login"])
	j.run("config", "jimm", "jwt-expiry=4m")
	j.status("active", "ready at")
	if env, err := pod.Environment("/usr/bin/jimmsrv"); err != nil || env["JIMM_JWT_EXPIRY"] != "4m" {
		t.Errorf("JIMM_JWT_EXPIRY is %q, %v", env["JIMM_JWT_EXPIRY"], err)
	}
	if results := j.action("check"); !strings.Contains(results["doctor"], "PostgreSQL") {
		t.Errorf("check says %v", results)
	}
	j.action("rotate-session-key")
	j.action("rotate-signing-keys")

	t.Log("the database's password rotates")
	before, err := pod.Environment("/usr/bin/jimmsrv")
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	for user := range s.passwords {
		s.passwords[user] += "-2"
	}
	s.mu.Unlock()
	j.run("config", "services", "poke=1") // has it look at its passwords
	s.eventually("JIMM gets the new password", func() error {
		after, err := pod.Environment("/usr/bin/jimmsrv")
		if err == nil && (after["JIMM_DSN_FILE"] == "" || after["JIMM_DSN_FILE"] == before["JIMM_DSN_FILE"]) {
			err = errors.New("it has the old one")
		}
		return err
	})
	j.status("active", "ready at")
	s.logsIn(info["login"])

	t.Log("a relation goes and comes back")
	j.run("remove-relation", "jimm:openfga", "services:openfga")
	j.status("blocked", "juju integrate jimm:openfga")
	s.eventually("the relation is gone and made again", func() error {
		_, err := j.c.Juju(ctx, "integrate", "jimm:openfga", "services:openfga")
		return err
	})
	j.status("active", "ready at")
	user.says("models", "hello")
	user.says("status -m hello", "hello")
}

// usesAController has the first administrator bring a second controller, and add a
// model on it.
func (s *services) usesAController(j *juju, user *person, keys string) {
	s.t.Helper()
	s.lab.Options.CAFile = s.caFile()
	controllers, err := s.lab.Start(s.t.Context(), 1, keys)
	if err != nil {
		s.t.Fatal(err)
	}
	blue := controllers[0]
	file := filepath.Join(s.dir, "blue.yaml")
	text, err := yaml.Marshal(map[string]any{
		"name": "blue", "uuid": blue.UUID, "api-addresses": []string{blue.Address}, "ca-certificate": blue.CACert, "username": blue.User, "password": blue.Password,
	})
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	jaas := &person{&lab.CLI{Path: s.bin["jaas"], Data: user.Data, Env: user.Env}, s}
	if _, err := jaas.Run(s.t.Context(), "register-controller", "blue", "--file", file); err == nil || !strings.Contains(err.Error(), "permission denied") {
		s.t.Errorf("register-controller by anyone: %v", err)
	}
	j.action("set-admin", "user=ci@serviceaccount")
	s.eventually("the administrator registers a controller", func() error {
		_, err := jaas.Run(s.t.Context(), "register-controller", "blue", "--file", file)
		return err
	})
	jaas.says("controllers", "blue")
	if kept, err := s.stack.VaultSecrets(s.t.Context(), vaultMount, "controllers/"); err != nil || !slices.Contains(kept, blue.UUID) {
		s.t.Errorf("Vault has the passwords of %q, %v: not of %s", kept, err, blue.UUID)
	}
	user.says("add-model hello", "")
	user.says("models", "hello")
	charm, err := lab.Charm(s.dir, "tea", lab.CharmOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	user.says("deploy -m hello "+charm, "")
	user.says("status -m hello", "tea")
	user.says("debug-log -m hello --no-tail", "")
	if out, err := blue.Juju(s.t.Context(), "models", "--all"); err != nil || !strings.Contains(out, "hello") {
		s.t.Errorf("models of the controller: %s, %v", out, err)
	}
}

// person is somebody with a command line.
type person struct {
	*lab.CLI
	s *services
}

// says runs a command, whose output must have a text.
func (p *person) says(command, text string) {
	p.s.t.Helper()
	if out, err := p.Run(p.s.t.Context(), strings.Fields(command)...); err != nil || !strings.Contains(out, text) {
		p.s.t.Errorf("%s: %s, %v; want %s", command, out, err, text)
	}
}

// juju is the CLI of a controller's admin.
type juju struct {
	t *testing.T
	c *lab.Controller
}

func (j *juju) run(args ...string) string {
	j.t.Helper()
	out, err := j.c.Juju(j.t.Context(), args...)
	if err != nil {
		j.t.Fatal(err)
	}
	return out
}

// status waits for that of JIMM's unit.
func (j *juju) status(level, message string) {
	j.t.Helper()
	var last string
	for deadline := time.Now().Add(15 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		out, err := j.c.Juju(j.t.Context(), "status", "--format=json")
		if err != nil {
			last = err.Error()
			continue
		}
		var status struct {
			Applications map[string]struct {
				Units map[string]struct {
					Workload struct{ Current, Message string } `json:"workload-status"`
				} `json:"units"`
			} `json:"applications"`
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			j.t.Fatal(err)
		}
		w := status.Applications["jimm"].Units["jimm/0"].Workload
		if last = w.Current + ": " + w.Message; w.Current == level && strings.Contains(w.Message, message) {
			return
		}
	}
	out, _ := j.c.Juju(context.Background(), "debug-log", "--replay", "--no-tail", "--include", "unit-jimm-0", "--include", "unit-services-0")
	j.t.Fatalf("jimm/0 is %q, not %s: %s\n%s", last, level, message, out)
}

func (j *juju) action(name string, params ...string) map[string]string {
	j.t.Helper()
	var results map[string]struct {
		Status  string
		Message string
		Results map[string]any
	}
	out := j.run(append([]string{"run", "jimm/0", name, "--wait=10m", "--format=json"}, params...)...)
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		j.t.Fatalf("%s: %v: %s", name, err, out)
	}
	texts := map[string]string{}
	for key, value := range results["jimm/0"].Results {
		texts[key] = fmt.Sprint(value)
	}
	if results["jimm/0"].Status != "completed" {
		j.t.Errorf("%s: %s", name, out)
	}
	return texts
}

// logsIn logs in with what get-login-info says.
func (s *services) logsIn(command string) *person {
	s.t.Helper()
	data, err := os.MkdirTemp(s.dir, "cli")
	if err != nil {
		s.t.Fatal(err)
	}
	cli := &lab.CLI{Path: s.bin["juju41"], Data: data, Env: []string{"SSL_CERT_FILE=" + s.caFile(), "JUJU_CLIENT_ID=ci", "JUJU_CLIENT_SECRET=ci-secret"}}
	args := strings.Fields(command)
	s.eventually("juju logs in", func() error {
		if len(args) < 2 {
			return fmt.Errorf("there is no command to log in with: %q", command)
		}
		_, err := cli.Run(s.t.Context(), append(args[1:], "--no-prompt")...)
		return err
	})
	return &person{cli, s}
}

// containersPart is what metadata.yaml says of containers, which a machine has not.
var containersPart = regexp.MustCompile(`(?s)\ncontainers:\n.*?\n(peers:)`)

func (s *services) packJIMM() string {
	s.t.Helper()
	metadata, err := os.ReadFile("../../metadata.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	text := containersPart.ReplaceAllString(string(metadata), "\n$1")
	text = strings.Replace(text, "  - k8s-api\n", "", 1)
	out := filepath.Join(s.dir, "juju-jimm-k8s.charm")
	err = pack.Charm(out, pack.Options{Root: "../..", Dispatch: s.bin["dispatch"], Arch: runtime.GOARCH, Files: map[string][]byte{"metadata.yaml": []byte(text)}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *services) packStandin() string {
	s.t.Helper()
	out := filepath.Join(s.dir, "services.charm")
	err := pack.Charm(out, pack.Options{Root: s.dir, Dispatch: s.bin["standin"], Arch: runtime.GOARCH, Files: map[string][]byte{
		"metadata.yaml": []byte(`name: services
summary: Stands for the charms that JIMM is related to
description: For tests.
provides:
  database: {interface: postgresql_client}
  openfga: {interface: openfga}
  oauth: {interface: oauth}
  vault-kv: {interface: vault-kv}
  ingress: {interface: ingress}
  ingress-per-unit: {interface: ingress_per_unit}
  send-ca-cert: {interface: certificate_transfer}
`),
		"config.yaml": []byte("options:\n  backend: {type: string, description: URL of the test.}\n  poke: {type: int, description: Any change runs a hook.}\n"),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// serveBackend does for the charm what it asks for, and gives the URL. Requests
// for JIMM go to its pod, and Vault lets that in: on a machine the unit's own
// address is another.
func (s *services) serveBackend(pod *pods.Pod) string {
	l := s.listen()
	answer := func(do func(ctx context.Context, decode func(any) error) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			out, err := do(r.Context(), func(in any) error { return json.NewDecoder(r.Body).Decode(in) })
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(out)
		}
	}
	text := func(do func(ctx context.Context, in string) (any, error)) http.HandlerFunc {
		return answer(func(ctx context.Context, decode func(any) error) (any, error) {
			var in string
			if err := decode(&in); err != nil {
				return nil, err
			}
			return do(ctx, in)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/facts", answer(func(context.Context, func(any) error) (any, error) {
		return map[string]string{
			"Postgres": s.pg.Endpoint, "OpenFGA": s.fga.URL, "Token": s.fga.Token, "Issuer": s.oauth.Issuer, "Introspection": s.oauth.Introspection,
			"Vault": s.vault.URL, "Ingress": "https://" + s.traefik.Host, "CA": s.ca.CA(),
		}, nil
	}))
	mux.Handle("/user", text(func(ctx context.Context, user string) (any, error) { return s.pg.User(ctx, "", user) }))
	mux.Handle("/database", text(func(_ context.Context, asked string) (any, error) { return s.pg.Name(asked), nil }))
	mux.Handle("/store", text(func(ctx context.Context, name string) (any, error) { return s.fga.Store(ctx, name) }))
	mux.Handle("/register", answer(func(ctx context.Context, decode func(any) error) (any, error) {
		var request relation.OAuthRequest
		if err := decode(&request); err != nil {
			return nil, err
		}
		id, secret, err := s.oauth.Register(ctx, "", request)
		return []string{id, secret}, err
	}))
	mux.Handle("/role", answer(func(ctx context.Context, decode func(any) error) (any, error) {
		var asked struct {
			Mount, Unit string
			Has         relation.VaultRole
		}
		if err := decode(&asked); err != nil {
			return nil, err
		}
		return s.vault.Role(ctx, asked.Mount, asked.Unit, []string{pod.Address + "/32"}, asked.Has)
	}))
	mux.Handle("/route", answer(func(_ context.Context, decode func(any) error) (any, error) {
		var route struct {
			Prefix  string
			Request relation.IngressRequest
		}
		if err := decode(&route); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.strip[route.Prefix] = route.Request.StripPrefix
		s.routes[route.Prefix] = []*url.URL{{Scheme: "http", Host: fmt.Sprintf("%s:%d", pod.Address, route.Request.Port)}}
		return nil, nil
	}))
	server := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String()
}
