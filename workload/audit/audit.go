// Package audit collects what happened: who asked what of which model, and how
// it ended. Events are redacted by an allow-list, buffered within bounds and
// written in batches in the background. When the sink falls behind, callers
// wait, and for so long only: then what they want to do is refused. No event is
// dropped.
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
	// SaveAuditEvents appends events, all or none. An error with a code other than
	// CodeConnectionFailed says that the events themselves are refused, any other
	// that it may be tried again.
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
	// MaxWait bounds how long callers wait (default 5 s). When one has done so in
	// vain, the next do not wait at all, until something is written.
	MaxWait time.Duration
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
	if o.MaxWait <= 0 {
		o.MaxWait = 5 * time.Second
	}
	if o.SaveTimeout <= 0 {
		o.SaveTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// What Record gives, beside the error of a context.
var (
	// ErrClosed says that the log was closed.
	ErrClosed = &estate.Error{Code: estate.CodeConnectionFailed, Message: "JIMM is stopping, and takes no more requests; try again in a minute"}
	// ErrBehind says that a request was not taken, and must not be acted on.
	ErrBehind = &estate.Error{
		Code:    estate.CodeConnectionFailed,
		Message: "cannot do this now: JIMM's audit log cannot be written, since its database does not answer or is too slow; try again in a minute",
	}
	// ErrUnwritten says that a reply was taken, but is not written.
	ErrUnwritten = &estate.Error{
		Code:    estate.CodeConnectionFailed,
		Message: "JIMM cannot write down how this has ended, since its database does not answer or is too slow; see whether it was done before you try again",
	}
)

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
	// stalled is set when somebody has waited in vain since the last progress.
	stalled bool
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
	// size is what the entry counts for, in bytes; 0 if it does not count.
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
// changed any more.
//
// A request is taken when the log has room and keeps up with what it has: the
// call waits for that, and fails if ctx ends meanwhile, with ErrBehind if it takes
// too long, or with ErrClosed. A reply is of something that was done, and is
// taken at once; then the call waits until the log keeps up, and fails with
// ErrUnwritten if it takes too long.
func (l *Log) Record(ctx context.Context, e estate.AuditEvent) error {
	return l.add(ctx, entry{event: e})
}

// Ready waits until a request would be taken, as Record does: for what is
// recorded only when it has been done.
func (l *Log) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.opts.MaxWait, ErrBehind)
	defer cancel()
	return l.keepUp(ctx, ErrBehind)
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
	size := int64(overhead + len(e.event.Params) + len(e.event.Error) + len(e.event.ObjectID) + len(e.event.Facade) + len(e.event.Method))
	size = min(size, int64(l.opts.MaxBytes)) // one that exceeds the bound alone has it alone
	if e.event.IsResponse {
		// Beyond the bounds, where there is no room: there are no more of them than
		// requests that were under way.
		if l.reserveAtOnce(size) {
			e.size = size
		}
		if err := l.append(e); err != nil {
			return err
		}
		if l.keepsUp() {
			return nil
		}
		ctx, cancel := context.WithTimeoutCause(ctx, l.opts.MaxWait, ErrUnwritten)
		defer cancel()
		return l.keepUp(ctx, ErrUnwritten)
	}
	if !l.keepsUp() || !l.reserveAtOnce(size) {
		ctx, cancel := context.WithTimeoutCause(ctx, l.opts.MaxWait, ErrBehind)
		defer cancel()
		if err := l.keepUp(ctx, ErrBehind); err != nil {
			return err
		}
		if err := l.reserve(ctx, size); err != nil {
			return err
		}
	}
	e.size = size
	return l.append(e)
}

// append gives the writer an event.
func (l *Log) append(e entry) error {
	e.at = time.Now().UnixNano()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		if e.size > 0 {
			l.release(1, e.size)
		}
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

// reserveAtOnce takes what the bounds allow for one more event, if they do.
func (l *Log) reserveAtOnce(size int64) bool {
	if !l.events.TryAcquire(1) {
		return false
	}
	if !l.bytes.TryAcquire(size) {
		l.events.Release(1)
		return false
	}
	return true
}

// reserve waits until the bounds allow one more event.
func (l *Log) reserve(ctx context.Context, size int64) error {
	if l.reserveAtOnce(size) {
		return nil
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
	return ended(waiting)
}

// ended says why there was no waiting any longer.
func ended(ctx context.Context) error {
	err := context.Cause(ctx)
	if estate.CodeOf(err) != "" {
		return err
	}
	return fmt.Errorf("cannot record audit event: %w", err)
}

// keepsUp reports that the oldest event that is not written is not too old.
func (l *Log) keepsUp() bool {
	oldest := l.oldest.Load()
	return oldest == 0 || time.Now().UnixNano()-oldest < int64(l.opts.MaxLag)
}

// keepUp waits while the oldest event that is not written is too old, and fails
// with late when that takes too long, which is also the cause that ends ctx then.
func (l *Log) keepUp(ctx context.Context, late error) error {
	for {
		l.mu.Lock()
		progress, closed, stalled := l.progress, l.closed, l.stalled
		l.mu.Unlock()
		switch {
		case l.keepsUp():
			return nil
		case closed:
			return ErrClosed
		case stalled:
			return late
		}
		select {
		case <-progress:
		case <-l.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			err := ended(ctx)
			if err == late {
				l.mu.Lock()
				l.stalled = l.progress == progress
				l.mu.Unlock()
			}
			return err
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
	l.stalled = false
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
	counted := 0
	for i := range chunk {
		e := &chunk[i]
		events[i] = e.event
		if e.raw {
			events[i].Params = Redact(e.event.Facade, e.event.Method, e.event.Params)
		}
		if e.size > 0 {
			counted++
			size += e.size
		}
	}
	l.save(events)
	l.release(counted, size)
}

// save writes events, however long it takes. If the sink refuses them, the
// good ones among them are found and written, and a refused one is logged.
func (l *Log) save(events []estate.AuditEvent) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 2*time.Second
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
		case estate.CodeOf(err) == "", estate.Is(err, estate.CodeConnectionFailed):
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
