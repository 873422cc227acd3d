//go:build integration

package operate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestTracesReachACollectorAndGoOnAtOpenFGA(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var spans, propagated []string
	receiver := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		var request collector.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					spans = append(spans, span.Name)
				}
			}
		}
	}))
	defer receiver.Close()
	fga := w.fgaServer.Config.Handler
	w.fgaServer.Config.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			mu.Lock()
			propagated = append(propagated, parent)
			mu.Unlock()
		}
		fga.ServeHTTP(out, r)
	})
	u := w.start("a", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL})
	w.front.use(u)
	w.addControllers(1)
	u.stop() // which sends the rest

	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"jimm.http", "jimm.facade", "jimm.login", "jimm.db", "jimm.openfga", "jimm.secrets", "jimm.juju-dial", "jimm.juju-rpc"} {
		if !slices.Contains(spans, want) {
			t.Errorf("no %s among %d spans", want, len(spans))
		}
	}
	if len(propagated) == 0 {
		t.Error("OpenFGA is not told of traces")
	}
}
