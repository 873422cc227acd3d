// Package compat compares what juju commands do directly on a controller with
// what they do through JIMM, for every client release and generation of
// controllers, and keeps docs/reference/compatibility.md.
package compat
