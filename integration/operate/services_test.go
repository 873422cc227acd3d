//go:build integration

package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/stack"
	"jimm/workload/dev"
	"jimm/workload/postgres/cluster"
	"jimm/workload/rpc"
)

// unitsMount is the mount at Vault of the units in these tests.
const unitsMount = "units"

// useServices points the world at the real OpenFGA, Vault and Hydra.
func (w *world) useServices() *stack.Stack {
	w.t.Helper()
	ctx := w.t.Context()
	// PostgreSQL runs as another user, who does not get into t.TempDir.
	dir, err := os.MkdirTemp("", "jimm-operate-services-")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = errors.Join(cluster.Remove(filepath.Join(dir, "postgres")), os.RemoveAll(dir)) })
	services, err := dev.Start(ctx, dev.Options{
		Dir: dir, Juju: "sim", Stack: dev.StackReal, Issuer: dev.IssuerHydra, Repository: "../..", Out: os.Stderr, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := services.Close(); err != nil {
			w.t.Error(err)
		}
	})
	s := services.Services
	for _, account := range []stack.Account{{ID: admin, Secret: adminSecret}, {ID: user, Secret: userSecret}} {
		if err := s.AddAccount(ctx, account); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := s.AddVaultMount(ctx, unitsMount); err != nil {
		w.t.Fatal(err)
	}
	ca, err := os.ReadFile(services.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	fga, err := url.Parse(s.OpenFGAURL)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"JIMM_CA_FILE": services.CAFile, "VAULT_CACERT_BYTES": string(ca),
		"VAULT_ADDR": s.VaultURL, "VAULT_PATH": unitsMount, "VAULT_ROLE_ID": s.VaultRoleID, "VAULT_ROLE_SECRET_ID": s.VaultSecretID,
		"OPENFGA_SCHEME": fga.Scheme, "OPENFGA_HOST": fga.Hostname(), "OPENFGA_PORT": fga.Port(), "OPENFGA_TOKEN": s.OpenFGAToken,
		"OPENFGA_STORE":         w.newOpenFGAStore(s),
		"JIMM_OAUTH_ISSUER_URL": s.AtHydra.Issuer, "JIMM_OAUTH_CLIENT_ID": s.AtHydra.ID, "JIMM_OAUTH_CLIENT_SECRET": s.AtHydra.Secret,
		"JIMM_OAUTH_AUTH_STYLE": s.AtHydra.AuthStyle, "JIMM_OAUTH_INTROSPECTION_URL": s.IntrospectionURL(),
	} {
		w.environ[name] = value
	}
	w.secrets = append(w.secrets, s.OpenFGAToken, s.VaultSecretID, s.AtHydra.Secret)
	return s
}

