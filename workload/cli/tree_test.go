package cli_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"jimm/workload/cli"
)

func TestJimmctlHasTheNamesOf2024(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	sh.program = cli.Jimmctl
	tuple := map[string]any{"tuples": []any{map[string]any{"object": "user-bob@example.com", "relation": "member", "target_object": "group-dev"}}}
	for line, want := range map[string]call{
		"jimmctl remove-controller blue":                                     {"RemoveController", map[string]any{"name": "blue", "force": false}},
		"jimmctl show-controller blue":                                       {"ShowController", map[string]any{"controller-name": "blue"}},
		"jimmctl auth relation add user-bob@example.com member group-dev":    {"AddRelation", tuple},
		"jimmctl auth relation remove user-bob@example.com member group-dev": {"RemoveRelation", tuple},
		"jimmctl remove-cloud-from-controller blue aws -y":                   {"RemoveCloudFromController", map[string]any{"controller-name": "blue", "cloud-tag": "cloud-aws"}},
	} {
		s.answers, s.calls = map[string]any{want.Method: blue}, nil
		sh.ok(line)
		if got := s.received(); !reflect.DeepEqual(got, []call{want}) {
			t.Errorf("%s sends %v, want %v", line, got, want)
		}
	}
	for line, text := range map[string]string{
		"jimmctl unregister-controller blue": "unknown command",
		"jimmctl auth relatoin":              `did you mean "relation"`,
		"jimmctl auth add":                   "unknown command",
	} {
		sh.fails(cli.ExitUsage, text, line)
	}
	// What it says of itself has its own names.
	help := sh.ok("jimmctl auth relation add --help")
	if strings.Contains(help, "jaas add-permission") || !strings.Contains(help, "jimmctl auth relation add -f permissions.json") {
		t.Errorf("its help is:\n%s", help)
	}
}

func TestAControllerIsAddedInTwoSteps(t *testing.T) {
	s := newServer(t)
	s.answers["AddController"] = blue
	sh := newShell(t, s)
	sh.program = cli.Jimmctl
	file := filepath.Join(t.TempDir(), "blue.yaml")
	sh.ok("jimmctl controller-info blue " + file + " blue.example.com:443")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file with the password has mode %o", mode)
	}
	sh.fails(cli.ExitFailure, "file exists", "jimmctl controller-info blue "+file)
	sh.ok("jimmctl add-controller " + file)
	want := []call{{"AddController", map[string]any{
		"name": "blue", "uuid": "5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e", "public-address": "blue.example.com:443",
		"username": "admin", "password": adminPassword,
	}}}
	if got := s.received(); !reflect.DeepEqual(got, want) {
		t.Errorf("it sends %v, want %v", got, want)
	}
}

func TestWhatDestroysAsksFirst(t *testing.T) {
	s := newServer(t)
	s.answers["RemoveController"] = blue
	sh := newShell(t, s)
	const line = "jaas unregister-controller blue --force"
	for _, answer := range []string{"n\n", "\n", "nonsense\n"} {
		sh.stdin = answer
		sh.fails(cli.ExitFailure, "nothing was changed", line)
	}
	sh.stdin = ""
	sh.fails(cli.ExitFailure, "--no-prompt goes on without asking", line)
	if calls := s.received(); len(calls) > 0 {
		t.Fatalf("the server got %v", calls)
	}
	sh.stdin = "y\n"
	sh.ok(line)
	sh.stdin = ""
	sh.ok(line + " --no-prompt")
	if calls := s.received(); len(calls) != 2 {
		t.Errorf("the server got %v", calls)
	}
}

