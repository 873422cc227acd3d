package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"jimm/workload/postgres/cluster"
)

// Options say what to start.
type Options struct {
	Bin Bin
	// Dir keeps all state, logs and configurations; it is made if needed.
	Dir string
	// Host is the IP address to listen on (default 127.0.0.1).
	Host string
	// WithoutDex starts all but Dex.
	WithoutDex bool
	// Postgres has the databases, with Prefix before their names. They are made if
	// needed.
	Postgres *cluster.Cluster
	Prefix   string
	// CAFile has the authority that signed the certificate in CertFile, whose key
	// is in KeyFile: all are PEM, and for Host.
	CAFile, CertFile, KeyFile string
	// Client trusts that authority.
	Client *http.Client
	// SignIn serves the pages between Hydra and Kratos, with that certificate.
	// stop ends it.
	Serve func(net.Listener, http.Handler) (stop func() error)
	// Port is where Dex listens; Hydra has the next one, and its login page the one
	// after that. 0 takes free ones at the first start, and the same ones later:
	// they are part of issuers' names.
	Port int
	// JIMM is the host:port that people know JIMM by, for redirects to it. Without
	// one JIMM is no client anywhere, until Register makes it one.
	JIMM string
	// People can log in.
	People []Person
	// Accounts are service accounts at Hydra.
	Accounts []Account
	// Out is told what is going on, a line at a time.
	Out io.Writer
	// Log is for the login page.
	Log *slog.Logger
}

// Person is somebody with an account at Kratos.
type Person struct {
	Email, Name, Password string
	// Groups are given to applications as the claim groups.
	Groups []string
	// Unverified leaves the e-mail address unverified.
	Unverified bool
}

// Account is a service account: a client of Hydra that logs in with its secret.
type Account struct {
	ID, Secret string
	// Opaque gives it access tokens that only Hydra can read, in place of JWTs.
	Opaque bool
}

// Client is JIMM at an identity provider.
type Client struct {
	Issuer, ID, Secret string
	// AuthStyle is how the secret has to be sent.
	AuthStyle string
}

// Stack is the services, running.
type Stack struct {
	OpenFGA, Vault, Hydra, Kratos, Dex *Service
	// AtHydra and AtDex are what JIMM is told of the two providers.
	AtHydra, AtDex Client
	// OpenFGAURL, OpenFGAToken and OpenFGAStore are what JIMM is told of OpenFGA.
	OpenFGAURL, OpenFGAToken, OpenFGAStore string
	// VaultURL and the AppRole are what JIMM is told of Vault.
	VaultURL, VaultRoleID, VaultSecretID string

	options  Options
	state    *state
	ports    map[string]int
	cleanups []func() error
}

// VaultMount is the path of the secrets engine that JIMM uses.
const VaultMount = "jimm"

// state is what must be the same at every start. It is made once.
type state struct {
	Ports map[string]int `json:"ports"`
	// Secrets are random texts by what they are for.
	Secrets map[string]string `json:"secrets"`
	// UnsealKey and RootToken are what Vault gives once.
	UnsealKey string `json:"unseal-key,omitempty"`
	RootToken string `json:"root-token,omitempty"`
	// VaultReady is set when all in Vault has been made.
	VaultReady bool   `json:"vault-ready,omitempty"`
	RoleID     string `json:"role-id,omitempty"`
	SecretID   string `json:"secret-id,omitempty"`
}

