package estate

import (
	"errors"
	"fmt"
)

// Error codes, as Juju clients know them (rpc/params/apierror.go) or, below
// the blank line, as JAAS clients do.
const (
	CodeUnauthorized        = "unauthorized access"
	CodeForbidden           = "forbidden"
	CodeNotFound            = "not found"
	CodeModelNotFound       = "model not found"
	CodeUserNotFound        = "user not found"
	CodeAlreadyExists       = "already exists"
	CodeBadRequest          = "bad request"
	CodeNotSupported        = "not supported"
	CodeNotImplemented      = "not implemented"
	CodeAccessRequired      = "access required"
	CodeSessionTokenInvalid = "session token invalid"
	CodeIncompatibleClouds  = "incompatible clouds"
	CodeStillAlive          = "still alive"
	CodeNotValid            = "not valid"
	CodeTooLarge            = "message too large"

	CodeConnectionFailed = "connection failed"
	CodeTupleInvalid     = "failed to parse tuple"
	// CodeServerConfiguration is for what only who runs JIMM can mend.
	CodeServerConfiguration = "server configuration"
)

// Error is an error with the code that a client gets to see. Its text says
// what could not be done and why, and never holds a secret.
type Error struct {
	Code    string
	Message string
	// Info is the error-info of the reply, nil for most errors.
	Info map[string]any
	// Cause is for the log only: it is not shown to clients.
	Cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ErrorCode returns the code, as Juju's own error types do.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorInfo returns the error-info of the reply.
func (e *Error) ErrorInfo() map[string]any { return e.Info }

// Errorf makes an Error. A %w in the format sets its cause, whose text then is
// part of the message.
func Errorf(code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// CodeOf returns the code of an error: that of the first in its chain that
// has one, else the empty string.
func CodeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}

// Is reports whether an error carries a code.
func Is(err error, code string) bool { return err != nil && CodeOf(err) == code }
