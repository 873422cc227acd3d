package facade

import (
	"context"

	"github.com/juju/juju/rpc/params"
)

var modelUpgraderMethods = methods{
	"UpgradeModel":      call(upgradeModel),
	"AbortModelUpgrade": call(abortModelUpgrade),
}

func upgradeModel(ctx context.Context, c *Connection, args params.UpgradeModelParams) (params.UpgradeModelResult, error) {
	result, err := c.server.Estate.UpgradeModel(ctx, *c.User(), args)
	if err != nil {
		return params.UpgradeModelResult{Error: c.wireError(ctx, err)}, nil
	}
	return result, nil
}

func abortModelUpgrade(ctx context.Context, c *Connection, args params.ModelParam) (struct{}, error) {
	uuid, err := modelUUID(args.ModelTag)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.server.Estate.AbortModelUpgrade(ctx, *c.User(), uuid)
}
