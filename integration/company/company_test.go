//go:build integration

package company

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/integration/stack"
	"jimm/workload/dev"
	"jimm/workload/idp"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
)

// patience bounds how long a command, or what it sets off, may take.
const patience = time.Minute

// company is JIMM among the real services.
type company struct {
	bin  lab.Bin
	dir  string
	jimm *dev.Stack
	// said is all that clients have printed.
	said bytes.Buffer
	// secrets are those used beside the services' own, by what they are.
	secrets map[string]string
	// arguments are the command lines of processes seen in the course of the run.
	arguments map[string]bool
}

func found(t *testing.T) *company { return foundWith(t, dev.StackReal) }

// foundWith has the services of production, or embedded ones.
func foundWith(t *testing.T, services string) *company {
	t.Helper()
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	// PostgreSQL runs as another user, who does not get into t.TempDir.
	dir, err := os.MkdirTemp("", "jimm-company-")
	if err != nil {
		t.Fatal(err)
	}
	c := &company{bin: bin, dir: dir, secrets: map[string]string{"alice's password": dev.Alice.Password, "bob's password": dev.Bob.Password}, arguments: map[string]bool{}}
	log, err := os.OpenFile(filepath.Join(dir, "jimm.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), cluster.Remove(filepath.Join(dir, "jimm", "postgres")), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	c.jimm, err = dev.Start(t.Context(), dev.Options{
		Dir: filepath.Join(dir, "jimm"), Juju: "sim", Stack: services, Repository: "../..", Out: os.Stderr,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.jimm.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestTheRealServices(t *testing.T) {
	c := found(t)
	alice, bob := c.client(t, "alice", c.bin.Juju41), c.client(t, "bob", c.bin.Juju36)
	t.Run("people log in by device", func(t *testing.T) {
		c.logIn(t, alice, dev.Alice, nil)
		c.logIn(t, bob, dev.Bob, nil)
		c.juju(t, alice, "whoami").says(t, "alice@example.com")
		c.juju(t, alice, "add-model", "shared").says(t, "Added 'shared' model")
	})
	t.Run("somebody is not let in with a wrong password", func(t *testing.T) {
		stranger := dev.Bob
		stranger.Password = "not-bobs-password"
		c.secrets["a wrong password"] = stranger.Password
		c.logIn(t, c.client(t, "stranger", c.bin.Juju41), dev.Bob, func(visit visit) {
			if err := visit(stranger, patience); err == nil || !strings.Contains(err.Error(), "do not belong together") {
				t.Errorf("got %v", err)
			}
		})
	})
	for _, s := range []*stack.Service{c.jimm.Services.Dex, c.jimm.Services.Hydra, c.jimm.Services.Kratos} {
		for _, f := range failures {
			t.Run(s.Name+" is "+f.name+" in the middle of a login", func(t *testing.T) {
				c.logIn(t, c.client(t, s.Name+"-"+f.name, c.bin.Juju41), dev.Bob, func(visit visit) {
					heal := f.fail(t, s)
					if f.lasting {
						if err := visit(dev.Bob, 4*time.Second); err == nil {
							t.Error("the login goes on without it")
						}
					}
					heal()
				})
			})
		}
	}
	for _, f := range failures {
		t.Run("OpenFGA is "+f.name+" in the middle of a grant", func(t *testing.T) { c.grant(t, alice, bob, f) })
		t.Run("Vault is "+f.name+" in the middle of a credential update", func(t *testing.T) { c.credential(t, alice, f) })
	}
	t.Run("Vault is sealed in the middle of a credential update", func(t *testing.T) { c.credential(t, alice, sealed(c.jimm.Services)) })
	t.Run("no secret is where it must not be", c.secretsAreKept)
}

// failure is what happens to a service.
type failure struct {
	name string
	// lasting is set if the service does not answer until heal is called.
	lasting bool
	fail    func(t *testing.T, s *stack.Service) (heal func())
}

var failures = []failure{
	{"stopped", true, func(t *testing.T, s *stack.Service) func() {
		check(t, s.Stop())
		return func() { check(t, s.Start(t.Context())) }
	}},
	{"frozen", true, func(t *testing.T, s *stack.Service) func() {
		check(t, s.Freeze())
		return func() { check(t, s.Thaw()) }
	}},
	{"killed and started again", false, func(t *testing.T, s *stack.Service) func() {
		check(t, s.Kill())
		check(t, s.Start(t.Context()))
		return func() {}
	}},
}

func sealed(services *stack.Stack) failure {
	return failure{"sealed", true, func(t *testing.T, _ *stack.Service) func() {
		check(t, services.SealVault(t.Context()))
		return func() { check(t, services.UnsealVault(t.Context())) }
	}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grant wants a grant to fail clearly while OpenFGA is away, to leave nothing
// behind, and to work as soon as it is back.
func (c *company) grant(t *testing.T, alice, bob *lab.CLI, f failure) {
	heal := f.fail(t, c.jimm.Services.OpenFGA)
	if f.lasting {
		r := c.juju(t, alice, "grant", "bob@example.com", "read", "shared").fails(t)
		r.clear(t, "permission")
		heal()
		c.until(t, bob, func(r *result) bool { return r.err == nil && !strings.Contains(r.text, "shared") }, "models")
	}
	c.until(t, alice, (*result).succeeds, "grant", "bob@example.com", "read", "shared")
	c.juju(t, bob, "models").says(t, "alice@example.com/shared")
	c.juju(t, alice, "revoke", "bob@example.com", "read", "shared").says(t)
	c.juju(t, bob, "models").omits(t, "shared")
}

// credential wants an update to fail clearly while Vault is away, to lose nothing,
// and to be in Vault as soon as that is back.
func (c *company) credential(t *testing.T, alice *lab.CLI, f failure) {
	name := strings.ReplaceAll(f.name, " ", "-")
	first, second := "first-secret-of-"+name, "second-secret-of-"+name
	c.secrets["first "+name], c.secrets["second "+name] = first, second
	update := func(secret string) error {
		tag := "cloudcred-dev_alice@example.com_" + name
		var done params.UpdateCredentialResults
		err := c.call(t, alice, "Cloud", 7, "UpdateCredentialsCheckModels", params.UpdateCredentialArgs{Credentials: []params.TaggedCredential{{
			Tag: tag, Credential: params.CloudCredential{AuthType: "certificate", Attributes: map[string]string{"client-cert": "c", "server-cert": "c", "client-key": secret}},
		}}}, &done)
		if err == nil && done.Results[0].Error != nil {
			err = done.Results[0].Error
		}
		return err
	}
	check(t, update(first))
	stored := func() string {
		secrets, err := c.everyVaultSecret(t.Context(), "")
		check(t, err)
		return secrets
	}
	if all := stored(); !strings.Contains(all, first) {
		t.Fatal("the credential is not in Vault")
	}
	heal := f.fail(t, c.jimm.Services.Vault)
	if f.lasting {
		began := time.Now()
		err := update(second)
		t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
		if err == nil || err.Error() == "internal error" || time.Since(began) > 30*time.Second {
			t.Errorf("the error is not clear: %v", err)
		}
		heal()
		if all := stored(); !strings.Contains(all, first) && !strings.Contains(all, second) {
			t.Error("the credential is lost")
		}
	}
	check(t, c.eventually(func() error { return update(second) }))
	if all := stored(); !strings.Contains(all, second) || strings.Contains(all, first) {
		t.Error("the update is not in Vault")
	}
}

// call makes a request with the session that a juju client has.
func (c *company) call(t *testing.T, cli *lab.CLI, facade string, version int, method string, args, result any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := c.session(t, ctx, cli)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Call(ctx, facade, version, "", method, args, result)
}

// session is a connection of a juju client that has logged in.
func (c *company) session(t *testing.T, ctx context.Context, cli *lab.CLI) (*rpc.Client, error) {
	t.Helper()
	accounts, err := os.ReadFile(filepath.Join(cli.Data, "accounts.yaml"))
	check(t, err)
	token := regexp.MustCompile(`(?:access|session)-token: (\S+)`).FindSubmatch(accounts)
	if token == nil {
		t.Fatal("the client has no session")
	}
	c.secrets["a session token"] = string(token[1])
	conn, _, err := rpc.Dial(ctx, "wss://"+c.jimm.Address+"/api", nil, c.jimm.Client().Transport.(*http.Transport).TLSClientConfig, rpc.Options{})
	if err != nil {
		return nil, err
	}
	client := rpc.NewClient(conn)
	err = client.Call(ctx, "Admin", 4, "", "LoginWithSessionToken", map[string]string{"client-id": "", "token": string(token[1]), "session-token": string(token[1])}, nil)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

// everyVaultSecret is all that JIMM keeps below a path, as text.
func (c *company) everyVaultSecret(ctx context.Context, path string) (string, error) {
	keys, err := c.jimm.Services.VaultSecrets(ctx, stack.VaultMount, path)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, key := range keys {
		if strings.HasSuffix(key, "/") {
			below, err := c.everyVaultSecret(ctx, path+key)
			if err != nil {
				return "", err
			}
			all.WriteString(below)
			continue
		}
		value, err := c.jimm.Services.VaultSecret(ctx, path+key)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&all, path+key, value)
	}
	return all.String(), nil
}

// client is somebody's command line.
func (c *company) client(t *testing.T, name, juju string) *lab.CLI {
	return &lab.CLI{Path: juju, Data: filepath.Join(t.TempDir(), name), Env: []string{"SSL_CERT_FILE=" + c.jimm.CAFile}}
}

// result is what a command has done.
type result struct {
	text string
	err  error
	took time.Duration
}

func (c *company) juju(t *testing.T, cli *lab.CLI, args ...string) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd, err := cli.Command(ctx, args...)
	check(t, err)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if args[0] != "show-credential" { // asked to show them
		c.said.Write(out)
	}
	c.lookAtArguments()
	return &result{strings.Join(args, " ") + ":\n" + string(out), err, time.Since(began)}
}

func (r *result) succeeds() bool { return r.err == nil }

func (r *result) says(t *testing.T, texts ...string) *result {
	t.Helper()
	if r.err != nil {
		t.Fatalf("juju %s%v", r.text, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.text, text) {
			t.Fatalf("juju %sdoes not say %q", r.text, text)
		}
	}
	return r
}

func (r *result) omits(t *testing.T, text string) {
	t.Helper()
	if _, out, _ := strings.Cut(r.text, ":\n"); strings.Contains(out, text) {
		t.Errorf("juju %ssays %q", r.text, text)
	}
}

func (r *result) fails(t *testing.T) *result {
	t.Helper()
	if r.err == nil {
		t.Fatalf("juju %ssucceeds", r.text)
	}
	return r
}

// clear wants an error that comes soon and says what it is about.
func (r *result) clear(t *testing.T, about string) {
	t.Helper()
	t.Logf("after %v juju %s", r.took.Round(time.Millisecond), r.text)
	if _, out, _ := strings.Cut(r.text, ":\n"); r.took > 30*time.Second || !strings.Contains(out, about) || strings.Contains(out, "connection is shut") {
		t.Errorf("after %v juju %sdoes not say clearly that it is about %q", r.took, r.text, about)
	}
}

// until repeats a command until it is as wanted.
func (c *company) until(t *testing.T, cli *lab.CLI, wanted func(*result) bool, args ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		r := c.juju(t, cli, args...)
		if wanted(r) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not as wanted after %v: juju %s%v", patience, r.text, r.err)
		}
	}
}

var prompt = regexp.MustCompile(`Please visit (\S+) and enter code (\S+) to log in`)

// visit goes to the page that a login by device leads to, as somebody who waits so long.
type visit func(who idp.User, limit time.Duration) error

// logIn has a person log in by device. middle, if it is not nil, is called when the
// code is there.
func (c *company) logIn(t *testing.T, cli *lab.CLI, who idp.User, middle func(visit)) {
	t.Helper()
	c.prompted(t, cli, func(ctx context.Context, uri, code string) error {
		visit := func(who idp.User, limit time.Duration) error {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			return idp.LogInDevice(ctx, c.jimm.Client(), uri, code, who.Email, who.Password)
		}
		if middle != nil {
			middle(visit)
		}
		// A code is good once: who gives up in the middle may have used it up.
		return c.eventually(func() error { return visit(who, patience) })
	}).says(t)
}

// prompted has juju log in, and calls answer when it prompts, which it does once.
func (c *company) prompted(t *testing.T, cli *lab.CLI, answer func(ctx context.Context, uri, code string) error) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd, err := cli.Command(ctx, "login", c.jimm.Address, "-c", "jimm", "--no-prompt")
	check(t, err)
	reading, writing := io.Pipe()
	cmd.Stdout, cmd.Stderr = writing, writing
	began := time.Now()
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); _ = writing.Close() }()
	var said bytes.Buffer
	answered := make(chan error, 1)
	visits := 0
	for lines := bufio.NewScanner(reading); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if match := prompt.FindStringSubmatch(lines.Text()); match != nil {
			visits++
			go func() { answered <- answer(ctx, match[1], match[2]) }()
		}
	}
	c.said.Write(said.Bytes())
	c.lookAtArguments()
	r := &result{"login:\n" + said.String(), <-ended, time.Since(began)}
	if visits != 1 {
		t.Fatalf("juju login: %v after %d prompts\n%s", r.err, visits, said.String())
	}
	check(t, <-answered)
	return r
}

