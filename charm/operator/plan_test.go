package operator

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// whole is what the leader sees of a deployment that lacks nothing.
func whole() *Snapshot {
	key := func(id, field, value string) Secret { return Secret{ID: id, Content: relation.Bag{field: value}} }
	return &Snapshot{
		Event: hook.Event{Name: "update-status", Unit: "jimm/0", App: "jimm", Model: "prod"}, Now: time.Unix(1_800_000_000, 0), Leader: true,
		Options: map[string]any{"controller-admins": "alice@example.com"}, Address: "10.1.0.7",
		Keys: map[string]Secret{
			keyIdentity: key("secret:a", "uuid", "3f4b2f1a-9c1d-4a53-8d2b-0d6f2f1c7e11"),
			keySession:  key("secret:b", "sessionkey", strings.Repeat("s", 88)),
			keySealing:  key("secret:c", "sealingkey", strings.Repeat("A", 43)+"="),
		},
		Secrets: map[string]Secret{
			"secret:user":   {Content: relation.DatabaseUser{Username: "u", Password: "p"}.Bag()},
			"secret:token":  {Content: relation.Bag{"token": "t0ken"}},
			"secret:client": {Content: relation.Bag{"secret": "s3cret"}},
			"secret:role":   {Content: relation.VaultRole{RoleID: "r0le", SecretID: "secret-1d"}.Bag()},
		},
		Relations: []Relation{
			{ID: "peer:0", Endpoint: endpointPeer},
			{ID: "database:1", Endpoint: endpointDatabase, App: "pg", Theirs: relation.Bag{"endpoints": "pg:5432", "database": "jimm", "secret-user": "secret:user"}},
			{ID: "openfga:2", Endpoint: endpointOpenFGA, App: "fga", Theirs: relation.OpenFGAAnswer{HTTPURL: "http://fga:8080", StoreID: "01", TokenSecret: "secret:token"}.Bag()},
			{ID: "oauth:3", Endpoint: endpointOAuth, App: "hydra", Theirs: relation.OAuthAnswer{Issuer: "https://iam.example.com", ClientID: "c", ClientSecret: "secret:client"}.Bag()},
			{ID: "ingress:4", Endpoint: endpointIngress, App: "traefik", Theirs: relation.Bag{"ingress": `{"url": "https://jaas.example.com/prod-jimm"}`}},
		},
	}
}

// of is the relation of an endpoint, to be changed.
func (s *Snapshot) of(endpoint string) *Relation {
	i := slices.IndexFunc(s.Relations, func(r Relation) bool { return r.Endpoint == endpoint })
	return &s.Relations[i]
}

func without(endpoint string) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Relations = slices.DeleteFunc(s.Relations, func(r Relation) bool { return r.Endpoint == endpoint })
	}
}

func unread(label string) func(*Snapshot) {
	return func(s *Snapshot) { s.Keys[label] = Secret{ID: "secret:x", Problem: "permission denied"} }
}

