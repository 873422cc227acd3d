package juju

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"jimm/workload/estate"
)

// states is the schedule as far as it says which key does what.
func states(t *testing.T, keys *Keys) []string {
	t.Helper()
	schedule, err := keys.Schedule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, k := range schedule.Keys {
		list = append(list, k.ID+" "+string(k.State))
	}
	return list
}

// TestARotationByHandOnTwoUnits goes through two rotations, with one unit that
// is told and one that finds out.
func TestARotationByHandOnTwoUnits(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	start := clock.Now()
	a, b := openKeys(t, secrets, clock), openKeys(t, secrets, clock)
	first, second := public(t, a)[0], public(t, a)[1]
	at := func(d time.Duration) {
		clock.Set(start.Add(d))
		tick(t, a)
		tick(t, b)
		if !slices.Equal(public(t, a), public(t, b)) || signsWith(t, a) != signsWith(t, b) {
			t.Fatalf("after %s the units differ: %q signs with %s, %q with %s", d, public(t, a), signsWith(t, a), public(t, b), signsWith(t, b))
		}
	}
	wantSigns := func(when, id string) {
		t.Helper()
		if got := signsWith(t, a); got != id {
			t.Errorf("%s: signs with %s, want %s", when, got, id)
		}
	}
	rotate := func() {
		t.Helper()
		if err := a.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}

	// The next key has been public for an hour: 23 are left.
	at(time.Hour)
	rotate()
	at(time.Hour)
	wantSigns("asked for", first)
	rotate() // changes nothing
	at(24*time.Hour - time.Second)
	wantSigns("a second before the day is over", first)
	at(24 * time.Hour)
	wantSigns("after a day", second)
	third := public(t, b)[2]
	if got, want := states(t, b), []string{first + " retired", second + " signs", third + " next"}; !slices.Equal(got, want) {
		t.Errorf("the schedule is %q, want %q", got, want)
	}
	at(25*time.Hour + time.Second)
	if got := public(t, b); !slices.Equal(got, []string{second, third}) {
		t.Errorf("public are %q, want %q and %q", got, second, third)
	}

	// The next has been public for long enough.
	at(100 * time.Hour)
	rotate()
	wantSigns("at once", third)
	if got := public(t, a); len(got) != 3 || got[0] != second || got[1] != third {
		t.Errorf("public are %q", got)
	}
	wantSigns("and the unit that was not told has both public", third)
	if got := signsWith(t, b); got != second {
		t.Errorf("the other unit knows before it looked: %s", got)
	}
	at(100*time.Hour + time.Minute)
	wantSigns("a minute later", third)
}

func TestEveryKeyIsPublicForADayBeforeItSigns(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	keys := openKeys(t, secrets, clock)
	published := map[string]time.Time{}
	start := clock.Now()
	firsts := public(t, keys)[0]
	for hour := range 24 * 90 {
		clock.Set(start.Add(time.Duration(hour) * time.Hour))
		if hour%7 == 3 {
			if err := keys.Rotate(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		tick(t, keys)
		for _, id := range public(t, keys) {
			if _, ok := published[id]; !ok {
				published[id] = clock.Now()
			}
		}
		id := signsWith(t, keys)
		if since := clock.Now().Sub(published[id]); since < 24*time.Hour && id != firsts {
			t.Fatalf("after %d hours %s signs, public for %s", hour, id, since)
		}
	}
	if len(published) < 80 {
		t.Errorf("there were only %d keys in 90 days of rotating", len(published))
	}
}

func TestAnEmergencyReplacesAllKeys(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	a, b := openKeys(t, secrets, clock), openKeys(t, secrets, clock)
	before := public(t, a)
	clock.Set(clock.Now().Add(time.Hour))
	if err := a.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	tick(t, b)
	after := public(t, b)
	if !slices.Equal(after, public(t, a)) || len(after) != 2 || slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
		t.Errorf("public were %q, are %q", before, after)
	}
	if got := signsWith(t, b); got != after[0] {
		t.Errorf("signs with %s, want %s", got, after[0])
	}
}

func TestASetThatWasStoredBeforeIsRotatedCarefully(t *testing.T) {
	secrets, clock := &memorySecrets{}, newClock()
	openKeys(t, secrets, clock)
	// Take out what older versions did not note.
	var stored []map[string]any
	value, version, _ := secrets.GetVersion(t.Context(), keysPath)
	if err := json.Unmarshal([]byte(value[keysField]), &stored); err != nil {
		t.Fatal(err)
	}
	for _, key := range stored {
		delete(key, "public-from")
	}
	text, _ := json.Marshal(stored)
	if ok, _ := secrets.PutIfVersion(t.Context(), keysPath, version, map[string]string{keysField: string(text)}); !ok {
		t.Fatal("cannot store")
	}
	keys := openKeys(t, secrets, clock)
	second := public(t, keys)[1]
	if err := keys.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	schedule, err := keys.Schedule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k := schedule.Keys[1]; k.ID != second || k.State != estate.KeyNext || !k.SignsFrom.Equal(clock.Now().Add(24*time.Hour)) {
		t.Errorf("the next key is %+v", k)
	}
}

func BenchmarkMintToken(b *testing.B) {
	keys, err := OpenKeys(b.Context(), &memorySecrets{}, KeyOptions{})
	if err != nil {
		b.Fatal(err)
	}
	tokens := &Tokens{Keys: keys, Issuer: "jimm.example.com"}
	claims := estate.Claims{"model-a9d1a2b4-0b4e-4c09-9a0d-1f6d0e3f7a11": "admin", "controller-5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e": "login"}
	for b.Loop() {
		if _, err := tokens.Mint("5d4b5d36-4d3d-4f0e-8f1c-1c2a3b4c5d6e", estate.User{Name: "alice@example.com"}, claims); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignature is the floor: the signature alone.
func BenchmarkSignature(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := make([]byte, 32)
	for b.Loop() {
		if _, _, err := ecdsa.Sign(rand.Reader, key, digest); err != nil {
			b.Fatal(err)
		}
	}
}
