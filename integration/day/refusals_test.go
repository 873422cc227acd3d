//go:build integration

package day

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"gopkg.in/yaml.v3"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/dev"
	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// refusals are what JIMM says no to, and how the clients take it.
func (c *company) refusals(t *testing.T) {
	owner := c.person(t, memberRobot, c.bin.Juju41)
	c.logIn(owner, memberRobot).says()
	owner.juju("add-model", "private", "dev/east").says()
	private := owner.who + "/private"
	uuid := modelsOf(owner)[private].UUID
	for _, g := range c.generations() {
		t.Run("juju "+g.name, func(t *testing.T) {
			bob := c.person(t, memberBob, g.path)
			c.logIn(bob, memberBob).says()
			for _, refusal := range []struct {
				name string
				do   func(t *testing.T)
			}{
				{"another user's model looks like none", func(t *testing.T) {
					theirs := bob.juju("status", "-m", private).fails("not found")
					none := bob.juju("status", "-m", owner.who+"/nothing").fails("not found")
					if got, want := strings.ReplaceAll(theirs.stderr, "private", "nothing"), none.stderr; got != want {
						t.Errorf("of another's model juju says %q, of none %q", theirs.stderr, want)
					}
					bob.juju("show-model", private).fails("not found")
					bob.juju("destroy-model", private, "--no-prompt").fails("not found")
					bob.juju("grant", bob.who, "read", private).fails("not found")
				}},
				{"another user's model looks like none to one who knows its UUID", func(t *testing.T) {
					bob.knowsModel(private, uuid)
					bob.juju("status", "-m", private).fails("not found")
					bob.juju("debug-log", "-m", private, "--replay", "--no-tail").fails("not found")
					bob.juju("deploy", "-m", private, c.charm, "stolen").fails("not found")
					owner.t = t
					owner.juju("status", "-m", private).says("Model").omits("stolen")
				}},
				{"a model that nobody has", func(t *testing.T) {
					bob.juju("status", "-m", "nothing").fails("nothing not found")
				}},
				{"a session that is over makes juju ask to log in", func(t *testing.T) {
					bob.juju("models").says()
					bob.expire(c)
					bob.abandoning("models").omits("Model ")
					bob.approving(dev.Bob, c.stack, "models").says("jimm")
					bob.juju("models").says()
				}},
				{"a session that somebody has made up makes juju ask to log in", func(t *testing.T) {
					bob.setToken(func(string) string { return "bWFkZSB1cA==" })
					bob.abandoning("models").omits("Model ")
					bob.approving(dev.Bob, c.stack, "models").says("jimm")
				}},
			} {
				t.Run(refusal.name, func(t *testing.T) {
					bob.t = t
					refusal.do(t)
				})
			}
		})
	}
	t.Run("a service account with a wrong secret is not asked to log in", func(t *testing.T) {
		intruder := c.person(t, memberRobot, c.bin.Juju41)
		intruder.cli.Env = append(intruder.cli.Env, "JUJU_CLIENT_SECRET=wrong")
		intruder.juju("login", c.stack.Address, "-c", "jimm", "--no-prompt").fails("invalid client id or client secret").omits("Please visit")
	})
	t.Run("juju 3.6 does not log in by a secret", func(t *testing.T) {
		c.person(t, memberRobot, c.bin.Juju36).abandoning("login", c.stack.Address, "-c", "jimm", "--no-prompt").omits("Welcome")
	})
	t.Run("a service account is not asked to log in for a model it may not see", func(t *testing.T) {
		owner.t = t
		owner.knowsModel("bob@example.com/gone", "deadbeef-0bad-400d-8000-4b1d0d06f00d")
		owner.juju("status", "-m", "bob@example.com/gone").fails("not found").omits("Please visit")
	})
	t.Run("codes on the wire", c.codes)
}

