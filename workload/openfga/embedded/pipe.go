package embedded

import (
	"context"
	"net"
	"sync"
)

// pipe is a listener whose connections stay in memory. That of grpc's bufconn
// does not do for net/http: its read deadlines race, and a deadline that hits
// the next request cancels it.
type pipe struct {
	connections chan net.Conn
	closed      chan struct{}
	close       sync.Once
}

func listen() *pipe {
	return &pipe{connections: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial returns the client's end of a new connection.
func (p *pipe) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.connections <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipe) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
