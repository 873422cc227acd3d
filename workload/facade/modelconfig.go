package facade

import (
	"context"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

const byModel = "ask on a model's own connection: the controller's own models are not JIMM's"

var modelConfigMethods = methods{
	"ModelGet":              ask(controllerModelGet),
	"GetModelConstraints":   refuse(estate.CodeNotSupported, byModel),
	"GetModelSecretBackend": refuse(estate.CodeNotSupported, byModel),
	"ModelSet":              refuse(estate.CodeNotSupported, byModel),
	"ModelUnset":            refuse(estate.CodeNotSupported, byModel),
	"Sequences":             refuse(estate.CodeNotSupported, byModel),
	"SetModelConstraints":   refuse(estate.CodeNotSupported, byModel),
	"SetModelSecretBackend": refuse(estate.CodeNotSupported, byModel),
	"SLALevel":              refuse(estate.CodeNotSupported, byModel),
	"SetSLALevel":           refuse(estate.CodeNotSupported, byModel),
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
