package dev_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jimm/workload/cli"
)

// howTo is a page whose commands are run as they stand there, one block after the
// other.
type howTo struct {
	page string
	// before is run first.
	before string
	// instead are pairs: what the page says, and what it is called here.
	instead []string
}

// surroundings are what the commands of pages need around them. Clients of Juju
// are tried elsewhere; whoever is asked says yes.
const surroundings = `juju() { :; }
jq() { command cat >/dev/null; }
jaas() { echo y | command jaas "$@"; }
`

// fence is a block of a page.
var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// TestTheHowTosOfTheAdministratorWork does what these pages say, by the built
// program. Where a page shows what a command prints, it prints just that.
func TestTheHowTosOfTheAdministratorWork(t *testing.T) {
	s := newTerminal(t, cli.Jaas, nil)
	s.alice()
	session, stderr, code := s.run(s.env, "", "jaas", "sessions", "--user", "alice@example.com", "--format", "json")
	id := regexp.MustCompile(`"id": "(\w+)"`).FindStringSubmatch(session)
	if code != cli.ExitOK || id == nil {
		t.Fatalf("no session of alice: %s%s", session, stderr)
	}
	for _, h := range []howTo{
		{"add-a-controller.md", "jaas unregister-controller juju36", []string{
			"jaas import-model blue MODEL-UUID --owner alice@example.com", ":", "blue", "juju36", "cloud-aws", "cloud-dev", "group-engineering#member", "user-bob@example.com"}},
		{"onboard-a-team.md", "jaas add-model shop dev --owner carol@example.com --no-switch\njaas add-model shop-staging dev --owner carol@example.com --no-switch",
			[]string{"cloud-aws", "cloud-dev", "alice@example.com", "dave@example.com"}}, // alice administers JIMM here
		{"query-models.md", "", nil},
		{"sessions.md", "", []string{"d2b7906a", id[1][:8]}},
		{"rotate-keys.md", "", nil},
	} {
		s.follow(h)
	}
}

// follow does what a page says.
func (t *terminal) follow(h howTo) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/howto", h.page))
	t.ok(err)
	t.enter(h.page, h.before)
	typed := 0
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		what := strings.NewReplacer(h.instead...).Replace(block[2])
		switch block[1] {
		case "sh":
			t.enter(h.page, what)
			typed++
		case "yaml":
			t.ok(os.WriteFile(filepath.Join(t.data, "team.yaml"), []byte(what), 0o600))
		case "console":
			for _, one := range strings.Split(what, "$ ")[1:] {
				line, want, _ := strings.Cut(one, "\n")
				if got := t.enter(h.page, line); strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.T.Errorf("%s shows\n%s\n%s prints\n%s", h.page, want, line, got)
				}
				typed++
			}
		}
	}
	if typed == 0 {
		t.T.Errorf("%s has nothing to type", h.page)
	}
}

// enter runs pieces of shell, each line of which has to succeed, or to answer a
// question with no.
func (t *terminal) enter(page, text string) string {
	t.Helper()
	cmd := exec.CommandContext(t.T.Context(), "bash", "-ec", surroundings+"trap '[ $? = 7 ] && exit 0' EXIT\n"+text)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errs, t.data
	cmd.Env = append([]string{"PATH=" + filepath.Dir(program(t.T, "jaas")) + ":" + os.Getenv("PATH")}, t.env[1:]...)
	if err := cmd.Run(); err != nil {
		t.T.Fatalf("%s: %v\n%s\nprints\n%s%s", page, err, text, out.String(), errs.String())
	}
	return out.String()
}
