package sim

import (
	"errors"
	"fmt"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// Errors as a real controller words them (apiserver/errors/errors.go).
var (
	errPerm         = coded(params.CodeUnauthorized, "permission denied")
	errUnauthorized = coded(params.CodeUnauthorized, "invalid entity name or password")
	errStopped      = coded(params.CodeStopped, "watcher has been stopped")
)

func coded(code, format string, args ...any) *params.Error {
	return &params.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *params.Error {
	return coded(params.CodeNotFound, format+" not found", args...)
}

// accessRequired is the error of a token that lacks access.
func accessRequired(access permission.Access, target names.Tag) *params.Error {
	return &params.Error{
		Code:    params.CodeAccessRequired,
		Message: fmt.Sprintf("access permissions required: map[%s:%s]", target, access),
		Info:    map[string]any{target.String(): string(access)},
	}
}

// annotate puts words before the text of an error, and keeps its code.
func annotate(err error, text string) error {
	if err == nil {
		return nil
	}
	e := *asParams(err)
	e.Message = text + ": " + e.Message
	return &e
}

// withoutInfo drops what is beside code and text, as a real controller does
// where an error is converted twice on its way to the top of a reply.
func withoutInfo(err error) error {
	if err == nil {
		return nil
	}
	e := *asParams(err)
	e.Info = nil
	return &e
}

// asParams makes any error one that can be part of a result.
func asParams(err error) *params.Error {
	if err == nil {
		return nil
	}
	var e *params.Error
	if errors.As(err, &e) {
		return e
	}
	return &params.Error{Message: err.Error()}
}

// resultOf makes a bulk result of an error.
func resultOf(err error) params.ErrorResult { return params.ErrorResult{Error: asParams(err)} }

// each makes the bulk results of a call on each of args.
func each[A any](args []A, do func(A) error) params.ErrorResults {
	results := params.ErrorResults{Results: make([]params.ErrorResult, len(args))}
	for i, arg := range args {
		results.Results[i] = resultOf(do(arg))
	}
	return results
}