// codes are those by which clients know what to do next.
func (c *company) codes(t *testing.T) {
	type secret struct {
		ID     string `json:"client-id"`
		Secret string `json:"client-secret"`
	}
	type token struct {
		Token string `json:"session-token"`
	}
	trust := c.stack.Client().Transport.(*http.Transport).TLSClientConfig
	for _, test := range []struct {
		name, method string
		version      int
		params       any
		code         string
	}{
		{"a wrong secret", "LoginWithClientCredentials", 4, secret{dev.ServiceAccount, "wrong"}, estate.CodeUnauthorized},
		{"an unknown client", "LoginWithClientCredentials", 4, secret{"nobody", "wrong"}, estate.CodeUnauthorized},
		{"no session", "LoginWithSessionToken", 4, token{""}, params.CodeSessionTokenInvalid},
		{"a session that is over", "LoginWithSessionToken", 4, token{c.token(t, "bob@example.com", "1", -time.Minute)}, params.CodeSessionTokenInvalid},
		{"a password", "Login", 3, params.LoginRequest{AuthTag: "user-admin", Credentials: "admin-password"}, estate.CodeNotSupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/api", "/model/" + c.stack.Server.Estate.UUID + "/api"} {
				conn, _, err := rpc.Dial(t.Context(), "wss://"+c.stack.Address+path, nil, trust, rpc.Options{})
				if err != nil {
					t.Fatal(err)
				}
				client := rpc.NewClient(conn)
				defer client.Close()
				err = client.Call(t.Context(), "Admin", test.version, "", test.method, test.params, nil)
				var refused *rpc.Error
				if !errors.As(err, &refused) || refused.Code != test.code {
					t.Errorf("%s gives %#v, want code %q", path, err, test.code)
				}
			}
		})
	}
}

// token is a token of a session as JIMM makes them, which ends at a time from now.
func (c *company) token(t *testing.T, user, session string, ends time.Duration) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "jimm", "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		SessionKey string `json:"session-key"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(state.SessionKey)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "jimm", Subject: user, ID: session,
		IssuedAt: jwt.NewNumericDate(time.Now().Add(ends - time.Hour)), Expiry: jwt.NewNumericDate(time.Now().Add(ends)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString([]byte(compact))
}

// expire puts a token in the client store that was good until ten minutes ago: two
// are forgiven, since clocks differ.
func (s *session) expire(c *company) {
	s.t.Helper()
	// That one which is still good is taken shows that the other is refused for its time.
	s.setToken(func(token string) string { return c.token(s.t, s.who, sessionOf(s.t, token), time.Minute) })
	s.juju("models").says()
	s.setToken(func(token string) string { return c.token(s.t, s.who, sessionOf(s.t, token), -10*time.Minute) })
}

// sessionOf is the id of the session that a token is of.
func sessionOf(t *testing.T, token string) string {
	t.Helper()
	compact, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(string(compact), []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	return claims.ID
}

// setToken changes the session token in the client store.
func (s *session) setToken(change func(string) string) {
	s.t.Helper()
	s.edit("accounts.yaml", func(store map[string]any) {
		account := store["controllers"].(map[string]any)["jimm"].(map[string]any)
		account["access-token"] = change(account["access-token"].(string))
	})
}

// knowsModel puts a model in the client store, so that juju does not ask for it before it
// connects to it.
func (s *session) knowsModel(name, uuid string) {
	s.t.Helper()
	s.edit("models.yaml", func(store map[string]any) {
		store["controllers"] = map[string]any{"jimm": map[string]any{
			"models": map[string]any{name: map[string]any{"uuid": uuid, "type": "iaas"}},
		}}
	})
}

// edit changes a file of the client store.
func (s *session) edit(name string, change func(store map[string]any)) {
	s.t.Helper()
	file := filepath.Join(s.cli.Data, name)
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	store := map[string]any{}
	if err := yaml.Unmarshal(text, &store); err != nil {
		s.t.Fatal(err)
	}
	change(store)
	if text, err = yaml.Marshal(store); err != nil {
		s.t.Fatal(err)
	}
	write(s.t, file, string(text))
}
