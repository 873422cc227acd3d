package trust_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"jimm/workload/trust"
)

func TestACertificateThatIsAddedIsTrustedAfterAReload(t *testing.T) {
	one := httptest.NewTLSServer(http.NotFoundHandler())
	defer one.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(stranger))
	roots, err := trust.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: roots.Transport(nil)}
	get := func() error {
		answer, err := client.Get(one.URL)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if get() == nil {
		t.Fatal("a certificate of nobody is trusted")
	}
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Certificate().Raw}))
	if get() == nil {
		t.Fatal("the file is trusted before a reload")
	}
	if err := roots.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	write([]byte("no certificate"))
	if roots.Reload() == nil {
		t.Fatal("a file without certificates is taken")
	}
	if err := get(); err != nil {
		t.Fatalf("after a bad file, what was trusted is not: %v", err)
	}
}

// stranger is a certificate of nobody who is called here.
const stranger = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUAkZX5Y07J8aXDeR/hSlygP3H6Y4wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTI1MDQ0MzI2WhgPMjEyNjExMDEw
NDQzMjZaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEwURJyZwG0hWO6lEhyzz1bgUPF0aXU59Oe6su294dgcaAp5UcEy0DiYoa
K30NIs5y3PcuBSh7nWvDXuIbRIPqbqNTMFEwHQYDVR0OBBYEFN0j3IrbYM0RhK2s
Od/X6wg2OWckMB8GA1UdIwQYMBaAFN0j3IrbYM0RhK2sOd/X6wg2OWckMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgOIY8xfUuD9INtmqq1UFZ8WL6
ngWiHPOwFTwWNTdGM8ICIQCW/24/pWzgVnpM6RisOE+XTpYmjGhHbwBfomIlMkwo
hw==
-----END CERTIFICATE-----
`
