package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// MaxFrame is the largest message that passes, in bytes.
const MaxFrame = 64 << 20

const (
	// drainFactor bounds what is read and thrown away of a message that is too
	// large, as a multiple of the limit; beyond it the connection is closed.
	drainFactor = 16
	// writeChunk is how much is written under one write deadline.
	writeChunk = 64 << 10
	// headSize is how much of a message that is too large is kept, in bytes, to
	// find its request-id.
	headSize = 128
	// closeWait is what an orderly close may take.
	closeWait = time.Second
)

// Defaults of Options.
const (
	DefaultIdleTimeout  = 90 * time.Second
	DefaultWriteTimeout = 30 * time.Second
)

// Options are the limits of a connection; zero fields take the defaults.
type Options struct {
	// MaxFrame is in bytes (default MaxFrame).
	MaxFrame int
	// IdleTimeout is how long the peer may be silent before the connection is
	// taken for dead; negative means forever.
	IdleTimeout time.Duration
	// WriteTimeout is how long the peer may take no bytes of what is being
	// written to it before it is cut off.
	WriteTimeout time.Duration
}

// Conn is a websocket that carries frames. One goroutine may read while any
// number write.
type Conn struct {
	ws    *websocket.Conn
	idle  time.Duration
	write time.Duration
	limit atomic.Int64
	// armed is when the read deadline was last set; only the reader uses it.
	armed time.Time

	writing   sync.Mutex
	closeOnce sync.Once
	closed    atomic.Bool
	stopped   atomic.Bool
	goodbye   atomic.Pointer[websocket.CloseError]
}

// NewConn takes over a websocket.
func NewConn(ws *websocket.Conn, o Options) *Conn {
	c := &Conn{ws: ws, idle: o.IdleTimeout, write: o.WriteTimeout}
	if c.idle == 0 {
		c.idle = DefaultIdleTimeout
	}
	if c.write <= 0 {
		c.write = DefaultWriteTimeout
	}
	if o.MaxFrame <= 0 {
		o.MaxFrame = MaxFrame
	}
	c.limit.Store(int64(o.MaxFrame))
	ping := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		c.alive()
		return ping(data)
	})
	ws.SetPongHandler(func(string) error {
		c.alive()
		return nil
	})
	return c
}

// SetMaxFrame changes the limit, in bytes, for messages yet to be read.
func (c *Conn) SetMaxFrame(n int) { c.limit.Store(int64(n)) }

// RemoteAddr returns the peer's network address.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// TooLargeError says that a message exceeded the limit and was thrown away. The
// connection is still good.
type TooLargeError struct {
	// RequestID is the message's request-id if it stood at its front, else 0.
	RequestID uint64
	// Limit is in bytes.
	Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("cannot read request: message is larger than %d bytes", e.Limit)
}

// ErrorCode returns CodeTooLarge.
func (e *TooLargeError) ErrorCode() string { return CodeTooLarge }

// Errors of ReadFrame, beside io.EOF for a connection that its peer closed.
var (
	// ErrBinary is returned for a binary message; the connection is closed.
	ErrBinary = errors.New("cannot read request: binary messages are not supported")
	// ErrStopped is returned after StopReading; the connection can be written to.
	ErrStopped = errors.New("connection is not read any more")
	// ErrIdle is returned when the peer was silent for too long; the connection
	// is closed.
	ErrIdle = errors.New("connection was idle for too long")
)

// alive extends the read deadline. It is set again only when a noticeable part
// of it has passed, because setting it costs more than reading a small frame.
func (c *Conn) alive() {
	if c.idle < 0 {
		return
	}
	now := time.Now()
	slack := c.idle / 32
	if now.Sub(c.armed) < slack {
		return
	}
	c.armed = now
	_ = c.ws.SetReadDeadline(now.Add(c.idle + slack))
	if c.stopped.Load() { // meanwhile
		_ = c.ws.SetReadDeadline(now)
	}
}

// Ask pings the peer now and then, until the function that it returns is called:
// one that waits for an answer says nothing by itself, and is there all the same.
func (c *Conn) Ask() (enough func()) {
	if c.idle < 0 {
		return func() {}
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		ticker := time.NewTicker(c.idle / 3)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.write)) != nil {
				return // the reader sees that the peer is gone
			}
		}
	})
	return sync.OnceFunc(func() { close(stop); asking.Wait() })
}

// StopReading makes ReadFrame return ErrStopped, for good: no further message,
// nor the rest of one, is read. What waits to be written still can be.
func (c *Conn) StopReading() {
	c.stopped.Store(true)
	_ = c.ws.SetReadDeadline(time.Now())
}

