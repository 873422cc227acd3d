// Package sim simulates Juju controllers that speak the real wire of Juju 3.6
// and 4.1, for development, load and faults. It is never part of jimmsrv, and
// what it accepts proves nothing: that is for real controllers.
//
// Everything is kept in memory. Tokens are verified by the library real
// controllers use, permission errors have the shape they give them
// (apiserver/authentication/jwt, apiserver/root.go and apiserver/errors of
// github.com/juju/juju), and the wire types are Juju's own.
package sim
