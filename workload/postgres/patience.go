package postgres

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"jimm/workload/postgres/outage"
)

// patience bounds how long each use of the pool may take, and tells the log when
// the database begins to fail, and when it is well again. pgx takes the contexts
// that its tracers return.
type patience struct {
	bound time.Duration
	log   *slog.Logger
	// trouble is how the database fails, nil while it does not.
	trouble atomic.Pointer[string]
}

var (
	_ pgx.BatchTracer       = (*patience)(nil)
	_ pgx.CopyFromTracer    = (*patience)(nil)
	_ pgxpool.AcquireTracer = (*patience)(nil)
)

// muchKey is where a context has that it is for a use of the pool that may take
// long, and boundKey where it has what ends its bound.
type (
	muchKey  struct{}
	boundKey struct{}
)

// forMuch is for what goes through much of a table that grows for ever.
func forMuch(ctx context.Context) context.Context { return context.WithValue(ctx, muchKey{}, true) }

func (p *patience) begin(ctx context.Context) context.Context {
	bound := p.bound
	switch {
	case ctx.Value(muchKey{}) != nil:
		bound *= 6
	case p.trouble.Load() != nil:
		// So that a request for many things does not wait that long for each. That a
		// slow database is well again is seen by the audit log, which is forMuch.
		bound /= 10
	}
	if deadline, has := ctx.Deadline(); has && time.Until(deadline) < bound {
		return context.WithValue(ctx, boundKey{}, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	return context.WithValue(ctx, boundKey{}, cancel)
}

func (p *patience) end(ctx context.Context, err error) {
	cancel, ours := ctx.Value(boundKey{}).(context.CancelFunc)
	if ours {
		cancel()
	}
	before := p.trouble.Load()
	if err == nil {
		if before != nil && p.trouble.CompareAndSwap(before, nil) {
			p.log.Info("the database is well again", "was", *before)
		}
		return
	}
	why := outage.Of(err)
	if why == "" || !ours && errors.Is(err, context.DeadlineExceeded) {
		return // what the caller has left of its time may be too little
	}
	if (before == nil || *before != why) && p.trouble.CompareAndSwap(before, &why) {
		p.log.Error("the database fails", "problem", why, "error", err)
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (p *patience) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return p.begin(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (p *patience) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	p.end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (p *patience) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return p.begin(ctx)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (p *patience) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (p *patience) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	p.end(ctx, data.Err)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (p *patience) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return p.begin(ctx)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (p *patience) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	p.end(ctx, data.Err)
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (p *patience) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return p.begin(ctx)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer. That there is a connection
// does not say that it is good.
func (p *patience) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err == nil {
		data.Err = context.Canceled
	}
	p.end(ctx, data.Err)
}
