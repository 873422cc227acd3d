// Package provider answers the interfaces of JIMM's charm as the charms at the
// other side do: those of PostgreSQL, OpenFGA, Hydra, Vault, Traefik and others.
// What they manage is the caller's: real services where there are any.
//
// They are for tests, in the simulator and on a real controller.
package provider
