// Package company has real juju clients log in, share and keep credentials through
// JIMM while the services of production around it, real ones, are stopped, frozen
// and started again.
package company
