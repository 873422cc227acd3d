package rpc

import "context"

type traceKey struct{}

type callTrace struct {
	trace, span string
	flags       int
}

// WithTrace makes the calls of a Client part of a trace: the ids are those of
// W3C Trace Context, in hexadecimal, which Juju takes in its requests.
func WithTrace(ctx context.Context, traceID, spanID string, flags int) context.Context {
	return context.WithValue(ctx, traceKey{}, callTrace{traceID, spanID, flags})
}

// trace puts the trace of a context into a request.
func (r *Request) trace(ctx context.Context) {
	if t, ok := ctx.Value(traceKey{}).(callTrace); ok {
		r.TraceID, r.SpanID, r.TraceFlags = t.trace, t.span, t.flags
	}
}
