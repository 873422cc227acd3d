package observe

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

const (
	internal = trace.SpanKindInternal
	outgoing = trace.SpanKindClient
	incoming = trace.SpanKindServer
)

// Queries measures and traces what pgx does; it is a pgx.QueryTracer and a
// pgx.BatchTracer. The method is the function of the adapter that asks, such
// as postgres.Models.
func (i *Instruments) Queries() pgx.QueryTracer { return queries{i} }

type queries struct{ *Instruments }

var _ pgx.BatchTracer = queries{}

type queryKey struct{}

type query struct {
	method string
	began  time.Time
	end    func(error)
}

func (q queries) begin(ctx context.Context) context.Context {
	method := asking()
	ctx, end := q.span(ctx, "jimm.db", outgoing, attribute.String("db.system", "postgresql"), attribute.String("jimm.method", method))
	return context.WithValue(ctx, queryKey{}, &query{method: method, began: time.Now(), end: end})
}

func (q queries) finish(ctx context.Context, err error) {
	asked, ok := ctx.Value(queryKey{}).(*query)
	if !ok {
		return
	}
	asked.end(err)
	q.dbDuration.WithLabelValues(asked.method).Observe(time.Since(asked.began).Seconds())
	failed := q.dbErrors.WithLabelValues(asked.method) // from the first query on, since a rate needs the 0
	if err != nil && !gaveUp(err) && !expected(err) {
		failed.Inc()
	}
}

// expected reports errors that say something about the rows and not about the
// database: no rows, or a constraint that holds.
func expected(err error) bool {
	var refused *pgconn.PgError
	return errors.Is(err, pgx.ErrNoRows) || errors.As(err, &refused) && strings.HasPrefix(refused.Code, "23")
}

// TraceQueryStart implements pgx.QueryTracer.
func (q queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return q.begin(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (q queries) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	q.finish(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (q queries) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return q.begin(ctx)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (q queries) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (q queries) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	q.finish(ctx, data.Err)
}

const ours = "jimm/workload/"

// asking finds who of us makes a query: of the innermost package of ours on the
// stack, the outermost function.
func asking() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	pkg, function := "", "other"
	for {
		frame, more := frames.Next()
		name, ok := strings.CutPrefix(frame.Function, ours)
		at, rest, _ := strings.Cut(name, ".")
		switch {
		case !ok, at == "observe":
			if pkg != "" && !strings.HasPrefix(frame.Function, "github.com/jackc/") {
				return pkg + "." + function
			}
		case pkg == "" || at == pkg:
			pkg, function = at, methodName(rest)
		default:
			return pkg + "." + function
		}
		if !more {
			return pkg + "." + function
		}
	}
}

// methodName is Models of (*Store).Models.func1.
func methodName(name string) string {
	if _, rest, ok := strings.Cut(name, ")."); ok {
		name = rest
	}
	for j, c := range name {
		if c == '.' || c == '[' {
			return name[:j]
		}
	}
	return name
}

// Pool shows how many connections a pool has.
func (i *Instruments) Pool(pool *pgxpool.Pool) {
	const name, help = "jimm_db_connections", "Connections to PostgreSQL, beside those for leases and for listening: used, idle, and the most there may be."
	i.Value("gauge", name, help, func() float64 { return float64(pool.Stat().AcquiredConns()) }, "state", "used")
	i.Value("gauge", name, help, func() float64 { return float64(pool.Stat().IdleConns()) }, "state", "idle")
	i.Value("gauge", name, help, func() float64 { return float64(pool.Stat().MaxConns()) }, "state", "limit")
	i.Value("counter", "jimm_db_connection_wait_seconds_total", "How long queries have waited for a connection.", func() float64 {
		return pool.Stat().EmptyAcquireWaitTime().Seconds()
	})
}
