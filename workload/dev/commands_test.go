package dev_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
	"jimm/workload/dev"
	"jimm/workload/idp"
	"jimm/workload/sim"
)

// terminal is a shell with the built programs and a juju client store.
type terminal struct {
	*testing.T
	*script
	program cli.Program
	data    string
	// env is for those who log in, operator for those who run JIMM.
	env, operator []string
	// ran are the commands that were run, by their words.
	ran map[string]bool
}

func newTerminal(t *testing.T, program cli.Program, settings map[string]string) *terminal {
	s := newSDK(t, settings)
	term := &terminal{T: t, script: s, program: program, data: t.TempDir(), ran: map[string]bool{}}
	t.Setenv("JUJU_DATA", term.data)
	store := jujuclient.NewFileClientStore()
	s.ok(store.AddController("jaas", jujuclient.ControllerDetails{
		ControllerUUID: s.stack.Server.Estate.UUID, APIEndpoints: []string{s.unit.address}, OIDCLogin: true,
	}))
	for _, c := range s.stack.Simulated {
		s.ok(store.AddController(c.Name(), jujuclient.ControllerDetails{ControllerUUID: c.UUID(), APIEndpoints: []string{c.Address()}, CACert: c.CACert()}))
		s.ok(store.UpdateAccount(c.Name(), jujuclient.AccountDetails{User: "admin", Password: s.stack.AdminPassword()}))
	}
	s.ok(store.SetCurrentController("jaas"))
	s.ok(os.WriteFile(filepath.Join(term.data, "clouds.yaml"), []byte("clouds:\n  lab:\n    type: maas\n    auth-types: [oauth1]\n    endpoint: http://10.0.0.2/MAAS\n"), 0o600))
	s.ok(os.WriteFile(filepath.Join(term.data, "small.yaml"), []byte("juju-version: \"4.1\"\ncloud: {name: aws, region: {name: eu-west-1}}\nbootstrap-options: {}\n"), 0o600))
	common := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + term.data, "JUJU_DATA=" + term.data, "SSL_CERT_FILE=" + s.stack.CAFile}
	term.env = append(slices.Clone(common), "JUJU_CLIENT_ID="+dev.ServiceAccount, "JUJU_CLIENT_SECRET="+dev.ServiceSecret)
	term.operator = slices.Clone(common)
	for _, name := range slices.Sorted(maps.Keys(s.unit.environ)) {
		term.operator = append(term.operator, name+"="+s.unit.environ[name])
	}
	return term
}

// run runs a command line with the built program.
func (t *terminal) run(env []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.T.Context(), program(t.T, args[0]), args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = strings.NewReader(stdin), &out, &errs, env, t.data
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.T.Fatal(err)
	}
	for _, secret := range []string{t.stack.AdminPassword(), dev.ServiceSecret, t.unit.environ["JIMM_SECRET_STORAGE_KEYS"], t.unit.environ["JIMM_DSN"]} {
		if strings.Contains(out.String()+errs.String(), secret) {
			t.T.Errorf("%v prints a secret", args)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// commandCase is a command line and what comes of it. Those of a program are run
// in order on one JIMM: a later one has what an earlier one made.
type commandCase struct {
	// line has the names of jaas, without the program's own. A ~ is a blank in an
	// argument.
	line string
	// only is set if just one program has it.
	only cli.Program
	// operator is set if it wants the server's environment, and no login.
	operator bool
	// before, where set, makes what it needs.
	before func()
	code   int
	// prints is a part of what it prints, on either stream.
	prints string
	// table are the columns of its table for people, also with ~.
	table string
	// keys are those of its JSON, or of the first in its list. Scripts rely on them.
	// With table, too, the command is run twice.
	keys string
}

// names2024 are the commands that jimmctl has by other names than jaas.
var names2024 = map[string]string{
	"unregister-controller": "remove-controller", "add-cloud": "add-cloud-to-controller", "remove-cloud": "remove-cloud-from-controller",
	"groups": "auth group list", "add-group": "auth group add", "rename-group": "auth group rename", "remove-group": "auth group remove",
	"roles": "auth role list", "add-role": "auth role add", "rename-role": "auth role rename", "remove-role": "auth role remove",
	"permissions": "auth relation list", "add-permission": "auth relation add", "remove-permission": "auth relation remove",
	"check-permission": "auth relation check", "explain-permission": "auth relation explain",
	"grant-audit-log": "grant-audit-log-access", "revoke-audit-log": "revoke-audit-log-access",
}

// args are the words of a case's command line for the program.
func (t *terminal) args(c commandCase) []string {
	name, rest, _ := strings.Cut(c.line, " ")
	if old := names2024[name]; old != "" && t.program == cli.Jimmctl {
		name = old
	}
	args := append([]string{string(t.program)}, strings.Fields(name+" "+rest)...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "~", " ")
	}
	return args
}

// try runs a case.
func (t *terminal) try(c commandCase) {
	t.Helper()
	if c.before != nil {
		c.before()
	}
	env, args := t.env, t.args(c)
	if c.operator {
		env = t.operator
	}
	line := strings.Join(args, " ")
	if c.code == cli.ExitOK || c.code == cli.ExitNo {
		for n := range args {
			t.ran[strings.Join(args[:n+1], " ")] = true
		}
	}
	if c.table == "" && c.keys != "" {
		args = append(args, "--format", "json")
	}
	stdout, stderr, code := t.run(env, "", args...)
	if code != c.code || !strings.Contains(stdout+stderr, c.prints) {
		t.Errorf("%s exits with %d, want %d, and says\n%s%swant %q in it", line, code, c.code, stdout, stderr, c.prints)
		return
	}
	if code == cli.ExitUsage && !strings.Contains(stderr, "--help\".\n") {
		t.Errorf("%s does not say where its help is:\n%s", line, stderr)
	}
	if c.table != "" && !slices.Contains(strings.Split(squeeze(stdout), "\n"), squeeze(strings.ReplaceAll(c.table, "~", " "))) {
		t.Errorf("%s prints\n%swant the columns %s", line, stdout, c.table)
	}
	if c.keys == "" {
		return
	}
	if c.table != "" {
		stdout, _, _ = t.run(env, "", append(args, "--format", "json")...)
	}
	keys, err := jsonKeys(stdout)
	if err != nil || keys != c.keys {
		t.Errorf("%s --format json has the keys\n%s, want\n%s (%v)", line, keys, c.keys, err)
	}
}

// squeeze makes one blank of many.
func squeeze(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "\n")
}

