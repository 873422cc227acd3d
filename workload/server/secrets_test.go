package server_test

import (
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"jimm/workload/config"
	"jimm/workload/secrets"
	"jimm/workload/server"
	"jimm/workload/trust"
)

func TestVaultIsTrustedByTheFileOfCertificates(t *testing.T) {
	var reached atomic.Int64
	vault := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(vault.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vault.Certificate().Raw}), 0o600))
	c := config.Config{Vault: config.Vault{Address: vault.URL, Mount: "jimm", RoleID: "r", SecretID: "s"}}
	for name, ca := range map[string]string{"without it": "", "with it": file} {
		reached.Store(0)
		roots, err := trust.Open(ca)
		check(t, err)
		kept, err := server.OpenSecrets(secrets.Vault, nil, c, roots, slog.New(slog.DiscardHandler))
		check(t, err)
		_, err = kept.Get(t.Context(), "x")
		if distrusted := err != nil && strings.Contains(err.Error(), "trusted"); distrusted != (ca == "") || (reached.Load() > 0) != (ca != "") {
			t.Errorf("%s: %v, after %d requests", name, err, reached.Load())
		}
	}
}
