//go:build integration

package charm

import (
	"strings"
	"testing"
)

// TestTheCharmRunsJIMM goes through the life of a deployment. JIMM answers a
// login after each step.
func TestTheCharmRunsJIMM(t *testing.T) {
	s := startServices(t)
	w := newWorld(t, s, 1)
	step := func(name string, do func()) {
		t.Helper()
		if t.Failed() {
			return
		}
		t.Log(name)
		do()
	}
	unit := w.App("jimm").Units()[0]
	step("relations come in any order", func() {
		w.relateNeeded()
		w.serving()
	})
	step("the database's password rotates by a secret's revision alone", func() {
		s.mu.Lock()
		for user := range s.passwords {
			s.passwords[user] += "-2"
		}
		s.mu.Unlock()
		if err := w.App("postgresql").Units()[0].Update(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.serving()
	})
	step("the container dies", func() {
		p := w.pods[unit.Name]
		if err := p.Renew(p.Image()); err != nil {
			t.Fatal(err)
		}
		w.serving()
	})
	step("a relation goes and comes back", func() {
		w.Unrelate(w.Relation("jimm:openfga"))
		w.settle()
		if unit.Status.Level != "blocked" || !strings.Contains(unit.Status.Message, "juju integrate jimm:openfga") {
			t.Errorf("without OpenFGA the unit is %v", unit.Status)
		}
		if env, err := w.pods[unit.Name].Environment("/usr/bin/jimmsrv"); err != nil || env != nil {
			t.Errorf("without OpenFGA JIMM still runs: %v", err)
		}
		w.relate("jimm:openfga", "openfga:openfga")
		w.serving()
	})
	step("wrong options stop nothing", func() {
		w.Configure("jimm", map[string]any{"jwt-expiry": "soon"})
		w.settle()
		if unit.Status.Level != "blocked" || !strings.Contains(unit.Status.Message, `jwt-expiry="soon"`) {
			t.Errorf("the unit is %v", unit.Status)
		}
		w.login()
		w.Configure("jimm", map[string]any{"jwt-expiry": "3m"})
		w.serving()
	})
	step("actions", func() {
		for _, action := range []string{"rotate-session-key", "set-admin", "check", "rotate-signing-keys", "backup-info"} {
			params := map[string]any{}
			if action == "set-admin" {
				params["user"] = "alice@example.com"
			}
			if results, err := unit.Action(t.Context(), action, params); err != nil {
				t.Errorf("%s: %v, %v", action, err, results)
			}
		}
		w.serving()
		env, err := w.pods[unit.Name].Environment("/usr/bin/jimmsrv")
		if err != nil || env["JIMM_ADMINS"] != "alice@example.com" {
			t.Errorf("the administrators are %q, %v", env["JIMM_ADMINS"], err)
		}
	})
	step("three units", func() {
		w.scale()
		w.scale()
		w.serving()
	})
	step("the leader goes, and a pod gets a new address", func() {
		w.RemoveUnit(unit)
		w.settle()
		unit = w.App("jimm").Units()[0]
		p := w.pods[unit.Name]
		if err := p.Readdress(99); err != nil {
			t.Fatal(err)
		}
		unit.Address = p.Address
		if err := p.Renew(p.Image()); err != nil {
			t.Fatal(err)
		}
		w.serving()
	})
	step("one unit again", func() {
		for _, u := range w.App("jimm").Units() {
			if u != unit {
				w.RemoveUnit(u)
			}
		}
		w.settle()
		if n := len(w.App("jimm").Units()); n != 1 {
			t.Errorf("there are %d units", n)
		}
		w.serving()
	})
	step("JIMM ends TLS itself", func() {
		w.relate("jimm:certificates", "ca:certificates")
		w.serving()
	})
	step("the charm is refreshed", func() {
		w.App("jimm").Refresh()
		w.serving()
	})
}
