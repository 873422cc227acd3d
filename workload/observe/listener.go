package observe

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// findingsAge is how old what a probe is told may be.
const findingsAge = 2 * time.Second

// Handler serves the internal listener, which only those who run JIMM must
// reach: there is no login.
//
//	/metrics       for Prometheus
//	/debug/info    version and commit
//	/debug/status  what JIMM depends on; always 200
//	/debug/live    200 while the process answers: else it should be restarted
//	/debug/ready   200 while requests should come here, else 503
//	/debug/pprof/  profiles of the running program
//	/debug/log-level  GET tells, PUT changes the level of the log
func (i *Instruments) Handler(h *Health, level http.Handler, version, commit string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(i.registry, promhttp.HandlerOpts{Registry: i.registry}))
	mux.HandleFunc("GET /debug/info", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"GitCommit": commit, "Version": version, "GoVersion": runtime.Version()})
	})
	mux.HandleFunc("GET /debug/status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, h.Findings(r.Context(), findingsAge))
	})
	mux.HandleFunc("GET /debug/live", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /debug/ready", func(w http.ResponseWriter, r *http.Request) {
		if err := h.Ready(r.Context(), findingsAge); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		writeText(w, http.StatusOK, "ready")
	})
	if level != nil {
		mux.Handle("/debug/log-level", level)
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v) // the client is gone
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
