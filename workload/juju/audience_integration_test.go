//go:build integration

package juju

import (
	"testing"

	"github.com/google/uuid"
	"github.com/juju/names/v6"

	"jimm/workload/estate"
)

// TestATokenForAnotherController shows how far a token for one controller is
// useless at another: the controller refuses it for the want of a claim on its
// own UUID, and looks at nothing else that names who it is for.
func TestATokenForAnotherController(t *testing.T) {
	r := startReal(t)
	other := r.record
	other.UUID = uuid.NewString()
	elsewhere := names.NewControllerTag(other.UUID).String()
	dial := func(audience string, claims estate.Claims) error {
		token, err := r.peers.tokens.Mint(audience, alice, claims)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := r.peers.dialer.Dial(t.Context(), r.record, "/api")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = Login(t.Context(), conn, alice.Tag(), token)
		return err
	}
	if err := dial(other.UUID, estate.Claims{elsewhere: estate.AccessSuperuser}); err == nil {
		t.Error("a token for another controller lets in")
	}
	if err := dial(r.record.UUID, r.login()); err != nil {
		t.Errorf("its own token: %v", err)
	}
	// That it does not look at aud is Juju's; should that change, so may the
	// documentation (docs/explanation/access.md).
	if err := dial(other.UUID, r.login()); err != nil {
		t.Logf("Juju looks at the audience now: %v", err)
	}
}
