package observe

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"jimm/workload/rpc"
)

// Propagate makes requests part of the trace that they are made in, for
// services of our own.
func Propagate(next http.RoundTripper) http.RoundTripper {
	return propagating{next}
}

type propagating struct{ http.RoundTripper }

func (p propagating) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace.SpanContextFromContext(r.Context()).IsValid() {
		r = r.Clone(r.Context())
		propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	}
	return p.RoundTripper.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (p propagating) CloseIdleConnections() {
	if next, ok := p.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// joinedKey marks contexts of HTTP requests that came with a trace.
type joinedKey struct{}

// Admission traces how somebody logs in on a model connection.
func (i *Instruments) Admission(ctx context.Context, modelUUID string) (context.Context, func(error)) {
	if ctx.Value(joinedKey{}) == nil {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	return i.span(ctx, "jimm.model-proxy", incoming, attribute.String("jimm.model", modelUUID))
}

// Forward traces the requests that pass through to a model. It returns nil if nothing
// is traced, so that they cost nothing then.
func (i *Instruments) Forward() func(ctx context.Context, r *rpc.Request, modelUUID string) (replied func(code string)) {
	if !i.tracing {
		return nil
	}
	return func(ctx context.Context, r *rpc.Request, modelUUID string) func(string) {
		_, span := i.tracer.Start(fromRequest(ctx, r), "jimm.model-request", trace.WithSpanKind(incoming))
		if !span.IsRecording() {
			return nil
		}
		span.SetAttributes(attribute.String("jimm.facade", r.Type), attribute.String("jimm.method", r.Method), attribute.String("jimm.model", modelUUID))
		return func(code string) {
			if code != "" {
				span.SetStatus(codes.Error, code)
			}
			span.End()
		}
	}
}

// fromRequest goes on with the trace that a client's request is part of.
func fromRequest(ctx context.Context, r *rpc.Request) context.Context {
	if ctx.Value(joinedKey{}) == nil {
		// A connection may live for days; each request on it is a trace of its own.
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	if r.TraceID == "" || r.SpanID == "" {
		return ctx
	}
	traceID, err := trace.TraceIDFromHex(r.TraceID)
	if err != nil {
		return ctx
	}
	spanID, err := trace.SpanIDFromHex(r.SpanID)
	if err != nil {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(r.TraceFlags) & trace.FlagsSampled, Remote: true,
	}))
}

// toRequest makes the calls of an rpc.Client part of the trace of ctx.
func toRequest(ctx context.Context) context.Context {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return ctx
	}
	return rpc.WithTrace(ctx, span.TraceID().String(), span.SpanID().String(), int(span.TraceFlags()))
}
