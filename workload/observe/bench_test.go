package observe_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"jimm/workload/observe"
	"jimm/workload/rpc"
)

// BenchmarkRequest is what a request on a controller connection pays for being
// measured: the difference of the two.
func BenchmarkRequest(b *testing.B) {
	plain := rpc.Handler(rpc.HandlerFunc(func(context.Context, *rpc.Request) (any, error) { return nil, nil }))
	for name, handler := range map[string]rpc.Handler{"plain": plain, "measured": observe.New(observe.Options{}).Requests(plain, nil)} {
		b.Run(name, func(b *testing.B) {
			r := &rpc.Request{Type: "ModelManager", Method: "ListModels"}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = handler.ServeRPC(b.Context(), r)
			}
		})
	}
}

// BenchmarkQuery is what a query of PostgreSQL pays.
func BenchmarkQuery(b *testing.B) {
	queries := observe.New(observe.Options{}).Queries()
	b.ReportAllocs()
	for b.Loop() {
		ctx := queries.TraceQueryStart(b.Context(), nil, pgx.TraceQueryStartData{})
		queries.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{})
	}
}
