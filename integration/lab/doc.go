// Package lab runs real Juju controllers for tests: Juju 4.1, unpatched, each in a network
// and a mount namespace of its own, ready in about a second.
//
//	bin, err := lab.Build(ctx, repoRoot, os.Stderr)
//	l, err := lab.New(bin, t.TempDir())
//	defer l.Close()
//	// Serve JIMM and its keys at l.HostAddress(): controllers cannot reach the host's loopback.
//	controllers, err := l.Start(ctx, 2, "http://"+l.HostAddress()+":8080/.well-known/jwks.json")
//	out, err := controllers[0].Juju(ctx, "models", "--format", "json")
//
// A lab from Open in place of New keeps its controllers: the next Open in the same directory
// goes on with them.
//
// Only root can run a lab, on Linux. Controllers reach nothing but the host and each other.
// The work is done by integration/peers/build.sh and integration/peers/ctl, which serve by
// hand too.
package lab
