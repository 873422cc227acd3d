package login

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
)

func from(t testing.TB, address string) context.Context {
	return estate.WithCaller(t.Context(), estate.Caller{Address: address})
}

func TestLoginsThatFailAreLimited(t *testing.T) {
	now := noon
	s := offline(t, func(c *Config) {
		c.Limits = Limits{PerAddress: 6, PerClient: 3}
		c.Now = func() time.Time { return now }
	})
	refuse := func(address, client string) error {
		return s.attempt(from(t, address), client, refusedLogin, func() error { return wrongCredentials(nil) })
	}
	succeed := func(address, client string) error {
		return s.attempt(from(t, address), client, refusedLogin, func() error { return nil })
	}
	wantLimited := func(what string, err error, seconds int) {
		t.Helper()
		coded, ok := err.(*estate.Error)
		if !Limited(err) || !ok || coded.Code != CodeTryAgain || coded.Info["retry-after"] != seconds ||
			!strings.Contains(err.Error(), fmt.Sprintf("try again in %d s", seconds)) {
			t.Errorf("%s: got %v, want to be told to try again in %d s", what, err, seconds)
		}
	}
	for range 3 {
		if err := refuse("10.0.0.1", "robot"); Limited(err) {
			t.Fatal(err)
		}
	}
	wantLimited("a fourth with one client id", refuse("10.0.0.2", "robot"), 20)
	if err := succeed("10.0.0.2", "other"); err != nil {
		t.Errorf("another client id: %v", err)
	}
	for range 3 {
		if err := refuse("10.0.0.1", ""); Limited(err) {
			t.Fatal(err)
		}
	}
	wantLimited("a seventh from one address", succeed("10.0.0.1", ""), 10)
	if err := succeed("10.0.0.3", ""); err != nil {
		t.Errorf("another address: %v", err)
	}
	now = now.Add(10 * time.Second)
	for range 20 {
		if err := succeed("10.0.0.1", ""); err != nil {
			t.Errorf("after the time: %v", err)
		}
	}
	if err := refuse("10.0.0.1", ""); Limited(err) {
		t.Errorf("after the time: %v", err)
	}
	wantLimited("at once again", succeed("10.0.0.1", ""), 10)

	// Whoever has a network of IPv6 has all addresses in it.
	for i := range 6 {
		if err := refuse(fmt.Sprintf("2001:db8::%d", i), ""); Limited(err) {
			t.Fatal(err)
		}
	}
	wantLimited("from the same network", succeed("2001:db8::ffff", ""), 10)
	if err := succeed("2001:db8:0:1::1", ""); err != nil {
		t.Errorf("another network: %v", err)
	}
}

func TestLoginsAtOnceAreLimitedTogether(t *testing.T) {
	b := newBuckets(5)
	var ends []func(bool)
	for range 5 {
		end, _, ok := b.begin("a", noon)
		if !ok {
			t.Fatal("refused")
		}
		ends = append(ends, end)
	}
	if _, _, ok := b.begin("a", noon); ok {
		t.Error("a sixth begins while five have not ended")
	}
	ends[0](false)
	if _, _, ok := b.begin("a", noon); !ok {
		t.Error("none begins after one has ended well")
	}
}

func TestWhoIsCountedIsBounded(t *testing.T) {
	b := newBuckets(2)
	for i := range 2 * maxBuckets {
		end, _, ok := b.begin(fmt.Sprint(i), noon)
		if ok {
			end(true)
		}
	}
	if len(b.known) > maxBuckets {
		t.Errorf("%d are counted", len(b.known))
	}
	if _, _, ok := b.begin("somebody else", noon); ok {
		t.Error("those beyond are not counted at all")
	}
	if _, _, ok := b.begin("somebody else", noon.Add(time.Hour)); !ok || len(b.known) > 2 {
		t.Errorf("after an hour %d are counted, and somebody may: %v", len(b.known), ok)
	}
}

func TestOnlyTokensThatAreNotOursCount(t *testing.T) {
	s := offline(t, func(c *Config) { c.Limits = Limits{PerAddress: 2} })
	ctx := from(t, "10.0.0.1")
	gone, err := s.newToken(estate.Session{ID: "gone", User: "alice@example.com", StartedAt: noon, Expires: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	good, err := s.newToken(sessionsOf("alice@example.com").alive["session-of-alice@example.com"])
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for what, token := range map[string]string{"no token": "", "one whose session is over": gone} {
			if _, err := s.VerifyToken(ctx, token); !estate.Is(err, estate.CodeSessionTokenInvalid) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	for _, want := range []string{estate.CodeSessionTokenInvalid, estate.CodeSessionTokenInvalid, CodeTryAgain} {
		if _, err := s.VerifyToken(ctx, "Z2FyYmFnZQ=="); !estate.Is(err, want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := s.VerifyToken(ctx, good); err != nil {
		t.Errorf("a good token is refused, too: %v", err)
	}
	if _, err := s.StartDevice(ctx); !Limited(err) || !estate.Is(err, CodeLoginFailed) {
		t.Errorf("a login by device gives %v", err)
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	s := offline(b, nil)
	token, err := s.newToken(sessionsOf("alice@example.com").alive["session-of-alice@example.com"])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.VerifyToken(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
