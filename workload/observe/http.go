package observe

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// HTTP measures and traces the requests of a mux, by its patterns. A trace that
// a request belongs to already (the header traceparent) goes on.
func (i *Instruments) HTTP(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if trace.SpanContextFromContext(ctx).IsValid() {
			ctx = context.WithValue(ctx, joinedKey{}, true)
		}
		ctx, end := i.span(ctx, "jimm.http", incoming, attribute.String("http.request.method", method(r)))
		r = r.WithContext(ctx)
		began := time.Now()
		answer := &answer{ResponseWriter: w}
		done := func(status int) {
			i.httpDuration.WithLabelValues(route(r), method(r), strconv.Itoa(status)).Observe(time.Since(began).Seconds())
			end(nil)
		}
		// A websocket lives on: what is measured is its handshake.
		answer.hijacked = func() { done(http.StatusSwitchingProtocols) }
		mux.ServeHTTP(answer, r)
		if !answer.gone {
			done(max(answer.status, http.StatusOK))
		}
	})
}

// route is the pattern that a mux found, without its method.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern[strings.Index(r.Pattern, "/"):]
}

// method is the request's, or "other": clients can write anything there.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// answer remembers the status of a response.
type answer struct {
	http.ResponseWriter
	status   int
	gone     bool
	hijacked func()
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.gone = true
		a.hijacked()
	}
	return conn, buffered, err
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
