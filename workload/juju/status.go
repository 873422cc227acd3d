package juju

import (
	"context"
	"encoding/json"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// The versions of the facade Client whose FullStatus is the same.
const leastClient, mostClient = 6, 8

// FullStatus implements estate.Peers: as JIMM itself, with no more than read of
// the model. What a controller answers is passed on as it is.
func (p *Peers) FullStatus(ctx context.Context, r estate.Route, patterns []string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	one, err := p.connectModel(ctx, r, p.self, estate.Claims{
		names.NewControllerTag(r.Controller.UUID).String(): estate.AccessLogin,
		names.NewModelTag(r.Model.UUID).String():           estate.AccessRead,
	})
	if err != nil {
		return nil, err
	}
	defer one.session.client.Close()
	call := estate.Call{Facade: "Client", Method: "FullStatus", Least: leastClient, Most: mostClient, About: r.Model.UUID}
	var full json.RawMessage
	err = one.Call(ctx, call, params.StatusParams{Patterns: patterns, IncludeStorage: true}, &full)
	return full, err
}

// connectModel opens a connection to a model that is not shared. The caller
// closes its client.
func (p *Peers) connectModel(ctx context.Context, r estate.Route, u estate.User, claims estate.Claims) (*peer, error) {
	conn, login, err := p.DialModel(ctx, r, u, claims)
	if err != nil {
		return nil, err
	}
	var result params.LoginResult
	if err := json.Unmarshal(login, &result); err != nil {
		conn.Abort()
		return nil, badReply(r.Controller, "Admin.Login", err)
	}
	session := &session{client: rpc.NewClient(conn), facades: facadesOf(result)}
	return &peer{observer: p.dialer, controller: r.Controller, user: u, claims: claims, session: session}, nil
}

// StatusDocument implements estate.Peers.
func (p *Peers) StatusDocument(ctx context.Context, r estate.Route) (json.RawMessage, error) {
	raw, err := p.FullStatus(ctx, r, nil)
	if err != nil {
		return nil, err
	}
	var full params.FullStatus
	if err := json.Unmarshal(raw, &full); err != nil {
		return nil, badReply(r.Controller, "Client.FullStatus", err)
	}
	return json.Marshal(statusDocument(full, r.Controller.Name))
}