// Start starts all services, and makes what JIMM and people need in them. Close
// stops them, also after an error in between.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Stack{options: o}
	if err := s.open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, name := range []string{"openfga", "hydra", "kratos", "dex"} {
		if err := o.Postgres.CreateDatabase(ctx, o.Prefix+name); err != nil {
			return nil, err
		}
	}
	type step struct {
		name  string
		start func(context.Context) error
	}
	steps := []step{{"OpenFGA", s.startOpenFGA}, {"Vault", s.startVault}, {"Kratos", s.startKratos}, {"Hydra", s.startHydra}}
	if !o.WithoutDex {
		steps = append(steps, step{"Dex", s.startDex})
	}
	for _, step := range steps {
		fmt.Fprintln(o.Out, "Starting", step.name)
		if err := step.start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Secrets are all secrets that were made for the services, by what they are for:
// for tests that look for them where they must not be.
func (s *Stack) Secrets() map[string]string {
	all := map[string]string{"vault unseal key": s.state.UnsealKey, "vault root token": s.state.RootToken, "vault secret id": s.state.SecretID}
	for name, secret := range s.state.Secrets {
		all[name] = secret
	}
	return all
}

// Close stops everything and waits for it.
func (s *Stack) Close() error {
	var failed error
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		failed = errors.Join(failed, s.cleanups[i]())
	}
	s.cleanups = nil
	return failed
}

// launch starts a service, to be stopped in the end.
func (s *Stack) launch(ctx context.Context, service *Service) error {
	s.cleanups = append(s.cleanups, service.Stop)
	return service.Start(ctx)
}

func (s *Stack) open() error {
	s.state = &state{Ports: map[string]int{}, Secrets: map[string]string{}}
	b, err := os.ReadFile(s.stateFile())
	if err == nil {
		err = json.Unmarshal(b, s.state)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", s.stateFile(), err)
	}
	for _, name := range []string{
		"openfga key", "kratos cookie key", "kratos cipher key", "hydra key", "jimm at hydra", "dex at hydra",
	} {
		if s.state.Secrets[name] == "" {
			const cipherKey = 32 // characters, as Kratos wants it
			s.state.Secrets[name] = (rand.Text() + rand.Text())[:cipherKey]
		}
	}
	s.ports = maps.Clone(s.state.Ports)
	for i, name := range []string{"dex", "hydra", "signin"} {
		switch {
		case s.options.Port != 0:
			s.ports[name] = s.options.Port + i
		case s.ports[name] == 0:
			s.ports[name] = s.freePort()
		}
	}
	s.state.Ports = maps.Clone(s.ports)
	for name, port := range s.ports {
		if !s.isFree(port) {
			return fmt.Errorf("cannot start %s: port %d is taken, and is part of a name that must not change", name, port)
		}
	}
	for _, name := range []string{"openfga", "openfga grpc", "vault", "kratos", "kratos admin", "hydra admin"} {
		s.ports[name] = s.freePort()
	}
	return s.save()
}

func (s *Stack) stateFile() string { return filepath.Join(s.options.Dir, "state.json") }

// save replaces the file as a whole.
func (s *Stack) save() error {
	b, err := json.MarshalIndent(s.state, "", "  ")
	if err != nil {
		return err
	}
	file := s.stateFile()
	if err := os.WriteFile(file+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (s *Stack) address(name string) string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.ports[name]))
}

// dsn is the URL of a service's database.
func (s *Stack) dsn(name string) string { return s.options.Postgres.DSN(s.options.Prefix + name) }

// writeConfig writes the configuration of a service, as JSON, which all of them
// take for YAML.
func (s *Stack) writeConfig(name string, config any) (string, error) {
	b, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.options.Dir, name)
	return file, os.WriteFile(file, append(b, '\n'), 0o600)
}

// freePort finds a port that nobody listens on and no service of ours will, below
// those that the kernel gives to outgoing connections: a service that is started
// again finds it free.
func (s *Stack) freePort() int {
	const first, count = 20_000, 12_000
	for {
		port := first + mathrand.IntN(count)
		if !slices.Contains(slices.Collect(maps.Values(s.ports)), port) && s.isFree(port) {
			return port
		}
	}
}

func (s *Stack) isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(s.options.Host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// environment is that of every service: nothing of this process's own, which may
// have secrets or proxies in it.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LANG=C.UTF-8"}, more...)
}

const requestLimit = 15 * time.Second
