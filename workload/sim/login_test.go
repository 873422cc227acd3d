package sim_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

func TestALoginResultIsThatOfARealController(t *testing.T) {
	for _, generation := range []sim.Generation{sim.Juju36, sim.Juju41} {
		t.Run(generation.String(), func(t *testing.T) {
			w := newWorld(t, generation, func(c *sim.Config) { c.UUID = "11111111-1111-4111-8111-111111111111" })
			result, err := w.login(t, w.dial(t, "/api"), params.LoginRequest{AuthTag: "user-admin", Credentials: "sekrit"})
			ok(t, err)
			if len(result.Servers) != 1 || len(result.Servers[0]) != 1 || result.Servers[0][0].Port == 0 {
				t.Fatalf("no server in %v", result.Servers)
			}
			result.Servers[0][0].Port = 17070
			golden(t, "login-"+generation.String()+".json", jsonOf(t, result))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		ok(t, os.WriteFile(path, []byte(got+"\n"), 0o644))
	}
	want, err := os.ReadFile(path)
	ok(t, err)
	same(t, got, strings.TrimSuffix(string(want), "\n"))
}

// tokenTest is a login by token.
type tokenTest struct {
	name string
	// generation is that whose controllers behave so, 0 if all do.
	generation sim.Generation
	// token makes the token; model says to log in to a model.
	token func(t *testing.T, w *world, model string) string
	model bool
	// message is a part of the error's, empty for a success.
	message, code string
	access        params.AuthUserInfo
}

// tokenTests are what a real 4.1 controller is asked, too.
func tokenTests() []tokenTest {
	later := func() time.Time { return time.Now().Add(time.Minute) }
	return []tokenTest{{
		name: "a login claim is enough for the controller",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		access: params.AuthUserInfo{ControllerAccess: "login"},
	}, {
		name: "a token without claims has no access",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, alice, nil, later())
		},
		message: "permission denied", code: "unauthorized access",
	}, {
		name: "a model claim alone is not enough for the model",
		token: func(t *testing.T, w *world, model string) string {
			return sign(t, w.signer, alice, map[string]string{"model-" + model: "admin"}, later())
		},
		model:   true,
		message: "permission denied", code: "unauthorized access",
	}, {
		name: "a missing model claim is no access but a login",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		model:  true,
		access: params.AuthUserInfo{ControllerAccess: "login"},
	}, {
		name: "both claims give both accesses",
		token: func(t *testing.T, w *world, model string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "login", "model-" + model: "write"}, later())
		},
		model:  true,
		access: params.AuthUserInfo{ControllerAccess: "login", ModelAccess: "write"},
	}, {
		name: "an access word that the controller does not know is an error",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "add-model"}, later())
		},
		message: `obtaining ControllerUser for logged in user alice@canonical.com: "add-model" controller access not valid`, code: "not valid",
	}, {
		name: "an access word that a model does not know is no permission",
		token: func(t *testing.T, w *world, model string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "login", "model-" + model: "superuser"}, later())
		},
		model:   true,
		message: "permission denied", code: "unauthorized access",
	}, {
		name: "a superuser with a bad model claim is admin of the model",
		token: func(t *testing.T, w *world, model string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "superuser", "model-" + model: "bogus"}, later())
		},
		model:  true,
		access: params.AuthUserInfo{ControllerAccess: "superuser", ModelAccess: "admin"},
	}, {
		name: "an expired token is refused",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, alice, map[string]string{w.controllerTag(): "login"}, time.Now().Add(-time.Minute))
		},
		message: `parsing login access token: "exp" not satisfied`,
	}, {
		name: "a key that is not published is refused",
		token: func(t *testing.T, w *world, _ string) string {
			other := newIssuer(t, "127.0.0.1:0").key(t, map[string]any{"kid": "k2", "alg": "ES256"})
			return sign(t, other, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		message: `failed to find key with key ID "k2"`,
	}, {
		name: "another key of the same id is refused",
		token: func(t *testing.T, w *world, _ string) string {
			other := newIssuer(t, "127.0.0.1:0").key(t, map[string]any{"kid": "k1", "alg": "ES256"})
			return sign(t, other, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		message: "could not verify message using any of the signatures or keys",
	}, {
		name: "a published key without alg is refused",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.withoutAlg, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		message: "could not verify message using any of the signatures or keys",
	}, {
		name: "a published key without kid is refused",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.withoutID, alice, map[string]string{w.controllerTag(): "login"}, later())
		},
		message: `parsing login access token: `,
	}, {
		name:       "a local user is refused by 4.x",
		generation: sim.Juju41,
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, "user-bob", map[string]string{w.controllerTag(): "login"}, later())
		},
		message: `ensuring external user "bob": cannot ensure local user "bob" as external`, code: "not valid",
	}, {
		name:       "a local user is taken by 3.6",
		generation: sim.Juju36,
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, "user-bob", map[string]string{w.controllerTag(): "login"}, later())
		},
		access: params.AuthUserInfo{Identity: "user-bob", ControllerAccess: "login"},
	}, {
		name: "a subject that is no user tag is refused",
		token: func(t *testing.T, w *world, _ string) string {
			return sign(t, w.signer, "alice@canonical.com", map[string]string{w.controllerTag(): "login"}, later())
		},
		message: "invalid user tag in authToken",
	}, {
		name:    "what is not base64 is refused",
		token:   func(*testing.T, *world, string) string { return "ey.ey.ey" },
		message: "invalid jwt authToken in request",
	}, {
		name: "a compact token that is not encoded once more is refused",
		token: func(t *testing.T, w *world, _ string) string {
			raw, err := base64.StdEncoding.DecodeString(sign(t, w.signer, alice, nil, later()))
			ok(t, err)
			return string(raw)
		},
		message: "invalid jwt authToken in request",
	}}
}

