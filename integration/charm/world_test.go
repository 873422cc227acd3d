//go:build integration

package charm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"jimm/charm/provider"
	"jimm/charm/relation"
	"jimm/charm/simulator"
	"jimm/charm/simulator/pods"
	"jimm/integration/lab"
	"jimm/workload/idp"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) {
	code := cluster.RunTests(m)
	_ = os.RemoveAll(programsDir)
	os.Exit(code)
}

var programsDir string

// programs are what the tests run, built once.
var programs = sync.OnceValues(func() (map[string]string, error) {
	found := map[string]string{}
	out, err := exec.Command("../peers/build.sh", "juju41", "prepare", "pebble", "openfga", "vault").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot build the peers: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), "=")
		found[strings.ToLower(name)] = path
	}
	dir, err := os.MkdirTemp("", "jimm-charm-")
	if err != nil {
		return nil, err
	}
	programsDir = dir
	for _, pkg := range []string{"charm/cmd/dispatch", "charm/simulator/cmd/hooktool", "workload/cmd/jimmsrv", "workload/cmd/jimmctl", "integration/charm/standin"} {
		name := filepath.Base(pkg)
		cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s", "-o", filepath.Join(dir, name), "jimm/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot build %s: %w: %s", name, err, out)
		}
		found[name] = filepath.Join(dir, name)
	}
	// Containers have hard links of it.
	pebble := filepath.Join(dir, "pebble")
	text, err := os.ReadFile(found["pebble"])
	if err == nil {
		err = os.WriteFile(pebble, text, 0o755)
	}
	found["pebble"] = pebble
	return found, err
})

// services are the real ones behind the charms, on this machine's address in
// the lab.
type services struct {
	t       *testing.T
	bin     map[string]string
	lab     *lab.Lab
	host    string
	ca      *provider.Authority
	pool    *x509.CertPool
	pg      *provider.PostgreSQL
	fga     *provider.OpenFGA
	oauth   *provider.OAuth
	traefik *provider.Ingress
	dir     string

	mu        sync.Mutex
	passwords map[string]string
	database  *cluster.Cluster
	identity  http.Handler
	// routes are where requests below a prefix go; scheme is http or https.
	routes map[string][]*url.URL
	strip  map[string]bool
}

func startServices(t *testing.T) *services {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "jc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctl, err := filepath.Abs("../peers/ctl")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(lab.Bin{Juju41: bin["juju41"], Agent: bin["agent"], Prepare: bin["prepare"], Ctl: ctl}, filepath.Join(dir, "lab"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &services{t: t, bin: bin, lab: l, host: l.HostAddress(), dir: dir, passwords: map[string]string{}, routes: map[string][]*url.URL{}, strip: map[string]bool{}}
	if s.ca, err = provider.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	s.pool = x509.NewCertPool()
	s.pool.AppendCertsFromPEM([]byte(s.ca.CA()))
	s.startPostgres()
	s.startOpenFGA()
	s.startIdentityProvider()
	s.startIngress()
	return s
}

