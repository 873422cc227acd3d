package facade

import (
	"context"

	"github.com/juju/juju/rpc/params"
)

var modelConfigMethods = methods{
	"ModelGet": ask(controllerModelGet),
}

// controllerModelGet is ModelConfig.ModelGet on a controller connection, where
// a client asks for the controller's version.
func controllerModelGet(ctx context.Context, c *Connection) (params.ModelConfigResults, error) {
	version, err := c.server.Estate.LowestVersion(ctx)
	if err != nil {
		return params.ModelConfigResults{}, err
	}
	return params.ModelConfigResults{Config: map[string]params.ConfigValue{
		"agent-version": {Value: version, Source: "jimm"},
	}}, nil
}