func TestACloudComesFromTheClientOrAFile(t *testing.T) {
	s := newServer(t)
	s.answers["AddCloudToController"] = map[string]any{}
	sh := newShell(t, s)
	const text = `clouds:
  lab:
    type: maas
    auth-types: [oauth1]
    endpoint: http://10.0.0.2:5240/MAAS
    config:
      apt-mirror: http://10.0.0.3
`
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	for _, name := range []string{file, filepath.Join(os.Getenv("JUJU_DATA"), "clouds.yaml")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"controller-name": "blue", "name": "lab", "cloud": map[string]any{
		"type": "maas", "auth-types": []any{"oauth1"}, "endpoint": "http://10.0.0.2:5240/MAAS",
		"config": map[string]any{"apt-mirror": "http://10.0.0.3"},
	}}
	forced := map[string]any{"force": true}
	for k, v := range want {
		forced[k] = v
	}
	sh.stdin = text
	for line, want := range map[string]map[string]any{
		"jaas add-cloud blue lab":                  want,
		"jaas add-cloud blue lab --cloud " + file:  want,
		"jaas add-cloud blue lab --cloud -":        want,
		"juju-jaas add-cloud --force -- blue lab ": forced,
	} {
		s.calls = nil
		sh.ok(line)
		if got := s.received(); len(got) != 1 || !reflect.DeepEqual(got[0].Params, want) {
			t.Errorf("%s sends\n%v, want\n%v", line, got, want)
		}
	}
	s.calls = nil
	sh.fails(cli.ExitFailure, file+" has only lab", "jaas add-cloud blue other --cloud "+file)
	sh.stdin = "clouds: 7"
	sh.fails(cli.ExitFailure, "cannot read -", "jaas add-cloud blue lab --cloud -")
	if len(s.calls) > 0 {
		t.Errorf("the server got %v", s.calls)
	}
}

func TestTheShellCompletesNamesFromTheServer(t *testing.T) {
	s := newServer(t)
	s.answers["ListControllers"] = map[string]any{"controllers": []any{green, blue}}
	s.answers["ListGroups"] = map[string]any{"name": []any{map[string]any{"name": "dev"}, map[string]any{"name": "ops"}}}
	sh := newShell(t, s)
	for line, want := range map[string][]string{
		"jaas __complete add-model staging --target-controller": {"green", "blue"},
		"jaas __complete add-permission":                        {"user-", "group-", "role-"},
		"jaas __complete add-permission user-bob reader":        {"model-", "cloud-", "controller-"},
		"jaas __complete permissions --target":                  {"model-", "group-"},
		"jaas __complete show-controller":                       {"green", "blue"},
		"jaas __complete register-controller":                   {"blue", "jaas"},
		"jaas __complete controllers --format":                  {"tabular", "yaml", "json"},
		"jaas __complete show-controller -c":                    {"blue", "jaas"},
		"jaas __complete add-permission user-bob":               {"administrator", "can_addmodel"},
		"jaas __complete show-controller blue and-more":         nil,
	} {
		stdout := sh.ok(line, "")
		for _, name := range want {
			if !strings.Contains("\n"+stdout, "\n"+name+"\n") {
				t.Errorf("%s offers no %q:\n%s", line, name, stdout)
			}
		}
		if want == nil && strings.TrimSpace(stdout) != ":4" {
			t.Errorf("%s offers:\n%s", line, stdout)
		}
	}
	for line, want := range map[string]string{
		"jaas __complete add-permission@group-":                    "group-dev#member\ngroup-ops#member\n:4\n",
		"jaas __complete check-permission user-bob member@group-d": "group-dev\ngroup-ops\n:4\n",
		"jaas __complete permissions --target@controller-b":        "controller-green\ncontroller-blue\n:4\n",
		"jaas __complete add-permission user-bob reader@model-x/y": ":4\n",
	} {
		line, typed, _ := strings.Cut(line, "@")
		if got := sh.ok(line, typed); got != want {
			t.Errorf("%s %s offers:\n%s", line, typed, got)
		}
	}
	// A completion asks for no login.
	s.tokens = nil
	if _, stderr, _ := sh.run("jaas __complete show-controller", ""); strings.Contains(stderr, "visit") {
		t.Errorf("a completion says %q", stderr)
	}
}

func TestNoLoginIsAskedForIfItShallNotBe(t *testing.T) {
	s, sh := listing(t)
	s.tokens = nil
	_, stderr, code := sh.run("jaas controllers -B")
	if code != cli.ExitDenied || !strings.Contains(stderr, `"juju login -c jaas" makes a new one`) || strings.Contains(stderr, "visit") {
		t.Errorf("exits with %d and says %q", code, stderr)
	}
}
