package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Handler answers requests. r and its Params are the handler's until it
// returns. The result is encoded as the response (nil: an empty object). An
// error that has ErrorCode() string reaches the client with its code, its text,
// and its ErrorInfo() if it has that; any other is logged, and the client gets
// to know only that something went wrong.
type Handler interface {
	ServeRPC(ctx context.Context, r *Request) (any, error)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, r *Request) (any, error)

// ServeRPC calls the function.
func (f HandlerFunc) ServeRPC(ctx context.Context, r *Request) (any, error) { return f(ctx, r) }

// ServeOptions change how a connection is served.
type ServeOptions struct {
	// Concurrency is how many requests are handled at once (default 10). Further
	// ones wait, unread.
	Concurrency int
	// Waits reports requests that only wait for something to happen, such as a
	// watcher's Next. They do not count against Concurrency.
	Waits func(r *Request) bool
	// Stop, where set, ends the connection in order when it ends: nothing
	// further is read, requests that were are answered, except those that only
	// wait, and the client is told to come back, or what the *Farewell says that
	// is the cause of its end.
	Stop context.Context
	Log  *slog.Logger
}

// maxWaits bounds the requests of one connection that only wait.
const maxWaits = 1000

// internalError is all that a client gets to see of an error without a code.
const internalError = "internal error"

// Serve answers the requests on a connection until it ends or ctx does, then
// waits for the handlers, whose context has ended by then, and closes it. It
// returns nil if the connection ended in order.
func Serve(ctx context.Context, conn *Conn, h Handler, o ServeOptions) error {
	if o.Concurrency <= 0 {
		o.Concurrency = 10
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &server{conn: conn, handler: h, log: o.Log}
	defer conn.Close()
	defer s.handlers.Wait()
	defer cancel()
	// The reader below blocks in the socket.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if o.Stop == nil {
		o.Stop = context.Background()
	}
	defer context.AfterFunc(o.Stop, conn.StopReading)()

	active := make(chan struct{}, o.Concurrency)
	waiting := make(chan struct{}, maxWaits)
	for {
		frame, err := conn.ReadFrame()
		if err != nil {
			var tooLarge *TooLargeError
			if errors.As(err, &tooLarge) {
				if err := WriteError(conn, tooLarge.RequestID, tooLarge); err != nil {
					return err
				}
				continue
			}
			if errors.Is(err, ErrStopped) {
				s.stop(ctx, active, context.Cause(o.Stop))
				return nil
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
		if o.Stop.Err() != nil { // and it was read before the connection was told
			frame.Release()
			s.stop(ctx, active, context.Cause(o.Stop))
			return nil
		}
		req := new(Request)
		if err := ParseRequest(frame.Bytes(), req); err != nil {
			frame.Release()
			if !RefuseRequest(conn, err) {
				return err
			}
			continue
		}
		slots := active
		if o.Waits != nil && o.Waits(req) {
			slots = waiting
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			frame.Release()
			return nil
		case <-o.Stop.Done():
			// It is not answered, and was not begun.
			frame.Release()
			s.stop(ctx, active, context.Cause(o.Stop))
			return nil
		}
		s.handlers.Add(1)
		go func() {
			defer s.handlers.Done()
			defer func() { <-slots }()
			defer frame.Release()
			if slots == waiting {
				defer conn.Ask()()
			}
			s.answer(ctx, req)
		}()
	}
}

// Restarting is what a client is told whose connection ends because the server
// does; with the close code 1001, going away.
const Restarting = "the server is restarting: connect again"

// Farewell is why a connection ends that is stopped for another reason.
type Farewell struct {
	// Code is the websocket's close code, Text at most 123 bytes.
	Code int
	Text string
	// Patience is for how long what was asked may still be answered.
	Patience time.Duration
}

func (f *Farewell) Error() string { return f.Text }

// stop waits until the handlers that are at work have answered, and closes.
func (s *server) stop(ctx context.Context, active chan struct{}, cause error) {
	code, text, patience := websocket.CloseGoingAway, Restarting, (<-chan time.Time)(nil)
	if f := (*Farewell)(nil); errors.As(cause, &f) {
		code, text, patience = f.Code, f.Text, time.After(f.Patience)
	}
	for waiting := cap(active); waiting > 0; waiting-- {
		select {
		case active <- struct{}{}:
		case <-patience:
			waiting = 0
		case <-ctx.Done():
			return
		}
	}
	s.conn.Retire(code, text)
}

type server struct {
	conn     *Conn
	handler  Handler
	log      *slog.Logger
	handlers sync.WaitGroup
}

func (s *server) answer(ctx context.Context, r *Request) {
	result, err := s.handle(ctx, r)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		var coded interface{ ErrorCode() string }
		if !errors.As(err, &coded) {
			s.log.ErrorContext(ctx, "cannot answer request", "request", r.RequestID, "facade", r.Type, "version", r.Version, "method", r.Method, "error", err)
		}
		_ = WriteError(s.conn, r.RequestID, err) // the reader sees that the connection ended
		return
	}
	if long, ok := result.(Appender); ok {
		s.answerLong(ctx, r, long)
		return
	}
	if result == nil {
		result = struct{}{}
	}
	b, err := json.Marshal(Reply{RequestID: r.RequestID, Response: result})
	if err != nil {
		s.log.ErrorContext(ctx, "cannot encode reply", "request", r.RequestID, "facade", r.Type, "version", r.Version, "method", r.Method, "error", err)
		_ = WriteError(s.conn, r.RequestID, err)
		return
	}
	_ = s.conn.WriteFrame(b)
}

// Appender is a result that encodes itself. What it appends is sent as it is,
// where encoding/json would read all of what a json.Marshaler gives again.
type Appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

func (s *server) answerLong(ctx context.Context, r *Request, result Appender) {
	b := strconv.AppendUint([]byte(`{"request-id":`), r.RequestID, 10)
	b, err := result.AppendJSON(append(b, `,"response":`...))
	if err != nil {
		s.log.ErrorContext(ctx, "cannot encode reply", "request", r.RequestID, "facade", r.Type, "version", r.Version, "method", r.Method, "error", err)
		_ = WriteError(s.conn, r.RequestID, err)
		return
	}
	_ = s.conn.WriteFrame(append(b, '}'))
}

// handle calls the handler and turns a panic into an error.
func (s *server) handle(ctx context.Context, r *Request) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.handler.ServeRPC(ctx, r)
}

