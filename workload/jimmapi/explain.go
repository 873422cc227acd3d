// Package jimmapi holds the parameters and results of those methods of the JIMM
// facade that are our own additions. All others are in the public SDK,
// github.com/canonical/jimm-go-sdk/v3/api/params.
package jimmapi

import "github.com/canonical/jimm-go-sdk/v3/api/params"

// ExplainRelationRequest are the parameters of ExplainRelation.
type ExplainRelationRequest struct {
	Tuple params.RelationshipTuple `json:"tuple"`
}

// Explanation is the result of ExplainRelation.
type Explanation struct {
	// Tuple is what was asked, with names.
	Tuple   params.RelationshipTuple `json:"tuple"`
	Allowed bool                     `json:"allowed"`
	// Paths are what gives it, each from the object to the target, the shortest
	// first; there is at least one if it is allowed.
	Paths [][]Step `json:"paths,omitempty"`
	// Grants are single additions that would give it, the nearest first, if it
	// is not allowed.
	Grants []Grant `json:"grants,omitempty"`
	// Incomplete is set if there is more than was looked at.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Step is one link of a path.
type Step struct {
	params.RelationshipTuple
	// Kind is granted (a permission that can be removed), implied (a stronger
	// relation to the same target), inherited (a relation to what the target
	// belongs to), login (the identity provider said so at the caller's login) or
	// missing (not there).
	Kind string `json:"kind"`
}

// Grant is what would give a relation.
type Grant struct {
	// Tuple is what to add. One whose target is an idpgroup is for the identity
	// provider to add.
	Tuple params.RelationshipTuple `json:"tuple"`
	// Path is what there would be then; its first step is missing.
	Path []Step `json:"path"`
}