// ReadFrame waits for the next message. A *TooLargeError leaves the connection
// usable; after any other error it is closed. io.EOF means that the peer, or
// Close, ended it.
func (c *Conn) ReadFrame() (*Frame, error) {
	if c.stopped.Load() {
		return nil, ErrStopped
	}
	c.alive()
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, c.readError(err)
	}
	if kind != websocket.TextMessage {
		c.CloseWith(websocket.CloseUnsupportedData, "text messages only")
		return nil, ErrBinary
	}
	limit := int(c.limit.Load())
	f := newFrame(min(frameSizes[0], limit+1))
	for {
		if len(f.buf) == cap(f.buf) {
			if len(f.buf) > limit {
				return nil, c.drain(f, r, limit)
			}
			f = f.grow(limit)
		}
		n, err := r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+n]
		if err == io.EOF {
			if len(f.buf) > limit {
				return nil, c.drain(f, r, limit)
			}
			return f, nil
		}
		if err != nil {
			f.Release()
			return nil, c.readError(err)
		}
		c.alive()
	}
}

// drain reads the rest of a message that is too large.
func (c *Conn) drain(f *Frame, r io.Reader, limit int) error {
	tooLarge := &TooLargeError{
		RequestID: frontRequestID(f.buf[:min(len(f.buf), headSize)]),
		Limit:     limit,
	}
	f.Release()
	scratch := newFrame(frameSizes[2])
	defer scratch.Release()
	for left := int64(limit) * drainFactor; left > 0; {
		n, err := r.Read(scratch.buf[:cap(scratch.buf)])
		left -= int64(n)
		if err == io.EOF {
			return tooLarge
		}
		if err != nil {
			return c.readError(err)
		}
		c.alive()
	}
	c.CloseWith(websocket.CloseMessageTooBig, "message too large")
	return fmt.Errorf("message exceeds %d bytes by far", limit)
}

// readError ends the connection after a failed read.
func (c *Conn) readError(err error) error {
	closed := c.closed.Load()
	var closeErr *websocket.CloseError
	var netErr net.Error
	switch {
	case closed, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		err = io.EOF
	case errors.As(err, &closeErr):
		c.goodbye.Store(closeErr)
		if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway,
			websocket.CloseNoStatusReceived, websocket.CloseAbnormalClosure) {
			err = io.EOF
		}
	case errors.As(err, &netErr) && netErr.Timeout() && c.stopped.Load():
		return ErrStopped
	case errors.As(err, &netErr) && netErr.Timeout():
		c.CloseWith(websocket.CloseGoingAway, "idle")
		return ErrIdle
	}
	c.Abort()
	return err
}

// WriteFrame sends one message. An error means that the connection is closed,
// and that the peer has got at most a part of the message, which it ignores.
func (c *Conn) WriteFrame(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.writeFrame(b)
	if err != nil {
		c.Abort()
		return &ClosedError{Cause: err, Unsent: true}
	}
	return nil
}

func (c *Conn) writeFrame(b []byte) error {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.write))
	if len(b) <= writeChunk {
		return c.ws.WriteMessage(websocket.TextMessage, b)
	}
	// A large message goes out in pieces, so that a slow peer has time for each
	// and a stuck one is still noticed.
	w, err := c.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		_ = c.ws.SetWriteDeadline(time.Now().Add(c.write))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.Close()
}

// WriteJSON sends one message.
func (c *Conn) WriteJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.WriteFrame(b)
}

// Close ends the connection in order. It may be called more than once and from
// any goroutine.
func (c *Conn) Close() error {
	c.CloseWith(websocket.CloseNormalClosure, "")
	return nil
}

// CloseWith is Close with a reason for the peer: a websocket close code and a
// text of at most 123 bytes.
func (c *Conn) CloseWith(code int, text string) {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		err := c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(closeWait))
		if err == nil {
			// tls.Conn.Close tells the peer, too, and waits up to 5 s for it.
			_ = c.ws.NetConn().SetWriteDeadline(time.Now().Add(closeWait))
			_ = c.ws.Close()
		}
		c.cut()
	})
}

// retireWait is how long Retire waits for the peer to go.
const retireWait = 2 * time.Second

// Retire is CloseWith after StopReading: it waits for the peer to close, too, or
// a moment. A socket that is closed with something unread in it takes back what
// the peer has not yet got.
func (c *Conn) Retire(code int, text string) {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		defer c.cut()
		if c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(closeWait)) != nil {
			return
		}
		nc := c.ws.NetConn()
		_ = nc.SetDeadline(time.Now().Add(retireWait))
		if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
			return
		}
		_, _ = io.Copy(io.Discard, nc)
	})
}

// Abort ends the connection at once, without a word to the peer.
func (c *Conn) Abort() {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		c.cut()
	})
}

// cut closes the socket below TLS.
func (c *Conn) cut() {
	nc := c.ws.NetConn()
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	_ = nc.Close()
}

// Goodbye returns the websocket close code and the text with which the peer has
// ended the connection; 0 if it has not.
func (c *Conn) Goodbye() (code int, text string) {
	if e := c.goodbye.Load(); e != nil {
		return e.Code, e.Text
	}
	return 0, ""
}

// AbortOn aborts the connection when ctx ends, until stop is called. For the
// blocking exchange of a login.
func (c *Conn) AbortOn(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, c.Abort)
}