func TestWhatAPlanSays(t *testing.T) {
	theirs := func(endpoint, key, value string) func(*Snapshot) {
		return func(s *Snapshot) { s.of(endpoint).Theirs[key] = value }
	}
	all := func(changes ...func(*Snapshot)) func(*Snapshot) {
		return func(s *Snapshot) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	option := func(name string, value any) func(*Snapshot) {
		return func(s *Snapshot) { s.Options[name] = value }
	}
	follower := func(s *Snapshot) { s.Leader = false }
	vault := func(s *Snapshot) {
		s.Keys[keyNonce] = Secret{ID: "secret:n", Content: relation.Bag{"nonce": "n0nce"}}
		s.Relations = append(s.Relations, Relation{ID: "vault:5", Endpoint: endpointVault, App: "vault", Theirs: relation.VaultAnswer{
			URL: "https://vault:8200", Mount: "charm-jimm", Credentials: map[string]string{"n0nce": "secret:role"},
		}.Bag()})
	}
	for _, test := range []struct {
		name   string
		change func(*Snapshot)
		mode   Mode
		level  string
		says   string
	}{
		{"nothing is missing", func(*Snapshot) {}, Run, "active", ""},
		{"nothing is missing, on another unit", follower, Run, "active", ""},
		{"Vault, too", vault, Run, "active", ""},

		{"no database", without(endpointDatabase), Stop, "blocked", "database: run juju integrate jimm:database postgresql-k8s"},
		{"no permissions", without(endpointOpenFGA), Stop, "blocked", "openfga: run juju integrate jimm:openfga openfga-k8s"},
		{"no login", without(endpointOAuth), Stop, "blocked", "oauth: run juju integrate jimm:oauth hydra"},
		{"no address", without(endpointIngress), Stop, "blocked", "ingress: JIMM has no address; run juju integrate jimm:ingress traefik-k8s, or juju config jimm dns-name=NAME"},
		{"an address by option", all(without(endpointIngress), option("dns-name", "jaas.example.com")), Run, "active", ""},
		{"the address of an option that cannot be", all(without(endpointIngress), option("dns-name", "a b")), Hold, "blocked", `config: dns-name="a b" must be`},
		{"nothing at all", func(s *Snapshot) { s.Relations = s.Relations[:1] }, Stop, "blocked", "ingress: JIMM has no address; run juju integrate jimm:ingress traefik-k8s, or juju config jimm dns-name=NAME (and 3 more)"},

		{"the database is not made", theirs(endpointDatabase, "endpoints", ""), Hold, "waiting", "database: waiting for pg to make the database"},
		{"the store is not made", theirs(endpointOpenFGA, "store_id", ""), Hold, "waiting", "openfga: waiting for fga to make the store"},
		{"the client is not registered", theirs(endpointOAuth, "client_id", ""), Hold, "waiting", "oauth: waiting for hydra to register JIMM"},
		{"the ingress has no address", theirs(endpointIngress, "ingress", ""), Hold, "waiting", "ingress: waiting for traefik to give an address"},
		{"a secret is not granted", func(s *Snapshot) { s.Secrets["secret:user"] = Secret{Problem: "permission denied"} }, Hold, "waiting", "database: waiting until Juju gives its secret: permission denied"},
		{"Vault is sealed", all(vault, func(s *Snapshot) { s.of(endpointVault).Theirs = relation.Bag{} }), Hold, "waiting", "vault: waiting for vault to let this unit in; Vault must be unsealed"},
		{"Vault is gone", func(s *Snapshot) { s.of(endpointPeer).Ours = relation.Bag{"vault": "true"} }, Hold, "blocked", "vault: credentials are in a Vault that is not related any more"},

		{"http only", theirs(endpointIngress, "ingress", `{"url": "http://jaas.example.com/prod-jimm"}`), Run, "blocked", "juju clients do not log in over plain http at http://jaas.example.com/prod-jimm; give the ingress a certificate"},
		{"a host that no provider takes", theirs(endpointIngress, "ingress", `{"url": "https://jaas/prod-jimm"}`), Hold, "blocked", `oauth: identity providers refuse the host "jaas"`},

		{"a key is not made yet, on the leader", func(s *Snapshot) { delete(s.Keys, keySealing) }, Hold, "waiting", "secrets: sealing_key is made; it is used from the next event on"},
		{"a key is not made yet, elsewhere", all(follower, func(s *Snapshot) { delete(s.Keys, keySealing) }), Hold, "waiting", "secrets: waiting for the leader to make sealing_key"},
		{"a key cannot be read", unread(keySealing), Hold, "waiting", "secrets: waiting until Juju gives the secret sealing_key: permission denied"},
		{"a key is empty", func(s *Snapshot) { s.Keys[keySealing] = Secret{ID: "secret:c"} }, Hold, "blocked", "secrets: the secret sealing_key has no sealingkey: give it back the revision before"},

		// What a person has to do comes before what comes by itself, options come
		// before all else, then the order is that of the plan.
		{"blocked before waiting", all(theirs(endpointIngress, "ingress", ""), theirs(endpointOAuth, "issuer_url", "iam")), Hold, "blocked", `oauth: hydra sends what cannot be used: issuer_url is "iam", not a URL with https or http (and 1 more)`},
		{"the option before the relation", all(without(endpointDatabase), option("jwt-expiry", "soon")), Stop, "blocked", `config: jwt-expiry="soon" must be a duration such as 5m or 24h (and 1 more)`},
		{"the relation before the one after it", all(without(endpointOpenFGA), without(endpointDatabase)), Stop, "blocked", "database: run juju integrate jimm:database postgresql-k8s (and 1 more)"},
		{"what stops wins over what holds", all(without(endpointOpenFGA), unread(keySealing)), Stop, "blocked", "openfga: run juju integrate"},
		{"the unit ends", func(s *Snapshot) { s.Event.Name = "stop" }, Stop, "active", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := whole()
			test.change(s)
			p := MakePlan(s)
			status := Summarize(p.Findings)
			if p.Mode() != test.mode || status.Level != test.level || !strings.Contains(status.Message, test.says) || test.says == "" && status.Message != "" {
				t.Errorf("it is to %s, and says %s: %q", p.Mode(), status.Level, status.Message)
			}
			if again := MakePlan(s); !reflect.DeepEqual(p, again) {
				t.Errorf("the same snapshot gives\n%+v\nand\n%+v", p, again)
			}
		})
	}
}

