// Package hook is a thin layer over Juju's hook tools: what an event is, and a
// typed call for each tool that this charm uses.
//
// Where the tools are is the Runner's matter: Exec runs those of a unit agent,
// the simulator answers in their place.
package hook
