package server

import (
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"jimm/workload/config"
	"jimm/workload/estate"
	"jimm/workload/sealed"
	"jimm/workload/secrets"
	"jimm/workload/trust"
	"jimm/workload/vault"
)

// OpenSecrets opens a place of secrets with the settings; it does not connect.
// Without roots it trusts what the settings say.
func OpenSecrets(place secrets.Place, pool *pgxpool.Pool, c config.Config, roots *trust.Roots, log *slog.Logger) (estate.ListedSecrets, error) {
	if place == secrets.Sealed {
		if len(c.SecretKeys) == 0 {
			return nil, fmt.Errorf("cannot open %s: set JIMM_SECRET_STORAGE_KEYS to their key", place)
		}
		return sealed.New(pool, c.SecretKeys...)
	}
	v := c.Vault
	if v.Address == "" {
		return nil, fmt.Errorf("cannot open %s: set VAULT_ADDR and what goes with it", place)
	}
	if roots == nil {
		var err error
		if roots, err = trust.Open(c.CAFile); err != nil {
			return nil, err
		}
	}
	return vault.New(vault.Config{
		Address: v.Address, Namespace: v.Namespace, Mount: v.Mount,
		RoleID: v.RoleID, SecretID: v.SecretID, SecretIDFile: v.SecretIDFile,
		CACertificates: []byte(v.CACertificates), Transport: roots.Transport(nil), Log: log,
	})
}
