package juju

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"jimm/workload/estate"
)

const controllerUUID = "a5b8b3c2-30d4-4f8a-8d4a-5f6a1f2b7c11"

// parseAsJuju parses a token as internal/jwtparser of Juju 3.6.11 and 4.1 does,
// with the same library, at a given time.
func parseAsJuju(keys *Keys, token string, now time.Time) (jwt.Token, error) {
	set, err := jwk.Parse(keys.JWKS())
	if err != nil {
		return nil, err
	}
	compact, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, err
	}
	return jwt.Parse(compact, jwt.WithKeySet(set), jwt.WithClock(jwt.ClockFunc(func() time.Time { return now })))
}

func newTokens(t *testing.T, clock *clock) *Tokens {
	return &Tokens{Keys: openKeys(t, &memorySecrets{}, clock), Issuer: "jimm.example.com", Now: clock.Now}
}

func TestJujuReadsFromATokenWhoItIsForAndExactlyTheClaimsGiven(t *testing.T) {
	for _, test := range []struct {
		name   string
		claims estate.Claims
		want   map[string]any
	}{
		{"no claims", nil, map[string]any{}},
		{"a reader", estate.Claims{"controller-" + controllerUUID: "login", "model-" + controllerUUID: "read"},
			map[string]any{"controller-" + controllerUUID: "login", "model-" + controllerUUID: "read"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newClock()
			tokens := newTokens(t, clock)
			text, err := tokens.Mint(controllerUUID, estate.User{Name: "alice@canonical.com", Groups: []string{"eng"}}, test.claims)
			if err != nil {
				t.Fatal(err)
			}
			token, err := parseAsJuju(tokens.Keys, text, clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := token.Subject(), "user-alice@canonical.com"; got != want {
				t.Errorf("sub is %q, want %q", got, want)
			}
			if got, want := token.Issuer(), "jimm.example.com"; got != want {
				t.Errorf("iss is %q, want %q", got, want)
			}
			if got, want := token.Audience(), []string{controllerUUID}; !reflect.DeepEqual(got, want) {
				t.Errorf("aud is %q, want %q", got, want)
			}
			if got, want := token.IssuedAt(), clock.Now(); !got.Equal(want) {
				t.Errorf("iat is %s, want %s", got, want)
			}
			if got, want := token.Expiration(), clock.Now().Add(5*time.Minute); !got.Equal(want) {
				t.Errorf("exp is %s, want %s", got, want)
			}
			if got, want := token.PrivateClaims(), map[string]any{"access": test.want}; !reflect.DeepEqual(got, want) {
				t.Errorf("private claims are %v, want %v", got, want)
			}
		})
	}
}

func TestATokenIsValidUntilItExpiresAcrossEveryRotation(t *testing.T) {
	clock := newClock()
	tokens := newTokens(t, clock)
	start := clock.Now()
	const life = 30 * 24 * time.Hour
	// The last moment of the first key, and the first of the second.
	for _, at := range []time.Time{start, start.Add(life - time.Second), start.Add(life)} {
		clock.Set(at)
		tick(t, tokens.Keys)
		text, err := tokens.Mint(controllerUUID, estate.User{Name: "alice@canonical.com"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for age, valid := range map[time.Duration]bool{0: true, 5*time.Minute - time.Second: true, 5 * time.Minute: false} {
			now := at.Add(age)
			clock.Set(now)
			tick(t, tokens.Keys)
			_, err := parseAsJuju(tokens.Keys, text, now)
			if valid && err != nil {
				t.Errorf("a token made at %s is refused %s later: %v", at, age, err)
			}
			if !valid && (err == nil || !strings.Contains(err.Error(), "exp")) {
				t.Errorf("a token made at %s is not refused as expired %s later: %v", at, age, err)
			}
		}
		clock.Set(at)
	}
}

func TestATokenIsVerifiedByASetFetchedBeforeItsKeyCameIntoUse(t *testing.T) {
	clock := newClock()
	tokens := newTokens(t, clock)
	early, err := jwk.Parse(tokens.Keys.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	clock.Set(clock.Now().Add(30 * 24 * time.Hour))
	tick(t, tokens.Keys)
	text, err := tokens.Mint(controllerUUID, estate.User{Name: "alice@canonical.com"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jwt.Parse(compact, jwt.WithKeySet(early), jwt.WithClock(jwt.ClockFunc(clock.Now))); err != nil {
		t.Errorf("a controller that has not asked for the keys since then refuses the token: %v", err)
	}
}

func TestNobodyGetsNoToken(t *testing.T) {
	tokens := newTokens(t, newClock())
	for _, name := range []string{"", "a b@canonical.com", "alice@"} {
		if _, err := tokens.Mint(controllerUUID, estate.User{Name: name}, nil); !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("%q gets a token, or %v", name, err)
		}
	}
}
