package facade

import "context"

var pingerMethods = methods{
	"Ping": onObject(func(context.Context, *Connection, string) (any, error) { return nil, nil }),
	"Stop": onObject(func(context.Context, *Connection, string) (any, error) { return nil, nil }),
}
