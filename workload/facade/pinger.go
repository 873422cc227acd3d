package facade

import (
	"context"
	"encoding/json"
)

var pingerMethods = methods{
	"Ping": func(context.Context, *Connection, string, json.RawMessage) (any, error) { return nil, nil },
	"Stop": func(context.Context, *Connection, string, json.RawMessage) (any, error) { return nil, nil },
}
