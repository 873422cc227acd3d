package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"jimm/charm/hook"
	"jimm/charm/operator"
	"jimm/charm/provider"
	"jimm/charm/relation"
	"jimm/charm/simulator"
	"jimm/workload/config"
	"jimm/workload/secrets"
)

// pod is a container with a Pebble that does what it is told, in memory.
type pod struct {
	// down is Pebble not being there; noStart is a JIMM that ends at once; full is
	// a disk without space.
	down, noStart, full bool
	starts, notices     int
	plan                map[string]map[string]any
	running             map[string]any // the environment that JIMM was started with
	files               map[string]string
	changes             int
	// ended is what JIMM was started with when it found that its secrets are
	// elsewhere: Pebble starts it again and again.
	ended   map[string]any
	secrets *keptSecrets
}

// keptSecrets are where JIMM's database says that the secrets are.
type keptSecrets struct {
	place secrets.Place
	// inUse tells whether JIMM runs anywhere.
	inUse func() bool
}

func newPod() *pod {
	p := &pod{}
	p.restart()
	return p
}

// restart is a new container: nothing of the old one is left.
func (p *pod) restart() {
	p.plan = map[string]map[string]any{"services": {}, "checks": {}, "log-targets": {}}
	p.files, p.running, p.ended = map[string]string{}, nil, nil
	p.starts++
	p.notices = 0
}

func (p *pod) Starts() int {
	if p.down {
		return 0
	}
	return p.starts
}

func (p *pod) Notices() int { return p.notices }

func (p *pod) Checks() (failed, recovered int) { return 0, 0 }

func (p *pod) service() map[string]any {
	s, _ := p.plan["services"]["jimm"].(map[string]any)
	return s
}

func (p *pod) Observe(context.Context) operator.Container {
	if p.down {
		return operator.Container{Problem: "Pebble does not answer yet"}
	}
	c := operator.Container{Services: p.plan["services"], Checks: p.plan["checks"], LogTargets: p.plan["log-targets"], Files: map[string]int64{}}
	for path, content := range p.files {
		c.Files[path] = int64(len(content))
	}
	c.Service, c.Health = p.state()
	return c
}

func (p *pod) state() (string, string) {
	if p.ended != nil {
		if c, err := p.parse(p.ended); err != nil || c.SecretPlace != p.secrets.place {
			return "backoff", "down"
		}
		p.running, p.ended = p.ended, nil
	}
	switch {
	case p.service() == nil:
		return "", ""
	case p.running == nil:
		return "inactive", "down"
	}
	return "active", "up"
}

func (p *pod) Push(_ context.Context, path, content string) error {
	if p.full {
		return errors.New("no space left on device")
	}
	p.files[path] = content
	p.changes++
	return nil
}

func (p *pod) Remove(_ context.Context, path string) error {
	for file := range p.files {
		if strings.HasPrefix(file, path+"/") {
			delete(p.files, file)
		}
	}
	p.changes++
	return nil
}

func (p *pod) AddLayer(_ context.Context, _ string, text []byte) error {
	var layer map[string]any
	if err := yaml.Unmarshal(text, &layer); err != nil {
		return err
	}
	for kind, all := range p.plan {
		if part, ok := layer[kind].(map[string]any); ok {
			maps.Copy(all, part)
		}
	}
	p.changes++
	return nil
}

func (p *pod) Replan(context.Context) error {
	p.changes++
	if s := p.service(); s["startup"] == "enabled" {
		environment, _ := s["environment"].(map[string]any)
		p.running, p.ended = nil, nil
		c, err := p.parse(environment)
		if err != nil {
			return fmt.Errorf("cannot perform the following tasks:\n- Start service \"jimm\" (exited quickly with code 1)\n2026-01-01T00:00:00Z INFO Most recent service output:\n    jimmsrv cannot run:\n    %s\n2026-01-01T00:00:00Z ERROR service exited quickly with code 1",
				strings.ReplaceAll(err.Error(), "\n", "\n    "))
		}
		if p.secrets.place == "" {
			p.secrets.place = c.SecretPlace
		}
		if p.secrets.place != c.SecretPlace {
			p.ended = environment
			return nil
		}
		p.running = environment
	}
	return nil
}

