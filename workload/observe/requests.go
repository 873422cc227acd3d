package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// Requests measures and traces what a handler of a controller connection
// answers. waits reports the requests that wait for something to happen, which
// are not measured.
func (i *Instruments) Requests(next rpc.Handler, waits func(*rpc.Request) bool) rpc.Handler {
	return rpc.HandlerFunc(func(ctx context.Context, r *rpc.Request) (any, error) {
		if waits != nil && waits(r) {
			return next.ServeRPC(ctx, r)
		}
		ctx, end := i.span(fromRequest(ctx, r), "jimm.facade", incoming, attribute.String("jimm.facade", r.Type), attribute.String("jimm.method", r.Method))
		began := time.Now()
		result, err := next.ServeRPC(ctx, r)
		end(err)
		i.log.DebugContext(ctx, "answered", "request", r.RequestID, "facade", r.Type, "method", r.Method, "took", time.Since(began), "code", estate.CodeOf(err))
		facade, method, code := r.Type, r.Method, estate.CodeOf(err)
		if code == estate.CodeNotImplemented || code == estate.CodeUnauthorized {
			// Before a login, and for what there is not, clients can name anything.
			facade, method = "unknown", "unknown"
		}
		i.requestDuration.WithLabelValues(facade, method).Observe(time.Since(began).Seconds())
		if err != nil && !gaveUp(err) {
			if code == "" {
				code = "internal"
			}
			i.requestErrors.WithLabelValues(facade, method, code).Inc()
		}
		if r.Type == "ModelManager" && r.Method == "CreateModel" && !gaveUp(err) {
			if err == nil {
				i.modelsCreated.WithLabelValues().Inc()
			} else {
				i.modelsFailed.WithLabelValues().Inc()
			}
		}
		return result, err
	})
}
