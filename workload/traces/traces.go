// Package traces sends spans to an OpenTelemetry collector, as the standard
// variables of the environment (OTEL_*) say.
package traces

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Open returns what makes spans, or nil if the environment names no collector.
// Close sends the last ones. A collector that does not answer is no error:
// spans are lost then, and nothing else.
func Open(ctx context.Context, version string) (_ trace.TracerProvider, closing func(context.Context) error, err error) {
	if !wanted() {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := exporter(ctx)
	if err != nil {
		return nil, nil, err
	}
	// The environment, read last, wins: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "jimm"), attribute.String("service.version", version),
	), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot set up traces: %w", err)
	}
	options := []sdk.TracerProviderOption{sdk.WithBatcher(exporter), sdk.WithResource(about)}
	if ratio := os.Getenv("OTEL_TRACES_SAMPLE_RATIO"); ratio != "" && os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		part, err := strconv.ParseFloat(ratio, 64)
		if err != nil || part < 0 || part > 1 {
			return nil, nil, fmt.Errorf("OTEL_TRACES_SAMPLE_RATIO must be a number from 0 to 1, not %q", ratio)
		}
		options = append(options, sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(part))))
	}
	provider := sdk.NewTracerProvider(options...)
	return provider, provider.Shutdown, nil
}

func wanted() bool {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// exporter reads the rest of OTEL_EXPORTER_OTLP_* by itself.
func exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	switch protocol {
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	}
	return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or grpc, not %q", protocol)
}