// certificate is one for this machine's address.
func (s *services) certificate() tls.Certificate {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "lab"}, IPAddresses: []net.IP{net.ParseIP(s.host)}}, key)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := s.ca.Sign(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := tls.X509KeyPair([]byte(signed.Certificate), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// caFile is a file with the certificate of the authority.
func (s *services) caFile() string {
	s.t.Helper()
	file := filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(file, []byte(s.ca.CA()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *services) listen() net.Listener {
	s.t.Helper()
	l, err := net.Listen("tcp", s.host+":0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	return l
}

// startPostgres has a proxy in front of the cluster, which listens on loopback only.
func (s *services) startPostgres() {
	s.database = cluster.ForTest(s.t)
	dsn, err := url.Parse(s.database.DSN("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	l := s.listen()
	go forward(l, dsn.Host)
	name := fmt.Sprintf("jimm_%d", time.Now().UnixNano())
	if err := s.database.CreateDatabase(s.t.Context(), name); err != nil {
		s.t.Fatal(err)
	}
	s.pg = &provider.PostgreSQL{Endpoint: l.Addr().String(), User: func(ctx context.Context, _, user string) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.passwords[user] == "" {
			s.passwords[user] = "p@ss/word-of-" + user
		}
		// Another test's deployment has a user of the same name.
		return s.passwords[user], s.grant(ctx, name, user, s.passwords[user])
	}, Name: func(string) string { return name }}
}

func (s *services) grant(ctx context.Context, database, user, password string) error {
	conn, err := pgx.Connect(ctx, s.database.DSN(database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	role := pgx.Identifier{user}.Sanitize()
	for _, sql := range []string{
		"DO $$ BEGIN CREATE ROLE " + role + " LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
		"ALTER ROLE " + role + " PASSWORD " + quote(password),
		"GRANT ALL ON DATABASE " + pgx.Identifier{database}.Sanitize() + " TO " + role,
		"GRANT ALL ON SCHEMA public TO " + role,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	// Tables that an earlier relation's user owns go to the new one, as
	// postgresql-k8s has it by a role for all users of a database.
	rows, err := conn.Query(ctx, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' AND tableowner LIKE 'relation_id_%' AND tableowner <> $1", user)
	if err != nil {
		return err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if _, err := conn.Exec(ctx, "REASSIGN OWNED BY "+pgx.Identifier{owner}.Sanitize()+" TO "+role); err != nil {
			return err
		}
	}
	return nil
}

func forward(l net.Listener, to string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = in.Close() }()
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer func() { _ = out.Close() }()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			_, _ = io.Copy(in, out)
		}()
	}
}

// run starts a program that ends with the test.
func (s *services) run(name string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	out, err := os.Create(filepath.Join(s.dir, filepath.Base(name)+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = out.Close() })
}

func (s *services) port() string {
	l := s.listen()
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func (s *services) startOpenFGA() {
	const token = "openfga-preshared-key"
	address := s.host + ":" + s.port()
	s.run(s.bin["openfga"], "run", "--datastore-engine=memory", "--http-addr="+address, "--grpc-addr="+s.host+":"+s.port(),
		"--playground-enabled=false", "--metrics-enabled=false", "--authn-method=preshared", "--authn-preshared-keys="+token)
	ask := func(ctx context.Context, method, path string, body, out any) error {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		return json.NewDecoder(response.Body).Decode(out)
	}
	s.eventually("OpenFGA answers", func() error {
		var health struct{ Status string }
		return ask(s.t.Context(), "GET", "/healthz", nil, &health)
	})
	s.fga = &provider.OpenFGA{URL: "http://" + address, Token: token, Store: func(ctx context.Context, name string) (string, error) {
		var list struct {
			Stores []struct{ ID, Name string }
		}
		if err := ask(ctx, "GET", "/stores", nil, &list); err != nil {
			return "", err
		}
		for _, store := range list.Stores {
			if store.Name == name {
				return store.ID, nil
			}
		}
		var made struct{ ID string }
		err := ask(ctx, "POST", "/stores", map[string]string{"name": name}, &made)
		return made.ID, err
	}}
}

// startIdentityProvider serves TLS by a certificate that JIMM learns to trust by
// its relation receive-ca-cert.
func (s *services) startIdentityProvider() {
	l := s.listen()
	issuer := "https://" + l.Addr().String()
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		handler := s.identity
		s.mu.Unlock()
		if handler == nil {
			http.NotFound(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})}
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{s.certificate()}}))
	}()
	s.oauth = &provider.OAuth{Issuer: issuer, Register: func(_ context.Context, _ string, request relation.OAuthRequest) (string, string, error) {
		provider, err := idp.New(idp.Config{
			Issuer: issuer, Users: []idp.User{{Email: "alice@example.com", Name: "Alice", Password: "alice-password"}},
			Clients:         []idp.Client{{ID: "jimm-client", Secret: "s3cret-of-the-client", RedirectURIs: []string{request.RedirectURI}}},
			ServiceAccounts: []idp.ServiceAccount{{ID: "ci", Secret: "ci-secret"}}, KeyDir: filepath.Join(s.dir, "idp"),
		})
		if err != nil {
			return "", "", err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.identity = provider
		return "jimm-client", "s3cret-of-the-client", nil
	}}
}

// startIngress routes by prefix, as Traefik does, to all units in turn.
func (s *services) startIngress() {
	l := s.listen()
	s.traefik = &provider.Ingress{Scheme: "https", Host: l.Addr().String(), Route: func(_ context.Context, prefix string, request relation.IngressRequest, units []relation.IngressUnit) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		scheme := request.Scheme
		if scheme == "" {
			scheme = "http"
		}
		s.routes[prefix], s.strip[prefix] = nil, request.StripPrefix
		for _, unit := range units {
			s.routes[prefix] = append(s.routes[prefix], &url.URL{Scheme: scheme, Host: fmt.Sprintf("%s:%d", unit.IP, request.Port)})
		}
		return nil
	}}
	turn := 0
	proxy := &httputil.ReverseProxy{
		ErrorLog:  log.New(io.Discard, "", 0),
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool}},
		Rewrite: func(r *httputil.ProxyRequest) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for prefix, units := range s.routes {
				if strings.HasPrefix(r.In.URL.Path, prefix+"/") && len(units) > 0 {
					turn++
					r.SetURL(units[turn%len(units)])
					if s.strip[prefix] {
						r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
					}
					r.SetXForwarded()
					r.Out.Host = r.In.Host
					return
				}
			}
		},
	}
	server := &http.Server{Handler: proxy, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{s.certificate()}}))
	}()
}

