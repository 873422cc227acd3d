// Package operate tests what those who run JIMM do with it: units of the real
// program, with PostgreSQL, OpenFGA and an identity provider beside them, are
// restarted under load, watched by a real Prometheus, and restored from a backup.
package operate