// jsonKeys are the keys of an object, or of the first in a list.
func jsonKeys(text string) (string, error) {
	var list []map[string]any
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 {
		return "", err
	}
	return strings.Join(slices.Sorted(maps.Keys(list[0])), " "), nil
}

// leaves are the commands of the built program that do something, by their words.
func (t *terminal) leaves(words ...string) []string {
	t.Helper()
	path := append([]string{string(t.program)}, words...)
	help, _, _ := t.run(t.env, "", append(path, "--help")...)
	if !strings.Contains(help, strings.Join(path, " ")+" [command]") {
		return []string{strings.Join(path, " ")}
	}
	below, _, _ := t.run(t.env, "", append(append([]string{string(t.program), "__completeNoDesc"}, words...), "")...)
	var found []string
	for _, name := range strings.Fields(below) {
		if name != "help" && !strings.HasPrefix(name, ":") {
			found = append(found, t.leaves(append(slices.Clone(words), name)...)...)
		}
	}
	return found
}

const oldModel = "11111111-2222-4333-8444-555555555555"

// commandCases are what the test below tries. Every command has one at least.
func (t *terminal) commandCases() []commandCase {
	older, newer := t.stack.Simulated[0], t.stack.Simulated[1]
	seed := func(c *sim.Controller) {
		_, err := c.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "old", Owner: "admin", UUID: oldModel} })
		t.ok(err)
	}
	const web = robot + "/web"
	return []commandCase{
		{line: "version", prints: unitVersion},

		{line: "controllers", prints: "juju36", table: "Controller Cloud/Region Version Status Address", keys: "agent-version api-addresses ca-certificate cloud-region cloud-tag name status uuid"},
		{line: "controllers --format yaml", prints: "- agent-version: 3.6.11"},
		{line: "show-controller juju41", prints: `"name": "juju41"`, keys: "agent-version api-addresses ca-certificate cloud-region cloud-tag name status uuid"},
		{line: "show-controller none", code: cli.ExitNotFound, prints: `controller "none" not found`},
		{line: "set-controller-deprecated juju41", prints: "status: deprecated"},
		{line: "unset-controller-deprecated juju41", prints: "status: available"},
		{line: "unregister-controller juju36", prints: `"name": "juju36"`, keys: "agent-version api-addresses ca-certificate cloud-region cloud-tag name status uuid"},
		{line: "register-controller juju36 --dry-run", prints: "password: '********'"},
		{line: "register-controller juju36", prints: `"name": "juju36"`, keys: "agent-version api-addresses ca-certificate cloud-region cloud-tag name status uuid"},
		{line: "unregister-controller juju36 --force --no-prompt", only: cli.Jimmctl, prints: "name: juju36"},
		{line: "controller-info juju36 c36.yaml --local", only: cli.Jimmctl, prints: "delete it after"},
		{line: "add-controller c36.yaml", only: cli.Jimmctl, prints: "name: juju36"},
		{line: "overview", prints: "0 models;", table: "Controller Cloud/Region Version Models Status Since", keys: "clouds controllers dying-models gone-models models versions"},
		{line: "juju-versions", prints: "3.6.11", table: "Version Release", keys: "date link-to-release version"},
		{line: "juju-versions --above x", code: cli.ExitFailure, prints: "not a version"},
		{line: "jobs", prints: "No jobs"},
		{line: "jobs --format json", prints: "[]"},
		{line: "jobs --count -1", code: cli.ExitUsage, prints: "must be 1 or more"},
		{line: "jobs --status lost", code: cli.ExitFailure, prints: "not the status of a job"},

		{line: "add-cloud juju41 lab --force", prints: "is on controller"},
		{line: "remove-cloud juju41 lab", code: cli.ExitFailure, prints: "--no-prompt"},
		{line: "remove-cloud juju41 lab -y"},

		{line: "add-model web --target-controller juju36 --config logging-config=<root>=DEBUG", prints: "Made model \"" + web + "\" in dev"},
		{line: "add-model other dev/west --no-switch", prints: "Made model"},
		{line: "add-model m nowhere", code: cli.ExitNotFound, prints: `no cloud or region "nowhere"`},
		{line: "add-model m east --credential c/d", code: cli.ExitUsage, prints: "not the name of a credential"},
		{line: "models", prints: "web", table: "Model Owner UUID Controller", keys: "controller-name controller-uuid model-name model-owner model-uuid"},
		{line: "models --on juju36", prints: "web", table: "Model Owner UUID Cloud/Region State", keys: "cloud model-name model-owner model-uuid region state"},
		{line: "show-model " + web, prints: "juju36", table: "Model Owner UUID Controller Controller~UUID", keys: "controller-name controller-uuid model-name model-owner model-uuid"},
		{line: "show-model " + robot + "/none", code: cli.ExitNotFound, prints: "not found"},
		{line: "show-model none", code: cli.ExitFailure, prints: "OWNER/NAME"},
		{line: "model-status " + web, prints: `"name": "web"`, keys: "applications branches controller-timestamp machines model offers relations remote-applications"},
		{line: "model-status none", code: cli.ExitUsage, prints: "OWNER/NAME"},
		{line: "list-migration-targets " + web, prints: "juju41", table: "Controller Cloud/Region Version Status Address", keys: "agent-version api-addresses ca-certificate cloud-region cloud-tag name status uuid"},
		{line: "query-models .model.name", prints: `"web"`, keys: "errors results"},
		{line: "query-models .model~|~select(.name==\"web\")~|~.controller", prints: "juju36"},
		{line: "query-models error(\"no\")", code: cli.ExitPartly, prints: "2 models have errors"},
		{line: "query-models .[", code: cli.ExitFailure, prints: "not a jq program"},
		{line: "import-model juju36 " + oldModel + " --owner " + robot, before: func() { seed(older) }},
		{line: "update-migrated-model juju41 " + oldModel, before: func() { seed(newer); t.ok(older.RemoveModel(oldModel)) }},
		{line: "show-model " + oldModel + " --format yaml", prints: "controller-name: juju41"},

		{line: "add-controller-profile small --file small.yaml", prints: `"version": 1`, keys: "bootstrap-options cloud created-at juju-version name updated-at version"},
		{line: "show-controller-profile small -o shown.yaml"},
		{line: "show-controller-profile small", prints: `"name": "small"`, keys: "bootstrap-options cloud created-at juju-version name updated-at version"},
		{line: "update-controller-profile small --file shown.yaml", prints: "version: 2"},
		{line: "update-controller-profile small --file shown.yaml", code: cli.ExitFailure, prints: "has been changed"},
		{line: "list-controller-profiles", prints: "small", table: "Profile~name Description Created~at Updated~at", keys: "created-at name updated-at"},
		{line: "remove-controller-profile small --force"},

		{line: "groups", prints: "No groups"},
		{line: "add-group dev", prints: `"name": "dev"`, keys: "created_at name updated_at uuid"},
		{line: "add-group dev", code: cli.ExitFailure, prints: "the name is taken"},
		{line: "rename-group dev builders"},
		{line: "groups", prints: "builders", table: "Name UUID Created Changed", keys: "created_at name updated_at uuid"},
		{line: "roles", prints: "No roles"},
		{line: "add-role viewer", prints: `"name": "viewer"`, keys: "created_at name updated_at uuid"},
		{line: "rename-role viewer reader"},
		{line: "roles", prints: "reader", table: "Name UUID Created Changed", keys: "created_at name updated_at uuid"},

		{line: "add-permission user-bob@example.com member group-builders"},
		{line: "add-permission group-builders#member reader model-" + web},
		{line: "check-permission user-bob@example.com reader model-" + web, prints: "is allowed"},
		{line: "check-permission user-bob@example.com writer model-" + web, code: cli.ExitNo, prints: `"not allowed"`, keys: "allowed result tuple"},
		{line: "explain-permission bob@example.com reader model-" + web, prints: "every member of group-builders is reader"},
		{line: "explain-permission bob@example.com writer model-" + web, code: cli.ExitNo, prints: `"grants"`, keys: "allowed grants tuple"},
		{line: "permissions --target group-builders", prints: "user-bob@example.com", table: "Object Relation Target", keys: "tuples"},
		{line: "remove-permission group-builders#member reader model-" + web},
		{line: "check-permission user-bob@example.com reader model-" + web, code: cli.ExitNo, prints: "not allowed"},
		{line: "remove-group builders -y"},
		{line: "remove-role reader -y"},

		{line: "sessions --all", before: t.alice, prints: "alice@example.com", table: "ID User Kind Client Address Started Last~used Expires", keys: "address client expires id kind last-used started user-tag"},
		{line: "revoke-session --user alice@example.com", prints: "alice@example.com", keys: "address client expires id kind last-used started user-tag"},

		{line: "signing-keys", prints: "signs", table: "Key State Public~from Signs~from Signs~until Public~until", keys: "keys lead-seconds max-age-seconds"},
		{line: "rotate-keys", prints: "signs", table: "Key State Public~from Signs~from Signs~until Public~until", keys: "keys lead-seconds max-age-seconds"},

		{line: "grant-audit-log bob@example.com"},
		{line: "revoke-audit-log bob@example.com"},
		{line: "audit-events --limit 1", prints: `"events"`, keys: "events"},
		{line: "audit-events --format tabular", prints: "JIMM.", table: "Time User From Model Call Outcome Parameters"},
		{line: "purge-audit-logs 2020-01-01 -y", prints: `"deleted-count": 0`, keys: "deleted-count"},

		{line: "completion bash", prints: string(t.program)},
		{line: "completion zsh", prints: string(t.program)},
		{line: "completion fish", prints: string(t.program)},
		{line: "completion powershell", prints: string(t.program)},

		{line: "doctor", only: cli.Jimmctl, operator: true, prints: "openfga", keys: "detail milliseconds name verdict"},
		{line: "migrate-database", only: cli.Jimmctl, operator: true, prints: "false", table: "Before Newest Migrated", keys: "migrated newest version"},
		{line: "move-secrets", only: cli.Jimmctl, operator: true, prints: "false", table: "Place Moved Deleted Resealed Turned~back", keys: "deleted moved place resealed turned-back"},
		{line: "rotate-signing-keys", only: cli.Jimmctl, operator: true, prints: "signs", table: "Key State Signs~from", keys: "id signs-from state"},
	}
}

