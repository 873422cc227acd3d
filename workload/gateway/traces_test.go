package gateway

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"jimm/workload/observe"
	"jimm/workload/rpc"
)

func TestEveryForwardedRequestIsASpanUntilItsReply(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	traces := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
	w, url := start(t, func(c *Config) {
		c.Forward = observe.New(observe.Options{Traces: traces, Log: slog.New(slog.DiscardHandler)}).Forward()
	})
	w.may = map[string]string{modelTag: "write"}
	c := login(t, url)
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := rpc.WithTrace(t.Context(), traceID, "00f067aa0ba902b7", 1)
	for facade, method := range map[string]string{"Echo": "Echo", "Pinger": "Ping"} {
		if err := c.Call(ctx, facade, 1, "", method, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Call(ctx, "Application", 1, "", "Deploy", nil, nil); err != nil { // is widened
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "Nonsense", 1, "", "Call", nil, nil); err == nil {
		t.Fatal("nonsense is answered")
	}
	waiting := make(chan error, 1)
	go func() { waiting <- c.Call(t.Context(), "AllWatcher", 1, "1", "Next", nil, nil) }()
	go func() { _ = c.Call(t.Context(), "Client", 1, "", "Die", nil, nil) }()
	<-waiting
	var got []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got = nil
		for _, span := range recorder.Ended() {
			text := span.Name()
			for _, a := range span.Attributes()[:2] {
				text += " " + a.Value.AsString()
			}
			if span.Parent().TraceID().String() == traceID {
				text += " of the client's trace"
			}
			if span.Status().Code == codes.Error {
				text += ": " + span.Status().Description
			}
			got = append(got, text)
		}
		if len(got) >= 4 || time.Now().After(deadline) {
			break
		}
	}
	slices.Sort(got)
	want := []string{
		"jimm.model-request Application Deploy of the client's trace",
		"jimm.model-request Client Die: connection failed",
		"jimm.model-request Echo Echo of the client's trace",
		"jimm.model-request Nonsense Call: not implemented",
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans are %q, want %q", got, want)
	}
}

// BenchmarkForward is a request and its reply through the gateway, with tracing off,
// with none of the requests sampled, and with all.
func BenchmarkForward(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	for _, way := range []struct {
		name   string
		traces trace.TracerProvider
	}{
		{"off", nil},
		{"none sampled", sdk.NewTracerProvider(sdk.WithSampler(sdk.TraceIDRatioBased(0)))},
		{"all sampled", sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()))},
	} {
		b.Run(way.name, func(b *testing.B) {
			_, url := start(b, func(c *Config) {
				c.Log, c.Recorder = quiet, nil
				c.Forward = observe.New(observe.Options{Traces: way.traces, Log: quiet}).Forward()
			})
			c := login(b, url)
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Call(b.Context(), "Echo", 1, "", "Echo", nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestWhatIsNotTracedCostsNothing(t *testing.T) {
	if observe.New(observe.Options{}).Forward() != nil {
		t.Error("requests are looked at though nothing is traced")
	}
	none := sdk.NewTracerProvider(sdk.WithSampler(sdk.TraceIDRatioBased(0)))
	r := &rpc.Request{Type: "Client", Method: "FullStatus"}
	if observe.New(observe.Options{Traces: none}).Forward()(t.Context(), r, modelUUID) != nil {
		t.Error("a request that is not sampled is watched")
	}
}