func (test tokenTest) run(t *testing.T, w *world, model string) {
	path := "/api"
	if test.model {
		path = "/model/" + model + "/api"
	}
	result, err := w.login(t, w.dial(t, path), params.LoginRequest{Token: test.token(t, w, model)})
	if test.message != "" {
		e := errorOf(t, err)
		if !strings.Contains(e.Message, test.message) || e.Code != test.code {
			t.Fatalf("got error %q (%s), want %q (%s)", e.Message, e.Code, test.message, test.code)
		}
		return
	}
	ok(t, err)
	want := test.access
	if want.Identity == "" {
		want.Identity = alice
	}
	same(t, *result.UserInfo, want)
	if test.model && result.ModelTag != "model-"+model {
		t.Fatalf("model tag %q", result.ModelTag)
	}
}

func TestTokens(t *testing.T) {
	for _, test := range tokenTests() {
		t.Run(test.name, func(t *testing.T) {
			generation := test.generation
			if generation == 0 {
				generation = sim.Juju41
			}
			w := newWorld(t, generation)
			uuids, err := w.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
			ok(t, err)
			test.run(t, w, uuids[0])
		})
	}
}

func TestKeysAreCachedUntilATokenHasAnUnknownOne(t *testing.T) {
	w := newWorld(t, sim.Juju41, func(c *sim.Config) { c.UnknownKeyInterval = time.Nanosecond })
	claims := map[string]string{w.controllerTag(): "login"}
	for range 3 {
		w.as(t, "/api", alice, claims)
	}
	same(t, w.issuer.fetches(), 1)
	w.signer = w.issuer.key(t, map[string]any{"kid": "k2", "alg": "ES256"})
	w.as(t, "/api", alice, claims)
	same(t, w.issuer.fetches(), 2)
}

func TestNewKeysAreNotFetchedEarlyIfNotAskedFor(t *testing.T) {
	w := newWorld(t, sim.Juju41, func(c *sim.Config) { c.UnknownKeyInterval = -1 })
	claims := map[string]string{w.controllerTag(): "login"}
	w.as(t, "/api", alice, claims)
	var next jwk.Key = w.issuer.key(t, map[string]any{"kid": "k2", "alg": "ES256"})
	_, err := w.login(t, w.dial(t, "/api"), params.LoginRequest{Token: sign(t, next, alice, claims, time.Now().Add(time.Minute))})
	if e := errorOf(t, err); !strings.Contains(e.Message, `failed to find key with key ID "k2"`) {
		t.Fatal(e.Message)
	}
}

func TestWhatALoginRefuses(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	tests := []struct {
		name, path, method string
		facade             string
		version            int
		arg                any
		want               rpc.Error
	}{
		{"a wrong password", "/api", "Login", "Admin", 3, params.LoginRequest{AuthTag: "user-admin", Credentials: "no"},
			rpc.Error{Code: "unauthorized access", Message: "invalid entity name or password"}},
		{"nobody's password", "/api", "Login", "Admin", 3, params.LoginRequest{AuthTag: "user-bob", Credentials: "sekrit"},
			rpc.Error{Code: "unauthorized access", Message: "invalid entity name or password"}},
		{"a model that is not there", "/model/22222222-2222-4222-8222-222222222222/api", "Login", "Admin", 3, params.LoginRequest{AuthTag: "user-admin", Credentials: "no"},
			rpc.Error{Code: "model not found", Message: `unknown model: "22222222-2222-4222-8222-222222222222"`}},
		{"a facade before the login", "/api", "ListModels", "ModelManager", 11, params.Entity{},
			rpc.Error{Code: "not implemented", Message: `unknown version 11 for facade type "ModelManager"`}},
		{"an old client", "/api", "Login", "Admin", 2, params.LoginRequest{},
			rpc.Error{Code: "not supported", Message: "this version of Juju does not support login from old clients"}},
		{"a device login", "/api", "LoginDevice", "Admin", 4, nil,
			rpc.Error{Code: "not supported", Message: "this version of Juju does not support login from old clients"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			same(t, errorOf(t, call(t, w.dial(t, test.path), test.facade, test.version, test.method, test.arg, nil)), test.want)
		})
	}
}

func TestASecondLoginIsRefused(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	req := params.LoginRequest{AuthTag: "user-admin", Credentials: "sekrit"}
	_, err := w.login(t, w.asAdmin(t, "/api"), req)
	same(t, errorOf(t, err), rpc.Error{Code: "not supported", Message: `facade "Admin" not supported for controller API connection`})
	uuids, err := w.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
	ok(t, err)
	_, err = w.login(t, w.asAdmin(t, "/model/"+uuids[0]+"/api"), req)
	same(t, errorOf(t, err), rpc.Error{Code: "not implemented", Message: `unknown version 3 for facade type "Admin"`})
}
