package estate

import (
	"context"
	"time"
)

// KeyState is what a signing key is for now.
type KeyState string

// The states of a signing key.
const (
	// KeyNext is public, and does not sign yet.
	KeyNext  KeyState = "next"
	KeySigns KeyState = "signs"
	// KeyRetired is public as long as tokens it signed may be valid.
	KeyRetired KeyState = "retired"
)

// SigningKey is a key that tokens for controllers are signed with, without the
// key itself.
type SigningKey struct {
	ID    string
	State KeyState
	// PublicFrom is zero for a key that was made before that was noted.
	PublicFrom, SignsFrom time.Time
	// SignsUntil and PublicUntil are zero while no other key follows it.
	SignsUntil, PublicUntil time.Time
}

// KeySchedule is which key signs when, the oldest key first.
type KeySchedule struct {
	Keys []SigningKey
	// MaxAge is how long a controller may keep the set, Lead how long a key is
	// public before it signs.
	MaxAge, Lead time.Duration
}

// SigningKeys is the port to the keys that tokens are signed with, which are
// the same on all units.
type SigningKeys interface {
	// Rotate has the next key sign as soon as every controller can know it; or,
	// in an emergency, replaces all keys at once.
	Rotate(ctx context.Context, emergency bool) error
	Schedule(ctx context.Context) (KeySchedule, error)
}

// SigningKeySchedule says which key signs tokens for controllers when. Needs
// administrator of JIMM.
func (e *Estate) SigningKeySchedule(ctx context.Context, u User) (KeySchedule, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return KeySchedule{}, err
	}
	return e.Keys.Schedule(ctx)
}

// RotateSigningKeys has the next key sign as soon as it has been public for long
// enough that no controller refuses it, and says when that is. An emergency is
// for keys that have been seen by others: all are replaced at once, and until a
// controller has asked for the new set, which takes it up to MaxAge and another
// 15 minutes, nobody can log in to it, while it still takes tokens signed with
// the old keys. Needs administrator of JIMM.
func (e *Estate) RotateSigningKeys(ctx context.Context, u User, emergency bool) (KeySchedule, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return KeySchedule{}, err
	}
	e.Log.Warn("signing keys are rotated by hand", "user", u.Name, "emergency", emergency)
	if err := e.Keys.Rotate(ctx, emergency); err != nil {
		return KeySchedule{}, err
	}
	return e.Keys.Schedule(ctx)
}
