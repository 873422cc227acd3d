// Package rpc is Juju's JSON-RPC on the wire: websocket text frames that hold
// one JSON object each, a request or a reply (juju rpc/jsoncodec/codec.go).
// Frames are decoded only as far as their reader needs. The package knows
// nothing of what the requests mean.
package rpc
