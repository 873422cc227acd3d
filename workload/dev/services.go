package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"jimm/integration/stack"
	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/login"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
	"jimm/workload/vault"
	"jimm/workload/web"
)

// The services around JIMM: within this process, or those of production.
const (
	StackEmbedded = "embedded"
	StackReal     = "real"
)

// The identity providers of the real services.
const (
	IssuerDex   = "dex"
	IssuerHydra = "hydra"
)

// services are what JIMM is connected to beside its database.
type services struct {
	permissions estate.Permissions
	secrets     estate.Secrets
	provider    stack.Client
	scopes      []string
}

// checkServices finds out early what cannot work, and completes the options.
func (o *Options) checkServices() error {
	if o.Stack == "" {
		o.Stack = StackEmbedded
	}
	if o.Issuer == "" {
		o.Issuer = IssuerDex
	}
	if o.Stack != StackEmbedded && o.Stack != StackReal {
		return fmt.Errorf("the services must be %s or %s, not %q", StackEmbedded, StackReal, o.Stack)
	}
	if o.Issuer != IssuerDex && o.Issuer != IssuerHydra {
		return fmt.Errorf("the issuer must be %s or %s, not %q", IssuerDex, IssuerHydra, o.Issuer)
	}
	return nil
}

// checkDir keeps the two kinds of services apart: they keep secrets and
// permissions in different places.
func (s *Stack) checkDir() error {
	if s.state.Stack != s.options.Stack {
		return fmt.Errorf("%s was made with --stack %s: choose another directory with --dir, or start over with --fresh", s.options.Dir, s.state.Stack)
	}
	return nil
}

func (s *Stack) startServices(ctx context.Context, pg *cluster.Cluster) (services, error) {
	if s.options.Stack == StackReal {
		return s.startProduction(ctx, pg)
	}
	return s.startEmbedded(ctx, pg)
}

func (s *Stack) startEmbedded(ctx context.Context, pg *cluster.Cluster) (services, error) {
	secrets, err := sealed.New(s.Store.Pool(), []byte(s.state.SealKey))
	if err != nil {
		return services{}, err
	}
	s.progress("Starting OpenFGA")
	if err := pg.CreateDatabase(ctx, "openfga"); err != nil {
		return services{}, err
	}
	permissions, err := embedded.Open(ctx, embedded.Config{DSN: pg.DSN("openfga")})
	if err != nil {
		return services{}, err
	}
	s.later(func() error { permissions.Close(); return nil })

	back, err := listen(nextPort(s.options.Port, 1))
	if err != nil {
		return services{}, err
	}
	issuer := "https://" + back.Addr().String()
	s.progress("Starting the identity provider at %s", issuer)
	provider, err := idp.New(idp.Config{
		Issuer:          issuer,
		Users:           []idp.User{Alice, Bob},
		Clients:         []idp.Client{{ID: "jimm", Secret: s.state.ClientSecret, RedirectURIs: []string{"https://" + s.Address + web.CallbackPath}}},
		ServiceAccounts: []idp.ServiceAccount{{ID: ServiceAccount, Secret: ServiceSecret}},
		KeyDir:          filepath.Join(s.options.Dir, "idp"),
	})
	if err != nil {
		return services{}, errors.Join(err, back.Close())
	}
	s.later(serve(back, s.tls, provider, s.log))
	return services{
		permissions: permissions, secrets: secrets,
		provider: stack.Client{Issuer: issuer, ID: "jimm", Secret: s.state.ClientSecret, AuthStyle: login.AuthStyleBasic}, scopes: []string{"openid", "profile", "email", "groups"},
	}, nil
}

// startProduction starts the services of production, building them first.
func (s *Stack) startProduction(ctx context.Context, pg *cluster.Cluster) (services, error) {
	root, err := s.repository()
	if err != nil {
		return services{}, err
	}
	bin, err := stack.Build(ctx, root, s.options.Out)
	if err != nil {
		return services{}, err
	}
	certificate, key, err := s.ca.serverFiles(s.options.Dir, s.tls)
	if err != nil {
		return services{}, err
	}
	s.Services, err = stack.Start(ctx, stack.Options{
		Bin: bin, Dir: filepath.Join(s.options.Dir, "services"), Postgres: pg, CAFile: s.ca.File, CertFile: certificate, KeyFile: key, Client: s.client,
		Serve:    func(l net.Listener, h http.Handler) func() error { return serve(l, s.tls, h, s.log) },
		Port:     nextPort(s.options.Port, 5),
		JIMM:     s.Address,
		People:   []stack.Person{person(Alice), person(Bob)},
		Accounts: []stack.Account{{ID: ServiceAccount, Secret: ServiceSecret}},
		Out:      s.options.Out, Log: s.log,
	})
	if err != nil {
		return services{}, err
	}
	s.later(s.Services.Close)
	permissions, err := openfga.Connect(ctx, openfga.Config{
		URL: s.Services.OpenFGAURL, StoreID: s.Services.OpenFGAStore, Token: s.Services.OpenFGAToken, HTTPClient: s.client,
		Lock: func(ctx context.Context) (func(), error) { return s.Store.Lock(ctx, "openfga") },
	})
	if err != nil {
		return services{}, err
	}
	secrets, err := vault.New(vault.Config{
		Address: s.Services.VaultURL, Mount: stack.VaultMount, CACertificates: s.ca.pem(),
		RoleID: s.Services.VaultRoleID, SecretID: s.Services.VaultSecretID, Log: s.log,
	})
	if err != nil {
		return services{}, err
	}
	provider := s.Services.AtDex
	if s.options.Issuer == IssuerHydra {
		provider = s.Services.AtHydra
	}
	return services{permissions: permissions, secrets: secrets, provider: provider, scopes: []string{"openid", "profile", "email", "groups", "offline_access"}}, nil
}

// person gives somebody of the embedded provider an account at Kratos.
func person(u idp.User) stack.Person {
	return stack.Person{Email: u.Email, Name: u.Name, Password: u.Password, Groups: u.Groups}
}
