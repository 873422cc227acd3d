package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
)

// vaultPolicy is what JIMM may do with a mount.
func vaultPolicy(mount string) map[string]string {
	return map[string]string{"policy": `
path "` + mount + `/data/*" { capabilities = ["create", "read", "update"] }
path "` + mount + `/metadata/*" { capabilities = ["read", "list", "delete"] }
`}
}

// startVault starts Vault, initialises it the first time, unseals it, and makes
// what JIMM needs: a KV engine, an AppRole whose tokens live an hour and no longer,
// and its policy.
func (s *Stack) startVault(ctx context.Context) error {
	o := s.options
	s.VaultURL = "https://" + s.address("vault")
	s.Vault = NewService("vault", o.Bin.Vault, o.Dir, o.Client, s.VaultURL+"/v1/sys/health", environment(),
		"-listen", s.address("vault"), "-data", filepath.Join(o.Dir, "vault"), "-tls-cert", o.CertFile, "-tls-key", o.KeyFile)
	s.Vault.healthy = []int{http.StatusNotImplemented, http.StatusServiceUnavailable} // not initialised, or sealed
	s.Vault.afterStart = s.UnsealVault
	if err := s.launch(ctx, s.Vault); err != nil {
		return err
	}
	if !s.state.VaultReady {
		if err := s.furnishVault(ctx); err != nil {
			return fmt.Errorf("cannot set up Vault: %w", err)
		}
		s.state.VaultReady = true
	}
	s.VaultRoleID, s.VaultSecretID = s.state.RoleID, s.state.SecretID
	return s.save()
}

func (s *Stack) vault() rest {
	return rest{s.options.Client, s.VaultURL + "/v1/", http.Header{"X-Vault-Token": {s.state.RootToken}}}
}

// UnsealVault has Vault answer: after each start it is sealed.
func (s *Stack) UnsealVault(ctx context.Context) error {
	if s.state.UnsealKey == "" {
		var made struct {
			Keys      []string `json:"keys"`
			RootToken string   `json:"root_token"`
		}
		if err := s.vault().call(ctx, http.MethodPut, "sys/init", map[string]int{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
			return fmt.Errorf("cannot initialise Vault: %w", err)
		}
		s.state.UnsealKey, s.state.RootToken = made.Keys[0], made.RootToken
		if err := s.save(); err != nil {
			return err
		}
	}
	if err := s.vault().call(ctx, http.MethodPut, "sys/unseal", map[string]string{"key": s.state.UnsealKey}, nil); err != nil {
		return fmt.Errorf("cannot unseal Vault: %w", err)
	}
	return nil
}

// SealVault has Vault refuse everything until UnsealVault.
func (s *Stack) SealVault(ctx context.Context) error {
	return s.vault().call(ctx, http.MethodPut, "sys/seal", nil, nil)
}

// VaultSecrets lists what is kept below a path of JIMM's mount, as Vault's list
// does.
func (s *Stack) VaultSecrets(ctx context.Context, path string) ([]string, error) {
	var listed struct {
		Data struct{ Keys []string }
	}
	err := s.vault().call(ctx, "LIST", VaultMount+"/metadata/"+path, nil, &listed)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	return listed.Data.Keys, err
}

// VaultSecret reads what JIMM keeps at a path.
func (s *Stack) VaultSecret(ctx context.Context, path string) (map[string]any, error) {
	var read struct {
		Data struct{ Data map[string]any }
	}
	return read.Data.Data, s.vault().call(ctx, http.MethodGet, VaultMount+"/data/"+path, nil, &read)
}

// AddVaultMount makes another secrets engine that the same AppRole may use, for
// another JIMM.
func (s *Stack) AddVaultMount(ctx context.Context, mount string) error {
	v := s.vault()
	return errors.Join(
		v.call(ctx, http.MethodPost, "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil),
		v.call(ctx, http.MethodPost, "sys/policies/acl/"+mount, vaultPolicy(mount), nil),
		v.call(ctx, http.MethodPost, "auth/approle/role/jimm", map[string]string{"token_policies": "jimm," + mount}, nil),
	)
}

func (s *Stack) furnishVault(ctx context.Context) error {
	v := s.vault()
	for _, step := range []struct {
		path string
		in   any
	}{
		{"sys/mounts/" + VaultMount, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}},
		{"sys/auth/approle", map[string]string{"type": "approle"}},
		{"sys/policies/acl/jimm", vaultPolicy(VaultMount)},
		{"auth/approle/role/jimm", map[string]string{"token_policies": "jimm", "token_ttl": "1h", "token_max_ttl": "1h"}},
	} {
		// 400 is the answer where a mount is there from a start that was interrupted.
		if err := v.call(ctx, http.MethodPost, step.path, step.in, nil); err != nil && !isStatus(err, http.StatusBadRequest) {
			return err
		}
	}
	var role struct {
		Data struct {
			RoleID string `json:"role_id"`
		}
	}
	if err := v.call(ctx, http.MethodGet, "auth/approle/role/jimm/role-id", nil, &role); err != nil {
		return err
	}
	var secret struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	if err := v.call(ctx, http.MethodPost, "auth/approle/role/jimm/secret-id", nil, &secret); err != nil {
		return err
	}
	s.state.RoleID, s.state.SecretID = role.Data.RoleID, secret.Data.SecretID
	return nil
}
