package dev_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"jimm/workload/dev"
	"jimm/workload/idp"
	"jimm/workload/rpc"
)

// BenchmarkLogin is about whole connections, as a juju client makes them: one
// that only pings, and one that logs in with a session token. The difference is
// the login.
func BenchmarkLogin(b *testing.B) {
	stack, err := dev.Start(b.Context(), dev.Options{Dir: b.TempDir(), Juju: "sim"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stack.Close() })
	ca, err := os.ReadFile(stack.CAFile)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	trust := &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	open := func() *rpc.Client {
		conn, _, err := rpc.Dial(b.Context(), "wss://"+stack.Address+"/api", nil, trust, rpc.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return rpc.NewClient(conn)
	}
	call := func(c *rpc.Client, facade string, version int, method string, args, result any) {
		if err := c.Call(b.Context(), facade, version, "", method, args, result); err != nil {
			b.Fatal(err)
		}
	}
	var device struct {
		UserCode string `json:"user-code"`
		URI      string `json:"verification-uri"`
	}
	var session struct {
		Token string `json:"session-token"`
	}
	first := open()
	call(first, "Admin", 4, "LoginDevice", nil, &device)
	if err := idp.ApproveDevice(b.Context(), stack.Client(), device.URI, device.UserCode, dev.Alice.Email, dev.Alice.Password); err != nil {
		b.Fatal(err)
	}
	call(first, "Admin", 4, "GetDeviceSessionToken", nil, &session)
	_ = first.Close()

	b.Run("connect and ping", func(b *testing.B) {
		for b.Loop() {
			c := open()
			call(c, "Pinger", 1, "Ping", nil, nil)
			_ = c.Close()
		}
	})
	b.Run("connect and log in with a session token", func(b *testing.B) {
		for b.Loop() {
			c := open()
			call(c, "Admin", 4, "LoginWithSessionToken", map[string]string{"session-token": session.Token}, nil)
			_ = c.Close()
		}
	})
}
