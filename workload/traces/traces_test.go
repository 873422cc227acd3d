package traces_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"jimm/workload/traces"
)

// receiver is a collector.
type receiver struct {
	mu    sync.Mutex
	spans []string // service and name
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not a trace", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, service+" "+span.Name)
			}
		}
	}
}

func TestSpansReachTheCollectorThatTheEnvironmentNames(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ map[string]string
		want    string
	}{
		{"nothing is set", map[string]string{}, ""},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL"}, "jimm hello"},
		{"what the charm sets", map[string]string{
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "URL/v1/traces", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
			"OTEL_SERVICE_NAME": "juju-jimm-k8s", "OTEL_TRACES_SAMPLE_RATIO": "1.0",
		}, "juju-jimm-k8s hello"},
		{"a ratio of nothing", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_TRACES_SAMPLE_RATIO": "0"}, ""},
		{"switched off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_SDK_DISABLED": "true"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &receiver{}
			server := httptest.NewServer(c)
			defer server.Close()
			for name, value := range test.environ {
				t.Setenv(name, strings.ReplaceAll(value, "URL", server.URL))
			}
			provider, closing, err := traces.Open(t.Context(), "1.0")
			if err != nil {
				t.Fatal(err)
			}
			if provider != nil {
				_, span := provider.Tracer("test").Start(context.Background(), "hello")
				span.End()
			}
			if err := closing(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.spans, ","); got != test.want {
				t.Errorf("the collector got %q, not %q", got, test.want)
			}
		})
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for name, environ := range map[string]map[string]string{
		"a protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"},
		"a ratio":    {"OTEL_TRACES_SAMPLE_RATIO": "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			for name, value := range environ {
				t.Setenv(name, value)
			}
			if _, _, err := traces.Open(t.Context(), "1.0"); err == nil || !strings.Contains(err.Error(), "must be") {
				t.Errorf("got %v", err)
			}
		})
	}
}
