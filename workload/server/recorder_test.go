package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/login"
)

// kept is a sink that keeps all in memory.
type kept struct{ events []estate.AuditEvent }

func (k *kept) SaveAuditEvents(_ context.Context, events []estate.AuditEvent) error {
	k.events = append(k.events, events...)
	return nil
}

// recording returns a recorder, and what is in its log once it is closed.
func recording(t *testing.T) (*recorder, func() []estate.AuditEvent) {
	k := &kept{}
	trail := audit.New(k, audit.Options{MaxLag: time.Hour}) // it refuses nothing
	return &recorder{trail: trail, log: slog.New(slog.DiscardHandler)}, func() []estate.AuditEvent {
		t.Helper()
		if err := trail.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return k.events
	}
}

func TestStrangersCannotFloodTheAuditLog(t *testing.T) {
	r, closed := recording(t)
	login := func(user, address string) {
		e := estate.AuditEvent{Facade: "Admin", Method: "LoginWithClientCredentials", User: user, Address: address}
		r.Record(t.Context(), e)
		e.IsResponse = true
		r.Record(t.Context(), e)
	}
	for i := range 1000 {
		login("", "192.0.2.1")
		login("", fmt.Sprintf("2001:db8::%x", i)) // one network
		login("alice@example.com", "192.0.2.1")
	}
	r.count(t.Context())
	login("", "192.0.2.1")
	counts := map[string]int{}
	for _, e := range closed() {
		key := e.Address
		switch {
		case e.Method == "LeftOut":
			key += " left out " + string(e.Params)
		case e.User != "":
			key += " by " + e.User
		case strings.HasPrefix(e.Address, "2001:db8::"):
			key = "IPv6"
		}
		counts[key]++
	}
	want := map[string]int{
		"192.0.2.1": 2*strangerRequests + 2, "IPv6": 2 * strangerRequests, "192.0.2.1 by alice@example.com": 2000,
		`192.0.2.1 left out {"events":1880}`: 1, `2001:db8::/64 left out {"events":1880}`: 1,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("recorded are %v, want %v", counts, want)
	}
}

// broken is a sink that takes nothing.
type broken struct{}

func (broken) SaveAuditEvents(context.Context, []estate.AuditEvent) error {
	return &estate.Error{Code: estate.CodeConnectionFailed, Message: "the database is away"}
}

func TestAFloodOfStrangersIsRefusedWhileNothingCanBeAudited(t *testing.T) {
	trail := audit.New(broken{}, audit.Options{MaxWait: 100 * time.Millisecond})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = trail.Close(ctx)
	})
	r := &recorder{trail: trail, log: slog.New(slog.DiscardHandler)}
	var err error
	for began := time.Now(); err == nil && time.Since(began) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		err = r.Record(t.Context(), estate.AuditEvent{Facade: "Admin", Method: "LoginDevice", Address: "192.0.2.1"})
	}
	for range 2 * strangerRequests {
		if !errors.Is(err, audit.ErrBehind) || estate.CodeOf(err) != login.CodeLoginFailed {
			t.Fatalf("a request is answered with %v", err)
		}
		err = r.Record(t.Context(), estate.AuditEvent{Facade: "Admin", Method: "LoginDevice", Address: "192.0.2.1"})
	}
}

func TestManyAddressesOfStrangersCountAsOne(t *testing.T) {
	r, closed := recording(t)
	for i := range 3 * maxStrangers {
		r.Record(t.Context(), estate.AuditEvent{Address: fmt.Sprintf("10.1.%d.%d", i/256, i%256)})
	}
	if got, want := len(closed()), maxStrangers+strangerRequests; got != want {
		t.Errorf("%d events are recorded, want %d", got, want)
	}
	if len(r.strangers.seen) != maxStrangers+1 {
		t.Errorf("%d addresses are told apart", len(r.strangers.seen))
	}
}

func TestTheAdminAPIIsAudited(t *testing.T) {
	r, closed := recording(t)
	handler, err := r.admin(func(_ http.ResponseWriter, q *http.Request) (estate.User, error) {
		if q.Header.Get("Authorization") != "good" {
			return estate.User{}, errors.New("no")
		}
		return estate.User{Name: "alice@example.com"}, nil
	}, func(identify identifies) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if _, err := identify(w, q); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range [][3]string{{"GET", "/rebac/v1/groups", "good"}, {"PATCH", "/rebac/v1/groups/7", "good"}, {"GET", "/rebac/v1/groups", "bad"}, {"GET", "/rebac/v1/groups", ""}, {"DELETE", "/rebac/v1/groups/7", ""}} {
		request := httptest.NewRequest(q[0], q[1], nil)
		if q[2] != "" {
			request.Header.Set("Authorization", q[2])
		}
		handler.ServeHTTP(httptest.NewRecorder(), request)
	}
	var got []string
	for _, e := range closed() {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s by %q %s", e.Facade, e.Method, e.ObjectID, e.User, e.Error)))
	}
	want := []string{
		`AdminAPI PATCH /rebac/v1/groups/7 by "alice@example.com"`,
		`AdminAPI GET /rebac/v1/groups by "" 401 Unauthorized`,
		`AdminAPI DELETE /rebac/v1/groups/7 by "" 401 Unauthorized`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded are\n%q, want\n%q", got, want)
	}
}
