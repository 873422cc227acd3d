package rpc

// Codes that this package itself gives to errors. They are words of the wire:
// the same as estate's.
const (
	CodeBadRequest       = "bad request"
	CodeTooLarge         = "message too large"
	CodeConnectionFailed = "connection failed"
)

// Error is the error of a reply.
type Error struct {
	// Code may be empty.
	Code    string
	Message string
	// Info is the error-info, mostly nil.
	Info map[string]any
}

func (e *Error) Error() string { return e.Message }

// ErrorCode returns the code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorInfo returns the error-info.
func (e *Error) ErrorInfo() map[string]any { return e.Info }

// ClosedError says that a connection broke.
type ClosedError struct {
	// Cause is nil or io.EOF after an orderly close.
	Cause error
	// Unsent is set if the request has not left, so that nobody can have acted
	// on it.
	Unsent bool
}

func (e *ClosedError) Error() string {
	if e.Cause == nil {
		return "connection is closed"
	}
	return "connection is closed: " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *ClosedError) Unwrap() error { return e.Cause }

// ErrorCode returns CodeConnectionFailed.
func (e *ClosedError) ErrorCode() string { return CodeConnectionFailed }