func TestWhatAPlanGivesJIMM(t *testing.T) {
	p := MakePlan(whole())
	for name, want := range map[string]string{
		"JIMM_DNS_NAME": "jaas.example.com/prod-jimm", "JIMM_ADMINS": "alice@example.com", "JIMM_UUID": "3f4b2f1a-9c1d-4a53-8d2b-0d6f2f1c7e11",
		"JIMM_LISTEN_ADDR": ":8080", "JIMM_INTERNAL_LISTEN_ADDR": ":9090", "JIMM_OAUTH_ISSUER_URL": "https://iam.example.com",
		"OPENFGA_HOST": "fga", "OPENFGA_PORT": "8080", "OPENFGA_STORE": "01",
	} {
		if p.Environment[name] != want {
			t.Errorf("%s is %q, not %q", name, p.Environment[name], want)
		}
	}
	for name, want := range map[string]string{
		"JIMM_DSN": "postgresql://u:p@pg:5432/jimm?sslmode=prefer", "OPENFGA_TOKEN": "t0ken", "JIMM_OAUTH_CLIENT_SECRET": "s3cret",
		"JIMM_SESSION_SECRET_KEY": strings.Repeat("s", 88), "JIMM_SECRET_STORAGE_KEYS": strings.Repeat("A", 43) + "=",
	} {
		if _, plain := p.Environment[name]; plain || p.Files[p.Environment[name+"_FILE"]] != want {
			t.Errorf("%s is not in a file as %q", name, want)
		}
	}
}

// TestWhoSaysWhat is about the databags: the leader speaks for the application,
// each unit for itself.
func TestWhoSaysWhat(t *testing.T) {
	for _, leader := range []bool{true, false} {
		s := whole()
		s.Leader = leader
		delete(s.Keys, keySession)
		p := MakePlan(s)
		// Databags of the application are planned everywhere, and written by the leader.
		if made := len(p.Make) == 1 && p.Make[0] == (Making{Label: keySession, Owner: hook.OwnerApp}); made != leader {
			t.Errorf("as leader, %v, it makes %v", leader, p.Make)
		}
		if !slices.Equal(p.Ports, []string{"8080/tcp"}) {
			t.Errorf("the service leads to %v", p.Ports)
		}
		if p.Unit["ingress:4"]["ip"] != `"10.1.0.7"` {
			t.Errorf("the ingress hears of %v", p.Unit["ingress:4"])
		}
	}
	// What a unit says is compared with what it has said: the table of endpoints must
	// have that read. What it has said on ingress-ssh is only taken back.
	s := whole()
	s.Keys[keyNonce] = Secret{ID: "secret:n", Content: relation.Bag{"nonce": "n0nce"}}
	text, err := privateKey()
	if err != nil {
		t.Fatal(err)
	}
	s.Keys[keyTLS] = Secret{ID: "secret:t", Content: relation.Bag{keyKinds[keyTLS].field: text}}
	s.Relations = nil
	for _, endpoint := range endpoints {
		s.Relations = append(s.Relations, Relation{ID: endpoint.name + ":1", Endpoint: endpoint.name})
	}
	p := MakePlan(s)
	for _, endpoint := range endpoints {
		if says := len(p.Unit[endpoint.name+":1"]) > 0; says != (endpoint.ours && endpoint.name != endpointIngressSSH) {
			t.Errorf("this unit says %v on %s", p.Unit[endpoint.name+":1"], endpoint.name)
		}
	}
}

// TestOthersFollowTheAddress has the address change, come and go.
func TestOthersFollowTheAddress(t *testing.T) {
	s := whole()
	s.Relations = append(s.Relations, Relation{ID: "dashboard:5", Endpoint: endpointDashboard, App: "dashboard"})
	for _, step := range []struct{ ingress, redirect, dashboard string }{
		{`{"url": "http://jaas.example.com/prod-jimm"}`, "http://jaas.example.com/prod-jimm/auth/callback", "ws://jaas.example.com/prod-jimm"},
		{`{"url": "https://jaas.example.com/prod-jimm"}`, "https://jaas.example.com/prod-jimm/auth/callback", "wss://jaas.example.com/prod-jimm"},
		{``, "https://jaas.example.com/prod-jimm/auth/callback", "wss://jaas.example.com/prod-jimm"},
		{`{"url": "https://login.example.com/"}`, "https://login.example.com/auth/callback", "wss://login.example.com"},
	} {
		s.of(endpointIngress).Theirs["ingress"] = step.ingress
		p := MakePlan(s)
		redirect, dashboard := p.App["oauth:3"]["redirect_uri"], p.App["dashboard:5"]["controller-url"]
		if redirect != step.redirect || dashboard != step.dashboard {
			t.Errorf("at %s the provider is told %s and the dashboard %s", step.ingress, redirect, dashboard)
		}
		for i, r := range s.Relations {
			s.Relations[i].Ours, s.Relations[i].OurUnit = p.App[r.ID], p.Unit[r.ID]
		}
	}
}

func TestTracesGoWhereTheRelationSays(t *testing.T) {
	s := whole()
	s.Relations = append(s.Relations, Relation{ID: "tracing:5", Endpoint: endpointTracing, App: "tempo", Theirs: relation.TracingAnswer{"otlp_http": "http://tempo:4318/"}.Bag()})
	got := MakePlan(s).Environment
	for name, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo:4318/v1/traces", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
		"OTEL_SERVICE_NAME": charmName, "OTEL_TRACES_SAMPLE_RATIO": "0.1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, not %q", name, got[name], want)
		}
	}
}
