package juju

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jimm/workload/estate"
)

// memorySecrets keeps secrets in memory.
type memorySecrets struct {
	estate.Secrets

	mu       sync.Mutex
	values   map[string]map[string]string
	versions map[string]int
}

func (s *memorySecrets) GetVersion(_ context.Context, path string) (map[string]string, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values[path]), s.versions[path], nil
}

func (s *memorySecrets) Get(_ context.Context, path string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions[path] == 0 {
		return nil, estate.Errorf(estate.CodeNotFound, "secret not found")
	}
	return maps.Clone(s.values[path]), nil
}

func (s *memorySecrets) PutIfVersion(_ context.Context, path string, version int, value map[string]string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions[path] != version {
		return false, nil
	}
	if s.values == nil {
		s.values, s.versions = map[string]map[string]string{}, map[string]int{}
	}
	s.values[path] = maps.Clone(value)
	s.versions[path]++
	return true, nil
}

// clock is a time that only moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func openKeys(t *testing.T, secrets estate.Secrets, clock *clock) *Keys {
	t.Helper()
	keys, err := OpenKeys(t.Context(), secrets, KeyOptions{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// public returns the key ids in the JWKS, in order.
func public(t *testing.T, keys *Keys) []string {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

// signsWith returns the key id of a token signed now.
func signsWith(t *testing.T, keys *Keys) string {
	t.Helper()
	compact, err := keys.Sign(map[string]string{"sub": "user-alice@canonical.com"})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSigned(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}

func tick(t *testing.T, keys *Keys) {
	t.Helper()
	if err := keys.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEveryPublicKeySaysAllThatJujuAsksForAndNothingPrivate(t *testing.T) {
	keys := openKeys(t, &memorySecrets{}, newClock())
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("got %d keys, want the current and the next", len(set.Keys))
	}
	for _, key := range set.Keys {
		fields := slices.Sorted(maps.Keys(key))
		if want := []string{"alg", "crv", "kid", "kty", "use", "x", "y"}; !slices.Equal(fields, want) {
			t.Errorf("a key has fields %q, want %q", fields, want)
		}
		if key["alg"] != "ES256" || key["kty"] != "EC" || key["crv"] != "P-256" || key["use"] != "sig" || key["kid"] == "" {
			t.Errorf("a key is %v", key)
		}
	}
	if got := signsWith(t, keys); got != set.Keys[0]["kid"] {
		t.Errorf("a new set signs with %s, want its first key %s", got, set.Keys[0]["kid"])
	}
}

func TestAKeySignsForItsLifeAndIsPublicBeforeAndAfter(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	start := clock.Now()
	keys := openKeys(t, secrets, clock)
	first, second := public(t, keys)[0], public(t, keys)[1]
	const life, keep = 30 * 24 * time.Hour, time.Hour

	for _, step := range []struct {
		name  string
		at    time.Duration
		signs string
		// public are the keys that must be there; others counts the new ones.
		public []string
		others int
	}{
		{"nothing happens while the first signs", time.Hour, first, []string{first, second}, 0},
		{"nothing happens a second before its end", life - time.Second, first, []string{first, second}, 0},
		{"the second takes over to the second, and a third is public", life, second, []string{first, second}, 1},
		{"the first stays while its tokens may be valid", life + keep, second, []string{first, second}, 1},
		{"then it goes", life + keep + time.Second, second, []string{second}, 1},
	} {
		clock.Set(start.Add(step.at))
		tick(t, keys)
		if got := signsWith(t, keys); got != step.signs {
			t.Errorf("%s: signs with %s, want %s", step.name, got, step.signs)
		}
		got := public(t, keys)
		if len(got) != len(step.public)+step.others || !slices.Equal(got[:len(step.public)], step.public) {
			t.Errorf("%s: public are %q, want %q and %d more", step.name, got, step.public, step.others)
		}
	}
}

func TestAfterALongAbsenceTheNewKeyIsStillPublicBeforeItSigns(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	second := public(t, openKeys(t, secrets, clock))[1]

	back := clock.Now().Add(365 * 24 * time.Hour)
	clock.Set(back)
	keys := openKeys(t, secrets, clock)
	ids := public(t, keys)
	if len(ids) != 2 || ids[0] != second {
		t.Fatalf("public are %q, want %q and a new one", ids, second)
	}
	for _, step := range []struct {
		at   time.Duration
		want string
	}{{0, second}, {24*time.Hour - time.Second, second}, {24 * time.Hour, ids[1]}} {
		clock.Set(back.Add(step.at))
		if got := signsWith(t, keys); got != step.want {
			t.Errorf("%s after coming back it signs with %s, want %s", step.at, got, step.want)
		}
	}
}

func TestUnitsThatStartAtOnceAgreeOnOneSet(t *testing.T) {
	const units = 8
	clock, secrets := newClock(), &memorySecrets{}
	// All have found nothing before the first of them stores a set.
	var read sync.WaitGroup
	read.Add(units)
	var opened [units]*Keys
	var done sync.WaitGroup
	for i := range units {
		done.Go(func() {
			gate := sync.OnceFunc(func() { read.Done(); read.Wait() })
			keys, err := OpenKeys(t.Context(), &gatedSecrets{secrets, gate}, KeyOptions{Now: clock.Now})
			if err != nil {
				t.Error(err)
				return
			}
			opened[i] = keys
		})
	}
	done.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if secrets.versions[keysPath] != 1 {
		t.Errorf("the set was stored %d times, want once", secrets.versions[keysPath])
	}
	for i := range units {
		if got, want := string(opened[i].JWKS()), string(opened[0].JWKS()); got != want {
			t.Errorf("unit %d publishes\n%s\nwant\n%s", i, got, want)
		}
	}
}

// gatedSecrets lets a unit write for the first time only when all have read.
type gatedSecrets struct {
	*memorySecrets
	wait func()
}

func (s *gatedSecrets) PutIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error) {
	s.wait()
	return s.memorySecrets.PutIfVersion(ctx, path, version, value)
}

func TestAUnitTakesUpTheKeyThatAnotherMade(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	a, b := openKeys(t, secrets, clock), openKeys(t, secrets, clock)
	clock.Set(clock.Now().Add(30 * 24 * time.Hour))
	tick(t, a)
	if signsWith(t, a) != signsWith(t, b) {
		t.Error("the units sign with different keys though the time is the same for both")
	}
	tick(t, b)
	if got, want := string(b.JWKS()), string(a.JWKS()); got != want {
		t.Errorf("the other unit publishes\n%s\nwant\n%s", got, want)
	}
}

func TestRunTicksUntilItIsStopped(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	keys, err := OpenKeys(t.Context(), secrets, KeyOptions{Now: clock.Now, Refresh: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); keys.Run(ctx) }()
	clock.Set(clock.Now().Add(30 * 24 * time.Hour))
	deadline := time.Now().Add(time.Minute)
	for len(public(t, keys)) != 3 {
		if time.Now().After(deadline) {
			t.Fatal("the next key was never made")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestAStoredSetThatMakesNoSenseIsReportedWithoutItsContent(t *testing.T) {
	secrets := &memorySecrets{}
	if _, err := secrets.PutIfVersion(t.Context(), keysPath, 0, map[string]string{keysField: `[{"key":{"kty":"EC","d":"c2VjcmV0"}}]`}); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKeys(t.Context(), secrets, KeyOptions{})
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

func TestSettingsThatWouldLockControllersOutAreRefused(t *testing.T) {
	for name, opts := range map[string]KeyOptions{
		"a key that signs before a controller asks again":   {Lead: time.Hour, MaxAge: time.Hour},
		"a key that is replaced before the next one is due": {Life: time.Hour},
	} {
		if _, err := OpenKeys(t.Context(), &memorySecrets{}, opts); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
