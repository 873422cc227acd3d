package cli_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/juju/juju/api/jujuclient"

	"jimm/workload/cli"
)

// listing is a server with nothing but an empty list of controllers.
func listing(t *testing.T) (*server, *shell) {
	s := newServer(t)
	s.answers["ListControllers"] = map[string]any{"controllers": []any{}}
	return s, newShell(t, s)
}

func (sh *shell) account(name string) jujuclient.AccountDetails {
	sh.t.Helper()
	account, err := sh.store.AccountDetails(name)
	if err != nil {
		sh.t.Fatal(err)
	}
	return *account
}

func TestAnExpiredLoginIsRenewedInTheBrowserAndStored(t *testing.T) {
	s, sh := listing(t)
	s.tokens, s.device = map[string]string{"fresh-token": "alice@example.com"}, "fresh-token"
	_, stderr, code := sh.run("jaas controllers")
	if code != cli.ExitOK || !strings.Contains(stderr, "Please visit https://login.example.com/device and enter code ABCD-EFGH to log in.") {
		t.Fatalf("exits with %d and says %q", code, stderr)
	}
	if got := sh.account("jaas").SessionToken; got != "fresh-token" {
		t.Errorf("the store has the token %q", got)
	}
	if _, stderr, _ := sh.run("jaas controllers"); strings.Contains(stderr, "visit") {
		t.Errorf("the next command asks again: %s", stderr)
	}
}

func TestALoginAfterALogoutStoresTheUser(t *testing.T) {
	_, sh := listing(t)
	if err := sh.store.RemoveAccount("jaas"); err != nil {
		t.Fatal(err)
	}
	sh.ok("jaas controllers")
	account := sh.account("jaas")
	if account.User != "alice@example.com" || account.SessionToken != "alices-token" || account.LastKnownAccess != "administrator" {
		t.Errorf("the store has %+v", account)
	}
}

func TestAnotherUserInTheBrowserIsToldToLogOutFirst(t *testing.T) {
	s, sh := listing(t)
	s.tokens, s.device = map[string]string{"bobs-token": "bob@example.com"}, "bobs-token"
	sh.fails(cli.ExitDenied, `"juju logout -c jaas"`, "jaas controllers")
	if got := sh.account("jaas"); got.User != "alice@example.com" || got.SessionToken != "alices-token" {
		t.Errorf("the store has %+v", got)
	}
}

func TestAServiceAccountLogsInFromTheEnvironmentAndLeavesTheStoreAlone(t *testing.T) {
	s, sh := listing(t)
	s.tokens = nil
	sh.env["JUJU_CLIENT_ID"], sh.env["JUJU_CLIENT_SECRET"] = "robot", "robots-secret"
	sh.ok("jaas controllers")
	if got := sh.account("jaas"); got.User != "alice@example.com" || got.SessionToken != "alices-token" {
		t.Errorf("the store has %+v", got)
	}

	sh.env["JUJU_CLIENT_SECRET"] = "not-robots-secret"
	sh.fails(cli.ExitDenied, "check JUJU_CLIENT_SECRET", "jaas controllers")
	if _, stderr, _ := sh.run("jaas controllers"); strings.Contains(stderr, "not-robots-secret") || strings.Contains(stderr, "visit") {
		t.Errorf("a refused secret ends in %q", stderr)
	}
	sh.env["JUJU_CLIENT_SECRET"] = ""
	sh.fails(cli.ExitFailure, "only one of JUJU_CLIENT_ID and JUJU_CLIENT_SECRET", "jaas controllers")
}

func TestTheControllerIsChosenAsJujuDoes(t *testing.T) {
	_, sh := listing(t)
	if err := sh.store.SetCurrentController("blue"); err != nil {
		t.Fatal(err)
	}
	sh.ok("jaas controllers -c jaas")
	sh.ok("jaas -c jaas controllers")
	sh.env["JUJU_CONTROLLER"] = "jaas"
	sh.ok("jaas controllers")
	sh.env["JUJU_MODEL"] = "blue:default"
	sh.fails(cli.ExitFailure, `JUJU_MODEL names the controller "blue", but JUJU_CONTROLLER "jaas"`, "jaas controllers")
	delete(sh.env, "JUJU_CONTROLLER")
	sh.env["JUJU_MODEL"] = "jaas:default"
	sh.ok("jaas controllers")
}

func TestAControllerThatIsNotJAASIsNamedWithWhatToTypeInstead(t *testing.T) {
	s, sh := listing(t)
	// A plain controller is not even dialled.
	sh.fails(cli.ExitFailure, `controller "blue" is not JAAS: log in to JAAS with "juju login HOST:PORT -c NAME", or use -c jaas`, "jaas controllers -c blue")
	sh.fails(cli.ExitFailure, `controller "green" is not in the juju client store`, "jaas controllers -c green")
	// One with a company login may still not be JAAS.
	delete(s.answers, "ListControllers")
	sh.fails(cli.ExitFailure, `controller "jaas" is not JAAS`, "jaas controllers")
}

func TestNoControllerAtAll(t *testing.T) {
	_, sh := listing(t)
	for _, name := range []string{"jaas", "blue"} {
		if err := sh.store.RemoveController(name); err != nil {
			t.Fatal(err)
		}
	}
	sh.fails(cli.ExitFailure, "no controller is selected: log in to JAAS", "jaas controllers")
}

func TestAServerThatCannotBeReachedOrTrusted(t *testing.T) {
	_, sh := listing(t)
	move := func(address string) {
		t.Helper()
		err := sh.store.UpdateController("jaas", jujuclient.ControllerDetails{
			ControllerUUID: jaasUUID, APIEndpoints: []string{address}, OIDCLogin: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	move("127.0.0.1:1")
	sh.fails(cli.ExitUnreachable, `connection refused; see that this machine reaches it, "jimmctl doctor" tells`, "jaas controllers")

	untrusted := httptest.NewTLSServer(nil)
	defer untrusted.Close()
	move(untrusted.Listener.Addr().String())
	sh.fails(cli.ExitUnreachable, "set SSL_CERT_FILE", "jaas controllers")
}

func TestWhatIsNotThereComesWithTheCommandThatListsWhatIs(t *testing.T) {
	s, sh := listing(t)
	for message, want := range map[string]string{
		`controller "blue" not found`:                        `controller "blue" not found; "jaas controllers" lists what there is`,
		`cannot import model 1: controller "blue" not found`: `"jaas controllers" lists what there is`,
		`controller profile "small" not found`:               `"jaas list-controller-profiles" lists`,
		`group-dev#member not found`:                         `"jaas groups" lists`,
		`model-alice@example.com/staging not found`:          `"jaas models" lists`,
		`cloud "maas" not found`:                             `"juju clouds -c jaas" lists`,
	} {
		s.answers["ShowController"] = coded{"not found", message}
		sh.fails(cli.ExitNotFound, want, "jaas show-controller blue")
	}
	s.answers["ShowController"] = coded{"not found", `user "bob@example.com" not found`}
	if _, stderr, _ := sh.run("jaas show-controller blue"); stderr != "ERROR user \"bob@example.com\" not found\n" {
		t.Errorf("says %q", stderr)
	}
	s.answers["ShowController"] = coded{"not found", `group "dev" not found`}
	sh.program = cli.Jimmctl
	sh.fails(cli.ExitNotFound, `"jimmctl auth group list" lists`, "jimmctl show-controller blue")
	sh.program = cli.Jaas
	sh.fails(cli.ExitUsage, `invalid argument "99999999999999999999" for "--limit" flag: value out of range`, "jaas groups --limit 99999999999999999999")
}
