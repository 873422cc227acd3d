package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/facade"
	"jimm/workload/login"
	"jimm/workload/rebac"
	"jimm/workload/rpc"
)

// recorder writes what passes into the audit log.
type recorder struct {
	trail     *audit.Log
	log       *slog.Logger
	strangers strangers
}

// Record implements gateway.Recorder. When the audit log does not keep up it
// waits: overload slows callers down, nothing is dropped. Of what is asked by
// those who have not logged in, only so much is written; the rest is refused like
// all other requests while nothing can be written.
func (r *recorder) Record(ctx context.Context, e estate.AuditEvent) error {
	if e.Address == "" {
		e.Address = estate.CallerOf(ctx).Address
	}
	var err error
	switch {
	case e.User != "" || r.strangers.admit(e):
		err = r.trail.RecordRaw(ctx, e)
	case !e.IsResponse:
		err = r.trail.Ready(ctx)
	}
	if err != nil && e.Facade == "Admin" && (e.Method == "LoginDevice" || e.Method == "GetDeviceSessionToken") {
		err = login.Failed(err)
	}
	if errors.Is(err, audit.ErrClosed) {
		r.log.ErrorContext(ctx, "cannot audit", "facade", e.Facade, "method", e.Method, "user", e.User, "response", e.IsResponse, "error", err)
	}
	return err
}

// facade records a request on a controller connection and, when ended is called,
// how it ended.
func (r *recorder) facade(ctx context.Context, c *facade.Connection, q *rpc.Request) (ended func(error) error, err error) {
	if !audit.Worth(q.Type, q.Method) {
		return func(error) error { return nil }, nil
	}
	e := estate.AuditEvent{
		Time: time.Now(), ConversationID: c.ID, MessageID: q.RequestID,
		Facade: q.Type, Method: q.Method, Version: q.Version, ObjectID: q.ID, Params: q.Params,
	}
	if u := c.User(); u != nil {
		e.User = u.Name
	}
	if err := r.Record(ctx, e); err != nil {
		return nil, err
	}
	return func(err error) error {
		e.Time, e.IsResponse, e.Params = time.Now(), true, nil
		if u := c.User(); u != nil { // who has logged in by this
			e.User = u.Name
		}
		e.Error, e.ErrorCode = estate.Outcome(err)
		return r.Record(ctx, e)
	}, nil
}

// browserLogin records how a login by browser ended.
func (r *recorder) browserLogin(ctx context.Context, u estate.User, err error) {
	e := estate.AuditEvent{Time: time.Now(), Facade: "HTTP", Method: "BrowserLogin", User: u.Name, IsResponse: true}
	e.Error, e.ErrorCode = estate.Outcome(err)
	_ = r.Record(ctx, e) // a reply is always taken
}

// admin records the requests to the admin API that change something, and those
// whose credentials are refused. What they send is not kept: the path says what
// it is about. The handler is made with what tells who is calling.
func (r *recorder) admin(identify identifies, handler func(identifies) (http.Handler, error)) (http.Handler, error) {
	type caller struct{}
	next, err := handler(func(w http.ResponseWriter, q *http.Request) (estate.User, error) {
		u, err := identify(w, q)
		if who, ok := q.Context().Value(caller{}).(*estate.AuditEvent); ok {
			who.User = u.Name
		}
		return u, err
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		e := &estate.AuditEvent{Time: time.Now(), Facade: "AdminAPI", Method: q.Method, ObjectID: q.URL.Path, IsResponse: true}
		ctx, answer := q.Context(), &status{ResponseWriter: w, code: http.StatusOK}
		if q.Method != http.MethodGet {
			if err := r.trail.Ready(ctx); err != nil {
				rebac.Refuse(w, http.StatusServiceUnavailable, err.Error())
				return
			}
		}
		next.ServeHTTP(answer, q.WithContext(context.WithValue(ctx, caller{}, e)))
		refused := answer.code == http.StatusUnauthorized || answer.code == http.StatusTooManyRequests
		if q.Method == http.MethodGet && !(refused && q.Header.Get("Authorization") != "") {
			return
		}
		if answer.code >= http.StatusBadRequest {
			e.Error = fmt.Sprint(answer.code, " ", http.StatusText(answer.code))
		}
		_ = r.Record(context.WithoutCancel(ctx), *e) // a reply is always taken
	}), nil
}

// identifies tells who makes a request.
type identifies = func(http.ResponseWriter, *http.Request) (estate.User, error)

// status remembers the status of a response.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

const (
	// strangerRequests is how many requests, and as many replies, are written in
	// a minute of those who have not logged in, from one address.
	strangerRequests = 60
	// maxStrangers is how many addresses are told apart; all others count as one.
	maxStrangers = 1000
)

// strangers bounds what those can write who have not logged in: without that,
// anybody could fill the audit log with failed logins. What is left out is
// counted, and the count is written.
type strangers struct {
	mu   sync.Mutex
	seen map[string]*seen
}

// seen is what an address has done in this minute.
type seen struct{ requests, replies, leftOut int }

// admit reports whether an event is to be written.
func (s *strangers) admit(e estate.AuditEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := network(e.Address)
	of := s.seen[key]
	if of == nil && len(s.seen) >= maxStrangers {
		key = ""
		of = s.seen[key]
	}
	if of == nil {
		of = &seen{}
		if s.seen == nil {
			s.seen = map[string]*seen{}
		}
		s.seen[key] = of
	}
	count := &of.requests
	if e.IsResponse {
		count = &of.replies
	}
	if *count >= strangerRequests {
		of.leftOut++
		return false
	}
	*count++
	return true
}

// network is what an address counts as: of IPv6, everyone has 2^64.
func network(address string) string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() {
		if of, err := a.Prefix(64); err == nil {
			return of.String()
		}
	}
	return address
}

// run begins a new minute of strangers each minute until ctx ends.
func (r *recorder) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, time.Minute)
		r.count(context.WithoutCancel(ctx))
	}
}

// count writes how many events of strangers were left out, and begins anew.
func (r *recorder) count(ctx context.Context) {
	r.strangers.mu.Lock()
	before := r.strangers.seen
	r.strangers.seen = nil
	r.strangers.mu.Unlock()
	for address, of := range before {
		if of.leftOut == 0 {
			continue
		}
		e := estate.AuditEvent{
			Time: time.Now(), Facade: "Audit", Method: "LeftOut", Address: address, IsResponse: true, // to what they asked
			Params: fmt.Appendf(nil, `{"events":%d}`, of.leftOut),
		}
		_ = r.trail.RecordRaw(ctx, e) // a reply is always taken
	}
}
