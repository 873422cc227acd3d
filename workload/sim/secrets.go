package sim

import (
	"time"
)

// secret is a user secret of a model.
type secret struct {
	ID, Label, Description, Owner string
	Created, Updated              time.Time
	Revisions                     []map[string]string
	// Grants are the applications that may read it.
	Grants    []string
	AutoPrune bool `json:",omitempty"`
}
