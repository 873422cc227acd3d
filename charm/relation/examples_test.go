package relation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"jimm/charm/relation"
)

var topology = relation.Topology{Model: "jimm", ModelUUID: "7d2a9f3e-1c4b-4d5e-8f60-a1b2c3d4e5f6", Application: "jimm", Charm: "juju-jimm-k8s"}

// again parses a databag and encodes it again.
func again[T interface{ Bag() relation.Bag }](parse func(relation.Bag) (T, error)) func(relation.Bag) (relation.Bag, error) {
	return func(bag relation.Bag) (relation.Bag, error) {
		value, err := parse(bag)
		if err != nil {
			return nil, err
		}
		return value.Bag(), nil
	}
}

// writes is for a side that we only write.
func writes(bag relation.Bag) func(relation.Bag) (relation.Bag, error) {
	return func(relation.Bag) (relation.Bag, error) { return bag, nil }
}

// examples has for each databag in testdata how it is read and written again.
var examples = map[string]func(relation.Bag) (relation.Bag, error){
	"postgresql_client requirer app":    again(relation.ParseDatabaseRequest),
	"postgresql_client provider app":    again(relation.ParseDatabaseAnswer),
	"vault-kv requirer app":             writes(relation.VaultRequest{MountSuffix: "jimm"}.Bag()),
	"vault-kv requirer unit":            again(relation.ParseVaultUnit),
	"vault-kv provider app":             again(relation.ParseVaultAnswer),
	"openfga requirer app":              writes(relation.OpenFGARequest{StoreName: "jimm"}.Bag()),
	"openfga provider app":              again(relation.ParseOpenFGAAnswer),
	"oauth requirer app":                again(relation.ParseOAuthRequest),
	"oauth provider app":                again(relation.ParseOAuthAnswer),
	"ingress requirer app":              again(relation.ParseIngressRequest),
	"ingress requirer unit":             again(relation.ParseIngressUnit),
	"ingress provider app":              again(relation.ParseIngressAnswer),
	"ingress_per_unit requirer unit":    again(relation.ParseIngressPerUnitRequest),
	"ingress_per_unit provider app":     again(relation.ParseIngressPerUnitAnswer),
	"nginx-route requirer app":          writes(relation.NginxRouteRequest{Hostname: "jaas.example.com", Service: "jimm", Namespace: "jimm", Port: 8080}.Bag()),
	"certificate_transfer requirer app": writes(relation.CertificateTransferRequest()),
	"certificate_transfer provider app": again(func(bag relation.Bag) (relation.CertificateTransferAnswer, error) {
		return relation.ParseCertificateTransfer(bag)
	}),
	"certificate_transfer_v0 provider unit": func(bag relation.Bag) (relation.Bag, error) {
		a, err := relation.ParseCertificateTransfer(nil, bag)
		if err != nil {
			return nil, err
		}
		return relation.CertificateTransferUnit{CA: a[0], Chain: a}.Bag(), nil
	},
	"tls-certificates requirer unit": again(relation.ParseTLSRequest),
	"tls-certificates provider app":  again(relation.ParseTLSAnswer),
	"juju-dashboard provider app":    again(relation.ParseDashboard),
	"loki_push_api requirer app":     writes(relation.LokiRequest{Topology: topology}.Bag()),
	"loki_push_api provider unit":    again(relation.ParseLokiUnit),
	"prometheus_scrape provider app": writes(relation.Scrape{Port: 9090, Path: "/metrics", Topology: topology, Rules: map[string][]relation.AlertRule{
		"down": {{Alert: "Down", Expr: "up == 0", For: "5m", Labels: map[string]string{"severity": "critical"}}},
	}}.Bag()),
	"prometheus_scrape provider unit": writes(relation.ScrapeUnit{Address: "10.1.40.7", Unit: "jimm/0", FQDN: "jimm-0.jimm-endpoints.jimm.svc.cluster.local"}.Bag()),
	"grafana_dashboard provider app": func(relation.Bag) (relation.Bag, error) {
		return relation.Dashboards{Topology: topology, Files: map[string][]byte{"jaas": []byte(`{"title":"JAAS"}`)}}.Bag()
	},
	"tracing requirer app":   again(relation.ParseTracingRequest),
	"tracing provider app":   again(relation.ParseTracingAnswer),
	"jimm-peer requirer app": again(relation.ParsePeer),
}

func TestEachExampleIsReadAndWrittenAgain(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var example struct {
			Requirer, Provider map[string]relation.Bag
			Secrets            map[string]relation.Bag
		}
		if err := yaml.Unmarshal(text, &example); err != nil {
			t.Fatal(err)
		}
		for side, bags := range map[string]map[string]relation.Bag{"requirer": example.Requirer, "provider": example.Provider} {
			for whose, bag := range bags {
				name := strings.TrimSuffix(filepath.Base(file), ".yaml") + " " + side + " " + whose
				seen[name] = true
				t.Run(name, func(t *testing.T) {
					do := examples[name]
					if do == nil {
						t.Fatal("nobody reads it")
					}
					got, err := do(bag)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(bag, got); diff != "" {
						t.Errorf("databag (-example +written):\n%s", diff)
					}
				})
			}
		}
	}
	for name := range examples {
		if !seen[name] {
			t.Errorf("there is no example of %s", name)
		}
	}
}

func TestDashboardsComeOutAsTheyWentIn(t *testing.T) {
	files := map[string][]byte{"jaas": []byte(`{"title":"JAAS"}`)}
	one, err := relation.Dashboards{Topology: topology, Files: files}.Bag()
	if err != nil {
		t.Fatal(err)
	}
	other, err := relation.Dashboards{Topology: topology, Files: files}.Bag()
	if err != nil {
		t.Fatal(err)
	}
	if one["dashboards"] != other["dashboards"] {
		t.Error("the same dashboards give two databags")
	}
	got, err := relation.ParseDashboards(one)
	if err != nil || string(got["file:jaas"]) != string(files["jaas"]) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestTheConnectionStringFollowsTLS(t *testing.T) {
	a := relation.DatabaseAnswer{Database: "jimm", Endpoints: []string{"a:5432"}}
	user := relation.DatabaseUser{Username: "u", Password: "p@/:?"}
	for _, test := range []struct {
		name, ca, want string
		tls            relation.DatabaseTLS
		more           []string
	}{
		{"nothing is said", "", "postgresql://u:p%40%2F%3A%3F@a:5432/jimm?sslmode=prefer", relation.DatabaseTLS{}, nil},
		{"it is off", "", "postgresql://u:p%40%2F%3A%3F@a:5432/jimm?sslmode=disable", relation.DatabaseTLS{Known: true}, nil},
		{"it is on", "", "postgresql://u:p%40%2F%3A%3F@a:5432/jimm?sslmode=require", relation.DatabaseTLS{Known: true, On: true}, nil},
		{"it is on, with a CA", "/ca", "postgresql://u:p%40%2F%3A%3F@a:5432/jimm?sslmode=verify-ca&sslrootcert=%2Fca", relation.DatabaseTLS{Known: true, On: true}, nil},
		{"several servers", "", "postgresql://u:p%40%2F%3A%3F@a:5432,b:5432/jimm?sslmode=prefer&target_session_attrs=read-write", relation.DatabaseTLS{}, []string{"b:5432"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := a
			a.Endpoints = append(append([]string{}, a.Endpoints...), test.more...)
			if got := relation.DSN(a, user, test.tls, test.ca); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
