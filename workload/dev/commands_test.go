package dev_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juju/juju/api/jujuclient"
	"github.com/spf13/cobra"

	"jimm/workload/cli"
	"jimm/workload/dev"
	"jimm/workload/sim"
)

// terminal is a shell with the built programs and a juju client store.
type terminal struct {
	*testing.T
	*script
	data string
	env  []string
	// ran are the commands that were run, by their words.
	ran map[string]bool
}

func newTerminal(t *testing.T) *terminal {
	s := newSDK(t)
	term := &terminal{T: t, script: s, data: t.TempDir(), ran: map[string]bool{}}
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
	term.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + term.data, "JUJU_DATA=" + term.data, "SSL_CERT_FILE=" + s.stack.CAFile,
		"JUJU_CLIENT_ID=" + dev.ServiceAccount, "JUJU_CLIENT_SECRET=" + dev.ServiceSecret,
	}
	return term
}

// run runs a command line with the built program.
func (t *terminal) run(stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.T.Context(), program(t.T, args[0]), args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = strings.NewReader(stdin), &out, &errs, t.env, t.data
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.T.Fatal(err)
	}
	for _, secret := range []string{t.stack.AdminPassword(), dev.ServiceSecret} {
		if strings.Contains(out.String()+errs.String(), secret) {
			t.T.Errorf("%v prints a secret", args)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// does runs a command line that has to succeed and print something.
func (t *terminal) does(line, want string) {
	t.Helper()
	args := strings.Fields(line)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "~", " ")
	}
	for n := range args {
		t.ran[strings.Join(args[:n+1], " ")] = true
	}
	stdout, stderr, code := t.run("", args...)
	if code != 0 {
		t.T.Fatalf("%s exits with %d: %s", line, code, stderr)
	}
	if !strings.Contains(stdout+stderr, want) {
		t.T.Errorf("%s prints\n%s%swant %q in it", line, stdout, stderr, want)
	}
}

// exits runs a command line that has to fail.
func (t *terminal) exits(code int, line, want string) {
	t.Helper()
	stdout, stderr, got := t.run("", strings.Fields(line)...)
	if got != code || !strings.Contains(stderr, want) {
		t.T.Errorf("%s exits with %d, want %d, and says\n%s%swant %q in it", line, got, code, stdout, stderr, want)
	}
}

// leaves are the commands of a program that do something, by their words.
func leaves(program cli.Program) []string {
	var found []string
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			look(sub)
		}
		if !cmd.HasSubCommands() && !cmd.Hidden {
			found = append(found, cmd.CommandPath())
		}
	}
	look((&cli.JAAS{Program: program}).Command())
	return found
}

