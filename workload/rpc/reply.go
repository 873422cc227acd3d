package rpc

import (
	"bytes"
	"encoding/json"
)

// Reply is a decoded reply frame, and what is written as one.
type Reply struct {
	RequestID uint64         `json:"request-id"`
	Error     string         `json:"error,omitempty"`
	ErrorCode string         `json:"error-code,omitempty"`
	ErrorInfo map[string]any `json:"error-info,omitempty"`
	// Response is there also beside an error, as Juju has it.
	Response any `json:"response"`
}

// ReplyHead is what can be told of a reply without decoding its response.
type ReplyHead struct {
	RequestID uint64
	// Error and ErrorCode are empty for a success.
	Error, ErrorCode string
	// ErrorInfo is the raw error-info, mostly nil. It is part of the frame.
	ErrorInfo json.RawMessage
}

// Err returns the error the reply holds, a *Error, or nil.
func (h *ReplyHead) Err() error {
	if h.Error == "" {
		return nil
	}
	e := &Error{Code: h.ErrorCode, Message: h.Error}
	if len(h.ErrorInfo) > 0 {
		_ = json.Unmarshal(h.ErrorInfo, &e.Info) // a controller's JSON; without it there is just no info
	}
	return e
}

// ParseReply decodes the head of a reply frame. Juju writes the request-id and
// the error before the response, so the response is not looked at unless the
// keys come in another order.
func ParseReply(frame []byte, h *ReplyHead) error {
	*h = ReplyHead{}
	if scanReply(frame, h) {
		return nil
	}
	var m struct {
		RequestID uint64          `json:"request-id"`
		Error     string          `json:"error"`
		ErrorCode string          `json:"error-code"`
		ErrorInfo json.RawMessage `json:"error-info"`
	}
	if err := json.Unmarshal(frame, &m); err != nil {
		return err
	}
	*h = ReplyHead{RequestID: m.RequestID, Error: m.Error, ErrorCode: m.ErrorCode, ErrorInfo: m.ErrorInfo}
	if bytes.Equal(h.ErrorInfo, []byte("null")) {
		h.ErrorInfo = nil
	}
	return nil
}

// scanReply decodes the head if its keys stand in Juju's order, up to the
// response or the end.
func scanReply(frame []byte, h *ReplyHead) bool {
	s := scanner{data: frame}
	if !s.byte('{') {
		return false
	}
	last := 0
	for {
		key, ok := s.plainString()
		if !ok || !s.byte(':') {
			return false
		}
		var rank int
		switch string(key) {
		case "request-id":
			rank = 1
			h.RequestID, ok = s.uint()
		case "error":
			rank = 2
			h.Error, ok = s.anyString()
		case "error-code":
			rank = 3
			h.ErrorCode, ok = s.anyString()
		case "error-info":
			rank = 4
			var raw []byte
			raw, ok = s.value()
			h.ErrorInfo = raw
		case "response":
			return last >= 1
		default:
			return false
		}
		if !ok || rank <= last || last == 0 && rank != 1 {
			return false
		}
		last = rank
		if s.byte(',') {
			continue
		}
		return s.byte('}') && s.end()
	}
}

// anyString takes a string with whatever escapes it has.
func (s *scanner) anyString() (string, bool) {
	s.space()
	start := s.at
	if b, ok := s.plainString(); ok {
		return string(b), true
	}
	s.at = start
	if s.at >= len(s.data) || s.data[s.at] != '"' || !s.skipString() {
		return "", false
	}
	var out string
	err := json.Unmarshal(s.data[start:s.at], &out)
	return out, err == nil
}

// DecodeResponse decodes the response of a reply frame into result, which may
// be nil. An absent response leaves result as it is.
func DecodeResponse(frame []byte, result any) error {
	if result == nil {
		return nil
	}
	var m struct {
		Response any `json:"response"`
	}
	m.Response = result
	return json.Unmarshal(frame, &m)
}
