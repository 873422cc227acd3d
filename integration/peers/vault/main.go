// Command vault serves the core of HashiCorp Vault 1.14.1 as the vault program
// would: the same HTTP API, seal, tokens, policies, AppRole and KV version 2. It
// exists because no release of Vault builds from published modules. It is for
// tests only.
//
// It starts sealed and, the first time, not initialised: clients do that, and all
// else, through the API (sys/init, sys/unseal, sys/auth/approle, sys/mounts/…).
// On the line "listening on ADDRESS" it answers.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	var o options
	flag.StringVar(&o.address, "listen", "127.0.0.1:8200", "address to serve the API on; port 0 takes any")
	flag.StringVar(&o.data, "data", "", "directory that keeps the data; without one they end with the process")
	flag.StringVar(&o.certificate, "tls-cert", "", "file with the certificate; without one it is plain HTTP")
	flag.StringVar(&o.key, "tls-key", "", "file with the key of the certificate")
	flag.StringVar(&o.level, "log-level", "warn", "what to log: debug, info, warn or error")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

type options struct {
	address, data, certificate, key, level string
}

func run(ctx context.Context, o options) error {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(o.level), Output: os.Stderr})
	storage, err := openStorage(o.data, log)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, Logger: log, DisableMlock: true, BuiltinRegistry: registry{},
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	if o.certificate != "" {
		pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core: core,
			// What the vault program sets by default.
			ListenerConfig: &configutil.Listener{
				MaxRequestSize: vaulthttp.DefaultMaxRequestSize, MaxRequestDuration: vault.DefaultMaxRequestDuration,
			},
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(stopping), core.Shutdown())
}

func openStorage(dir string, log hclog.Logger) (physical.Backend, error) {
	if dir == "" {
		return inmem.NewInmem(nil, log)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return file.NewFileBackend(map[string]string{"path": dir}, log)
}

// registry says which plugins are linked in.
type registry struct{}

var plugins = map[consts.PluginType]string{consts.PluginTypeSecrets: "kv", consts.PluginTypeCredential: "approle"}

func (registry) Contains(name string, kind consts.PluginType) bool { return plugins[kind] == name }

// Get returns nothing: the core has the factories already.
func (registry) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }

func (registry) Keys(kind consts.PluginType) []string {
	if name, ok := plugins[kind]; ok {
		return []string{name}
	}
	return nil
}

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
