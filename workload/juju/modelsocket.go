package juju

import (
	"context"
	"encoding/json"
	"errors"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// ModelSockets opens connections to models for the gateway.
type ModelSockets struct {
	Dialer *Dialer
	Tokens *Tokens
}

// DialModel opens a connection to a model on its controller and logs u in with
// these claims. It returns the controller's login result. CodeConnectionFailed
// if no address answers or the controller does not take the token; a refusal
// with a code of its own, such as CodeModelNotFound, keeps that.
func (m *ModelSockets) DialModel(ctx context.Context, r estate.Route, u estate.User, claims estate.Claims) (*rpc.Conn, json.RawMessage, error) {
	token, err := m.Tokens.Mint(r.Controller.UUID, u, claims)
	if err != nil {
		return nil, nil, err
	}
	conn, err := m.Dialer.Dial(ctx, r.Controller, "/model/"+r.Model.UUID+"/api")
	if err != nil {
		return nil, nil, err
	}
	result, err := Login(ctx, conn, u.Tag(), token)
	if err != nil {
		conn.Abort()
		code := estate.CodeConnectionFailed
		var refused *rpc.Error
		if errors.As(err, &refused) && refused.Code != "" {
			code = refused.Code
		}
		return nil, nil, estate.Errorf(code, "cannot log in to controller %q: %w", r.Controller.Name, err)
	}
	return conn, result, nil
}
