// Command standin is the dispatch program of a charm that stands for all those
// that JIMM is related to: it answers their interfaces, and asks the test for
// what they would manage.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"jimm/charm/hook"
	"jimm/charm/provider"
	"jimm/charm/relation"
)

// Facts are what the test tells.
type facts struct {
	Postgres, OpenFGA, Token, Issuer, Introspection, Vault, Ingress, CA string
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	event, err := hook.FromEnvironment()
	if err != nil || event.Action != "" {
		return err
	}
	tools := hook.Tools{Runner: once{map[string][]byte{}}}
	options, err := tools.Config(ctx)
	if err != nil {
		return err
	}
	url, _ := options["backend"].(string)
	if url == "" {
		return tools.SetStatus(ctx, hook.Status{Level: "waiting", Message: "no backend"})
	}
	b := backend{url}
	var f facts
	if err := b.ask(ctx, "facts", nil, &f); err != nil {
		return err
	}
	host, found := strings.CutPrefix(f.Ingress, "https://")
	if !found {
		return errors.New("the ingress is not https")
	}
	for _, handle := range []func(context.Context, hook.Tools, hook.Event) error{
		(&provider.PostgreSQL{Endpoint: f.Postgres, User: func(ctx context.Context, _, user string) (password string, err error) {
			return password, b.ask(ctx, "user", user, &password)
		}, Name: func(asked string) (name string) {
			if err := b.ask(ctx, "database", asked, &name); err != nil {
				return asked
			}
			return name
		}}).Handle,
		(&provider.OpenFGA{URL: f.OpenFGA, Token: f.Token, Store: func(ctx context.Context, name string) (id string, err error) {
			return id, b.ask(ctx, "store", name, &id)
		}}).Handle,
		(&provider.OAuth{Issuer: f.Issuer, Introspection: f.Introspection, Register: func(ctx context.Context, _ string, request relation.OAuthRequest) (id, secret string, err error) {
			var client [2]string
			err = b.ask(ctx, "register", request, &client)
			return client[0], client[1], err
		}}).Handle,
		(&provider.Vault{URL: f.Vault, CA: f.CA, Role: func(ctx context.Context, mount, unit string, _ []string, has relation.VaultRole) (role relation.VaultRole, err error) {
			return role, b.ask(ctx, "role", map[string]any{"Mount": mount, "Unit": unit, "Has": has}, &role)
		}}).Handle,
		(&provider.Ingress{Scheme: "https", Host: host, Route: func(ctx context.Context, prefix string, request relation.IngressRequest, _ []relation.IngressUnit) error {
			return b.ask(ctx, "route", map[string]any{"Prefix": prefix, "Request": request}, nil)
		}}).Handle,
		provider.Certificates([]string{f.CA}),
	} {
		if err := handle(ctx, tools, event); err != nil {
			return err
		}
	}
	return nil
}

// once does not ask again whether the unit leads, nor say again how it is, as the
// charms would that this one stands for: a hook tool takes a while.
type once struct{ done map[string][]byte }

func (o once) Run(ctx context.Context, tool string, stdin []byte, args ...string) ([]byte, error) {
	key := tool + " " + strings.Join(args, " ")
	if out, done := o.done[key]; done && (tool == "is-leader" || tool == "status-set") {
		return out, nil
	}
	out, err := hook.Exec{}.Run(ctx, tool, stdin, args...)
	if err == nil {
		o.done[key] = out
	}
	return out, err
}

// backend is the test.
type backend struct{ url string }

func (b backend) ask(ctx context.Context, what string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/"+what, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return fmt.Errorf("the backend does not do %s: %s", what, said)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}
