// Package outage tells that PostgreSQL cannot be asked at the moment from all
// else that can be wrong with a query. It is for those who have tables there.
package outage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"jimm/workload/estate"
)

// Wrap says what could not be done. If that is because of an outage, the error
// has CodeConnectionFailed and a text for clients, without anything of err; else
// it has no code of its own.
func Wrap(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if why := Of(err); why != "" {
		return &estate.Error{Code: estate.CodeConnectionFailed, Message: doing + ": " + why, Cause: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// What clients are told.
const (
	silent   = "JIMM's database does not answer; try again in a minute"
	late     = "JIMM's database has not answered in time; try again in a minute"
	changing = "JIMM's database is stopping or starting; try again in a minute"
	standby  = "JIMM's database takes no changes, as a standby does; try again in a minute"
	full     = "JIMM's database has no connection, memory or room left; try again in a minute, and tell whoever runs JIMM if it goes on"
	refusing = "JIMM's database does not let JIMM in; tell whoever runs JIMM"
)

// Of returns what an outage is for clients; the empty string if an error is none,
// or only says that nobody waits for the answer any more.
func Of(err error) string {
	var (
		refused *pgconn.PgError
		connect *pgconn.ConnectError
		network net.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &refused):
		switch class := refused.Code[:min(2, len(refused.Code))]; {
		case refused.Code == "57P01", refused.Code == "57P02", refused.Code == "57P03": // *_shutdown, cannot_connect_now
			return changing
		case refused.Code == "25006": // read_only_sql_transaction
			return standby
		case class == "53": // insufficient resources
			return full
		case class == "08": // connection exception
			return silent
		case errors.As(err, &connect):
			return refusing
		}
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return late
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed):
		return silent
	}
	return ""
}
