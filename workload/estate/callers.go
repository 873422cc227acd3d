package estate

import "context"

// Caller is where a request comes from.
type Caller struct {
	// Address is the client's IP address, without a port; a proxy's only if the
	// proxy is not one that is trusted to tell.
	Address string
	// Client is what the client calls itself: "juju 4.1.0", a browser's user
	// agent. It is a claim, and clean enough to show.
	Client string
}

type callerKey struct{}

// WithCaller returns a context whose request comes from c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns where the request of a context comes from: nothing for what
// JIMM does of itself.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