// parse reads the settings as jimmsrv does when it starts.
func (p *pod) parse(environment map[string]any) (config.Config, error) {
	if p.noStart {
		return config.Config{}, errors.New("JIMM_X is missing")
	}
	root, err := os.MkdirTemp("", "pod")
	if err != nil {
		return config.Config{}, err
	}
	defer func() { _ = os.RemoveAll(root) }()
	var environ []string
	for name, value := range environment {
		text := value.(string)
		if content, ours := p.files[text]; ours {
			text = filepath.Join(root, name)
			if err := os.WriteFile(text, []byte(content), 0o600); err != nil {
				return config.Config{}, err
			}
		}
		environ = append(environ, name+"="+text)
	}
	loaded, err := config.Load(environ, "")
	for _, setting := range loaded.Ignored() {
		err = errors.Join(err, fmt.Errorf("%s has no effect: %s", setting.Name, setting.Note))
	}
	return loaded.Config, err
}

func (p *pod) Stop(context.Context) error {
	p.changes++
	p.running, p.ended = nil, nil
	return nil
}

func (p *pod) Settled(context.Context) (string, string) { return p.state() }

func (p *pod) Unready(context.Context) string { return "" }

func (p *pod) Exec(_ context.Context, command ...string) (string, error) {
	if command[1] != "move-secrets" {
		return "ran " + strings.Join(command, " "), nil
	}
	environment, _ := p.service()["environment"].(map[string]any)
	c, err := p.parse(environment)
	if err != nil {
		return err.Error(), errors.New("exit status 1")
	}
	if p.secrets.place == c.SecretPlace {
		return `{"moved": 0}`, nil
	}
	if p.secrets.inUse() {
		return "cannot move secrets: the secrets are in use: stop every jimmsrv", errors.New("exit status 1")
	}
	if c.Vault.Address == "" && !slices.Contains(command, "--forget") {
		return "cannot open Vault: set VAULT_ADDR", errors.New("exit status 1")
	}
	p.secrets.place = c.SecretPlace
	return `{"moved": 2}`, nil
}

func (p *pod) Notify(context.Context, string) error {
	p.notices++
	return nil
}

// world is a model with JIMM and all that it can be related to.
type world struct {
	*simulator.Model
	t         *testing.T
	ctx       context.Context
	pods      map[string]*pod
	secrets   *keptSecrets
	pg        *provider.PostgreSQL
	fga       *provider.OpenFGA
	oauth     *provider.OAuth
	vault     *provider.Vault
	traefik   *provider.Ingress
	authority *provider.Authority
	loki      *provider.Loki
	passwords map[string]string
	addresses int
	// later is how far the charm's clock is ahead.
	later time.Duration
	// around, if set, runs each event of JIMM's charm; written is what that wrote,
	// but for status and log.
	around  func(dispatch func() error) error
	written *recorder
}

func provides(endpoint, face string) map[string]simulator.Endpoint {
	return map[string]simulator.Endpoint{endpoint: {Role: simulator.Provides, Interface: face}}
}

