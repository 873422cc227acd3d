package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Request is a decoded request frame.
type Request struct {
	RequestID uint64
	// Type is the facade, Method what to do (on the wire: request).
	Type    string
	Version int
	// ID is of the object that the facade is about, such as a watcher; mostly empty.
	ID     string
	Method string
	// Params may be part of the frame and then lives as long as that. It is nil
	// if there were none.
	Params     json.RawMessage
	TraceID    string
	SpanID     string
	TraceFlags int
}

// message is what Juju's codec decodes, requests and replies alike; the types
// of all fields matter, because one of the wrong type spoils the message.
type message struct {
	RequestID  uint64          `json:"request-id"`
	Type       string          `json:"type"`
	Version    int             `json:"version"`
	ID         string          `json:"id"`
	Request    string          `json:"request"`
	Params     json.RawMessage `json:"params"`
	Error      string          `json:"error"`
	ErrorCode  string          `json:"error-code"`
	ErrorInfo  map[string]any  `json:"error-info"`
	Response   json.RawMessage `json:"response"`
	TraceID    string          `json:"trace-id"`
	SpanID     string          `json:"span-id"`
	TraceFlags int             `json:"trace-flags"`
}

// RequestError says that a frame is not a request.
type RequestError struct {
	// RequestID is the frame's if it could be found, else 0.
	RequestID uint64
	// Broken is set where the frame is not even JSON: whoever sends that can't
	// be talked to.
	Broken bool
	cause  error
}

func (e *RequestError) Error() string { return "cannot read request: " + e.cause.Error() }

// Unwrap returns what was wrong.
func (e *RequestError) Unwrap() error { return e.cause }

// ErrorCode returns CodeBadRequest.
func (e *RequestError) ErrorCode() string { return CodeBadRequest }

var (
	errNoRequestID = errors.New("request-id must be a positive number")
	errNoMethod    = errors.New("type and request must not be empty")
)

// ParseRequest decodes a request frame into req, to the same values as Juju's
// server gives (encoding/json: key names in any case, the last of equal keys
// wins), so that nobody can show us one method and the controller another. An
// error is a *RequestError.
func ParseRequest(frame []byte, req *Request) error {
	if !json.Valid(frame) {
		var any json.RawMessage
		return &RequestError{
			RequestID: frontRequestID(frame),
			Broken:    true,
			cause:     json.Unmarshal(frame, &any),
		}
	}
	*req = Request{}
	if !scanRequest(frame, req) {
		var m message
		if err := json.Unmarshal(frame, &m); err != nil {
			return &RequestError{RequestID: frontRequestID(frame), cause: err}
		}
		*req = Request{
			RequestID: m.RequestID, Type: m.Type, Version: m.Version, ID: m.ID, Method: m.Request,
			Params: m.Params, TraceID: m.TraceID, SpanID: m.SpanID, TraceFlags: m.TraceFlags,
		}
	}
	if req.RequestID == 0 {
		return &RequestError{cause: errNoRequestID}
	}
	if req.Type == "" || req.Method == "" {
		return &RequestError{RequestID: req.RequestID, cause: errNoMethod}
	}
	return nil
}

// scanRequest decodes valid JSON in the plain form that all Juju clients write:
// lower-case keys, each once, unescaped ASCII strings, whole numbers. It
// reports false for anything else, which is then left to encoding/json.
func scanRequest(frame []byte, req *Request) bool {
	s := scanner{data: frame}
	if !s.byte('{') {
		return false
	}
	if s.byte('}') {
		return s.end()
	}
	var seen uint16
	for {
		key, ok := s.plainString()
		if !ok || !s.byte(':') {
			return false
		}
		var field uint16
		switch string(key) {
		case "request-id":
			field = 1 << 0
			req.RequestID, ok = s.uint()
		case "type":
			field = 1 << 1
			req.Type, ok = s.string()
		case "version":
			field = 1 << 2
			var v uint64
			v, ok = s.uint()
			ok = ok && v < 1<<31
			req.Version = int(v)
		case "id":
			field = 1 << 3
			req.ID, ok = s.string()
		case "request":
			field = 1 << 4
			req.Method, ok = s.string()
		case "params":
			field = 1 << 5
			var raw []byte
			raw, ok = s.value()
			req.Params = raw
		case "trace-id":
			field = 1 << 6
			req.TraceID, ok = s.string()
		case "span-id":
			field = 1 << 7
			req.SpanID, ok = s.string()
		case "trace-flags":
			field = 1 << 8
			var v uint64
			v, ok = s.uint()
			ok = ok && v < 1<<31
			req.TraceFlags = int(v)
		default:
			return false
		}
		if !ok || seen&field != 0 {
			return false
		}
		seen |= field
		if s.byte(',') {
			continue
		}
		return s.byte('}') && s.end()
	}
}

// frontRequestID returns the request-id of a frame that starts with it, as all
// that Juju writes do; 0 if it does not. The frame need not be complete.
func frontRequestID(frame []byte) uint64 {
	s := scanner{data: frame}
	if !s.byte('{') {
		return 0
	}
	key, ok := s.plainString()
	if !ok || !bytes.Equal(key, []byte("request-id")) || !s.byte(':') {
		return 0
	}
	id, ok := s.uint()
	if !ok || s.at == len(frame) {
		return 0
	}
	return id
}

// AppendRequest appends a request frame to b. Params must be JSON, or empty.
func AppendRequest(b []byte, r *Request) []byte {
	b = append(b, `{"request-id":`...)
	b = appendUint(b, r.RequestID)
	b = append(b, `,"type":`...)
	b = appendString(b, r.Type)
	if r.Version != 0 {
		b = append(b, `,"version":`...)
		b = appendInt(b, r.Version)
	}
	if r.ID != "" {
		b = append(b, `,"id":`...)
		b = appendString(b, r.ID)
	}
	b = append(b, `,"request":`...)
	b = appendString(b, r.Method)
	b = append(b, `,"params":`...)
	if len(r.Params) == 0 {
		b = append(b, `{}`...)
	} else {
		b = append(b, r.Params...)
	}
	if r.TraceID != "" {
		b = append(b, `,"trace-id":`...)
		b = appendString(b, r.TraceID)
	}
	if r.SpanID != "" {
		b = append(b, `,"span-id":`...)
		b = appendString(b, r.SpanID)
	}
	if r.TraceFlags != 0 {
		b = append(b, `,"trace-flags":`...)
		b = appendInt(b, r.TraceFlags)
	}
	return append(b, '}')
}
