package sim

import (
	"slices"

	"github.com/juju/juju/rpc/params"
)

// block2 is Block (apiserver/facades/client/block).
var block2 = methods{
	"List":           read(listBlocks),
	"SwitchBlockOn":  write(switchBlock(true)),
	"SwitchBlockOff": write(switchBlock(false)),
}

func listBlocks(cn *conn, _ none) (params.BlockResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.BlockResults{}, err
	}
	var results params.BlockResults
	for _, kind := range sortedKeys(m.Blocks) {
		results.Results = append(results.Results, params.BlockResult{Result: params.Block{
			Id: kind, Tag: m.tag().String(), Type: kind, Message: m.Blocks[kind],
		}})
	}
	return results, nil
}

func switchBlock(on bool) func(*conn, params.BlockSwitchParams) (params.ErrorResult, error) {
	return func(cn *conn, arg params.BlockSwitchParams) (params.ErrorResult, error) {
		m, err := cn.writeModel()
		if err != nil {
			return params.ErrorResult{}, err
		}
		if !slices.Contains([]string{params.BlockDestroy, params.BlockRemove, params.BlockChange}, arg.Type) {
			return resultOf(coded(params.CodeNotValid, "block type %q not valid", arg.Type)), nil
		}
		_, isOn := m.Blocks[arg.Type]
		switch {
		case on && isOn:
			return resultOf(coded(params.CodeAlreadyExists, "block %q already exists", arg.Type)), nil
		case !on && !isOn:
			return resultOf(notFound("block %q", arg.Type)), nil
		case on:
			if m.Blocks == nil {
				m.Blocks = make(map[string]string)
			}
			m.Blocks[arg.Type] = arg.Message
		default:
			delete(m.Blocks, arg.Type)
		}
		cn.ctl.changed(m)
		return params.ErrorResult{}, nil
	}
}
