package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
)

// blue and green are controllers as JAAS shows them.
var (
	blue = map[string]any{
		"name": "blue", "uuid": "5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e", "public-address": "blue.example.com:443",
		"cloud-tag": "cloud-aws", "cloud-region": "eu-west-1", "agent-version": "4.1.0",
		"status": map[string]any{"status": "available", "info": ""},
	}
	green = map[string]any{
		"name": "green", "uuid": "0e3cf2b0-54b1-4f93-8b5f-90bf1b3c5c70", "api-addresses": []any{"10.0.0.9:17070", "10.0.0.8:17070"},
		"cloud-tag": "cloud-k8s", "agent-version": "3.6.11",
		"status": map[string]any{"status": "unavailable", "info": "connection refused"},
	}
)

func TestControllers(t *testing.T) {
	s := newServer(t)
	s.answers["ListControllers"] = map[string]any{"controllers": []any{green, blue}}
	sh := newShell(t, s)
	table := `Controller  Cloud/Region   Version  Status       Address
blue        aws/eu-west-1  4.1.0    available    blue.example.com:443
green       k8s            3.6.11   unavailable  10.0.0.9:17070
`
	t.Run("people get a table, sorted by name", func(t *testing.T) { equal(t, sh.ok("jaas controllers"), table) })
	t.Run("the old name of the command works", func(t *testing.T) { equal(t, sh.ok("jaas list-controllers"), table) })
	t.Run("programs get JSON", func(t *testing.T) {
		var list []map[string]any
		if err := json.Unmarshal([]byte(sh.ok("jaas controllers --format json")), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 2 || list[0]["name"] != "blue" || list[1]["api-addresses"].([]any)[1] != "10.0.0.8:17070" {
			t.Errorf("got %v", list)
		}
	})
	t.Run("a file gets the same", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "list")
		equal(t, sh.ok("jaas controllers -o", file), "")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, string(text), table)
	})
	t.Run("an empty list says how to fill it", func(t *testing.T) {
		s.answers["ListControllers"] = map[string]any{}
		stdout, stderr, _ := sh.run("jaas controllers")
		equal(t, stdout, "")
		equal(t, stderr, "No controllers. An administrator adds one with \"jaas register-controller CONTROLLER\".\n")
		equal(t, sh.ok("jaas controllers --format json"), "[]\n")
	})
}

func TestRegisterControllerSendsWhatTheClientStoreKnows(t *testing.T) {
	const uuid = "5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e"
	addresses := []any{"10.0.0.1:17070", "10.0.0.2:17070"}
	for _, test := range []struct {
		name, flags, publicName string
		want                    map[string]any
	}{{
		name: "addresses and CA if there is no public name",
		want: map[string]any{"api-addresses": addresses, "ca-certificate": "the CA"},
	}, {
		name: "the public name if there is one", publicName: "blue.example.com",
		want: map[string]any{"public-address": "blue.example.com:443"},
	}, {
		name: "addresses and CA if asked for", publicName: "blue.example.com", flags: "--local",
		want: map[string]any{"api-addresses": addresses, "ca-certificate": "the CA"},
	}, {
		name: "the public address that is given", flags: "--public-address lb.example.com:8443 --tls-hostname blue",
		want: map[string]any{"public-address": "lb.example.com:8443", "tls-hostname": "blue"},
	}, {
		name: "a public address with the controller's own certificate", flags: "--public-address lb.example.com:8443 --local",
		want: map[string]any{"public-address": "lb.example.com:8443", "api-addresses": addresses, "ca-certificate": "the CA"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			s.answers["AddController"] = blue
			sh := newShell(t, s)
			details, err := sh.store.ControllerByName("blue")
			if err != nil {
				t.Fatal(err)
			}
			details.PublicDNSName = test.publicName
			if err := sh.store.UpdateController("blue", *details); err != nil {
				t.Fatal(err)
			}

			stdout := sh.ok("jaas register-controller blue " + test.flags)
			if !strings.Contains(stdout, "name: blue\n") || !strings.Contains(stdout, "status: available\n") {
				t.Errorf("it prints:\n%s", stdout)
			}
			test.want["name"], test.want["uuid"] = "blue", uuid
			test.want["username"], test.want["password"] = "admin", adminPassword
			if got, want := s.received(), []call{{"AddController", test.want}}; !reflect.DeepEqual(got, want) {
				t.Errorf("got:\n%v\nwant:\n%v", got, want)
			}
		})
	}
}

