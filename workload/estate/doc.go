// Package estate is the domain: the controllers, clouds, credentials, models
// and offers of a company, who its users are, and who may do what with them.
//
// Every use case is a method of Estate. It checks permission first, once, and
// then acts through the ports declared here: Store (memory), Permissions
// (relationship tuples), Secrets (a keyed vault) and Peers (Juju controllers).
// The package imports no driver and no transport. Values that a controller
// gives and a client gets unchanged are of Juju's own wire types
// (github.com/juju/juju/rpc/params), always in their newest form: a transport
// or adapter that speaks an older facade version translates.
//
// A write that spans two systems records its intent first, then has effects
// that can be repeated, and completes last; Sweep finishes or undoes what a
// dead process left.
package estate