func (s *services) eventually(what string, try func() error) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}

// image is the container image: the rock's programs and its layer.
func (s *services) image() pods.Image {
	s.t.Helper()
	text, err := os.ReadFile("../../rockcraft.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	var rock map[string]any
	if err := yaml.Unmarshal(text, &rock); err != nil {
		s.t.Fatal(err)
	}
	layer, err := yaml.Marshal(map[string]any{"services": rock["services"], "checks": rock["checks"]})
	if err != nil {
		s.t.Fatal(err)
	}
	return pods.Image{Pebble: s.bin["pebble"], Programs: map[string]string{"/usr/bin/jimmsrv": s.bin["jimmsrv"], "/usr/bin/jimmctl": s.bin["jimmctl"]}, Layer: layer}
}

// world is a simulated model between these services.
type world struct {
	*services
	*simulator.Model
	network *pods.Network
	pods    map[string]*pods.Pod
}

var needed = [][2]string{
	{"jimm:database", "postgresql:database"}, {"jimm:openfga", "openfga:openfga"}, {"jimm:oauth", "hydra:oauth"},
	{"jimm:ingress", "traefik:ingress"}, {"jimm:receive-ca-cert", "ca:send-ca-cert"},
}

func newWorld(t *testing.T, s *services, seed uint64) *world {
	t.Helper()
	endpoints, defaults, err := simulator.ReadCharm("../..")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{services: s, Model: simulator.New(seed), pods: map[string]*pods.Pod{}}
	if w.network, err = pods.NewNetwork(s.host); err != nil {
		t.Fatal(err)
	}
	provides := func(endpoint, face string) map[string]simulator.Endpoint {
		return map[string]simulator.Endpoint{endpoint: {Role: simulator.Provides, Interface: face}}
	}
	w.Deploy("jimm", endpoints, defaults, w.Program(func(unit string) simulator.Root { return w.pods[unit] }))
	w.Deploy("postgresql", provides("database", "postgresql_client"), nil, s.pg.Handle)
	w.Deploy("openfga", provides("openfga", "openfga"), nil, s.fga.Handle)
	w.Deploy("hydra", provides("oauth", "oauth"), nil, s.oauth.Handle)
	w.Deploy("traefik", provides("ingress", "ingress"), nil, s.traefik.Handle)
	ca := provides("send-ca-cert", "certificate_transfer")
	ca["certificates"] = simulator.Endpoint{Role: simulator.Provides, Interface: "tls-certificates"}
	w.Deploy("ca", ca, nil, s.ca.Handle)
	for _, app := range []string{"postgresql", "openfga", "hydra", "traefik", "ca"} {
		w.AddUnit(app, s.host)
	}
	w.scale()
	return w
}

// scale adds a unit of JIMM, in a pod of its own.
func (w *world) scale() *simulator.Unit {
	w.t.Helper()
	p, err := w.network.Start(filepath.Join(w.dir, fmt.Sprint("p", len(w.pods))), w.image())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			w.t.Error(err)
		}
	})
	u := w.AddUnit("jimm", p.Address)
	u.Container = p
	w.pods[u.Name] = p
	if err := simulator.InstallCharm(p.Path(), u.Name, w.bin["dispatch"], w.bin["hooktool"]); err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) relate(one, other string) *simulator.Relation {
	w.t.Helper()
	r, err := w.Relate(one, other)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) relateNeeded() {
	order := slices.Clone(needed)
	for i, j := range w.Shuffle(len(order)) {
		order[i] = needed[j]
	}
	for _, pair := range order {
		w.relate(pair[0], pair[1])
	}
}

