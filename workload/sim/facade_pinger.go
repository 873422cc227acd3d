package sim

import (
	"context"
)

// pinger is Pinger 1.
var pinger = methods{
	"Ping": call(func(context.Context, *conn, string, none) (none, error) { return none{}, nil }),
	"Stop": call(func(context.Context, *conn, string, none) (none, error) { return none{}, nil }),
}
