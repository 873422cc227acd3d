// Package simulator is a Juju model in a box: applications, units, relations,
// secrets and leadership, with the rules of Juju's own hook tools. It tells a
// charm what Juju would tell it, in any order that Juju might, and lets every
// call fail. A real controller is used beside it; docs/explanation/charm.md has
// the two compared, rule by rule.
//
//	m := simulator.New(seed)
//	jimm := m.Deploy("jimm", metadata, charm)
//	pg := m.Deploy("postgresql", …)
//	m.Relate("jimm:database", "postgresql:database")
//	err := m.Settle(ctx)
//
// A charm is a function that is run for each event; it may run in this process
// or start the real dispatch program, for which Serve answers hook tools over a
// socket.
package simulator
