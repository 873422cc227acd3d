package server

import (
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"jimm/workload/config"
	"jimm/workload/estate"
	"jimm/workload/sealed"
	"jimm/workload/vault"
)

// OpenSecrets returns the estate's secrets: in Vault where there is one, else in
// rows that are sealed with the first of the keys.
func OpenSecrets(pool *pgxpool.Pool, keys [][]byte, v config.Vault, log *slog.Logger) (estate.Secrets, error) {
	if v.Address == "" {
		return sealed.New(pool, keys...)
	}
	return vault.New(vault.Config{
		Address: v.Address, Namespace: v.Namespace, Mount: v.Mount,
		RoleID: v.RoleID, SecretID: v.SecretID, SecretIDFile: v.SecretIDFile,
		CACertificates: []byte(v.CACertificates), Log: log,
	})
}
