package facade

import (
	"context"
	"time"

	"jimm/workload/estate"
	"jimm/workload/jimmapi"
)

// keyMethods are our own, for the keys that tokens for controllers are signed
// with.
var keyMethods = methods{
	"RotateSigningKeys": call(rotateSigningKeys),
	"ShowSigningKeys":   ask(showSigningKeys),
}

func rotateSigningKeys(ctx context.Context, c *Connection, args jimmapi.RotateSigningKeysRequest) (jimmapi.SigningKeySchedule, error) {
	s, err := c.server.Estate.RotateSigningKeys(ctx, *c.User(), args.Emergency)
	return keySchedule(s), err
}

func showSigningKeys(ctx context.Context, c *Connection) (jimmapi.SigningKeySchedule, error) {
	s, err := c.server.Estate.SigningKeySchedule(ctx, *c.User())
	return keySchedule(s), err
}

func keySchedule(s estate.KeySchedule) jimmapi.SigningKeySchedule {
	known := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	return jimmapi.SigningKeySchedule{
		Keys: each(s.Keys, func(k estate.SigningKey) jimmapi.SigningKey {
			return jimmapi.SigningKey{
				ID: k.ID, State: string(k.State), PublicFrom: known(k.PublicFrom), SignsFrom: k.SignsFrom,
				SignsUntil: known(k.SignsUntil), PublicUntil: known(k.PublicUntil),
			}
		}),
		MaxAge: int(s.MaxAge / time.Second), Lead: int(s.Lead / time.Second),
	}
}
