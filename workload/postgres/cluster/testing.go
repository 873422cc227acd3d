package cluster

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the one cluster of a test process.
var shared struct {
	mu      sync.Mutex
	running bool // RunTests is at work and will stop the cluster
	dir     string
	cluster *Cluster
	err     error
}

var databases atomic.Int64

// RunTests runs a package's tests and then stops the cluster that they shared:
//
//	func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }
func RunTests(m *testing.M) int {
	shared.mu.Lock()
	shared.running = true
	shared.mu.Unlock()
	code := m.Run()

	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.running = false
	if shared.cluster != nil {
		if err := shared.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		shared.cluster = nil
	}
	if shared.dir != "" {
		if err := Remove(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// ForTest returns the cluster that the tests of this process share, started
// when the first asks. The package's TestMain must call RunTests.
func ForTest(t testing.TB) *Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.running {
		t.Fatal("cluster.ForTest needs a TestMain that calls cluster.RunTests")
	}
	if shared.cluster == nil && shared.err == nil {
		shared.dir, shared.err = os.MkdirTemp("", "jimm-test-pg-")
		if shared.err == nil {
			shared.cluster, shared.err = Start(context.Background(), Options{Dir: shared.dir})
		}
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// NewDatabase makes an empty database for one test and returns its DSN. It is
// dropped when the test ends, whoever is still connected.
func (c *Cluster) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := c.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.exec(ctx, "drop database "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
			t.Errorf("cannot drop database %q: %v", name, err)
		}
	})
	return c.DSN(name)
}
