package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"jimm/workload/logging"
)

func TestLinesSayWhatTheyAreAbout(t *testing.T) {
	connected := logging.With(t.Context(), "connection", "c1", "user", "alice@example.com")
	asked := logging.With(connected, "request", 7, "model", "m1")
	traced := trace.ContextWithSpanContext(asked, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for _, test := range []struct {
		name string
		ctx  context.Context
		log  func(context.Context, *slog.Logger)
		want map[string]any
	}{
		{"nothing in the context", t.Context(), func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "hello") },
			map[string]any{"msg": "hello"}},
		{"a connection", connected, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "hello", "n", 1) },
			map[string]any{"msg": "hello", "n": 1.0, "connection": "c1", "user": "alice@example.com"}},
		{"a request in a connection, and a line that says something nearer", asked,
			func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "hello", "model", "m2") },
			map[string]any{"msg": "hello", "connection": "c1", "user": "alice@example.com", "request": 7.0, "model": "m2"}},
		{"a trace", traced, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "hello") },
			map[string]any{"msg": "hello", "connection": "c1", "user": "alice@example.com", "request": 7.0, "model": "m1",
				"trace": "01000000000000000000000000000000", "span": "0200000000000000"}},
		{"secrets", t.Context(), func(ctx context.Context, l *slog.Logger) {
			l.With("Admin-Password", "p").InfoContext(ctx, "hello", "token", "t", slog.Group("http", "Set-Cookie", "c", "status", 200))
		}, map[string]any{"msg": "hello", "Admin-Password": "(hidden)", "token": "(hidden)", "http": map[string]any{"Set-Cookie": "(hidden)", "status": 200.0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			test.log(test.ctx, slog.New(logging.Handler(slog.NewJSONHandler(&out, nil))))
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			delete(got, "level")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