// needed are the relations without which JIMM does not run.
var needed = map[string]string{
	"jimm:database": "postgresql:database", "jimm:openfga": "openfga:openfga", "jimm:oauth": "hydra:oauth", "jimm:ingress": "traefik:ingress",
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	endpoints, defaults, err := simulator.ReadCharm("../..")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Model: simulator.New(seed), t: t, ctx: t.Context(), pods: map[string]*pod{}, passwords: map[string]string{}}
	w.secrets = &keptSecrets{inUse: func() bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(w.pods)), func(p *pod) bool { return p.running != nil })
	}}
	w.pg = &provider.PostgreSQL{Endpoint: "postgresql-primary:5432", User: func(_ context.Context, _, user string) (string, error) {
		if w.passwords[user] == "" {
			w.passwords[user] = "pg-p@ss/word-1"
		}
		return w.passwords[user], nil
	}}
	w.fga = &provider.OpenFGA{URL: "http://openfga.jimm.svc.cluster.local:8080", GRPC: "openfga.jimm.svc.cluster.local:8081", Token: "fga-token-secret", Store: func(context.Context, string) (string, error) {
		return "01J8ZK3V7Q0M5T3F6R9S2W4X1Y", nil
	}}
	w.oauth = &provider.OAuth{Issuer: "https://iam.example.com", Introspection: "http://hydra:4445/admin/oauth2/introspect", Register: func(context.Context, string, relation.OAuthRequest) (string, string, error) {
		return "client-1", "oauth-client-secret", nil
	}}
	w.vault = &provider.Vault{URL: "https://vault.example.com:8200", Role: func(_ context.Context, _, unit string, egress []string, _ relation.VaultRole) (relation.VaultRole, error) {
		return relation.VaultRole{RoleID: "role-id-of-" + unit, SecretID: "vault-secret-" + strings.Join(egress, "+")}, nil
	}}
	w.traefik = &provider.Ingress{Scheme: "https", Host: "jaas.example.com"}
	if w.authority, err = provider.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	w.loki = &provider.Loki{URL: "http://loki-0:3100/loki/api/v1/push"}

	w.Deploy("jimm", endpoints, defaults, w.jimm)
	for name, app := range map[string]struct {
		endpoints map[string]simulator.Endpoint
		charm     simulator.Charm
	}{
		"postgresql": {provides("database", "postgresql_client"), w.pg.Handle},
		"openfga":    {provides("openfga", "openfga"), w.fga.Handle},
		"hydra":      {provides("oauth", "oauth"), w.oauth.Handle},
		"vault":      {provides("vault-kv", "vault-kv"), w.vault.Handle},
		"loki":       {provides("logging", "loki_push_api"), w.loki.Handle},
		"tempo":      {provides("tracing", "tracing"), (&provider.Tempo{URL: "http://tempo:4318"}).Handle},
		"nginx":      {provides("nginx-route", "nginx-route"), provider.Passive},
		"traefik": {map[string]simulator.Endpoint{
			"ingress":          {Role: simulator.Provides, Interface: "ingress"},
			"ingress-per-unit": {Role: simulator.Provides, Interface: "ingress_per_unit"},
		}, w.traefik.Handle},
		"ca": {map[string]simulator.Endpoint{
			"certificates": {Role: simulator.Provides, Interface: "tls-certificates"},
			"send-ca-cert": {Role: simulator.Provides, Interface: "certificate_transfer"},
		}, w.authority.Handle},
		"dashboard":  {map[string]simulator.Endpoint{"controller": {Role: simulator.Requires, Interface: "juju-dashboard"}}, provider.Passive},
		"prometheus": {map[string]simulator.Endpoint{"metrics-endpoint": {Role: simulator.Requires, Interface: "prometheus_scrape"}}, provider.Passive},
		"grafana":    {map[string]simulator.Endpoint{"grafana-dashboard": {Role: simulator.Requires, Interface: "grafana_dashboard"}}, provider.Passive},
	} {
		w.Deploy(name, app.endpoints, nil, app.charm)
		w.AddUnit(name, w.address())
	}
	w.scale()
	return w
}

// address is one that nobody has had before.
func (w *world) address() string {
	w.addresses++
	return fmt.Sprintf("10.1.0.%d", w.addresses)
}

// scale adds a unit of JIMM.
func (w *world) scale() *simulator.Unit {
	u := w.AddUnit("jimm", w.address())
	p := newPod()
	p.secrets = w.secrets
	w.pods[u.Name], u.Container = p, p
	return u
}

// jimm is the charm, in this process.
func (w *world) jimm(ctx context.Context, tools hook.Tools, event hook.Event) error {
	w.written = &recorder{Runner: tools.Runner}
	tools.Runner = w.written
	c := operator.Charm{Tools: tools, Workload: w.pods[event.Unit], Now: func() time.Time { return time.Now().Add(w.later) }}
	if w.around != nil {
		return w.around(func() error { return c.Dispatch(ctx, event) })
	}
	return c.Dispatch(ctx, event)
}

