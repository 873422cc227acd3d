package macaroons_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery/checkers"
	"github.com/go-macaroon-bakery/macaroon-bakery/v3/httpbakery"
	"gopkg.in/errgo.v1"
	"gopkg.in/macaroon.v2"

	"jimm/workload/estate"
	"jimm/workload/macaroons"
)

const offer = "f0000000-0000-4000-8000-000000000001"

// consumers says who may consume the offer; "broken" breaks it.
type consumers map[string]bool

func (c consumers) CheckConsumer(_ context.Context, user, offerUUID string) error {
	switch {
	case user == "broken@example.com":
		return errors.New("the database has a password")
	case offerUUID != offer:
		return estate.Errorf(estate.CodeBadRequest, "not the UUID of an offer")
	case c[user]:
		return nil
	}
	return estate.Errorf(estate.CodeUnauthorized, "permission denied")
}

// secrets keep values in memory.
type secrets struct {
	estate.Secrets
	mu      sync.Mutex
	value   map[string]string
	version int
	// before, where set, is called once before the next write.
	before func()
}

func (s *secrets) GetVersion(context.Context, string) (map[string]string, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.value), s.version, nil
}

func (s *secrets) PutIfVersion(_ context.Context, _ string, version int, value map[string]string) (bool, error) {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return false, nil
	}
	s.value, s.version = maps.Clone(value), version+1
	return true, nil
}

