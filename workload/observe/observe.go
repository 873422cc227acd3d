// Package observe is how JIMM is watched while it runs: what it counts and
// measures for Prometheus, the spans that it traces, whether what it depends on
// answers, and the listener for all of that. It wraps the estate's ports and
// hooks into the adapters, so that none of them has lines about it.
package observe

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"jimm/workload/estate"
)

// Options are what Instruments are made of; the zero value counts, and traces
// nothing.
type Options struct {
	// Version and Commit are JIMM's own.
	Version, Commit string
	// Log is told, at level debug, of every request answered; nil is slog.Default.
	Log *slog.Logger
	// Traces makes spans; nil makes none.
	Traces trace.TracerProvider
}

// Instruments count, measure and trace. They are safe for concurrent use.
type Instruments struct {
	families
	registry *prometheus.Registry
	tracer   trace.Tracer
	tracing  bool
	log      *slog.Logger
}

// New makes the instruments of one process.
func New(o Options) *Instruments {
	tracing := o.Traces != nil
	if !tracing {
		o.Traces = noop.NewTracerProvider()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	i := &Instruments{log: o.Log, registry: prometheus.NewRegistry(), tracer: o.Traces.Tracer("jimm"), tracing: tracing}
	i.families = newFamilies(i.registry)
	i.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	i.buildInfo.WithLabelValues(o.Version, o.Commit).Set(1)
	return i
}

// Registry is where everything is registered that /metrics shows.
func (i *Instruments) Registry() *prometheus.Registry { return i.registry }

// span begins a span; the function ends it, with how it went.
func (i *Instruments) span(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	ctx, span := i.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return ctx, func(err error) {
		if err != nil {
			// The text may name users and models; a span gets the code only.
			code := estate.CodeOf(err)
			if code == "" {
				code = "internal error"
			}
			span.SetStatus(codes.Error, code)
		}
		span.End()
	}
}
