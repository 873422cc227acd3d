package login

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"jimm/workload/estate"
)

var (
	testKey = []byte(strings.Repeat("0123456789abcdef", 4))
	noon    = time.Date(2026, 7, 13, 12, 0, 0, 0, time.UTC)
)

// identities remembers nobody.
type identities struct{ estate.IdentityStore }

func (identities) SaveLogin(context.Context, string, string, time.Time) error { return nil }

// sessions are alive while they are in it.
type sessions struct {
	estate.SessionStore
	alive map[string]estate.Session
}

func (s sessions) UseSession(_ context.Context, id string) (estate.Session, error) {
	if found, ok := s.alive[id]; ok {
		return found, nil
	}
	return estate.Session{}, estate.Errorf(estate.CodeNotFound, "session %q not found", id)
}

func sessionsOf(users ...string) sessions {
	s := sessions{alive: map[string]estate.Session{}}
	for _, user := range users {
		s.alive["session-of-"+user] = estate.Session{
			ID: "session-of-" + user, User: user, Kind: estate.SessionDevice, StartedAt: noon, Expires: noon.Add(time.Hour), Groups: []string{"tea"},
		}
	}
	s.alive["browser-session"] = estate.Session{ID: "browser-session", User: "alice@example.com", Kind: estate.SessionBrowser}
	return s
}

// offline makes a Service whose issuer never answers.
func offline(t testing.TB, change func(*Config)) *Service {
	t.Helper()
	c := Config{
		Issuer: "https://idp.invalid", ClientID: "jimm", SessionKey: testKey, SessionLife: time.Hour, Identities: identities{}, Sessions: sessionsOf("alice@example.com", "bob@example.com", "admin", "admin@local", "robot@serviceaccount", "everyone@external", "jimm@example.com", "Alice@example.com"),
		HTTPClient: &http.Client{Transport: noTransport{}}, Now: func() time.Time { return noon }, Reserved: []string{"jimm@example.com"},
	}
	if change != nil {
		change(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

// sign makes what looks like a session token.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString([]byte(compact))
}

func TestATokenThatIsNotValidStartsANewLogin(t *testing.T) {
	s := offline(t, nil)
	good := map[string]any{"iss": sessionIssuer, "sub": "alice@example.com", "jti": "session-of-alice@example.com", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix()}
	with := func(changes map[string]any) string {
		claims := map[string]any{}
		for _, from := range []map[string]any{good, changes} {
			for _, name := range slices.Backward(slices.Sorted(maps.Keys(from))) {
				value := from[name]
				claims[name] = value
				if sub, ok := value.(string); ok && name == "sub" {
					claims["jti"] = "session-of-" + sub
				}
				if value == nil {
					delete(claims, name)
				}
			}
		}
		return sign(t, jose.HS256, testKey, claims)
	}
	if u, err := s.VerifyToken(t.Context(), with(nil)); err != nil || u.Name != "alice@example.com" || u.Session != "session-of-alice@example.com" || !slices.Equal(u.Groups, []string{"tea"}) {
		t.Fatalf("a good token: %v, %v", u, err)
	}
	valid := with(nil)
	otherKey := make([]byte, 64)
	_, _ = rand.Read(otherKey)
	compact, _ := base64.StdEncoding.DecodeString(valid)
	parts := strings.Split(string(compact), ".")
	encode := func(parts ...string) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, ".")))
	}
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, token := range map[string]string{
		"empty":                     "",
		"garbage":                   "garbage!",
		"base64 of garbage":         base64.StdEncoding.EncodeToString([]byte("garbage")),
		"not in base64":             string(compact),
		"in another base64":         base64.RawURLEncoding.EncodeToString(compact) + "_",
		"cut":                       valid[:len(valid)-8],
		"signed with another key":   sign(t, jose.HS256, otherKey, good),
		"by another algorithm":      sign(t, jose.HS512, testKey, good),
		"unsigned":                  encode(unsigned, parts[1], ""),
		"unsigned with signature":   encode(unsigned, parts[1], parts[2]),
		"of another payload":        encode(parts[0], base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob@example.com"}`)), parts[2]),
		"expired":                   with(map[string]any{"exp": noon.Add(-leeway - time.Second).Unix()}),
		"without expiry":            with(map[string]any{"exp": nil}),
		"from tomorrow":             with(map[string]any{"iat": noon.Add(24 * time.Hour).Unix()}),
		"without a session":         with(map[string]any{"jti": nil}),
		"of a session that is over": with(map[string]any{"jti": "ended"}),
		"of another's session":      with(map[string]any{"jti": "session-of-bob@example.com"}),
		"of a browser's session":    with(map[string]any{"jti": "browser-session"}),
		"of another issuer":         with(map[string]any{"iss": "https://idp.example.com"}),
		"of nobody":                 with(map[string]any{"sub": nil}),
		"of a local user":           with(map[string]any{"sub": "admin"}),
		"of a user of domain local": with(map[string]any{"sub": "admin@local"}),
		"of a service account":      with(map[string]any{"sub": "robot@serviceaccount"}),
		"of everyone":               with(map[string]any{"sub": "everyone@external"}),
		"of JIMM itself":            with(map[string]any{"sub": "jimm@example.com"}),
		"of a second spelling":      with(map[string]any{"sub": "Alice@example.com"}),
		"too long":                  strings.Repeat("A", maxToken+4),
	} {
		u, err := s.VerifyToken(t.Context(), token)
		if u.Name != "" || !estate.Is(err, estate.CodeSessionTokenInvalid) || err.Error() != `no valid session; run "juju login" to log in` {
			t.Errorf("a token %s: user %q, error %v", name, u.Name, err)
		}
	}
}

func TestAKeyThatIsChangedEndsAllSessions(t *testing.T) {
	before, after := offline(t, nil), offline(t, func(c *Config) { c.SessionKey = []byte(strings.Repeat("x", 64)) })
	token, err := before.newToken(sessionsOf("alice@example.com").alive["session-of-alice@example.com"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.VerifyToken(t.Context(), token); !estate.Is(err, estate.CodeSessionTokenInvalid) {
		t.Errorf("got %v", err)
	}
}

func FuzzOnlyOurTokensAreTaken(f *testing.F) {
	s := offline(f, nil)
	alice, err := s.newToken(sessionsOf("alice@example.com").alive["session-of-alice@example.com"])
	if err != nil {
		f.Fatal(err)
	}
	compact, _ := base64.StdEncoding.DecodeString(alice)
	f.Add(alice, false)
	f.Add(string(compact), true)
	f.Add("", false)
	f.Add("..", true)
	f.Add(`{"payload":"e30","signatures":[]}`, true)
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", true)
	f.Fuzz(func(t *testing.T, text string, encode bool) {
		if encode {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		u, err := s.VerifyToken(t.Context(), text)
		switch {
		case err == nil && u.Name != "alice@example.com":
			t.Errorf("%q is taken for %q", text, u.Name)
		case err != nil && !estate.Is(err, estate.CodeSessionTokenInvalid):
			t.Errorf("%q gives %v", text, err)
		}
	})
}
