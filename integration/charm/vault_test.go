//go:build integration

package charm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"jimm/charm/simulator"
)

// vaultMount is what Vault's charm calls it.
const vaultMount = "charm-jimm-jimm"

// TestTheCharmKeepsSecretsInVault has a real Vault, from which each unit gets its
// secrets by credentials that are good for its own address only.
func TestTheCharmKeepsSecretsInVault(t *testing.T) {
	s := startServices(t)
	w := newWorld(t, s, 3)
	unit := w.App("jimm").Units()[0]
	w.relate("jimm:vault", "vault:vault-kv")
	w.relateNeeded()
	w.serving()
	keys := w.signingKeys()
	alice := w.signIn()
	alice.isAlice()
	w.keptIn("Vault")
	w.onlyFrom(unit)

	// kept checks that nothing is lost, and where it is.
	kept := func(place string) {
		t.Helper()
		w.serving()
		w.keptIn(place)
		if now := w.signingKeys(); now != keys {
			t.Errorf("JIMM signs with %s, before with %s", now, keys)
		}
		alice.isAlice()
	}

	t.Log("a pod gets a new address")
	before := w.setting(unit, "VAULT_ROLE_SECRET_ID")
	p := w.pods[unit.Name]
	if err := p.Readdress(98); err != nil {
		t.Fatal(err)
	}
	unit.Address = p.Address
	if err := p.Renew(p.Image()); err != nil {
		t.Fatal(err)
	}
	kept("Vault")
	if w.setting(unit, "VAULT_ROLE_SECRET_ID") == before {
		t.Error("the credentials are the same")
	}
	w.onlyFrom(unit)

	t.Log("Vault is sealed")
	process, err := p.Process("/usr/bin/jimmsrv")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stack.SealVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the unit says that Vault is sealed", func() error {
		w.settle()
		if message := unit.Status.Message; unit.Status.Level != "waiting" || !strings.Contains(message, "Vault is sealed; an operator has to unseal it") {
			return fmt.Errorf("it is %s: %s", unit.Status.Level, message)
		}
		return nil
	})
	results, err := unit.Action(t.Context(), "check", nil)
	if err == nil || !strings.Contains(results["doctor"], "unseal") {
		t.Errorf("check says %v, %v", results, err)
	}
	if err := s.stack.UnsealVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept("Vault")
	if now, err := p.Process("/usr/bin/jimmsrv"); err != nil || now != process {
		t.Errorf("JIMM is process %s now, before %s: %v", now, process, err)
	}

	t.Log("two units, and the secrets go to the database")
	w.scale()
	kept("Vault")
	w.onlyFrom(w.App("jimm").Units()[1])
	if one, other := w.setting(unit, "VAULT_ROLE_ID"), w.setting(w.App("jimm").Units()[1], "VAULT_ROLE_ID"); one == other {
		t.Error("two units have one role")
	}
	w.Configure("jimm", map[string]any{"postgres-secret-storage": true})
	kept("the database")
	w.Unrelate(w.Relation("jimm:vault"))
	w.settle()
	kept("the database")
	w.Configure("jimm", map[string]any{"postgres-secret-storage": nil})
	kept("the database")

	t.Log("Vault is related to a deployment that runs")
	w.relate("jimm:vault", "vault:vault-kv")
	kept("Vault")
}

// keptIn checks where all secrets are: in Vault or the database.
func (w *world) keptIn(place string) {
	w.t.Helper()
	var inDatabase int
	conn, err := pgx.Connect(w.t.Context(), w.database.DSN(w.name))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(w.t.Context()) }()
	if err := conn.QueryRow(w.t.Context(), "select count(*) from secrets").Scan(&inDatabase); err != nil {
		w.t.Fatal(err)
	}
	inVault, err := w.stack.VaultSecrets(w.t.Context(), vaultMount, "")
	if err != nil {
		w.t.Fatal(err)
	}
	// The keys that sign, and what Alice's session goes on by.
	if place == "Vault" && (len(inVault) < 2 || inDatabase > 0) || place != "Vault" && (len(inVault) > 0 || inDatabase < 2) {
		w.t.Errorf("Vault has %q and the database %d secrets; all should be in %s", inVault, inDatabase, place)
	}
}

// setting reads what a unit's JIMM is told in a file.
func (w *world) setting(u *simulator.Unit, name string) string {
	w.t.Helper()
	env, err := w.pods[u.Name].Environment("/usr/bin/jimmsrv")
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := w.pods[u.Name].Read(env[name+"_FILE"])
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// onlyFrom checks that what a unit has logs nobody in to Vault from elsewhere.
func (w *world) onlyFrom(u *simulator.Unit) {
	w.t.Helper()
	login, err := json.Marshal(map[string]string{"role_id": w.setting(u, "VAULT_ROLE_ID"), "secret_id": w.setting(u, "VAULT_ROLE_SECRET_ID")})
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.client.Post(w.stack.VaultURL+"/v1/auth/approle/login", "application/json", strings.NewReader(string(login)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, _ := io.ReadAll(answer.Body)
	if answer.StatusCode < http.StatusBadRequest || !strings.Contains(string(said), w.host) {
		w.t.Errorf("Vault answers this machine with status %d: %s", answer.StatusCode, said)
	}
}
