package rpc

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// A connection has a small read buffer of its own (TLS keeps another below it)
// and takes a write buffer from the pool only while it writes, so that an idle
// one holds little memory.
const (
	readBufferSize  = 512
	writeBufferSize = 16 << 10
)

var writeBuffers sync.Pool

// handshakeTimeout bounds the websocket handshake, and TLS's for a Dial.
const handshakeTimeout = 30 * time.Second

// Upgrade makes a connection of an HTTP request, or answers it with an error.
// checkOrigin decides about requests from web pages; nil allows only those of
// the same host.
func Upgrade(w http.ResponseWriter, r *http.Request, checkOrigin func(*http.Request) bool, o Options) (*Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   readBufferSize,
		WriteBufferSize:  writeBufferSize,
		WriteBufferPool:  &writeBuffers,
		CheckOrigin:      checkOrigin,
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return NewConn(ws, o), nil
}

// Dial connects to a wss:// or ws:// URL. The response is of a refused
// handshake, where there was one; its body holds up to 1 KB of the answer.
func Dial(ctx context.Context, url string, header http.Header, config *tls.Config, o Options) (*Conn, *http.Response, error) {
	dialer := websocket.Dialer{
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   readBufferSize,
		WriteBufferSize:  writeBufferSize,
		WriteBufferPool:  &writeBuffers,
		// The websocket package would keep a copy of config for each connection.
		NetDialTLSContext: (&tls.Dialer{Config: config}).DialContext,
	}
	ws, resp, err := dialer.DialContext(ctx, url, header)
	if err != nil {
		return nil, resp, err
	}
	return NewConn(ws, o), resp, nil
}
