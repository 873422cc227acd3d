package dev_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"github.com/juju/juju/api/jujuclient"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jimm/workload/cli"
	"jimm/workload/dev"
)

// trustTestServers makes this process trust the certificate of httptest, before
// anything has asked for the system's.
func trustTestServers(dir string) error {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file := filepath.Join(dir, "httptest.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file)
}

// between is an address that passes on to the unit what comes, and passes back what
// change makes of the replies.
func (t *terminal) between(change func([]byte) []byte) string {
	ca, err := os.ReadFile(t.stack.CAFile)
	t.ok(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	pass := func(from, to *websocket.Conn, change func([]byte) []byte) {
		defer to.Close()
		for {
			kind, frame, err := from.ReadMessage()
			if err != nil || to.WriteMessage(kind, change(frame)) != nil {
				return
			}
		}
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		client, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
		unit, answer, err := dialer.DialContext(r.Context(), "wss://"+t.unit.address+r.URL.Path, nil)
		if err != nil {
			client.Close()
			return
		}
		defer answer.Body.Close()
		go pass(client, unit, func(frame []byte) []byte { return frame })
		pass(unit, client, change)
	}))
	t.T.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// inside runs a command line within this process, so that arguments may have what
// the system lets no program have.
func (t *terminal) inside(args ...string) (stdout, stderr string, code int) {
	ctx, cancel := context.WithTimeout(t.T.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	env := map[string]string{"JUJU_CLIENT_ID": dev.ServiceAccount, "JUJU_CLIENT_SECRET": dev.ServiceSecret}
	j := &cli.JAAS{
		Program: cli.Program(args[0]), Version: unitVersion, Store: jujuclient.NewFileClientStore(), Getenv: func(name string) string { return env[name] },
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
	}
	code = j.Main(ctx, args)
	if ctx.Err() != nil {
		t.T.Errorf("%.200q takes more than a minute", args)
	}
	return out.String(), errs.String(), code
}

// shows fails if a terminal would do more with a text than show it.
func (t *terminal) shows(args []string, text string) {
	t.T.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
		t.T.Errorf("%.200q prints what is not for a terminal: %.200q", args, text[max(0, i-40):])
	}
	if !utf8.ValidString(text) {
		t.T.Errorf("%.200q prints what is no UTF-8", args)
	}
}

// aim lets the commands go to an address.
func (t *terminal) aim(address string) {
	t.ok(jujuclient.NewFileClientStore().UpdateController("jaas", jujuclient.ControllerDetails{
		ControllerUUID: t.stack.Server.Estate.UUID, APIEndpoints: []string{address}, OIDCLogin: true,
	}))
}

// TestWhatAServerSaysIsOnlyShown runs all cases of commands against a server whose
// every text is hostile to terminals.
func TestWhatAServerSaysIsOnlyShown(t *testing.T) {
	s := newTerminal(t, cli.Jaas, nil)
	s.aim(s.between(hostile))
	t.Chdir(s.data)
	shown := 0
	for _, c := range s.commandCases() {
		if c.only != "" {
			continue
		}
		if c.before != nil {
			c.before()
		}
		for _, format := range [][]string{nil, {"--format", "json"}, {"--format", "yaml"}} {
			args := append(s.args(c), format...)
			stdout, stderr, _ := s.inside(args...)
			s.shows(args, stdout+stderr)
			if strings.Contains(stdout, `\x1b[2J`) || strings.Contains(stdout, `\u001b[2J`) || strings.Contains(stdout, `\e[2J`) {
				shown++
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d results had what the server says", shown)
	}
}

// hostile adds to every text of the result or error of a reply of the JIMM facade what a
// terminal would obey. Times, and what the login says, stay.
func hostile(frame []byte) []byte {
	var reply map[string]any
	if json.Unmarshal(frame, &reply) != nil {
		return frame
	}
	result, _ := reply["response"].(map[string]any)
	if result["facades"] != nil {
		return frame
	}
	reply["response"] = hostileTexts(reply["response"])
	if text, ok := reply["error"].(string); ok {
		reply["error"] = hostileTexts(text)
	}
	changed, err := json.Marshal(reply)
	if err != nil {
		return frame
	}
	return changed
}

func hostileTexts(value any) any {
	switch v := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return v
		}
		return v + "\x1b[2J\u009b31m\x07\x7f\r\n\t\u202e\x00"
	case []any:
		for i := range v {
			v[i] = hostileTexts(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = hostileTexts(v[key])
		}
	}
	return value
}

// hostileWords are arguments that have no business anywhere.
var hostileWords = []string{
	"", " ", "\x00", "a\x00b", "a\nb\r\tc", "\x1b[2J\x1b]0;x\x07", "\u009b31m\u202egnp", "\xff\xfe", strings.Repeat("x", 1<<20),
	"'; drop table models; --", "$(reboot)`reboot`", "../../../etc/passwd", "%s%n%d", "-1", "99999999999999999999", "0", "NaN", "user-@", "model-", "a/b/c", "null", "{}",
}

// examples are what stands for a word of a usage line, or of a flag's.
var examples = map[string]string{
	"CONTROLLER": "juju36", "CLOUD": "dev", "MODEL": robot + "/web", "MODEL-UUID": oldModel, "NAME": "hostile", "NEW-NAME": "hostile2", "QUERY": ".model.name",
	"USER": "bob@example.com", "TIME": "2020-01-01", "OBJECT": "user-bob@example.com", "RELATION": "reader", "TARGET": "model-" + robot + "/web", "ID": "0123456789abcdef",
	"FILE": "none.yaml", "CLOUD/REGION": "dev/west", "[CLOUD|REGION|CLOUD/REGION]": "dev/west", "[ID...]": "0123456789abcdef",
}

// drasticCommand matches the commands that are asked about what is not there, so that others
// find what they need.
var drasticCommand = regexp.MustCompile(`remove|unregister|revoke|purge|update|rotate`)

// TestNoCommandLineDoesHarm runs every command with arguments and flags that make no
// sense. It fails with an error that says why, and changes nothing.
func TestNoCommandLineDoesHarm(t *testing.T) {
	s := newTerminal(t, cli.Jaas, nil)
	s.aim(s.between(func(frame []byte) []byte { return frame }))
	t.Chdir(s.data)
	if _, stderr, code := s.inside("jaas", "add-model", "web", "dev/west"); code != 0 {
		t.Fatal(stderr)
	}
	for program, only := range map[cli.Program]string{cli.Jaas: "", cli.Jimmctl: "controller-info add-controller"} {
		for _, cmd := range commandsOf((&cli.JAAS{Program: program, Store: jujuclient.NewFileClientStore()}).Command()) {
			if only == "" || slices.Contains(strings.Fields(only), cmd.Name()) {
				t.Run(cmd.CommandPath(), func(t *testing.T) {
					s := *s
					s.T = t
					s.harm(cmd)
				})
			}
		}
	}
}

// commandsOf are the commands of a tree that do something.
func commandsOf(root *cobra.Command) []*cobra.Command {
	if !root.HasSubCommands() {
		return []*cobra.Command{root}
	}
	var found []*cobra.Command
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && cmd.Name() != "completion" {
			found = append(found, commandsOf(cmd)...)
		}
	}
	return found
}

// anyExit is for a line that fails by one rule or another, or does what it says.
const anyExit = -1

// harm runs a command with one thing wrong at a time.
func (t *terminal) harm(cmd *cobra.Command) {
	words := strings.Fields(cmd.Use)[1:]
	var good []string
	for _, w := range words {
		value, ok := examples[w]
		if !ok {
			value = "text"
		}
		if drasticCommand.MatchString(cmd.CommandPath()) {
			value = strings.NewReplacer("juju36", "nowhere", "/web", "/none", "hostile", "nothing", "dev", "moon").Replace(value)
		}
		good = append(good, value)
	}
	path := strings.Fields(cmd.CommandPath())
	if cmd.Flags().Lookup("no-prompt") != nil {
		path = append(path, "-y")
	}
	before := t.dump()
	complaints := 0
	try := func(want int, args ...string) {
		t.T.Helper()
		if complaints > 5 {
			return // it has been said
		}
		args = append(slices.Clone(path), args...)
		stdout, stderr, code := t.inside(args...)
		t.shows(args, stdout+stderr)
		switch {
		case want != anyExit && code != want,
			code != cli.ExitOK && code != cli.ExitNo && !strings.Contains("\n"+stderr, "\nERROR "),
			strings.Contains(stderr, "internal error"), len(stderr) > 8000:
			complaints++
			t.T.Errorf("%.300q exits with %d and says, in %d bytes, %.600s", args, code, len(stderr), stderr)
		}
		if code == cli.ExitOK {
			before = t.dump()
		}
	}
	defer func() {
		if after := t.dump(); after != before {
			t.T.Errorf("what failed has changed something: %s", difference(before, after))
		}
	}()
	tried := 0
	some := func() []string { // not each with each
		tried += 5
		return slices.Concat(hostileWords, hostileWords)[(tried-5)%len(hostileWords):][:5]
	}
	try(cli.ExitUsage, slices.Concat(good, []string{"--no-such-flag"})...)
	if last := len(words) - 1; last >= 0 && !strings.HasPrefix(words[last], "[") {
		try(cli.ExitUsage, good[:last]...)
	}
	if !strings.Contains(cmd.Use, "...") && cmd.Name() != "model-status" {
		try(cli.ExitUsage, slices.Concat(good, []string{"one", "more"})...)
	}
	for i := range good {
		for _, word := range some() {
			args := slices.Clone(good)
			args[i] = word
			try(anyExit, append([]string{"--"}, args...)...)
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "no-prompt" {
			return
		}
		for _, word := range some()[:2] {
			want := anyExit
			if f.Name == "output" {
				word = "nowhere/" + word
			}
			if f.Name == "format" || f.Value.Type() == "bool" {
				want, word = cli.ExitUsage, "x"+word
			}
			try(want, append([]string{"--" + f.Name + "=" + word}, good...)...)
		}
		if f.Name == "file" || f.Name == "cloud" {
			t.hostileFiles(func(file string) {
				try(anyExit, append([]string{"--" + f.Name, file}, good...)...)
				try(anyExit, "--"+f.Name, file)
			})
		}
	})
}

// hostileFiles calls try with names of files that have not what a command reads.
func (t *terminal) hostileFiles(try func(file string)) {
	for name, text := range map[string]string{
		"empty": "", "words": "permit bob everything\n", "binary": "\x00\x01\xff\xfe\x7fELF", "half": `[{"object": "user-bob@example.com", "relat`, "number": "7", "null": "null",
		"wrong": `[{"object": 7, "relation": [], "target_object": {}}]`, "other": `[{"subject": "a", "verb": "b"}]`, "lacking": `[{"object": "user-bob@example.com"}]`,
		"twice": `[{"object": "a", "object": "b", "relation": "c", "target_object": "d"}]`, "deep": strings.Repeat("[", 100_000),
		"bomb":    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
		"escapes": "\"\\e[2J\\0\": \"\\e[2J\"\n", "large": strings.Repeat("# nothing\n", 2<<20),
	} {
		t.ok(os.WriteFile(name, []byte(text), 0o600))
		try(name)
	}
	try(".")
	try("/dev/null")
}

func (t *terminal) dump() string {
	t.T.Helper()
	text, err := t.stack.Dump(t.T.Context())
	t.ok(err)
	return text
}

// difference is the first line that two texts do not share.
func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("%.300s\nis now %.300s", a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines are %d", len(a), len(b))
}

// TestQueriesThatNeverEndOrWantAllMemory asks the built server for what it cannot give.
func TestQueriesThatNeverEndOrWantAllMemory(t *testing.T) {
	s := newTerminal(t, cli.Jaas, map[string]string{"JIMM_CROSS_MODEL_QUERY_TIMEOUT": "5s"})
	if _, stderr, code := s.run(s.env, "", "jaas", "add-model", "web", "dev/west"); code != 0 {
		t.Fatal(stderr)
	}
	for query, want := range map[string]string{
		`repeat(1)`: "", `def f: f; f`: "", `last(range(1e12))`: "taken too long", `[range(1e12)]`: "", `[limit(1e9; repeat("x"))]`: "", `"x" * 1e10`: "",
		`def f: [f]; f`: "", `reduce range(1e9) as $i (""; . + "xxxxxxxxxxxxxxxx")`: "", strings.Repeat("(", 60_000): "not a jq program", "env | keys": "", "input": "",
		`$__loc__`: "", `import "a" as a; 1`: "not a jq program", `include "/etc/passwd"; 1`: "not a jq program", "\x1b[2J": "not a jq program",
	} {
		started := time.Now()
		stdout, stderr, code := s.run(s.env, "", "jaas", "query-models", query)
		for strings.Contains(stdout, "has not answered in time") && time.Since(started) < time.Minute {
			// The machine stood still: that says nothing of the query.
			stdout, stderr, code = s.run(s.env, "", "jaas", "query-models", query)
		}
		if code != cli.ExitFailure && code != cli.ExitPartly && (code != 0 || len(stdout) > 10_000) || strings.Contains(stdout+stderr, "internal error") || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%.60q exits with %d, and says %.300s%.300s", query, code, stdout, stderr)
		}
		if took := time.Since(started); took > 2*time.Minute {
			t.Errorf("%.60q takes %s", query, took)
		}
		eventually(t, func() error {
			if err := s.unit.ready(t.Context()); err != nil {
				return fmt.Errorf("after %.60q jimmsrv is not ready: %w", query, err)
			}
			return nil
		})
	}
}
