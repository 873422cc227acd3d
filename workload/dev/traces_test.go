package dev_test

import (
	"slices"
	"testing"

	"github.com/juju/juju/rpc/params"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"jimm/workload/dev"
	"jimm/workload/rpc"
)

func TestARequestIsTracedThroughAllThatItTakes(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	s, err := dev.Start(t.Context(), dev.Options{Dir: t.TempDir(), Juju: "sim", Traces: sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := connect(t, s, dev.ServiceSecret)
	if err != nil {
		t.Fatal(err)
	}
	// A client of Juju 4 names its trace in the request.
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx := rpc.WithTrace(t.Context(), traceID, "00f067aa0ba902b7", 1)
	var made params.ModelInfo
	err = c.Call(ctx, "ModelManager", 10, "", "CreateModel", params.ModelCreateArgs{
		Name: "traced", Qualifier: "ci@serviceaccount", CloudTag: "cloud-dev",
	}, &made)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	children := 0
	ids := map[string]bool{"00f067aa0ba902b7": true}
	for _, span := range recorder.Ended() {
		if span.SpanContext().TraceID().String() == traceID {
			ids[span.SpanContext().SpanID().String()] = true
		}
	}
	for _, span := range recorder.Ended() {
		if span.SpanContext().TraceID().String() != traceID {
			continue
		}
		names = append(names, span.Name())
		if ids[span.Parent().SpanID().String()] {
			children++
		}
	}
	for _, want := range []string{"jimm.facade", "jimm.openfga", "jimm.db", "jimm.juju-dial", "jimm.juju-rpc"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not in the trace, which has %v", want, names)
		}
	}
	if children != len(names) {
		t.Errorf("of %d spans only %d have a parent in the trace", len(names), children)
	}
	for _, span := range recorder.Ended() {
		if span.Name() == "jimm.login" {
			return
		}
	}
	t.Error("the login has no span")
}
