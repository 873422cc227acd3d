// Package charm runs JIMM's charm as Juju would: its real dispatch program, in
// pods with a real Pebble and the real jimmsrv, between charms that manage real
// services. The simulator plays Juju; the package's second half uses a real
// controller. The tests are for root, on Linux (see integration/peers/build.sh).
package charm