func start(t *testing.T, s estate.Secrets, log io.Writer) *httptest.Server {
	t.Helper()
	h, err := macaroons.Handler(t.Context(), macaroons.Config{
		Offers: consumers{"bob@example.com": true}, Secrets: s, Life: time.Minute,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// consume acts as two controllers do: one makes a macaroon with a condition for
// the server, the other has it discharged there. It returns what the first one
// may take as declared.
func consume(t *testing.T, server, condition string) (map[string]string, macaroon.Slice, error) {
	t.Helper()
	client := httpbakery.NewClient()
	locator := httpbakery.NewThirdPartyLocator(nil, nil)
	locator.AllowInsecure()
	offering := bakery.New(bakery.BakeryParams{Location: "the controller of the offer", Key: bakery.MustGenerateKey(), Locator: locator})
	op := bakery.Op{Entity: offer, Action: "consume"}
	m, err := offering.Oven.NewMacaroon(t.Context(), bakery.LatestVersion, []checkers.Caveat{
		{Location: server + macaroons.Path, Condition: condition},
		checkers.DeclaredCaveat("username", "bob@example.com"),
	}, op)
	if err != nil {
		t.Fatal(err)
	}
	slice, err := client.DischargeAll(t.Context(), m)
	if err != nil {
		return nil, nil, err
	}
	ops, _, err := offering.Oven.VerifyMacaroon(t.Context(), slice)
	if err != nil || len(ops) != 1 || ops[0] != op {
		t.Fatalf("the controller finds %v, %v", ops, err)
	}
	return checkers.InferDeclared(checkers.New(nil).Namespace(), slice), slice, nil
}

func TestAConsumerIsConfirmed(t *testing.T) {
	server := start(t, &secrets{}, io.Discard)
	began := time.Now()
	declared, slice, err := consume(t, server.URL, "is-consumer user-bob@example.com "+offer)
	if err != nil {
		t.Fatal(err)
	}
	if declared["offer-uuid"] != offer || declared["username"] != "bob@example.com" {
		t.Errorf("declared is %v", declared)
	}
	until, ok := checkers.MacaroonsExpiryTime(checkers.New(nil).Namespace(), slice)
	if !ok || until.Before(began.Add(50*time.Second)) || until.After(time.Now().Add(70*time.Second)) {
		t.Errorf("it is good until %v, %v; now it is %v", until, ok, time.Now())
	}
}

func TestWhatIsNotSoIsNotConfirmed(t *testing.T) {
	var log strings.Builder
	server := start(t, &secrets{}, &log)
	for name, test := range map[string]struct {
		condition string
		code      httpbakery.ErrorCode
	}{
		"another user":             {"is-consumer user-eve@example.com " + offer, httpbakery.ErrPermissionDenied},
		"another offer":            {"is-consumer user-bob@example.com x", httpbakery.ErrBadRequest},
		"another condition":        {"is-administrator user-bob@example.com " + offer, httpbakery.ErrBadRequest},
		"the condition of Juju's":  {"has-offer-permission source-model-uuid: x", httpbakery.ErrBadRequest},
		"no user":                  {"is-consumer", httpbakery.ErrBadRequest},
		"no offer":                 {"is-consumer user-bob@example.com", httpbakery.ErrBadRequest},
		"no tag":                   {"is-consumer bob@example.com " + offer, httpbakery.ErrBadRequest},
		"another thing for a user": {"is-consumer model-" + offer + " " + offer, httpbakery.ErrBadRequest},
		"more than asked":          {"is-consumer user-bob@example.com " + offer + " or-so", httpbakery.ErrBadRequest},
		"a failure of ours":        {"is-consumer user-broken@example.com " + offer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := consume(t, server.URL, test.condition)
			var refused *httpbakery.Error
			if e, ok := errgo.Cause(err).(*httpbakery.DischargeError); ok {
				refused = e.Reason
			}
			if refused == nil || refused.Code != test.code || strings.Contains(refused.Message, "password") {
				t.Errorf("got %#v from %v, want code %q", refused, err, test.code)
			}
		})
	}
	if !strings.Contains(log.String(), "the database has a password") {
		t.Errorf("our failure is not in the log: %s", log.String())
	}
}

func TestNonsenseIsTheAskersFault(t *testing.T) {
	server := start(t, &secrets{}, io.Discard)
	for name, ask := range map[string]func() (*http.Response, error){
		"nothing": func() (*http.Response, error) { return http.PostForm(server.URL+"/macaroons/discharge", nil) },
		"an unreadable id": func() (*http.Response, error) {
			return http.PostForm(server.URL+"/macaroons/discharge", url.Values{"id64": {"!!"}})
		},
		"a caveat of nobody": func() (*http.Response, error) {
			return http.PostForm(server.URL+"/macaroons/discharge", url.Values{"id": {"x"}, "caveat64": {"AAAA"}})
		},
		"too much": func() (*http.Response, error) {
			return http.PostForm(server.URL+"/macaroons/discharge", url.Values{"id": {strings.Repeat("x", 1<<17)}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, _ := io.ReadAll(r.Body)
			if r.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "bad request") {
				t.Errorf("got %s: %s", r.Status, body)
			}
		})
	}
}

func TestAllUnitsHaveTheSameKey(t *testing.T) {
	kept := &secrets{}
	key := func(server *httptest.Server) bakery.PublicKey {
		info, err := httpbakery.ThirdPartyInfoForLocation(t.Context(), nil, server.URL+macaroons.Path)
		if err != nil {
			t.Fatal(err)
		}
		return info.PublicKey
	}
	var second *httptest.Server
	// The second unit comes between the first one's look and its write.
	kept.before = func() { second = start(t, kept, io.Discard) }
	first := start(t, kept, io.Discard)
	third := start(t, kept, io.Discard)
	if key(first) != key(second) || key(first) != key(third) {
		t.Error("units have different keys")
	}
	if _, _, err := consume(t, third.URL, "is-consumer user-bob@example.com "+offer); err != nil {
		t.Error(err)
	}
}

func TestAStoredKeyThatIsNoneIsNotReplaced(t *testing.T) {
	kept := &secrets{value: map[string]string{"private": "c2VjcmV0", "public": "x"}, version: 1}
	_, err := macaroons.Handler(t.Context(), macaroons.Config{Offers: consumers{}, Secrets: kept})
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || kept.version != 1 {
		t.Errorf("got %v, and version %d", err, kept.version)
	}
}
