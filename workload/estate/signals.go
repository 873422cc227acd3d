package estate

import "context"

// Signals are how units that share the store tell each other of changes.
type Signals interface {
	// Notify tells all listeners of a channel, in any process; the payload has
	// fewer than 8000 bytes.
	Notify(ctx context.Context, channel, payload string) error
	// Listen calls f, one call at a time, for each payload until ctx ends, whose
	// error it returns. Whenever it begins to listen, also after a loss, it
	// calls f with an empty payload: what was sent before may have been missed.
	Listen(ctx context.Context, channel string, f func(payload string)) error
}

// Leases are what one process holds of things that only one may do at a time.
// An error of any call means that all are lost.
type Leases interface {
	// Take takes a lease, and reports whether this process holds it now.
	Take(ctx context.Context, lease string) (bool, error)
	// Release gives one back.
	Release(ctx context.Context, lease string) error
	// Join says whether this process is counted in a group.
	Join(ctx context.Context, group string, in bool) error
	// Members returns how many processes are counted in a group.
	Members(ctx context.Context, group string) (int, error)
}