// newOpenFGAStore makes a store of these units' own.
func (w *world) newOpenFGAStore(s *stack.Stack) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, s.OpenFGAURL+"/stores", strings.NewReader(`{"name": "units"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.OpenFGAToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var made struct{ ID string }
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || made.ID == "" {
		w.t.Fatalf("OpenFGA answers %s, %v", answer.Status, err)
	}
	return made.ID
}

// ctl runs jimmctl with the environment of a unit.
func (w *world) ctl(extra map[string]string, args ...string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, jimmctl, args...)
	cmd.Env = []string{"HOME=" + w.t.TempDir()}
	for _, set := range []map[string]string{w.environ, extra} {
		for name, value := range set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, problems.String())
	}
	for _, secret := range w.secrets {
		if strings.Contains(out.String()+problems.String(), secret) {
			w.t.Errorf("jimmctl %s prints a secret: %.8s…", args[0], secret)
		}
	}
	return out.String(), err
}

// signingKeys are the ids of what a unit signs with.
func (u *unit) signingKeys() string {
	u.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.address+"/.well-known/jwks.json", nil)
	if err != nil {
		u.w.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		u.w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil || len(set.Keys) == 0 {
		u.w.t.Fatalf("the keys are %v, %v", set, err)
	}
	return fmt.Sprint(set)
}

func TestUnitsWithTheRealServices(t *testing.T) {
	w := newWorld(t)
	s := w.useServices()
	a := w.start("a", nil)
	b := w.start("b", nil)
	w.front.use(a, b)
	w.addControllers(1)
	w.letAddModels(user)
	owner := user + "@serviceaccount"

	w.front.use(a)
	onA := w.logIn(user, userSecret)
	model, err := onA.createModel("shared", owner)
	if err != nil {
		t.Fatal(err)
	}
	w.front.use(b)
	// What counts is that somebody else may: the administrator may anyway.
	const guest, guestSecret = "guest", "hush-guest-secret"
	if err := s.AddAccount(t.Context(), stack.Account{ID: guest, Secret: guestSecret}); err != nil {
		t.Fatal(err)
	}
	w.secrets = append(w.secrets, guestSecret)
	onB := w.logIn(guest, guestSecret)
	change := func(action params.ModelAction) {
		t.Helper()
		onA.must("ModelManager", 11, "ModifyModelAccess", params.ModifyModelAccessRequest{Changes: []params.ModifyModelAccess{{
			UserTag: "user-" + guest + "@serviceaccount", Action: action, Access: params.ModelReadAccess, ModelTag: "model-" + model.UUID,
		}}}, nil)
	}
	t.Run("a grant at one unit counts at the next request to the other, and a revoke", func(t *testing.T) {
		for range 5 {
			change(params.GrantModelAccess)
			if got := onB.models(guest + "@serviceaccount"); got["shared"] != model.UUID {
				t.Fatalf("after the grant the other lists %v", got)
			}
			change(params.RevokeModelAccess)
			if got := onB.models(guest + "@serviceaccount"); len(got) != 0 {
				t.Fatalf("after the revoke the other lists %v", got)
			}
		}
	})
	t.Run("a revoke closes connections at the other unit", func(t *testing.T) {
		change(params.GrantModelAccess)
		conn, err := w.tryLogIn("/model/"+model.UUID+"/api", guest, guestSecret)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		change(params.RevokeModelAccess)
		for {
			var info params.ModelInfo
			err := conn.Call(t.Context(), "Client", 8, "", "FullStatus", params.StatusParams{}, &info)
			var closed *rpc.ClosedError
			if errors.As(err, &closed) {
				t.Logf("closed after %v", time.Since(began).Round(time.Millisecond))
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("it is not closed after a minute: %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Run("an account whose tokens only the issuer can read logs in", func(t *testing.T) {
		const id, secret = "opaque", "hush-opaque-secret"
		w.secrets = append(w.secrets, secret)
		if err := s.AddAccount(t.Context(), stack.Account{ID: id, Secret: secret, Opaque: true}); err != nil {
			t.Fatal(err)
		}
		if got := w.logIn(id, secret).models(id + "@serviceaccount"); len(got) != 0 {
			t.Errorf("it has models %v", got)
		}
		if _, err := w.tryLogIn("/api", id, "hush-wrong-secret"); err == nil {
			t.Error("it logs in with a wrong secret")
		}
	})
	t.Run("an account that the issuer has withdrawn is refused within a minute", func(t *testing.T) {
		const id, secret = "leaver", "hush-leaver-secret"
		w.secrets = append(w.secrets, secret)
		if err := s.AddAccount(t.Context(), stack.Account{ID: id, Secret: secret}); err != nil {
			t.Fatal(err)
		}
		w.logIn(id, secret)
		if err := s.RemoveAccount(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); ; time.Sleep(time.Second) {
			late := time.Since(began) > time.Minute // when it is tried, however long that takes
			c, err := w.tryLogIn("/api", id, secret)
			if err != nil {
				if !strings.Contains(err.Error(), "invalid client") {
					t.Errorf("it is refused by %v", err)
				}
				t.Logf("refused after %v", time.Since(began).Round(time.Second))
				break
			}
			_ = c.Close()
			if late {
				t.Fatal("it still logs in after a minute")
			}
		}
	})
	keys := a.signingKeys()
	if other := b.signingKeys(); other != keys {
		t.Errorf("one signs with %s, the other with %s", keys, other)
	}
	t.Run("secrets move while nobody runs, and only then", func(t *testing.T) {
		sealed := map[string]string{"JIMM_SECRET_STORAGE": "sealed"}
		if _, err := w.ctl(sealed, "move-secrets"); err == nil || !strings.Contains(err.Error(), "stop every jimmsrv") {
			t.Fatalf("while units run: %v", err)
		}
		a.stop()
		b.stop()
		if log := w.failing(sealed); !strings.Contains(log, "the secrets are in Vault, and the settings say sealed rows") {
			t.Errorf("a unit with the wrong settings says %s", log)
		}
		for _, step := range []struct {
			place string
			extra map[string]string
		}{{"sealed", sealed}, {"vault", nil}} {
			out, err := w.ctl(step.extra, "move-secrets", "--format", "json")
			if err != nil {
				t.Fatal(err)
			}
			var moved struct{ Moved, Deleted int }
			decode(t, out, &moved)
			if moved.Moved < 2 || moved.Deleted != moved.Moved {
				t.Errorf("to %s: %s", step.place, out)
			}
			u := w.start("with secrets in "+step.place, step.extra)
			w.front.use(u)
			if got := u.signingKeys(); got != keys {
				t.Errorf("it signs with %s, before it was %s", got, keys)
			}
			// The controller's password has come along.
			if _, err := w.logIn(user, userSecret).createModel("made-with-"+step.place, owner); err != nil {
				t.Errorf("with secrets in %s: %v", step.place, err)
			}
			u.stop()
		}
	})
}
