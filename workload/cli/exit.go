package cli

import (
	"errors"

	"github.com/juju/juju/rpc/params"
)

// Exit codes of the programs.
const (
	ExitOK      = 0
	ExitFailure = 1
	// ExitUsage is for a command line that makes no sense; nothing was tried.
	ExitUsage = 2
	// ExitDenied is for a login that failed, and for what the user may not do.
	ExitDenied = 3
	// ExitNotFound is for something that is not there.
	ExitNotFound = 4
	// ExitUnreachable is for JAAS, or a controller behind it, that does not answer.
	ExitUnreachable = 5
	// ExitPartly is for a result that lacks a part, which the errors name.
	ExitPartly = 6
	// ExitNo is for a question whose answer is no, such as whether a user has a
	// permission, or whether all is well.
	ExitNo = 7
)

// UsageError is an error of whoever typed the command line.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Exit is an error with the exit code of the program. Without Err all has been
// said, and nothing is printed.
type Exit struct {
	Code int
	Err  error
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the error without the code.
func (e *Exit) Unwrap() error { return e.Err }

// exitCode is what the program exits with after an error.
func exitCode(err error) int {
	var usage UsageError
	var exit *Exit
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &exit):
		return exit.Code
	}
	return ExitFailure
}

// codeExits are the exit codes for the codes of errors that JAAS answers with.
var codeExits = map[string]int{
	params.CodeUnauthorized:        ExitDenied,
	params.CodeForbidden:           ExitDenied,
	params.CodeSessionTokenInvalid: ExitDenied,
	params.CodeNotFound:            ExitNotFound,
	params.CodeModelNotFound:       ExitNotFound,
	params.CodeUserNotFound:        ExitNotFound,
	"connection failed":            ExitUnreachable,
}
