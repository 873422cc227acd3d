// Package logging puts into every line of the log what it is about: the
// connection, request, user, controller and model that a context carries, and
// the trace that it is part of.
package logging

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

type key struct{}

// about is a list that grows at its front, so that contexts share its end.
type about struct {
	attrs  []slog.Attr
	before *about
}

// With returns a context whose log lines have these attributes, too: pairs of a
// name and a value, as in slog.
func With(ctx context.Context, args ...any) context.Context {
	before, _ := ctx.Value(key{}).(*about)
	var r slog.Record
	r.Add(args...)
	a := &about{attrs: make([]slog.Attr, 0, r.NumAttrs()), before: before}
	r.Attrs(func(attr slog.Attr) bool {
		a.attrs = append(a.attrs, attr)
		return true
	})
	return context.WithValue(ctx, key{}, a)
}

// Handler adds to next what contexts carry, and hides values whose names say
// that they are secrets, should one ever get there.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	said := map[string]bool{}
	line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	add := func(a slog.Attr) {
		if !said[a.Key] { // what the line itself says is nearer
			said[a.Key] = true
			line.AddAttrs(hide(a))
		}
	}
	r.Attrs(func(a slog.Attr) bool { add(a); return true })
	for a, _ := ctx.Value(key{}).(*about); a != nil; a = a.before {
		for _, attr := range a.attrs {
			add(attr)
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line.AddAttrs(slog.String("trace", span.TraceID().String()), slog.String("span", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		hidden[i] = hide(a)
	}
	return handler{h.Handler.WithAttrs(hidden)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// hide takes away the value of what is called like a secret.
func hide(a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindGroup {
		var attrs []any
		for _, inner := range a.Value.Group() {
			attrs = append(attrs, hide(inner))
		}
		return slog.Group(a.Key, attrs...)
	}
	name := strings.ToLower(a.Key)
	for _, word := range []string{"password", "secret", "token", "credential", "macaroon", "cookie", "authorization"} {
		if strings.Contains(name, word) {
			return slog.String(a.Key, "(hidden)")
		}
	}
	return a
}