func TestADryRunPrintsAFileThatRegistersTheSameController(t *testing.T) {
	s := newServer(t)
	s.answers["AddController"] = blue
	sh := newShell(t, s)
	file := filepath.Join(t.TempDir(), "blue.yaml")
	text := sh.ok("jaas register-controller blue --dry-run")
	equal(t, text, `api-addresses:
- 10.0.0.1:17070
- 10.0.0.2:17070
ca-certificate: the CA
name: blue
password: '********'
username: admin
uuid: 5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e
`)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	sh.fails(cli.ExitFailure, `has no password: put the one of user "admin" there`, "jaas register-controller blue --file", file)
	write(strings.Replace(text, "uuid:", "uid:", 1))
	sh.fails(cli.ExitFailure, `there is no key "uid"`, "jaas register-controller blue --file", file)
	if calls := s.received(); len(calls) > 0 {
		t.Fatalf("the server got %v", calls)
	}

	text = strings.Replace(text, "********", adminPassword, 1)
	write(text)
	sh.ok("jaas register-controller blue --file", file)
	sh.stdin = text
	sh.ok("jaas register-controller azure --file -")
	calls := s.received()
	if len(calls) != 2 || calls[0].Params["password"] != adminPassword || calls[0].Params["name"] != "blue" || calls[1].Params["name"] != "azure" {
		t.Errorf("the server got %v", calls)
	}
}

func TestAControllerThatCannotBeRegisteredIsRefusedWithTheNextStep(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	sh.fails(cli.ExitFailure, `cannot register controller "green": it is not in the juju client store`, "jaas register-controller green")
	sh.fails(cli.ExitFailure, `cannot register controller "jaas": its users log in at an identity provider`, "jaas register-controller jaas")

	s.answers["AddController"] = coded{"already exists", `cannot add controller "blue": already exists`}
	sh.fails(cli.ExitFailure, "ERROR cannot add controller \"blue\": already exists\n", "jaas register-controller blue")
	s.answers["AddController"] = coded{"unauthorized access", "unauthorized"}
	sh.fails(cli.ExitDenied, "ERROR unauthorized; you are logged in as alice@example.com: ask an administrator", "jaas register-controller blue")

	if err := sh.store.UpdateAccount("blue", jujuclient.AccountDetails{User: "admin"}); err != nil {
		t.Fatal(err)
	}
	sh.fails(cli.ExitFailure, `"juju login -c blue -u admin"`, "jaas register-controller blue")
}

func TestCommandsAboutOneController(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	for line, want := range map[string]call{
		"jaas show-controller blue":                       {"ShowController", map[string]any{"controller-name": "blue"}},
		"jaas unregister-controller blue":                 {"RemoveController", map[string]any{"name": "blue", "force": false}},
		"jaas unregister-controller blue --force -y":      {"RemoveController", map[string]any{"name": "blue", "force": true}},
		"jaas set-controller-deprecated blue":             {"SetControllerDeprecated", map[string]any{"name": "blue", "deprecated": true}},
		"jaas unset-controller-deprecated blue":           {"SetControllerDeprecated", map[string]any{"name": "blue", "deprecated": false}},
		"jaas show-controller blue --format json":         {"ShowController", map[string]any{"controller-name": "blue"}},
		"juju-jaas unregister-controller --force -y blue": {"RemoveController", map[string]any{"name": "blue", "force": true}},
		"juju-set-controller-deprecated blue -c jaas":     {"SetControllerDeprecated", map[string]any{"name": "blue", "deprecated": true}},
		"juju-jaas -c jaas show-controller other-name ":   {"ShowController", map[string]any{"controller-name": "other-name"}},
	} {
		s.answers = map[string]any{want.Method: blue}
		s.calls = nil
		if stdout := sh.ok(line); !strings.Contains(stdout, "blue.example.com:443") {
			t.Errorf("%s prints:\n%s", line, stdout)
		}
		if got := s.received(); !reflect.DeepEqual(got, []call{want}) {
			t.Errorf("%s sends %v, want %v", line, got, want)
		}
	}
}
