package sim

import "github.com/juju/juju/rpc/params"

// operation is actions that were queued together.
type operation struct {
	ID      string
	Summary string
	Actions []params.ActionResult
}
