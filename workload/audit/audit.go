// Package audit collects what happened: who asked what of which model, and how
// it ended. Events are redacted by an allow-list, buffered within bounds and
// written in batches in the background. When the sink falls behind, callers
// wait; no event is dropped.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"

	"jimm/workload/estate"
)

// Sink is where events are kept.
type Sink interface {
	// SaveAuditEvents appends events, all or none. An error with a code says
	// that the events themselves are refused, any other that it may be tried
	// again.
	SaveAuditEvents(ctx context.Context, events []estate.AuditEvent) error
}

// Options bound a log; the zero value is ready for use.
type Options struct {
	// MaxEvents (default 16384) and MaxBytes (default 16 MiB) bound what is
	// held in memory, waiting or being written. An event counts with its
	// parameters and texts and 256 bytes for itself.
	MaxEvents, MaxBytes int
	// BatchEvents is the most that are written at once (default 1000).
	BatchEvents int
	// Interval is how long an event waits for others to be written with
	// (default 200 ms).
	Interval time.Duration
	// MaxLag is how old the oldest event that is not written may become before
	// callers wait (default 700 ms): what a crash can lose is what was recorded
	// within that time.
	MaxLag time.Duration
	// MaxParams is the size in bytes up to which parameters are looked at
	// (default 16 KiB); of larger ones only the size is recorded.
	MaxParams int
	// SaveTimeout bounds one attempt to write (default 30 s). An attempt whose
	// end is not known is repeated, so an event can be written twice.
	SaveTimeout time.Duration
	// Log is told when writing fails; nil is slog.Default.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *int
		def   int
	}{{&o.MaxEvents, 16 << 10}, {&o.MaxBytes, 16 << 20}, {&o.BatchEvents, 1000}, {&o.MaxParams, 16 << 10}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if o.Interval <= 0 {
		o.Interval = 200 * time.Millisecond
	}
	if o.MaxLag <= 0 {
		o.MaxLag = 700 * time.Millisecond
	}
	if o.SaveTimeout <= 0 {
		o.SaveTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// ErrClosed is what Record gives after Close.
var ErrClosed = errors.New("the audit log is closed")

// Log takes events. It may be used by many at once.
type Log struct {
	sink Sink
	opts Options
	// events and bytes are what the bounds still allow.
	events, bytes *semaphore.Weighted

	mu      sync.Mutex
	pending []entry
	spare   []entry // storage of the last batch, for the next
	closed  bool
	// progress is closed, and replaced, when the writer has written something.
	progress chan struct{}
	// oldest is when the oldest event that is not written was recorded, in
	// nanoseconds of Unix time; 0 if there is none.
	oldest atomic.Int64

	some    chan struct{} // has an element when pending is not empty
	full    chan struct{} // has an element when a batch has come together
	closing chan struct{} // is closed by Close
	done    chan struct{} // is closed when the writer has ended
	// giveUp ends the writer's attempts, when Close may not wait any longer.
	ctx    context.Context
	giveUp context.CancelFunc
	lost   int   // events not written when the writer ended
	last   error // why
}

// entry is an event on its way.
type entry struct {
	event estate.AuditEvent
	// raw means that Params is still to be redacted.
	raw bool
	// size is what the entry counts for, in bytes.
	size int64
	// at is when it was recorded, in nanoseconds of Unix time.
	at int64
}

// New returns a log that writes to sink until it is closed.
func New(sink Sink, opts Options) *Log {
	opts = opts.withDefaults()
	l := &Log{
		sink: sink, opts: opts,
		events: semaphore.NewWeighted(int64(opts.MaxEvents)), bytes: semaphore.NewWeighted(int64(opts.MaxBytes)),
		progress: make(chan struct{}),
		some:     make(chan struct{}, 1), full: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	l.ctx, l.giveUp = context.WithCancel(context.Background())
	go l.write()
	return l
}

// Record takes an event whose Params are already redacted, or nil, and are not
// changed any more. It waits while the log is full; it fails when ctx ends
// meanwhile, or with ErrClosed.
func (l *Log) Record(ctx context.Context, e estate.AuditEvent) error {
	return l.add(ctx, entry{event: e})
}

// RecordRaw is Record for an event with Params as the client sent them. They
// need to be valid only during the call: what the allow-list wants to look at
// is copied, and redacted in the background.
func (l *Log) RecordRaw(ctx context.Context, e estate.AuditEvent) error {
	switch params := e.Params; {
	case empty(params):
		e.Params = nil
	case rules[method{e.Facade, e.Method}] == nil:
		e.Params = redacted
	case len(params) > l.opts.MaxParams:
		e.Params = fmt.Appendf(nil, `{"redacted":true,"bytes":%d}`, len(params))
	default:
		e.Params = slices.Clone(params)
		return l.add(ctx, entry{event: e, raw: true})
	}
	return l.add(ctx, entry{event: e})
}

func (l *Log) add(ctx context.Context, e entry) error {
	const overhead = 256
	e.size = int64(overhead + len(e.event.Params) + len(e.event.Error) + len(e.event.ObjectID) + len(e.event.Facade) + len(e.event.Method))
	e.size = min(e.size, int64(l.opts.MaxBytes)) // one that exceeds the bound alone has it alone
	if err := l.reserve(ctx, e.size); err != nil {
		return err
	}
	if err := l.keepUp(ctx); err != nil {
		l.release(1, e.size)
		return err
	}
	e.at = time.Now().UnixNano()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.release(1, e.size)
		return ErrClosed
	}
	l.pending = append(l.pending, e)
	n := len(l.pending)
	l.oldest.CompareAndSwap(0, e.at)
	l.mu.Unlock()
	if n == 1 {
		signal(l.some)
	}
	if n == l.opts.BatchEvents {
		signal(l.full)
	}
	return nil
}

// reserve waits until the bounds allow one more event.
func (l *Log) reserve(ctx context.Context, size int64) error {
	if l.events.TryAcquire(1) {
		if l.bytes.TryAcquire(size) {
			return nil
		}
		l.events.Release(1)
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(ErrClosed) })()
	if l.events.Acquire(waiting, 1) == nil {
		if l.bytes.Acquire(waiting, size) == nil {
			return nil
		}
		l.events.Release(1)
	}
	if err := context.Cause(waiting); errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("cannot record audit event: %w", ctx.Err())
}

// keepUp waits while the oldest event that is not written is too old.
func (l *Log) keepUp(ctx context.Context) error {
	for {
		oldest := l.oldest.Load()
		if oldest == 0 || time.Now().UnixNano()-oldest < int64(l.opts.MaxLag) {
			return nil
		}
		l.mu.Lock()
		progress, closed := l.progress, l.closed
		l.mu.Unlock()
		if closed {
			return ErrClosed
		}
		if l.oldest.Load() != oldest {
			continue
		}
		select {
		case <-progress:
		case <-l.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("cannot record audit event: %w", ctx.Err())
		}
	}
}

// written notes that the oldest event that is not written is now next, or if
// that is nil the first one pending.
func (l *Log) written(next *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case next != nil:
		l.oldest.Store(next.at)
	case len(l.pending) > 0:
		l.oldest.Store(l.pending[0].at)
	default:
		l.oldest.Store(0)
	}
	close(l.progress)
	l.progress = make(chan struct{})
}

