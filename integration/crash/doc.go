// Package crash tests that nothing is lost or left behind when the process dies in the
// middle of a write that spans the database, the permissions, the secrets and a controller.
//
// A unit of JIMM, which is a process of its own, is killed by SIGKILL exactly at one of the
// steps that such a write names; then the sweep of another unit has to settle it. PostgreSQL
// and the (simulated) controllers live on, as they do when a container dies.
package crash
