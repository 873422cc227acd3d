package cli_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
)

// adminPassword is the password of blue in every store; nothing may print it.
const adminPassword = "blues-very-secret-password"

// shell is a user with a juju client store, logged in to a server.
type shell struct {
	t       *testing.T
	store   jujuclient.ClientStore
	env     map[string]string
	stdin   string
	program cli.Program
}

// newShell has two controllers in its store: jaas, the current one, and blue,
// a plain controller with a password.
func newShell(t *testing.T, s *server) *shell {
	t.Setenv("JUJU_DATA", t.TempDir())
	sh := &shell{t: t, store: jujuclient.NewFileClientStore(), env: map[string]string{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(sh.store.AddController("jaas", jujuclient.ControllerDetails{
		ControllerUUID: jaasUUID, APIEndpoints: []string{s.address}, OIDCLogin: true,
	}))
	must(sh.store.UpdateAccount("jaas", jujuclient.AccountDetails{User: "alice@example.com", SessionToken: "alices-token"}))
	must(sh.store.AddController("blue", jujuclient.ControllerDetails{
		ControllerUUID: "5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e", APIEndpoints: []string{"10.0.0.1:17070", "10.0.0.2:17070"}, CACert: "the CA",
	}))
	must(sh.store.UpdateAccount("blue", jujuclient.AccountDetails{User: "admin", Password: adminPassword}))
	must(sh.store.SetCurrentController("jaas"))
	return sh
}

// run runs a command line, and returns what it printed and its exit code.
func (sh *shell) run(line string, more ...string) (stdout, stderr string, code int) {
	sh.t.Helper()
	var out, errs bytes.Buffer
	j := &cli.JAAS{
		Program: sh.program, Version: "v1.2.3", Store: sh.store, Getenv: func(name string) string { return sh.env[name] },
		Stdin: strings.NewReader(sh.stdin), Stdout: &out, Stderr: &errs,
	}
	code = j.Main(context.Background(), append(strings.Fields(line), more...))
	if strings.Contains(out.String()+errs.String(), adminPassword) {
		sh.t.Errorf("%s prints a password:\n%s%s", line, out.String(), errs.String())
	}
	return out.String(), errs.String(), code
}

// ok runs a command line that has to succeed, and returns what it printed.
func (sh *shell) ok(line string, more ...string) string {
	sh.t.Helper()
	stdout, stderr, code := sh.run(line, more...)
	if code != cli.ExitOK {
		sh.t.Fatalf("%s exits with %d:\n%s", line, code, stderr)
	}
	return stdout
}

// fails runs a command line that has to exit with a code and a text in its error.
func (sh *shell) fails(code int, text, line string, more ...string) {
	sh.t.Helper()
	_, stderr, got := sh.run(line, more...)
	if got != code {
		sh.t.Errorf("%s exits with %d, want %d:\n%s", line, got, code, stderr)
	}
	if !strings.Contains("\n"+stderr, "\nERROR ") || !strings.Contains(stderr, text) {
		sh.t.Errorf("%s says %q, want %q in it", line, stderr, text)
	}
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestACommandLineThatMakesNoSenseIsExplainedAndNothingIsTried(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	for line, text := range map[string]string{
		"jaas contrllers":                               `did you mean "controllers"`,
		"jaas register-controller":                      "missing argument: the name of a controller",
		"jaas register-controller blue green":           `unexpected argument "green"`,
		"jaas register-controller blue --no-such-flag":  "unknown flag: --no-such-flag",
		"jaas controllers --format toml":                `unknown format "toml", want tabular, yaml, json`,
		"jaas show-controller blue --format tabular":    `want yaml, json`,
		"jaas add-permission user-bob@example.com":      "missing argument: RELATION",
		"jaas add-permission -f x user-bob@example.com": "unexpected argument",
		"jaas register-controller b --file f --local":   "--file says it all",
	} {
		sh.fails(cli.ExitUsage, text, line)
	}
	if calls := s.received(); len(calls) > 0 {
		t.Errorf("the server got calls: %v", calls)
	}
}

func TestThePluginIsCalledByAnyOfItsNames(t *testing.T) {
	sh := newShell(t, newServer(t))
	equal(t, sh.ok("jaas version"), "v1.2.3\n")
	equal(t, sh.ok("/usr/bin/juju-jaas version"), "v1.2.3\n")
	equal(t, sh.ok("juju-jaas --description"), "Administer JAAS: its controllers, and who may do what\n")
	equal(t, sh.ok("juju-register-controller --description"), "Take a Juju controller into JAAS\n")
	for line, usage := range map[string]string{
		"juju-jaas register-controller --help": "  juju jaas register-controller CONTROLLER [flags]\n",
		"juju-register-controller --help":      "  juju register-controller CONTROLLER [flags]\n",
		"jaas register-controller --help":      "  jaas register-controller CONTROLLER [flags]\n",
	} {
		if help := sh.ok(line); !strings.Contains(help, usage) {
			t.Errorf("%s does not say %q:\n%s", line, usage, help)
		}
	}
}

// writerFunc is a function as an io.Writer.
type writerFunc func(text []byte)

func (f writerFunc) Write(text []byte) (int, error) { f(text); return len(text), nil }

func TestAQuestionCanBeInterrupted(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	silence, _ := io.Pipe()
	for line, cue := range map[string]string{"jaas remove-group engineering": "[y/N]", "jaas add-permission -f -": ""} {
		ctx, interrupt := context.WithCancel(t.Context())
		if cue == "" {
			interrupt()
		}
		var said bytes.Buffer
		j := &cli.JAAS{Store: sh.store, Getenv: func(string) string { return "" }, Stdin: silence, Stdout: io.Discard, Stderr: writerFunc(func(text []byte) {
			said.Write(text)
			if strings.Contains(said.String(), cue) {
				interrupt()
			}
		})}
		if code := j.Main(ctx, strings.Fields(line)); code != cli.ExitFailure || !strings.HasSuffix(said.String(), "ERROR interrupted\n") {
			t.Errorf("%s exits with %d and says %q", line, code, said.String())
		}
		interrupt()
	}
	if calls := s.received(); len(calls) > 0 {
		t.Errorf("the server got %v", calls)
	}
}
