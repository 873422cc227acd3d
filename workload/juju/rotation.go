package juju

import (
	"context"
	"time"

	"jimm/workload/estate"
)

var _ estate.SigningKeys = (*Keys)(nil)

// Rotate implements estate.SigningKeys. The next key begins to sign as soon as
// it has been public for the lead; asking again before that changes nothing.
//
// In an emergency all keys are dropped, the next included, for it was kept with
// the others. Controllers learn of the new ones when they ask for the set again,
// which is within its max-age and the 15 minutes between their looks; until then
// they refuse what is signed with the new, and take what was signed with the old.
func (k *Keys) Rotate(ctx context.Context, emergency bool) error {
	return k.change(ctx, func(keys []signingKey) ([]signingKey, bool, error) {
		if emergency {
			return k.due(nil)
		}
		keys, changed, err := k.due(keys)
		if err != nil {
			return nil, false, err
		}
		now := k.opts.Now()
		last := len(keys) - 1
		public := keys[last].PublicFrom
		if public.IsZero() { // it was made when the one before began to sign
			public = keys[last-1].UseFrom
		}
		from := public.Add(k.opts.Lead)
		if from.Before(now) {
			from = now
		}
		from = from.UTC().Truncate(time.Second)
		if !from.Before(keys[last].UseFrom) {
			return keys, changed, nil
		}
		rotated := append([]signingKey(nil), keys...)
		rotated[last].UseFrom = from
		// If it signs at once, the one after it is due.
		rotated, _, err = k.due(rotated)
		return rotated, true, err
	})
}

// Schedule implements estate.SigningKeys.
func (k *Keys) Schedule(ctx context.Context) (estate.KeySchedule, error) {
	if err := k.Tick(ctx); err != nil {
		return estate.KeySchedule{}, err
	}
	set, now := k.set.Load(), k.opts.Now()
	s := estate.KeySchedule{MaxAge: k.opts.MaxAge, Lead: k.opts.Lead}
	for i, key := range set.keys {
		entry := estate.SigningKey{ID: key.Key.KeyID, PublicFrom: key.PublicFrom, SignsFrom: key.UseFrom, State: estate.KeyNext}
		if i+1 < len(set.keys) {
			entry.SignsUntil = set.keys[i+1].UseFrom
			entry.PublicUntil = entry.SignsUntil.Add(k.opts.Keep)
		}
		if !key.UseFrom.After(now) {
			entry.State = estate.KeySigns
			if i > 0 {
				s.Keys[i-1].State = estate.KeyRetired
			}
		}
		s.Keys = append(s.Keys, entry)
	}
	return s, nil
}
