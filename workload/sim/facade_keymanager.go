package sim

import (
	"errors"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// keyManager1 is KeyManager (apiserver/facades/client/keymanager).
var keyManager1 = methods{
	"ListKeys":   read(listKeys),
	"AddKeys":    write(addKeys),
	"DeleteKeys": write(deleteKeys),
}

// keyModel returns the model if the caller is its admin, or has access to it
// where that is enough.
func (cn *conn) keyModel(enough permission.Access) (*model, error) {
	err := cn.onModel(permission.AdminAccess, cn.model)
	if errors.Is(err, errLacking) {
		err = errPerm
		if enough != permission.AdminAccess {
			err = withoutInfo(cn.has(enough, names.NewModelTag(cn.model)))
		}
	}
	if err != nil {
		return nil, err
	}
	return cn.theModel()
}

func listKeys(cn *conn, args params.ListSSHKeys) (params.StringsResults, error) {
	m, err := cn.keyModel(permission.ReadAccess)
	if err != nil {
		return params.StringsResults{}, err
	}
	results := params.StringsResults{Results: make([]params.StringsResult, len(args.Entities.Entities))}
	for i := range results.Results {
		results.Results[i].Result = m.SSHKeys
	}
	return results, nil
}

func addKeys(cn *conn, args params.ModifyUserSSHKeys) (params.ErrorResults, error) {
	m, err := cn.keyModel(permission.AdminAccess)
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Keys, func(key string) error {
		if !strings.HasPrefix(key, "ssh-") && !strings.HasPrefix(key, "ecdsa-") {
			return coded(params.CodeNotValid, "invalid ssh key: %s", key)
		}
		if slices.Contains(m.SSHKeys, key) {
			return coded(params.CodeAlreadyExists, "duplicate ssh key: %s", key)
		}
		m.SSHKeys = append(m.SSHKeys, key)
		return nil
	}), nil
}

func deleteKeys(cn *conn, args params.ModifyUserSSHKeys) (params.ErrorResults, error) {
	m, err := cn.keyModel(permission.AdminAccess)
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Keys, func(key string) error {
		before := len(m.SSHKeys)
		m.SSHKeys = slices.DeleteFunc(m.SSHKeys, func(k string) bool { return k == key || strings.HasSuffix(k, " "+key) })
		if len(m.SSHKeys) == before {
			return notFound("ssh key %q", key)
		}
		return nil
	}), nil
}
