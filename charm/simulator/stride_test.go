//go:build !integration

package simulator_test

// stride is how many calls TestEachToolFailsOnce leaves out, to be quick.
const stride = 17
