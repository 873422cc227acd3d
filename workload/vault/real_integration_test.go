//go:build integration

package vault_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"jimm/workload/estate"
	"jimm/workload/estate/secretstest"
	"jimm/workload/vault"
)

// policy is the one of docs/howto/secrets-in-vault.md.
const policy = `
path "jimm/data/*" { capabilities = ["create", "read", "update"] }
path "jimm/metadata/*" { capabilities = ["read", "list", "delete"] }
`

// real is the core of HashiCorp Vault in a process of its own, with TLS.
type real struct {
	*testing.T
	program, dir, address string
	ca                    []byte
	process               *exec.Cmd
	data                  []string // arguments that say where data are kept
	root                  *api.Client
	unsealKey             string
	role, secret          string
}

// startReal starts one that keeps its data in files, so that it can be started
// again, or in memory: the names of its files end at 255 bytes.
func startReal(t *testing.T, files bool) *real {
	t.Helper()
	build := exec.CommandContext(t.Context(), "../../integration/peers/build.sh", "vault")
	build.Stderr = os.Stderr
	out, err := build.Output()
	check(t, err)
	v := &real{T: t, dir: t.TempDir(), program: strings.TrimPrefix(strings.TrimSpace(string(out)), "VAULT=")}
	if files {
		v.data = []string{"-data", filepath.Join(v.dir, "data")}
	}
	v.certificate()
	v.start("127.0.0.1:0")
	config := api.DefaultConfig()
	config.Address = "https://" + v.address
	check(t, config.ConfigureTLS(&api.TLSConfig{CACertBytes: v.ca}))
	v.root, err = api.NewClient(config)
	check(t, err)
	v.root.ClearToken()
	made, err := v.root.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	check(t, err)
	v.unsealKey = made.Keys[0]
	v.unseal()
	v.root.SetToken(made.RootToken)
	check(t, v.root.Sys().Mount("jimm", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	check(t, v.root.Sys().Mount("old", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	check(t, v.root.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}))
	check(t, v.root.Sys().PutPolicy("jimm", policy))
	v.write("auth/approle/role/jimm", map[string]any{"token_policies": "jimm", "token_ttl": "1h", "token_max_ttl": "1h"})
	role, err := v.root.Logical().Read("auth/approle/role/jimm/role-id")
	check(t, err)
	v.role = role.Data["role_id"].(string)
	v.secret = v.write("auth/approle/role/jimm/secret-id", nil).Data["secret_id"].(string)
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (v *real) write(path string, data map[string]any) *api.Secret {
	v.Helper()
	secret, err := v.root.Logical().Write(path, data)
	check(v.T, err)
	return secret
}

// certificate makes one that signs itself.
func (v *real) certificate() {
	v.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(v.T, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(v.T, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(v.T, err)
	v.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(v.T, os.WriteFile(filepath.Join(v.dir, "cert"), v.ca, 0o600))
	check(v.T, os.WriteFile(filepath.Join(v.dir, "key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func (v *real) start(address string) {
	v.Helper()
	v.process = exec.CommandContext(context.WithoutCancel(v.Context()), v.program, append(v.data,
		"-listen", address, "-tls-cert", filepath.Join(v.dir, "cert"), "-tls-key", filepath.Join(v.dir, "key"))...)
	v.process.Stderr = v.Output()
	out, err := v.process.StdoutPipe()
	check(v.T, err)
	check(v.T, v.process.Start())
	process := v.process
	v.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	check(v.T, err)
	v.address = strings.TrimPrefix(strings.TrimSpace(line), "listening on ")
}

func (v *real) unseal() {
	v.Helper()
	_, err := v.root.Sys().Unseal(v.unsealKey)
	check(v.T, err)
	v.until("it is unsealed", func() bool {
		health, err := v.root.Sys().Health()
		return err == nil && !health.Sealed && !health.Standby
	})
}

func (v *real) until(what string, condition func() bool) {
	v.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			v.Fatalf("waited a minute in vain until %s", what)
		}
	}
}

func (v *real) open(change func(*vault.Config)) *vault.Secrets {
	v.Helper()
	c := vault.Config{
		Address: "https://" + v.address, CACertificates: v.ca, Mount: "jimm", RoleID: v.role, SecretID: v.secret,
		Log: slog.New(slog.NewTextHandler(v.Output(), nil)),
	}
	if change != nil {
		change(&c)
	}
	s, err := vault.New(c)
	check(v.T, err)
	return s
}

// wantFault wants all calls to fail in this way, and to say nothing secret.
func (v *real) wantFault(s *vault.Secrets, code, text string) {
	v.Helper()
	_, getErr := s.Get(v.Context(), "kept")
	_, casErr := s.PutIfVersion(v.Context(), "kept", 0, value)
	for call, err := range map[string]error{"Get": getErr, "PutIfVersion": casErr, "Put": s.Put(v.Context(), "kept", value)} {
		if estate.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
			v.Errorf("%s gives %v with code %q, want %q", call, err, estate.CodeOf(err), text)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), v.secret) {
			v.Errorf("%s tells a secret: %v", call, err)
		}
	}
}

func (v *real) wantKept(s *vault.Secrets) {
	v.Helper()
	if got, err := s.Get(v.Context(), "kept"); err != nil || got["password"] != "hunter2" {
		v.Errorf("the secret that was kept is %d fields, %v", len(got), err)
	}
}

func TestARealVaultKeepsSecrets(t *testing.T) {
	v := startReal(t, false)
	s := v.open(nil)
	secretstest.Run(t, func(t *testing.T) estate.ListedSecrets { return s })
	t.Run("where each write must name a version", func(t *testing.T) {
		v.write("jimm/config", map[string]any{"cas_required": true})
		defer v.write("jimm/config", map[string]any{"cas_required": false})
		v.until("the mount is configured", func() bool { return s.Put(t.Context(), "cas", value) == nil })
		put(t, s, "cas")
		put(t, s, "cas/new")
	})
	t.Run("what a person has deleted can be created", func(t *testing.T) {
		put(t, s, "undead")
		if _, err := v.root.Logical().Delete("jimm/data/undead"); err != nil {
			t.Fatal(err)
		}
		if value, version, err := s.GetVersion(t.Context(), "undead"); value != nil || version != 0 || err != nil {
			t.Errorf("GetVersion gives %d, %v", version, err)
		}
		if ok, err := s.PutIfVersion(t.Context(), "undead", 0, value); !ok || err != nil {
			t.Errorf("PutIfVersion gives %v, %v", ok, err)
		}
		if ok, err := s.PutIfVersion(t.Context(), "undead", 0, value); ok || err != nil {
			t.Errorf("PutIfVersion gives %v, %v again", ok, err)
		}
	})
	t.Run("paths are listed", func(t *testing.T) {
		found := map[string]bool{}
		check(t, s.Paths(t.Context(), func(path string) error { found[path] = true; return nil }))
		for _, path := range []string{"a/value", "d/..", "d/nul\x00", "d/plain/more", "cas/new"} {
			if !found[path] {
				t.Errorf("%q is missing", path)
			}
		}
	})
}

func TestARealVaultFailsAndHeals(t *testing.T) {
	v := startReal(t, true)
	s, hurried := v.open(nil), v.open(func(c *vault.Config) { c.Timeout = time.Second })
	put(t, s, "kept")
	v.until("who is in a hurry has a token, too", func() bool { _, err := hurried.Get(t.Context(), "kept"); return err == nil })

	check(t, v.root.Sys().Seal())
	v.wantFault(s, estate.CodeConnectionFailed, "Vault is sealed")
	v.unseal()
	v.wantKept(s)

	check(t, v.process.Process.Signal(syscall.SIGSTOP))
	var state syscall.WaitStatus // until all its threads have stopped, it may answer
	if _, err := syscall.Wait4(v.process.Process.Pid, &state, syscall.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Fatalf("it does not stop: %v, %v", state, err)
	}
	v.wantFault(hurried, estate.CodeConnectionFailed, "Vault does not answer in time")
	check(t, v.process.Process.Signal(syscall.SIGCONT))
	v.wantKept(s)
	v.until("who was in a hurry is served", func() bool { _, err := hurried.Get(t.Context(), "kept"); return err == nil })

	check(t, v.process.Process.Kill())
	_ = v.process.Wait()
	v.wantFault(s, estate.CodeConnectionFailed, "Vault cannot be reached")
	v.start(v.address)
	v.wantFault(s, estate.CodeConnectionFailed, "Vault is sealed")
	v.unseal()
	v.wantKept(s)

	// The token is revoked, with all others of the role.
	v.write("sys/leases/revoke-prefix/auth/approle/", nil)
	v.wantKept(s)

	check(t, v.root.Sys().PutPolicy("jimm", `path "jimm/metadata/*" { capabilities = ["list"] }`))
	v.wantFault(s, estate.CodeServerConfiguration, "does not permit it")
	check(t, v.root.Sys().PutPolicy("jimm", policy))
	v.wantKept(s)

	for name, c := range map[string]struct {
		change func(*vault.Config)
		text   string
	}{
		"another's secret id": {func(c *vault.Config) { c.SecretID = "guess" }, "does not accept JIMM's AppRole"},
		"no such mount":       {func(c *vault.Config) { c.Mount = "elsewhere" }, "no mount"},
		"a mount of version 1": {func(c *vault.Config) {
			c.Mount = "old"
			check(t, v.root.Sys().PutPolicy("jimm", policy+`path "old/*" { capabilities = ["read"] }`))
		}, "not a KV secrets engine of version 2"},
		"no CA":     {func(c *vault.Config) { c.CACertificates = nil }, "cannot be trusted"},
		"plain":     {func(c *vault.Config) { c.Address = "http://" + v.address }, "Vault"},
		"namespace": {func(c *vault.Config) { c.Namespace = "team" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := v.open(c.change).Check(t.Context())
			if name == "namespace" { // only Vault Enterprise looks at it
				check(t, err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.text) || estate.CodeOf(err) == "" {
				t.Errorf("Check gives %v with code %q", err, estate.CodeOf(err))
			}
		})
	}
}

func TestTokensOfARealVaultEndUnnoticed(t *testing.T) {
	v := startReal(t, true)
	v.write("auth/approle/role/jimm", map[string]any{"token_policies": "jimm", "token_ttl": "2s", "token_max_ttl": "3s"})
	var log bytes.Buffer
	s := v.open(func(c *vault.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	put(t, s, "kept")
	accessors := map[string]bool{}
	v.until("five tokens have served", func() bool {
		v.wantKept(s)
		list, err := v.root.Logical().List("auth/token/accessors")
		check(t, err)
		for _, accessor := range list.Data["keys"].([]any) {
			accessors[accessor.(string)] = true
		}
		return len(accessors) > 5 // one is the root's
	})
	if strings.Contains(log.String(), "Vault fails") {
		t.Errorf("the log tells of failures:\n%s", &log)
	}
	// A token that ends while nobody calls is replaced, too.
	timer := time.NewTimer(4 * time.Second)
	defer timer.Stop()
	<-timer.C
	v.wantKept(s)
}
