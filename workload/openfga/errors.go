package openfga

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	fga "github.com/openfga/go-sdk"

	"jimm/workload/estate"
)

// ourFault are validation errors that no caller's input causes.
var ourFault = map[fga.ErrorCode]bool{
	fga.ERRORCODE_AUTHORIZATION_MODEL_NOT_FOUND:                    true,
	fga.ERRORCODE_LATEST_AUTHORIZATION_MODEL_NOT_FOUND:             true,
	fga.ERRORCODE_AUTHORIZATION_MODEL_RESOLUTION_TOO_COMPLEX:       true,
	fga.ERRORCODE_CANCELLED:                                        true,
	fga.ERRORCODE_EXCEEDED_ENTITY_LIMIT:                            true,
	fga.ERRORCODE_UNSUPPORTED_SCHEMA_VERSION:                       true,
	fga.ERRORCODE_INVALID_AUTHORIZATION_MODEL:                      true,
	fga.ERRORCODE_STORE_ID_INVALID_LENGTH:                          true,
	fga.ERRORCODE_AUTHORIZATION_MODEL_ID_TOO_LONG:                  true,
	fga.ERRORCODE_CANNOT_ALLOW_DUPLICATE_TUPLES_IN_ONE_REQUEST:     true,
	fga.ERRORCODE_TUPLE_KEYS_TOO_MANY_OR_TOO_FEW_ITEMS:             true,
	fga.ERRORCODE_DUPLICATE_CONTEXTUAL_TUPLE:                       true,
	fga.ERRORCODE_WRITE_FAILED_DUE_TO_INVALID_INPUT:                true,
	fga.ERRORCODE_CANNOT_ALLOW_MULTIPLE_REFERENCES_TO_ONE_RELATION: true,
	fga.ERRORCODE_AUTHORIZATION_MODEL_ASSERTIONS_NOT_FOUND:         true,
	fga.ERRORCODE_CANNOT_ALLOW_DUPLICATE_TYPES_IN_ONE_REQUEST:      true,
}

// failure says what could not be done. What OpenFGA finds wrong with our
// caller's input becomes CodeBadRequest, and that it does not answer, or cannot,
// CodeConnectionFailed; the rest has no code.
func failure(doing string, err error) error {
	var invalid fga.FgaApiValidationError
	if errors.As(err, &invalid) && !ourFault[invalid.ResponseCode()] {
		why := "OpenFGA refuses it"
		if reply, ok := invalid.Model().(fga.ValidationErrorMessageResponse); ok && reply.GetMessage() != "" {
			why = reply.GetMessage()
		}
		return &estate.Error{Code: estate.CodeBadRequest, Message: doing + ": " + why, Cause: err}
	}
	if estate.CodeOf(err) != "" {
		return estate.Errorf(estate.CodeOf(err), "%s: %w", doing, err)
	}
	if isAway(err) {
		return &estate.Error{Code: estate.CodeConnectionFailed, Message: doing + ": the permission server does not answer; try again later", Cause: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isAway reports whether the server did not answer in time, or could not.
func isAway(err error) bool {
	var connection net.Error
	var internal fga.FgaApiInternalError
	return !errors.Is(err, context.Canceled) && (errors.As(err, &connection) || errors.As(err, &internal))
}

// isConflict reports whether two writes of the same tuple met: the server
// rolled ours back and it may be tried again.
func isConflict(err error) bool {
	var api fga.FgaApiError
	return errors.As(err, &api) && api.ResponseStatusCode() == http.StatusConflict
}