// eventually repeats what fails while a service wakes up.
func (c *company) eventually(do func() error) error {
	for deadline := time.Now().Add(patience); ; {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// lookAtArguments takes down the command lines of all processes.
func (c *company) lookAtArguments() {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil { // else it has ended
			c.arguments[strings.ReplaceAll(string(text), "\x00", " ")] = true
		}
	}
}

// secretsAreKept looks for every secret of the run in all logs, audit rows, command
// lines, and in what clients were told.
func (c *company) secretsAreKept(t *testing.T) {
	places := map[string]string{"what clients said": c.said.String()}
	var lines strings.Builder
	for line := range c.arguments {
		fmt.Fprintln(&lines, line)
	}
	places["arguments of processes"] = lines.String()
	logs, err := filepath.Glob(filepath.Join(c.dir, "jimm", "services", "*.log"))
	check(t, err)
	for _, file := range append(logs, filepath.Join(c.dir, "jimm.log")) {
		text, err := os.ReadFile(file)
		check(t, err)
		places[filepath.Base(file)] = string(text)
	}
	rows, err := c.jimm.Store.Pool().Query(t.Context(), "select to_jsonb(e)::text from audit_events e")
	check(t, err)
	defer rows.Close()
	var audit strings.Builder
	for rows.Next() {
		var row string
		check(t, rows.Scan(&row))
		fmt.Fprintln(&audit, row)
	}
	check(t, rows.Err())
	places["audit rows"] = audit.String()
	secrets := c.jimm.Services.Secrets()
	for what, secret := range c.secrets {
		secrets[what] = secret
	}
	for place, text := range places {
		if len(text) < 100 && place != "dex.log" && place != "vault.log" {
			t.Errorf("there is next to nothing in %s: %q", place, text)
		}
		for what, secret := range secrets {
			if secret == "" || strings.Contains(text, secret) {
				t.Errorf("%s is in %s", what, place)
			}
		}
	}
	t.Logf("looked for %d secrets in %d places", len(secrets), len(places))
}
