package dev_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jimm/workload/dev"
	"jimm/workload/observe"
	"jimm/workload/rpc"
)

// get asks the internal listener.
func get(t *testing.T, s *dev.Stack, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Internal+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// connect opens a controller connection to the stack and logs in as the service account.
func connect(t *testing.T, s *dev.Stack, secret string) (*rpc.Client, error) {
	t.Helper()
	return logIn(t, s.CAFile, s.Address, secret)
}

// logIn opens a controller connection and logs in as the service account.
func logIn(t *testing.T, caFile, address, secret string) (*rpc.Client, error) {
	t.Helper()
	ca, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	conn, _, err := rpc.Dial(t.Context(), "wss://"+address+"/api", nil, &tls.Config{RootCAs: roots}, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := rpc.NewClient(conn)
	t.Cleanup(func() { _ = c.Close() })
	return c, c.Call(t.Context(), "Admin", 4, "", "LoginWithClientCredentials", map[string]string{
		"client-id": dev.ServiceAccount, "client-secret": secret,
	}, nil)
}

// sample finds the value of one line of /metrics.
func sample(metrics, series string) (float64, error) {
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		return 0, fmt.Errorf("%s is not among the metrics", series)
	}
	return strconv.ParseFloat(found[1], 64)
}

var update = flag.Bool("update", false, "make the reference of metrics anew")

// compareReference compares metrics with docs/reference/metrics.md.
func compareReference(t *testing.T, families []observe.Family) {
	t.Helper()
	const path = "../../docs/reference/metrics.md"
	var b strings.Builder
	b.WriteString(`# Metrics

What ` + "`/metrics`" + ` at the internal address shows of JIMM itself, made from the program by ` + "`make docs`" + `. Durations are in seconds. Beside these
there are Go's own (` + "`go_…`" + `) and the process's (` + "`process_…`" + `). [How to observe JIMM](../howto/observe.md) says what to do with them.

| metric | type | labels | meaning |
|---|---|---|---|
`)
	for _, f := range families {
		labels := "–"
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, labels, f.Help)
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(text)); diff != "" {
		t.Errorf("docs/reference/metrics.md is old; make docs makes it anew\n%s", diff)
	}
}

func TestTheInternalListenerTellsWhatGoesOn(t *testing.T) {
	s, err := dev.Start(t.Context(), dev.Options{Dir: t.TempDir(), Juju: "sim"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := connect(t, s, "wrong"); err == nil {
		t.Fatal("logged in with a wrong secret")
	}
	c, err := connect(t, s, dev.ServiceSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "ModelManager", 9, "", "ListModels", map[string]string{"tag": "user-ci@serviceaccount"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "Hostile"+strings.Repeat("x", 50), 1, "", "Method", nil, nil); err == nil {
		t.Fatal("an unknown facade answers")
	}

	t.Run("metrics count it", func(t *testing.T) {
		wanted := map[string]float64{
			`jimm_auth_success_total{method="client-credentials"}`:                                       1,
			`jimm_auth_failure_total{method="client-credentials"}`:                                       1,
			`jimm_websocket_concurrent_connections{type="api"}`:                                          1,
			`jimm_websocket_request_duration_seconds_count{action="ListModels",type="ModelManager"}`:     1,
			`jimm_websocket_request_error_total{action="unknown",code="not implemented",type="unknown"}`: 1,
			`jimm_http_request_duration_seconds_count{method="GET",route="/api",status_code="101"}`:      2,
			`jimm_system_controller_count`:                                                               2,
			`jimm_system_model_count{controller="juju36"}`:                                               0,
			`jimm_system_controller_available{controller="juju36"}`:                                      1,
			`jimm_openfga_call_duration_seconds_count{method="Write"}`:                                   1,
			`jimm_db_query_duration_seconds_count{method="postgres.EnsureIdentity"}`:                     1,
			`jimm_db_query_duration_seconds_count{method="sealed.PutIfVersion"}`:                         1,
			`jimm_vault_call_duration_seconds_count{method="PutIfVersion"}`:                              1,
			`jimm_juju_call_duration_seconds_count{controller="juju36",facade="Admin",method="Login"}`:   1,
			`jimm_db_connections{state="limit"}`:                                                         4,
			`jimm_build_info{commit="",version="development"}`:                                           1,
			`jimm_juju_dial_duration_seconds_count{controller="being added"}`:                            2,
			`jimm_audit_pending_events`:                                                                  0,
		}
		eventually(t, func() error {
			status, metrics := get(t, s, "/metrics")
			if status != http.StatusOK {
				return fmt.Errorf("%d %s", status, metrics)
			}
			if strings.Contains(metrics, "Hostile") {
				t.Error("a client can make up labels")
			}
			var failed error
			for series, least := range wanted {
				got, err := sample(metrics, series)
				if err == nil && got < least {
					err = fmt.Errorf("%s is %v, not at least %v", series, got, least)
				}
				failed = errors.Join(failed, err)
			}
			return failed
		})
	})
	t.Run("the reference lists them all", func(t *testing.T) { compareReference(t, s.Server.Metrics()) })
	t.Run("status lists what JIMM depends on", func(t *testing.T) {
		eventually(t, func() error {
			_, body := get(t, s, "/debug/status")
			var findings map[string]observe.Finding
			failed := json.Unmarshal([]byte(body), &findings)
			for _, name := range []string{"start_time", "postgresql", "openfga", "secrets", "issuer", "controllers"} {
				if f := findings[name]; !f.Passed || f.Verdict != observe.Good || f.LastSuccess == nil {
					failed = errors.Join(failed, fmt.Errorf("%s: %+v", name, f))
				}
			}
			return failed
		})
	})
	t.Run("info, live and ready answer, and the public listener does not have them", func(t *testing.T) {
		for path, want := range map[string]string{
			"/debug/info": `"Version": "development"`, "/debug/live": "alive", "/debug/ready": "ready", "/debug/pprof/goroutine?debug=1": "goroutine profile",
		} {
			eventually(t, func() error {
				if status, body := get(t, s, path); status != http.StatusOK || !strings.Contains(body, want) {
					return fmt.Errorf("%s: %d %.200s", path, status, body)
				}
				return nil
			})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode < 400 {
				t.Errorf("%s is public: %d", path, answer.StatusCode)
			}
		}
	})
}