func TestEveryCommandOfTheBuiltPrograms(t *testing.T) {
	s := newTerminal(t)
	s.does("jaas version", "")
	s.does("jaas controllers", "juju36")
	s.does("juju-jaas controllers --format yaml", "- agent-version: 3.6.11")
	s.does("jaas show-controller juju41", "name: juju41")
	s.does("jaas set-controller-deprecated juju41", "status: deprecated")
	s.does("jaas set-controller-deprecated juju41 --undo", "status: available")
	s.does("jaas unregister-controller juju36 --force --no-prompt", "name: juju36")
	s.does("jaas register-controller juju36", "name: juju36")
	s.does("jimmctl remove-controller juju36", "name: juju36")
	s.does("jimmctl controller-info juju36 c36.yaml --local", "delete it after")
	s.does("jimmctl add-controller c36.yaml", "name: juju36")
	s.does("jaas overview", "0 models;")
	s.does("jaas juju-versions", "3.6.11")
	s.does("jaas jobs", "No jobs")

	s.does("jaas add-cloud juju41 lab --force", "is on controller")
	s.does("jaas remove-cloud juju41 lab -y", "")

	s.does("jaas add-model web --target-controller juju36 --config logging-config=<root>=DEBUG", "Made model \""+robot+"/web\" in dev")
	s.does("jaas add-model other dev/west --no-switch", "Made model")
	current, err := jujuclient.NewFileClientStore().CurrentModel("jaas")
	s.ok(err)
	s.equal("current model", current, robot+"/web")
	s.does("jaas models", "web")
	s.does("jaas models --on juju36 --format json", `"model-name": "web"`)
	s.does("jaas show-model "+robot+"/web", "juju36")
	s.does("jaas model-status "+robot+"/web", "name: web")
	s.does("jaas list-migration-targets "+robot+"/web", "juju41")
	s.does("jaas query-models .model.name", `"web"`)
	s.does("juju-query-models .model~|~select(.name==\"web\")~|~.controller", "juju36")
	old, err := s.stack.Simulated[0].SeedModels(1, func(int) sim.Model { return sim.Model{Name: "old", Owner: "admin"} })
	s.ok(err)
	s.does("jaas import-model juju36 "+old[0]+" --owner "+robot, "")
	_, err = s.stack.Simulated[1].SeedModels(1, func(int) sim.Model { return sim.Model{Name: "old", Owner: "admin", UUID: old[0]} })
	s.ok(err)
	s.ok(s.stack.Simulated[0].RemoveModel(old[0]))
	s.does("jaas update-migrated-model juju41 "+old[0], "")
	s.does("jaas show-model "+old[0]+" --format yaml", "controller-name: juju41")

	s.ok(os.WriteFile(filepath.Join(s.data, "small.yaml"), []byte("juju-version: \"4.1\"\ncloud: {name: aws, region: {name: eu-west-1}}\nbootstrap-options: {}\n"), 0o600))
	s.does("jaas add-controller-profile small --file small.yaml", "version: 1")
	s.does("jaas show-controller-profile small -o shown.yaml", "")
	s.does("jaas update-controller-profile small --file shown.yaml", "version: 2")
	s.exits(cli.ExitFailure, "jaas update-controller-profile small --file shown.yaml", "has been changed")
	s.does("jaas list-controller-profiles", "small")
	s.does("jaas remove-controller-profile small --force", "")

	s.does("jaas add-permission user-bob@example.com reader model-"+robot+"/web", "")
	s.does("jaas remove-permission user-bob@example.com reader model-"+robot+"/web", "")

	for _, command := range []string{
		"controllers", "show-controller", "set-controller-deprecated", "unregister-controller", "register-controller", "overview", "juju-versions", "jobs",
		"add-cloud", "remove-cloud", "add-model", "models", "show-model", "model-status", "list-migration-targets", "query-models", "import-model",
		"update-migrated-model", "add-controller-profile", "show-controller-profile", "update-controller-profile", "list-controller-profiles",
		"remove-controller-profile", "add-permission", "remove-permission",
	} {
		if !s.ran["jaas "+command] {
			t.Errorf("jaas %s is not tried", command)
		}
	}

	t.Run("what is not there or makes no sense", func(t *testing.T) {
		s := *s
		s.T = t
		s.exits(cli.ExitNotFound, "jaas show-controller none", `controller "none" not found`)
		s.exits(cli.ExitNotFound, "jaas show-model "+robot+"/none", "not found")
		s.exits(cli.ExitFailure, "jaas show-model none", "OWNER/NAME")
		s.exits(cli.ExitUsage, "jaas model-status none", "OWNER/NAME")
		s.exits(cli.ExitFailure, "jaas query-models .[", "not a jq program")
		s.exits(cli.ExitNotFound, "jaas add-model m nowhere", `no cloud or region "nowhere"`)
		s.exits(cli.ExitUsage, "jaas add-model m east --credential c/d", "not the name of a credential")
		s.exits(cli.ExitUsage, "jaas jobs --count -1", "must be 1 or more")
		s.exits(cli.ExitFailure, "jaas jobs --status lost", "not the status of a job")
		s.exits(cli.ExitFailure, "jaas juju-versions --above x", "not a version")
		s.exits(cli.ExitFailure, "jaas remove-cloud juju41 dev", "--no-prompt")
		s.exits(cli.ExitFailure, "jaas add-model "+strings.Repeat("m", 100), "cannot create model")
		s.exits(cli.ExitNotFound, "jaas show-controller \x1b[2J"+strings.Repeat("x", 5000), "")
	})
	t.Run("each command has its help, and wants its arguments", func(t *testing.T) {
		for _, program := range []cli.Program{cli.Jaas, cli.Jimmctl} {
			for _, path := range leaves(program) {
				if stdout, stderr, code := s.run("", append(strings.Fields(path), "--help")...); code != 0 || !strings.Contains(stdout, "Usage:") {
					t.Errorf("%s --help exits with %d: %s", path, code, stderr)
				}
				many := append(strings.Fields(path), "a", "b", "c", "d", "e", "f", "--no-such-flag")
				if _, stderr, code := s.run("", many...); code != cli.ExitUsage || !strings.Contains(stderr, "See \""+path+" --help\"") {
					t.Errorf("%s with nonsense exits with %d: %s", path, code, stderr)
				}
			}
		}
	})
}
