package observe_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"jimm/workload/observe"
)

func TestReadinessIsOfWhatIsCriticalAndLivenessOfNothing(t *testing.T) {
	var database, issuer error
	watch := observe.New(observe.Options{})
	health := observe.NewHealth(watch,
		observe.Check{Name: "postgresql", Title: "PostgreSQL", Critical: true, Look: func(context.Context) (string, error) { return "answers", database }},
		observe.Check{Name: "issuer", Title: "Identity provider", Look: func(context.Context) (string, error) { return "answers", issuer }},
	)
	server := httptest.NewServer(watch.Handler(health, nil, "1.0", "abc"))
	defer server.Close()
	get := func(path string) (int, string) {
		t.Helper()
		answer, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	for _, step := range []struct {
		name             string
		database, issuer error
		drain            bool
		ready            int
		says             string
		metric           string
	}{
		{"when all answer", nil, nil, false, 200, "ready", `jimm_dependency_up{dependency="postgresql"} 1`},
		{"when the issuer does not", nil, errors.New("no route"), false, 200, "ready", `jimm_dependency_up{dependency="issuer"} 0`},
		{"when the database does not", errors.New("refused"), nil, false, 503, "PostgreSQL: refused", `jimm_dependency_up{dependency="postgresql"} 0`},
		{"when it is back", nil, nil, false, 200, "ready", `jimm_dependency_up{dependency="postgresql"} 1`},
		{"when it stops", nil, nil, true, 503, "stopping", `jimm_dependency_up{dependency="postgresql"} 1`},
	} {
		t.Run(step.name, func(t *testing.T) {
			database, issuer = step.database, step.issuer
			if step.drain {
				health.Drain()
			}
			health.Findings(t.Context(), 0) // what was found before is not asked about
			if status, body := get("/debug/ready"); status != step.ready || !strings.Contains(body, step.says) {
				t.Errorf("ready: %d %s", status, body)
			}
			if status, _ := get("/debug/live"); status != 200 {
				t.Errorf("live: %d", status)
			}
			if _, body := get("/metrics"); !strings.Contains(body, step.metric) {
				t.Errorf("%s is not in the metrics", step.metric)
			}
		})
	}
	last := health.Findings(t.Context(), 0)["postgresql"]
	database = errors.New("refused")
	down := health.Findings(t.Context(), 0)["postgresql"]
	if down.Passed || down.Verdict != observe.Down || down.LastSuccess == nil || !down.LastSuccess.Equal(*last.LastSuccess) {
		t.Errorf("it does not say when the database last answered: %+v", down)
	}
}

func TestHTTPRequestsCountByPattern(t *testing.T) {
	watch := observe.New(observe.Options{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /model/{uuid}/log", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	handler := watch.HTTP(mux)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/model/1/log", nil),
		httptest.NewRequest(http.MethodGet, "/model/2/log", nil),
		httptest.NewRequest("INVENTED", "/nowhere", nil),
	} {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	w := httptest.NewRecorder()
	watch.Handler(observe.NewHealth(watch), nil, "", "").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`jimm_http_request_duration_seconds_count{method="GET",route="/model/{uuid}/log",status_code="418"} 2`,
		`jimm_http_request_duration_seconds_count{method="other",route="none",status_code="404"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in\n%s", want, w.Body)
		}
	}
}
