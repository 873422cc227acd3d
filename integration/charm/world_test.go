//go:build integration

package charm

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
	"jimm/integration/stack"
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
	out, err := exec.Command("../peers/build.sh", "juju41", "prepare", "pebble", "openfga", "vault", "hydra", "kratos").Output()
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
	for _, pkg := range []string{"charm/cmd/dispatch", "charm/simulator/cmd/hooktool", "workload/cmd/jaas", "workload/cmd/jimmsrv", "workload/cmd/jimmctl", "integration/charm/standin"} {
		name := filepath.Base(pkg)
		found[name] = filepath.Join(dir, name)
		if err := build(found[name], pkg); err != nil {
			return nil, err
		}
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

// build builds a program of the repository.
func build(path, pkg string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-s", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "jimm/"+pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w: %s", pkg, err, out)
	}
	return nil
}

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
	vault   *provider.Vault
	traefik *provider.Ingress
	dir     string
	// stack has OpenFGA, Vault and Hydra; client trusts them. name is of JIMM's
	// database.
	stack  *stack.Stack
	client *http.Client
	name   string
	tls    *tls.Config

	mu        sync.Mutex
	passwords map[string]string
	database  *cluster.Cluster
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
	s.certify()
	s.startPostgres()
	s.startStack()
	s.startIngress()
	return s
}

// certify makes a certificate for this machine's address.
func (s *services) certify() {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "lab"}, IPAddresses: []net.IP{net.ParseIP(s.host)}}, private)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := s.ca.Sign(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	if err != nil {
		s.t.Fatal(err)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		s.t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	pair, err := tls.X509KeyPair([]byte(signed.Certificate), key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	if err := errors.Join(os.WriteFile(s.certFile(), []byte(signed.Certificate), 0o600), os.WriteFile(s.keyFile(), key, 0o600)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *services) certFile() string { return filepath.Join(s.dir, "cert.pem") }
func (s *services) keyFile() string  { return filepath.Join(s.dir, "key.pem") }

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
	s.name = fmt.Sprintf("jimm_%d", time.Now().UnixNano())
	if err := s.database.CreateDatabase(s.t.Context(), s.name); err != nil {
		s.t.Fatal(err)
	}
	s.pg = &provider.PostgreSQL{Endpoint: l.Addr().String(), User: func(ctx context.Context, _, user string) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.passwords[user] == "" {
			s.passwords[user] = "p@ss/word-of-" + user
		}
		// Another test's deployment has a user of the same name.
		return s.passwords[user], s.grant(ctx, s.name, user, s.passwords[user])
	}, Name: func(string) string { return s.name }}
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

// startStack starts what stands behind the other charms.
func (s *services) startStack() {
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool}}}
	var err error
	s.stack, err = stack.Start(s.t.Context(), stack.Options{
		Bin: stack.Bin{OpenFGA: s.bin["openfga"], Vault: s.bin["vault"], Hydra: s.bin["hydra"], Kratos: s.bin["kratos"]}, WithoutDex: true,
		Dir: filepath.Join(s.dir, "stack"), Host: s.host, Postgres: s.database, Prefix: s.name + "_", Client: s.client,
		CAFile: s.caFile(), CertFile: s.certFile(), KeyFile: s.keyFile(), Serve: s.serve,
		People:   []stack.Person{{Email: "alice@example.com", Name: "Alice", Password: "alice-password"}},
		Accounts: []stack.Account{{ID: "ci", Secret: "ci-secret"}, {ID: "ci-opaque", Secret: "ci-secret", Opaque: true}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.stack.Close(); err != nil {
			s.t.Error(err)
		}
	})
	s.fga = &provider.OpenFGA{URL: s.stack.OpenFGAURL, Token: s.stack.OpenFGAToken, Store: s.stack.Store}
	s.vault = &provider.Vault{
		URL: s.stack.VaultURL, CA: s.ca.CA(), Sealed: s.stack.VaultSealed,
		Role: func(ctx context.Context, mount, unit string, egress []string, has relation.VaultRole) (role relation.VaultRole, err error) {
			role.RoleID, role.SecretID, err = s.stack.VaultAccess(ctx, mount, unit, egress, has.SecretID)
			return role, err
		},
	}
	registered := map[string]stack.Client{}
	s.oauth = &provider.OAuth{
		Issuer: s.stack.AtHydra.Issuer, Introspection: s.stack.IntrospectionURL(),
		Register: func(ctx context.Context, id string, request relation.OAuthRequest) (string, string, error) {
			c, err := s.stack.Register(ctx, registered[id].ID, stack.Registration{
				Name: "jimm", RedirectURI: request.RedirectURI, AuthMethod: request.AuthMethod, Scopes: request.Scopes, GrantTypes: request.GrantTypes,
			})
			if err != nil {
				return "", "", err
			}
			if c.Secret == "" {
				c.Secret = registered[id].Secret // Hydra tells it once
			}
			registered[id] = c
			return c.ID, c.Secret, nil
		},
	}
}

