package juju

import (
	"context"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// AddModelKeys implements estate.Peers. Keys that are there already are no error.
func (p *Peers) AddModelKeys(ctx context.Context, r estate.Route, u estate.User, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	one, err := p.connectModel(ctx, r, u, r.Claims)
	if err != nil {
		return err
	}
	defer one.session.client.Close()
	var results params.ErrorResults
	args := params.ModifyUserSSHKeys{User: u.Tag().String(), Keys: keys}
	if err := one.Call(ctx, estate.Call{Facade: "KeyManager", Method: "AddKeys", Most: 1, About: r.Model.UUID}, args, &results); err != nil {
		return err
	}
	for _, result := range results.Results {
		// 3.x has the one code for keys that are there, 4.x the other.
		if result.Error != nil && result.Error.Code != params.CodeAlreadyExists && result.Error.Code != params.CodeUserKeyAlreadyExists {
			return estate.Errorf(result.Error.Code, "cannot add a key: %s", result.Error.Message)
		}
	}
	return nil
}