// alice logs in as a person, with a device.
func (t *terminal) alice() {
	c, _ := logIn(t.T, t.stack.CAFile, t.unit.address, "")
	var device struct {
		Code string `json:"user-code"`
		URI  string `json:"verification-uri"`
	}
	ctx := t.T.Context()
	t.ok(c.Call(ctx, "Admin", 4, "", "LoginDevice", nil, &device))
	t.ok(idp.ApproveDevice(ctx, t.stack.Client(), device.URI, device.Code, dev.Alice.Email, dev.Alice.Password))
	t.ok(c.Call(ctx, "Admin", 4, "", "GetDeviceSessionToken", nil, nil))
}

func TestEveryCommandOfTheBuiltPrograms(t *testing.T) {
	for _, program := range []cli.Program{cli.Jaas, cli.Jimmctl} {
		t.Run(string(program), func(t *testing.T) {
			s := newTerminal(t, program, nil)
			for _, c := range s.commandCases() {
				if c.only == "" || c.only == program {
					s.try(c)
				}
			}
			for _, path := range s.leaves() {
				if !s.ran[path] {
					t.Errorf("%s is not tried: give it a case in commandCases", path)
				}
				if stdout, stderr, code := s.run(s.env, "", append(strings.Fields(path), "--help")...); code != 0 || !strings.Contains(stdout, "Usage:") {
					t.Errorf("%s --help exits with %d: %s", path, code, stderr)
				}
			}
			if program == cli.Jimmctl {
				return
			}
			for line, want := range map[string]string{"juju-jaas controllers": "juju36", "juju-query-models .model.name": "results"} {
				if stdout, stderr, code := s.run(s.env, "", strings.Fields(line)...); code != 0 || !strings.Contains(stdout, want) {
					t.Errorf("%s exits with %d: %s%s", line, code, stdout, stderr)
				}
			}
			current, err := jujuclient.NewFileClientStore().CurrentModel("jaas")
			s.ok(err)
			s.equal("current model", current, robot+"/web")
		})
	}
}
