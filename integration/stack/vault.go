package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
)

// vaultPolicy is what JIMM needs to do with a mount.
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

// VaultSecrets lists what is kept below a path of a mount, as Vault's list does.
func (s *Stack) VaultSecrets(ctx context.Context, mount, path string) ([]string, error) {
	var listed struct {
		Data struct{ Keys []string }
	}
	err := s.vault().call(ctx, "LIST", mount+"/metadata/"+path, nil, &listed)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	return listed.Data.Keys, err
}

// VaultSecret reads what JIMM keeps at a path of VaultMount.
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
		s.mountVault(ctx, mount),
		v.call(ctx, http.MethodPost, "sys/policies/acl/"+mount, vaultPolicy(mount), nil),
		v.call(ctx, http.MethodPost, "auth/approle/role/jimm", map[string]string{"token_policies": "jimm," + mount}, nil),
	)
}

func (s *Stack) furnishVault(ctx context.Context) (err error) {
	if err := s.vaultMakes(ctx, "sys/auth/approle", map[string]string{"type": "approle"}); err != nil {
		return err
	}
	if err := s.mountVault(ctx, VaultMount); err != nil {
		return err
	}
	if s.state.RoleID, err = s.vaultRole(ctx, "jimm", vaultPolicy(VaultMount), nil); err != nil {
		return err
	}
	s.state.SecretID, err = s.vaultSecretID(ctx, "jimm", nil)
	return err
}

// vaultMakes makes something at a path, unless it is there: Vault says 400 then.
func (s *Stack) vaultMakes(ctx context.Context, path string, in any) error {
	err := s.vault().call(ctx, http.MethodPost, path, in, nil)
	if isStatus(err, http.StatusBadRequest) {
		return nil
	}
	return err
}

func (s *Stack) mountVault(ctx context.Context, mount string) error {
	return s.vaultMakes(ctx, "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
}

// vaultRole makes an AppRole, and a policy of its name. Tokens are good for an hour,
// and if there are networks, from there only.
func (s *Stack) vaultRole(ctx context.Context, name string, policy map[string]string, networks []string) (id string, err error) {
	v := s.vault()
	if err := v.call(ctx, http.MethodPost, "sys/policies/acl/"+name, policy, nil); err != nil {
		return "", err
	}
	err = v.call(ctx, http.MethodPost, "auth/approle/role/"+name, map[string]any{
		"token_policies": name, "token_ttl": "1h", "token_max_ttl": "1h", "token_bound_cidrs": networks,
	}, nil)
	if err != nil {
		return "", err
	}
	var role struct {
		Data struct {
			RoleID string `json:"role_id"`
		}
	}
	err = v.call(ctx, http.MethodGet, "auth/approle/role/"+name+"/role-id", nil, &role)
	return role.Data.RoleID, err
}

func (s *Stack) vaultSecretID(ctx context.Context, role string, networks []string) (string, error) {
	var secret struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	err := s.vault().call(ctx, http.MethodPost, "auth/approle/role/"+role+"/secret-id", map[string]any{"cidr_list": networks}, &secret)
	return secret.Data.SecretID, err
}

// VaultAccess lets a unit of an application use a secrets engine, which is made if
// need be, as Vault's charm does: by an AppRole MOUNT-UNIT, from its networks only.
// The secret id that the unit has stays, unless it is for other networks, or for
// the same ones in another order.
func (s *Stack) VaultAccess(ctx context.Context, mount, unit string, networks []string, secretID string) (roleID, newSecretID string, err error) {
	if err := s.mountVault(ctx, mount); err != nil {
		return "", "", err
	}
	name := mount + "-" + unit
	roleID, err = s.vaultRole(ctx, name, map[string]string{"policy": `
path "` + mount + `/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/internal/ui/mounts/` + mount + `" { capabilities = ["read"] }
`}, networks)
	if err != nil {
		return "", "", err
	}
	if secretID != "" {
		var known struct {
			Data struct {
				Networks []string `json:"cidr_list"`
			}
		}
		err := s.vault().call(ctx, http.MethodPost, "auth/approle/role/"+name+"/secret-id/lookup", map[string]string{"secret_id": secretID}, &known)
		if err == nil && slices.Equal(known.Data.Networks, networks) {
			return roleID, secretID, nil
		}
	}
	secretID, err = s.vaultSecretID(ctx, name, networks)
	return roleID, secretID, err
}

// VaultSealed tells whether Vault is.
func (s *Stack) VaultSealed(ctx context.Context) (bool, error) {
	var status struct{ Sealed bool }
	err := s.vault().call(ctx, http.MethodGet, "sys/seal-status", nil, &status)
	return status.Sealed, err
}