func (l *Log) release(events int, size int64) {
	l.bytes.Release(size)
	l.events.Release(int64(events))
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what was recorded and ends the log. When ctx ends before that,
// it gives up and says how many events are lost.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
	l.mu.Unlock()
	defer context.AfterFunc(ctx, l.giveUp)()
	<-l.done
	if l.lost > 0 {
		return fmt.Errorf("cannot close the audit log: %d events are lost: %w", l.lost, l.last)
	}
	return nil
}

// Pending returns how many events wait to be written.
func (l *Log) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

// write is the log's writer; it ends after Close.
func (l *Log) write() {
	defer close(l.done)
	defer l.giveUp() // who waits for room gets ErrClosed
	for closing := false; ; {
		if !closing {
			select {
			case <-l.some:
				closing = !l.gather()
			case <-l.closing:
				closing = true
			}
		}
		batch := l.take()
		if len(batch) == 0 && closing {
			return
		}
		for rest := batch; len(rest) > 0; {
			n := min(len(rest), l.opts.BatchEvents)
			l.writeChunk(rest[:n])
			rest = rest[n:]
			if len(rest) > 0 {
				l.written(&rest[0])
			} else {
				l.written(nil)
			}
		}
		l.giveBack(batch)
	}
}

// gather waits for more to write at once; false if the log is closing.
func (l *Log) gather() bool {
	timer := time.NewTimer(l.opts.Interval)
	defer timer.Stop()
	select {
	case <-l.full:
	case <-timer.C:
	case <-l.closing:
		return false
	}
	return true
}

func (l *Log) take() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	// What the signals said is about what is taken here.
	select {
	case <-l.some:
	default:
	}
	select {
	case <-l.full:
	default:
	}
	batch := l.pending
	l.pending, l.spare = l.spare[:0], nil
	return batch
}

func (l *Log) giveBack(batch []entry) {
	clear(batch)
	l.mu.Lock()
	l.spare = batch
	l.mu.Unlock()
}

func (l *Log) writeChunk(chunk []entry) {
	events := make([]estate.AuditEvent, len(chunk))
	var size int64
	for i := range chunk {
		e := &chunk[i]
		events[i] = e.event
		if e.raw {
			events[i].Params = Redact(e.event.Facade, e.event.Method, e.event.Params)
		}
		size += e.size
	}
	l.save(events)
	l.release(len(chunk), size)
}

// save writes events, however long it takes. If the sink refuses them, the
// good ones among them are found and written, and a refused one is logged.
func (l *Log) save(events []estate.AuditEvent) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 10*time.Second
	for {
		if l.ctx.Err() != nil {
			l.lost += len(events)
			if l.last == nil {
				l.last = errors.New("there was no time to write them")
			}
			return
		}
		attempt, cancel := context.WithTimeout(l.ctx, l.opts.SaveTimeout)
		err := l.sink.SaveAuditEvents(attempt, events)
		cancel()
		switch {
		case err == nil:
			return
		case estate.CodeOf(err) == "":
			if l.ctx.Err() == nil { // else it only says that we gave up
				l.last = err
			}
		case len(events) == 1:
			e := events[0]
			l.opts.Log.Error("audit event was refused", "error", err, "time", e.Time, "user", e.User, "facade", e.Facade,
				"method", e.Method, "model", e.Model, "conversation", e.ConversationID, "message", e.MessageID)
			return
		default:
			half := len(events) / 2
			l.save(events[:half])
			l.save(events[half:])
			return
		}
		pause := wait.NextBackOff()
		l.opts.Log.Warn("cannot write audit events yet", "events", len(events), "error", err, "again", pause)
		select {
		case <-l.ctx.Done():
		case <-time.After(pause):
		}
	}
}

func empty(params json.RawMessage) bool {
	switch string(params) {
	case "", "null", "{}":
		return true
	}
	return false
}