// recorder keeps what a charm writes.
type recorder struct {
	hook.Runner
	calls []string
}

func (r *recorder) Run(ctx context.Context, tool string, stdin []byte, args ...string) ([]byte, error) {
	switch tool {
	case "relation-set", "secret-add", "secret-set", "secret-grant", "secret-revoke", "secret-remove", "open-port", "close-port", "action-set", "action-fail":
		r.calls = append(r.calls, fmt.Sprint(tool, args, string(stdin)))
	}
	return r.Runner.Run(ctx, tool, stdin, args...)
}

func (w *world) relate(one, other string) *simulator.Relation {
	w.t.Helper()
	r, err := w.Relate(one, other)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// relateNeeded relates all that JIMM needs, in the order of a map.
func (w *world) relateNeeded() {
	for one, other := range needed {
		w.relate(one, other)
	}
}

func (w *world) settle() {
	w.t.Helper()
	if err := w.Settle(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// poke runs update-status everywhere, then settles.
func (w *world) poke(apps ...string) {
	w.t.Helper()
	for _, app := range apps {
		for _, u := range w.App(app).Units() {
			if err := u.Update(w.ctx); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.settle()
}

// serving checks that all units serve, that another run of a hook changes
// nothing, and that no secret has got out.
func (w *world) serving() {
	w.t.Helper()
	for _, u := range w.App("jimm").Units() {
		if u.Status.Level != "active" {
			w.t.Errorf("%s is %s: %s", u.Name, u.Status.Level, u.Status.Message)
		}
		if w.pods[u.Name].running == nil {
			w.t.Errorf("JIMM does not run in %s", u.Name)
		}
	}
	w.quiet()
}

// says checks the status of the first unit.
func (w *world) says(level, message string) {
	w.t.Helper()
	u := w.App("jimm").Units()[0]
	if u.Status.Level != level || !strings.Contains(u.Status.Message, message) {
		w.t.Errorf("%s is %s: %q; want %s: %q", u.Name, u.Status.Level, u.Status.Message, level, message)
	}
	w.quiet()
}

func (w *world) quiet() {
	w.t.Helper()
	for _, u := range w.App("jimm").Units() {
		before := w.pods[u.Name].changes
		changes, err := u.Again(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(changes) > 0 || w.pods[u.Name].changes != before {
			w.t.Errorf("a second run of the hook of %s changes %d things in the container and %v", u.Name, w.pods[u.Name].changes-before, changes)
		}
	}
	w.keepsSecrets()
}

// keepsSecrets looks for secrets in logs, arguments and databags.
func (w *world) keepsSecrets() {
	w.t.Helper()
	said := strings.Join(w.Log, "\n") + strings.Join(w.Calls, "\n")
	for _, value := range w.SecretValues("identity", "nonce") {
		if len(value) < 8 || strings.HasPrefix(value, "-----BEGIN CERTIFICATE") || strings.HasPrefix(value, "relation_id_") {
			continue
		}
		if at := strings.Index(said, value); at >= 0 {
			w.t.Errorf("a secret is in a log or an argument: …%.60s", said[max(0, at-60):])
		}
		for one := range needed {
			if r := w.Relation(one); r != nil && strings.Contains(fmt.Sprint(r.Bag("jimm"), r.Bag("jimm/0")), value) {
				w.t.Errorf("a secret is in a databag of %s", one)
			}
		}
	}
	for _, u := range w.App("jimm").Units() {
		for _, value := range w.SecretValues("identity", "nonce") {
			if len(value) >= 8 && strings.Contains(u.Status.Message, value) {
				w.t.Errorf("a secret is in the status of %s", u.Name)
			}
		}
	}
}

func (w *world) env(unit, name string) string {
	running := w.pods[unit].running
	if file, _ := running[name+"_FILE"].(string); file != "" {
		return w.pods[unit].files[file]
	}
	value, _ := running[name].(string)
	return value
}
