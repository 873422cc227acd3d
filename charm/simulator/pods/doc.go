// Package pods makes pods out of this machine's own means: a network namespace
// with an address of its own on the bridge of a lab, in it a charm container and
// a workload container, each a root directory, the latter with a real Pebble.
// Only root can, on Linux.
package pods
