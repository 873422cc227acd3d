package secrets

import (
	"context"
	"fmt"
	"maps"
	"time"

	"jimm/workload/estate"
)

// Move takes the secrets from one place to another. It can be interrupted
// anywhere: until all are copied the old place has them, and afterwards the new
// one; the state in the database says which, and that nobody uses them meanwhile.
type Move struct {
	States estate.SecretStates
	// Open opens a place; it need not connect.
	Open func(Place) (estate.ListedSecrets, error)
	// Patience is for how long to wait for others to stop using the secrets.
	Patience time.Duration
	// Forget gives up the secrets of a place that is gone for good: JIMM begins in
	// the other with none, or with those that a move has already brought there.
	Forget bool
}

// Moved is what a move has done. All fields are zero if there was nothing to do.
type Moved struct {
	// Copied is how many were copied, and Wiped how many were deleted where they
	// are not any more.
	Copied, Wiped int
	// TurnedBack says that a move away from the place was given up.
	TurnedBack bool
}

// To moves the secrets to a place, ends a move that was interrupted, or, where
// that was the other way, turns it back. It refuses with CodeServerConfiguration
// while a unit runs, and a place that has other secrets.
//
// Without wipe nothing is deleted in the place that has no secrets any more, for
// one that does not answer; a later call does it.
func (m *Move) To(ctx context.Context, place Place, wipe bool) (Moved, error) {
	var moved Moved
	var ok bool
	var err error
	for deadline := time.Now().Add(m.Patience); ; {
		ok, err = m.States.Lead(ctx, lease, func(ctx context.Context) (err error) {
			moved, err = m.to(ctx, place, wipe)
			return err
		})
		if ok || err != nil || !time.Now().Before(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return moved, ctx.Err()
		case <-time.After(polling):
		}
	}
	if !ok && err == nil {
		err = estate.Errorf(estate.CodeServerConfiguration, "the secrets are in use: stop every jimmsrv, and let other commands end")
	}
	return moved, err
}

func (m *Move) to(ctx context.Context, place Place, wipe bool) (Moved, error) {
	var moved Moved
	state, err := m.States.SecretState(ctx)
	if err != nil {
		return moved, err
	}
	switch {
	case state == (estate.SecretState{}):
		return moved, estate.Errorf(estate.CodeServerConfiguration, "there are no secrets yet: no jimmsrv has run with this database")
	case Place(state.Place) == place && state.Target != "":
		turned := estate.SecretState{Place: state.Place, Leftover: state.Target}
		if err := m.swap(ctx, &state, turned); err != nil {
			return moved, err
		}
		moved.TurnedBack = true
	case Place(state.Place) != place:
		if moved, err = m.copy(ctx, &state, place); err != nil {
			return moved, err
		}
	}
	if state.Leftover == "" || !wipe || m.Forget {
		return moved, nil
	}
	left, err := m.Open(Place(state.Leftover))
	if err != nil {
		return moved, err
	}
	if moved.Wiped, err = deleteAll(ctx, left); err != nil {
		return moved, fmt.Errorf("the secrets are in %s, and what is left in %s cannot be deleted: %w", place, Place(state.Leftover), err)
	}
	return moved, m.swap(ctx, &state, estate.SecretState{Place: state.Place})
}

// copy brings all secrets to the place, and makes it theirs.
func (m *Move) copy(ctx context.Context, state *estate.SecretState, place Place) (Moved, error) {
	var moved Moved
	from := Place(state.Place)
	target, err := m.Open(place)
	if err != nil {
		return moved, err
	}
	if state.Target == "" {
		if err := m.begin(ctx, state, place, target); err != nil {
			return moved, err
		}
	}
	done := estate.SecretState{Place: string(place), Leftover: state.Place}
	if m.Forget {
		return moved, m.swap(ctx, state, done)
	}
	source, err := m.Open(from)
	if err != nil {
		return moved, err
	}
	err = source.Paths(ctx, func(path string) error {
		copied, err := copyOne(ctx, source, target, path)
		if copied {
			moved.Copied++
		}
		return err
	})
	if err != nil {
		return moved, fmt.Errorf("the secrets are in %s still: %w", from, err)
	}
	return moved, m.swap(ctx, state, done)
}

// begin makes sure that a place has nothing, so that all that will be there are
// copies, and writes down that the move has begun.
func (m *Move) begin(ctx context.Context, state *estate.SecretState, place Place, target estate.ListedSecrets) error {
	if Place(state.Leftover) == place {
		if _, err := deleteAll(ctx, target); err != nil {
			return fmt.Errorf("what an earlier move has left in %s cannot be deleted: %w", place, err)
		}
	}
	err := target.Paths(ctx, func(path string) error {
		if _, version, err := target.GetVersion(ctx, path); err != nil || version == 0 {
			return err // deleted by a person
		}
		return estate.Errorf(estate.CodeServerConfiguration,
			"%s has secrets already, such as %q: give JIMM a place of its own, or delete them if they are of no use", place, path)
	})
	if err != nil {
		return err
	}
	return m.swap(ctx, state, estate.SecretState{Place: state.Place, Target: string(place)})
}

// swap writes down a new state, if the old one is still true.
func (m *Move) swap(ctx context.Context, old *estate.SecretState, state estate.SecretState) error {
	ok, err := m.States.SwapSecretState(ctx, *old, state)
	if err != nil {
		return err
	}
	if !ok {
		return estate.Errorf(estate.CodeServerConfiguration, "another move of secrets has gone on meanwhile: see what it says")
	}
	*old = state
	return nil
}

// copyOne copies a secret and makes sure that it arrived. It reports false if
// there is none.
func copyOne(ctx context.Context, source, target estate.Secrets, path string) (bool, error) {
	value, version, err := source.GetVersion(ctx, path)
	if err != nil || version == 0 {
		return false, err
	}
	if err := target.Put(ctx, path, value); err != nil {
		return false, err
	}
	arrived, err := target.Get(ctx, path)
	if err != nil {
		return false, err
	}
	if !maps.Equal(arrived, value) {
		return false, fmt.Errorf("secret %q does not come back as it was stored", path)
	}
	return true, nil
}

// deleteAll returns how many secrets it has deleted.
func deleteAll(ctx context.Context, from estate.ListedSecrets) (int, error) {
	deleted := 0
	err := from.Paths(ctx, func(path string) error {
		if err := from.Delete(ctx, path); err != nil {
			return err
		}
		deleted++
		return nil
	})
	return deleted, err
}
