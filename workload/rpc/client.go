package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Client makes calls on a connection, any number at once.
type Client struct {
	conn *Conn
	done chan struct{}

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan *Frame
	err     error // why the connection ended; set before done is closed
}

// NewClient takes over the reading of a connection. Close must be called.
func NewClient(conn *Conn) *Client {
	c := &Client{conn: conn, done: make(chan struct{}), pending: make(map[uint64]chan *Frame)}
	go c.read()
	return c
}

func (c *Client) read() {
	defer close(c.done)
	for {
		frame, err := c.conn.ReadFrame()
		var tooLarge *TooLargeError
		if err == nil {
			c.deliver(frame)
			continue
		}
		if errors.As(err, &tooLarge) && tooLarge.RequestID != 0 {
			// The caller gets an error reply in place of the one thrown away.
			reply, err := json.Marshal(Reply{RequestID: tooLarge.RequestID, Error: "reply is too large", ErrorCode: CodeTooLarge, Response: struct{}{}})
			if err == nil {
				c.deliver(&Frame{buf: reply})
				continue
			}
		}
		c.mu.Lock()
		c.err = err
		for _, reply := range c.pending {
			close(reply)
		}
		c.pending = nil
		c.mu.Unlock()
		c.conn.Abort()
		return
	}
}

func (c *Client) deliver(frame *Frame) {
	var head ReplyHead
	if err := ParseReply(frame.Bytes(), &head); err != nil {
		frame.Release()
		return
	}
	c.mu.Lock()
	reply, ok := c.pending[head.RequestID]
	delete(c.pending, head.RequestID)
	c.mu.Unlock()
	if !ok {
		// Its caller has given up.
		frame.Release()
		return
	}
	reply <- frame
}

// Call makes one call and decodes the response into result (nil: not wanted).
// The error of a reply is an *Error; a connection that broke gives a
// *ClosedError; ctx's end only ends the wait, the connection stays good.
func (c *Client) Call(ctx context.Context, facade string, version int, id, method string, params, result any) error {
	req := Request{Type: facade, Version: version, ID: id, Method: method}
	req.trace(ctx)
	if params != nil {
		raw, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("cannot encode parameters of %s.%s: %w", facade, method, err)
		}
		req.Params = raw
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	reply := make(chan *Frame, 1)
	c.mu.Lock()
	if c.pending == nil {
		err := closedError(c.err)
		c.mu.Unlock()
		err.Unsent = true
		return err
	}
	c.last++
	req.RequestID = c.last
	c.pending[req.RequestID] = reply
	c.mu.Unlock()

	if err := c.conn.WriteFrame(AppendRequest(nil, &req)); err != nil {
		c.forget(req.RequestID)
		return err
	}
	select {
	case frame, ok := <-reply:
		if !ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			return closedError(c.err)
		}
		defer frame.Release()
		return decodeReply(frame.Bytes(), result)
	case <-ctx.Done():
		c.forget(req.RequestID)
		return ctx.Err()
	}
}

func closedError(err error) *ClosedError {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return &ClosedError{Cause: err}
}

func decodeReply(frame []byte, result any) error {
	var head ReplyHead
	if err := ParseReply(frame, &head); err != nil {
		return err
	}
	if err := head.Err(); err != nil {
		return err
	}
	return DecodeResponse(frame, result)
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection and waits for the reader. Calls under way fail.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

// Exchange makes one call on a connection that nobody reads yet, such as a
// login, and returns the raw response. ctx's end closes the connection.
func Exchange(ctx context.Context, conn *Conn, req *Request) (json.RawMessage, error) {
	stop := conn.AbortOn(ctx)
	defer stop()
	fail := func(err error) (json.RawMessage, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if err := conn.WriteFrame(AppendRequest(nil, req)); err != nil {
		return fail(err)
	}
	for {
		frame, err := conn.ReadFrame()
		if err != nil {
			return fail(closedError(err))
		}
		var head ReplyHead
		if err := ParseReply(frame.Bytes(), &head); err != nil {
			frame.Release()
			return nil, fmt.Errorf("cannot read reply to %s.%s: %w", req.Type, req.Method, err)
		}
		if head.RequestID != req.RequestID {
			frame.Release()
			continue
		}
		var response json.RawMessage
		err = decodeReply(frame.Bytes(), &response)
		frame.Release()
		if err != nil {
			return nil, err
		}
		return response, nil
	}
}
