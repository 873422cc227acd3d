// Package secrets is about where the estate's secrets are: sealed rows or Vault.
// Every unit's settings name a place, and the database says which has them. A unit
// that is told another refuses to run, instead of beginning there with none; Move
// takes them from one to the other while no unit runs.
package secrets

import (
	"context"
	"log/slog"
	"time"

	"jimm/workload/estate"
)

// Place is where secrets can be.
type Place string

// The places: rows of PostgreSQL, or HashiCorp Vault.
const (
	Sealed Place = "sealed"
	Vault  Place = "vault"
)

// String names the place in a sentence.
func (p Place) String() string {
	if p == Vault {
		return "Vault"
	}
	return "sealed rows of PostgreSQL"
}

const (
	// lease is shared by who uses secrets, and led by who moves them.
	lease = "secrets"
	// retry is how long to wait before a lease that was lost is asked for again.
	retry = time.Second
	// polling is how often a lease that others have is asked for.
	polling = 100 * time.Millisecond
)

// errMoving is of a lease that a move has.
var errMoving = estate.Errorf(estate.CodeServerConfiguration, "the secrets are being moved: wait until jimmctl move-secrets has ended")

// Check returns an error that says what to do, with CodeServerConfiguration, if the
// secrets are not at a place.
// Where no unit has run yet, any place is right.
func Check(ctx context.Context, states estate.SecretStates, place Place) error {
	state, err := states.SecretState(ctx)
	if err != nil || state == (estate.SecretState{}) {
		return err
	}
	return check(state, place)
}

func check(state estate.SecretState, place Place) error {
	has := Place(state.Place)
	switch {
	case state.Target != "":
		return estate.Errorf(estate.CodeServerConfiguration, "the secrets are on their way from %s to %s: end that with jimmctl move-secrets and JIMM_SECRET_STORAGE=%s, or turn back with JIMM_SECRET_STORAGE=%s",
			has, Place(state.Target), state.Target, state.Place)
	case has != place:
		return estate.Errorf(estate.CodeServerConfiguration, "the secrets are in %s, and the settings say %s: stop every jimmsrv and run jimmctl move-secrets with these settings, or set JIMM_SECRET_STORAGE=%s",
			has, place, state.Place)
	}
	return nil
}

// Use calls f while the secrets stay at a place. Where they never were anywhere,
// this is their place from now on.
func Use(ctx context.Context, states estate.SecretStates, place Place, f func(context.Context) error) error {
	ok, err := states.Share(ctx, lease, func(ctx context.Context) error {
		if _, err := states.SwapSecretState(ctx, estate.SecretState{}, estate.SecretState{Place: string(place)}); err != nil {
			return err
		}
		if err := Check(ctx, states, place); err != nil {
			return err
		}
		return f(ctx)
	})
	if !ok && err == nil {
		err = errMoving
	}
	return err
}

// Hold is Use for long: it returns when the secrets are sure to stay at the place,
// with a context that lasts until release is called. Where they are not it waits
// for a while, in case they are being moved, before it gives up. A database that was away
// changes nothing, unless the secrets were moved meanwhile: then the context ends,
// with that as its cause.
func Hold(ctx context.Context, states estate.SecretStates, place Place, patience time.Duration, log *slog.Logger) (holding context.Context, release func(), err error) {
	holding, end := context.WithCancelCause(ctx)
	leasing, stop := context.WithCancel(context.WithoutCancel(ctx))
	first, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		deadline := time.Now().Add(patience)
		for began := false; ; {
			wait := retry
			err := Use(leasing, states, place, func(ctx context.Context) error {
				if !began {
					began = true
					first <- nil
				}
				<-ctx.Done()
				return nil
			})
			switch {
			case leasing.Err() != nil:
				return
			case !began && (!estate.Is(err, estate.CodeServerConfiguration) || !time.Now().Before(deadline)):
				first <- err
				return
			case !began:
				wait = polling
			case estate.Is(err, estate.CodeServerConfiguration):
				end(err)
				return
			default:
				log.Warn("cannot make sure that the secrets stay where they are, trying again", "error", err)
			}
			select {
			case <-leasing.Done():
				return
			case <-time.After(wait):
			}
		}
	}()
	release = func() { stop(); <-done; end(nil) }
	select {
	case err = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return holding, release, nil
}
