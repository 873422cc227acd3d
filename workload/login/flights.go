package login

import (
	"context"
	"sync"
)

// flights lets callers that want the same thing at the same time share one
// attempt to get it. The first makes the attempt, within its own context; the
// others wait, each within its own. When the first gives up, one of them makes
// the next attempt. (golang.org/x/sync/singleflight would have all of them fail
// with the first, or leave a goroutine that nobody waits for.)
type flights[K comparable, V any] struct {
	mu  sync.Mutex
	all map[K]*flight[V]
}

type flight[V any] struct {
	// landed is closed when the others may be read.
	landed    chan struct{}
	value     V
	err       error
	abandoned bool
}

func (f *flights[K, V]) do(ctx context.Context, key K, attempt func() (V, error)) (V, error) {
	for {
		f.mu.Lock()
		running, ok := f.all[key]
		if !ok {
			mine := &flight[V]{landed: make(chan struct{}), abandoned: true}
			if f.all == nil {
				f.all = map[K]*flight[V]{}
			}
			f.all[key] = mine
			f.mu.Unlock()
			return f.fly(ctx, key, mine, attempt)
		}
		f.mu.Unlock()
		select {
		case <-running.landed:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if !running.abandoned {
			return running.value, running.err
		}
	}
}

func (f *flights[K, V]) fly(ctx context.Context, key K, mine *flight[V], attempt func() (V, error)) (V, error) {
	// Deferred, and abandoned until then, so that a panic strands nobody.
	defer func() {
		f.mu.Lock()
		delete(f.all, key)
		f.mu.Unlock()
		close(mine.landed)
	}()
	mine.value, mine.err = attempt()
	mine.abandoned = mine.err != nil && ctx.Err() != nil
	return mine.value, mine.err
}
