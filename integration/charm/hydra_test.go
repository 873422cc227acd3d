//go:build integration

package charm

import (
	"errors"
	"fmt"
	"testing"
)

// TestTheCharmHasJIMMLogInAtHydra follows JIMM as a client of the real Hydra, by
// command line and by browser.
func TestTheCharmHasJIMMLogInAtHydra(t *testing.T) {
	s := startServices(t)
	s.traefik.Scheme = "http"
	w := newWorld(t, s, 2)
	w.relateNeeded()
	client := func() string { return w.Relation("jimm:oauth").Bag("hydra")["client_id"] }
	redirect := func(scheme string) {
		t.Helper()
		w.eventually("Hydra sends people back by "+scheme, func() error {
			w.settle()
			if client() == "" {
				return errors.New("JIMM is no client yet")
			}
			have, err := s.stack.Redirects(t.Context(), client())
			if want := scheme + "://" + s.traefik.Host + "/jimm-jimm/auth/callback"; err == nil && (len(have) != 1 || have[0] != want) {
				err = fmt.Errorf("it does to %q, not to %s", have, want)
			}
			return err
		})
	}
	redirect("http")
	first := client()

	t.Log("the ingress gets a certificate")
	s.traefik.Scheme = "https"
	if err := w.App("traefik").Units()[0].Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	redirect("https")
	if client() != first {
		t.Error("the client is another one")
	}
	w.serving()
	w.signIn().isAlice()
	// Only Hydra can tell whose token this account has, and only the relation where.
	w.loginAs("ci-opaque")

	t.Log("the relation is made anew")
	w.Unrelate(w.Relation("jimm:oauth"))
	w.settle()
	w.relate("jimm:oauth", "hydra:oauth")
	w.serving()
	if client() == first {
		t.Error("the client is the same one")
	}
	w.signIn().isAlice()
}