// WriteError sends an error reply: code, text and info of err, or if it has no
// code just that there was an internal error.
func WriteError(conn *Conn, requestID uint64, err error) error {
	return conn.WriteJSON(ErrorReply(requestID, err))
}

// ErrorReply returns the reply that WriteError sends.
func ErrorReply(requestID uint64, err error) Reply {
	reply := Reply{RequestID: requestID, Error: internalError, Response: struct{}{}}
	var coded interface {
		error
		ErrorCode() string
	}
	if errors.As(err, &coded) {
		reply.Error, reply.ErrorCode = coded.Error(), coded.ErrorCode()
	}
	var informed interface{ ErrorInfo() map[string]any }
	if errors.As(err, &informed) {
		reply.ErrorInfo = informed.ErrorInfo()
	}
	return reply
}

// RefuseRequest answers a frame that ParseRequest did not take, and reports
// whether the connection may go on: not if the frame was no JSON at all.
func RefuseRequest(conn *Conn, err error) bool {
	var bad *RequestError
	if !errors.As(err, &bad) {
		bad = &RequestError{cause: err, Broken: true}
	}
	if WriteError(conn, bad.RequestID, bad) != nil {
		return false
	}
	if bad.Broken && bad.RequestID == 0 {
		conn.CloseWith(websocket.CloseInvalidFramePayloadData, "not JSON")
		return false
	}
	return true
}