// serve answers by TLS until the function is called that it gives.
func (s *services) serve(l net.Listener, h http.Handler) (stop func() error) {
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(tls.NewListener(l, s.tls)) }()
	return server.Close
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
	s.serve(l, proxy)
}

func (s *services) eventually(what string, try func() error) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
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
	w.Deploy("vault", provides("vault-kv", "vault-kv"), nil, s.vault.Handle)
	w.Deploy("traefik", provides("ingress", "ingress"), nil, s.traefik.Handle)
	ca := provides("send-ca-cert", "certificate_transfer")
	ca["certificates"] = simulator.Endpoint{Role: simulator.Provides, Interface: "tls-certificates"}
	w.Deploy("ca", ca, nil, s.ca.Handle)
	for _, app := range []string{"postgresql", "openfga", "hydra", "vault", "traefik", "ca"} {
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
	w.loginAs("ci")
}

// loginAs logs in as one of the service accounts.
func (w *world) loginAs(account string) {
	w.t.Helper()
	cli := w.cli(account)
	w.logIn(cli)
	out, err := cli.Run(w.t.Context(), "whoami", "--format=json")
	if err != nil || !strings.Contains(out, account+"@serviceaccount") {
		w.t.Errorf("whoami says %q, %v", out, err)
	}
}

// cli is the stock client with a service account, new to all.
func (w *world) cli(account string) *lab.CLI {
	w.t.Helper()
	data, err := os.MkdirTemp(w.dir, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	return &lab.CLI{Path: w.bin["juju41"], Data: data, Env: []string{"SSL_CERT_FILE=" + w.caFile(), "JUJU_CLIENT_ID=" + account, "JUJU_CLIENT_SECRET=ci-secret"}}
}

// logIn does what get-login-info says.
func (w *world) logIn(cli *lab.CLI) {
	w.t.Helper()
	info, err := w.App("jimm").Units()[0].Action(w.t.Context(), "get-login-info", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	args := strings.Fields(info["login"])
	w.eventually("juju logs in", func() error {
		_, err := cli.Run(w.t.Context(), append(args[1:], "--no-prompt")...)
		return err
	})
}

func (w *world) keepsSecrets() {
	w.t.Helper()
	said := strings.Join(w.Log, "\n") + strings.Join(w.Calls, "\n")
	secret := []string{"ss%2Fword"} // part of a password, in a URL
	for _, value := range w.SecretValues("identity", "nonce") {
		if len(value) < 8 || strings.Contains(value, "BEGIN CERTIFICATE") || strings.HasPrefix(value, "relation_id_") {
			continue
		}
		secret = append(secret, value)
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
			if slices.ContainsFunc(secret, func(s string) bool { return strings.Contains(value, s) }) {
				w.t.Errorf("a secret is in the environment of %s, in %s", unit, name)
			}
		}
	}
}
