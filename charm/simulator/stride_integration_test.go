//go:build integration

package simulator_test

// stride of one is every call.
const stride = 1
