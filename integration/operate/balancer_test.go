//go:build integration

package operate

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// balancer hands TCP connections to units, as a load balancer in front of JIMM
// does: in turns, and to another if one does not take them.
type balancer struct {
	listener net.Listener

	mu      sync.Mutex
	units   []*unit
	next    int
	passing sync.WaitGroup
}

func newBalancer(t *testing.T) *balancer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: l}
	b.passing.Go(b.accept)
	t.Cleanup(func() { _ = l.Close() })
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

// use replaces the units that connections go to.
func (b *balancer) use(units ...*unit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.units = units
}

func (b *balancer) accept() {
	for {
		conn, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go b.pass(conn.(*net.TCPConn))
		}
	}
}

// pass connects a client with a unit; an end of either side is passed on.
func (b *balancer) pass(client *net.TCPConn) {
	defer client.Close()
	server := b.connect()
	if server == nil {
		return
	}
	defer server.Close()
	var copying sync.WaitGroup
	copying.Go(func() { _, _ = io.Copy(server, client); _ = server.CloseWrite() })
	copying.Go(func() { _, _ = io.Copy(client, server); _ = client.CloseWrite() })
	copying.Wait()
}

func (b *balancer) connect() *net.TCPConn {
	for range 100 {
		b.mu.Lock()
		units := b.units
		b.next++
		n := b.next
		b.mu.Unlock()
		for i := range units {
			conn, err := net.DialTimeout("tcp", units[(n+i)%len(units)].address, time.Second)
			if err == nil {
				return conn.(*net.TCPConn)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