func (w *world) settle() {
	w.t.Helper()
	if err := w.Settle(w.t.Context()); err != nil {
		w.t.Fatal(errors.Join(err, errors.New(strings.Join(w.Log, "\n"))))
	}
}

// active waits until all units are, as Juju would with update-status from time to time.
func (w *world) active() {
	w.t.Helper()
	w.eventually("all units are active", func() error {
		w.settle()
		for _, u := range w.App("jimm").Units() {
			if u.Status.Level != "active" {
				status := u.Status
				if err := u.Update(w.t.Context()); err != nil {
					return err
				}
				if u.Status.Level != "active" {
					return fmt.Errorf("%s is %s: %s", u.Name, status.Level, status.Message)
				}
			}
		}
		return nil
	})
}

// serving checks that JIMM answers a login, that another run of each unit's hook
// changes nothing, and that no secret is where it should not be.
func (w *world) serving() {
	w.t.Helper()
	w.active()
	w.login()
	for _, u := range w.App("jimm").Units() {
		before := w.plan(u.Name)
		changes, err := u.Again(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if len(changes) > 0 {
			w.t.Errorf("a second run of the hook of %s changes %v", u.Name, changes)
		}
		if after := w.plan(u.Name); after != before {
			w.t.Errorf("a second run of the hook of %s makes Pebble do more: %s, before %s", u.Name, after, before)
		}
	}
	w.keepsSecrets()
}

// plan tells what Pebble has done so far to services.
func (w *world) plan(unit string) string {
	w.t.Helper()
	text, err := w.pods[unit].Work()
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// login logs in with the stock client of Juju.
func (w *world) login() {
	w.t.Helper()
	info, err := w.App("jimm").Units()[0].Action(w.t.Context(), "get-login-info", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := os.MkdirTemp(w.dir, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	cli := &lab.CLI{Path: w.bin["juju41"], Data: data, Env: []string{"SSL_CERT_FILE=" + w.caFile(), "JUJU_CLIENT_ID=ci", "JUJU_CLIENT_SECRET=ci-secret"}}
	args := strings.Fields(info["login"])
	w.eventually("juju logs in", func() error {
		_, err := cli.Run(w.t.Context(), append(args[1:], "--no-prompt")...)
		return err
	})
	out, err := cli.Run(w.t.Context(), "whoami", "--format=json")
	if err != nil || !strings.Contains(out, "ci@serviceaccount") {
		w.t.Errorf("whoami says %q, %v", out, err)
	}
}

var pebbleSecret = regexp.MustCompile(`(?i)(p@ss|ss%2Fword|s3cret-of-the-client|openfga-preshared)`)

func (w *world) keepsSecrets() {
	w.t.Helper()
	said := strings.Join(w.Log, "\n") + strings.Join(w.Calls, "\n")
	for _, value := range w.SecretValues("identity", "nonce") {
		if len(value) < 8 || strings.Contains(value, "BEGIN CERTIFICATE") || strings.HasPrefix(value, "relation_id_") {
			continue
		}
		if at := strings.Index(said, value); at >= 0 {
			w.t.Errorf("a secret is in a log or an argument: …%.60s", said[max(0, at-60):])
		}
	}
	for unit, p := range w.pods {
		env, err := p.Environment("/usr/bin/jimmsrv")
		if err != nil {
			w.t.Fatal(err)
		}
		for name, value := range env {
			if pebbleSecret.MatchString(value) {
				w.t.Errorf("a secret is in the environment of %s, in %s", unit, name)
			}
		}
	}
}
