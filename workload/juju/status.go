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
	conn, login, err := p.DialModel(ctx, r, p.self, estate.Claims{
		names.NewControllerTag(r.Controller.UUID).String(): estate.AccessLogin,
		names.NewModelTag(r.Model.UUID).String():           estate.AccessRead,
	})
	if err != nil {
		return nil, err
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	var result params.LoginResult
	if err := json.Unmarshal(login, &result); err != nil {
		return nil, badReply(r.Controller, "Admin.Login", err)
	}
	one := &peer{controller: r.Controller, session: &session{client: client, facades: facadesOf(result)}}
	version, err := one.version("Client", leastClient, mostClient)
	if err != nil {
		return nil, err
	}
	ctx, ended := p.dialer.observe(ctx, r.Controller, "Client", "FullStatus")
	var full json.RawMessage
	err = one.send(ctx, "Client", version, "", "FullStatus", params.StatusParams{Patterns: patterns, IncludeStorage: true}, &full)
	ended(err)
	return full, err
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
