package postgres

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"jimm/workload/estate"
	"jimm/workload/postgres/outage"
)

// SQLSTATE codes that say what is wrong with the values given.
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	checkViolation      = "23514"
	notNullViolation    = "23502"
	notInRepertoire     = "22021" // NUL, or not UTF-8
	untranslatable      = "22P05" // NUL in JSON
	tooLong             = "22001"
	limitExceeded       = "54000" // an index entry
	duplicateTable      = "42P07"
)

// broken says what it means that a constraint of the schema is broken.
var broken = map[string]struct{ code, text string }{
	"identities_pkey":                    {estate.CodeAlreadyExists, "it exists already"},
	"controllers_pkey":                   {estate.CodeAlreadyExists, "a controller with this UUID exists already"},
	"controllers_name_key":               {estate.CodeAlreadyExists, "a controller of this name exists already"},
	"models_pkey":                        {estate.CodeAlreadyExists, "a model with this id exists already"},
	"models_uuid_key":                    {estate.CodeAlreadyExists, "a model with this UUID exists already"},
	"models_owner_name_key":              {estate.CodeAlreadyExists, "its owner already has a model of this name"},
	"models_owner_fkey":                  {estate.CodeUserNotFound, "its owner is not known"},
	"models_controller_fkey":             {estate.CodeNotFound, "its controller is not known"},
	"models_cloud_fkey":                  {estate.CodeNotFound, "its cloud is not known"},
	"models_uuid_known":                  {estate.CodeNotValid, "it has no UUID"},
	"offers_pkey":                        {estate.CodeAlreadyExists, "an offer with this id exists already"},
	"offers_uuid_key":                    {estate.CodeAlreadyExists, "an offer with this UUID exists already"},
	"offers_model_name_key":              {estate.CodeAlreadyExists, "its model already has an offer of this name"},
	"offers_model_fkey":                  {estate.CodeStillAlive, "it has offers"},
	"offers_state_known":                 {estate.CodeNotValid, "there is no such state"},
	"offers_uuid_known":                  {estate.CodeNotValid, "it has no UUID"},
	"sessions_user_fkey":                 {estate.CodeUserNotFound, "the user is not known"},
	"sessions_kind_known":                {estate.CodeNotValid, "there is no such kind of session"},
	"credentials_owner_fkey":             {estate.CodeUserNotFound, "its owner is not known"},
	"credentials_cloud_fkey":             {estate.CodeNotFound, "its cloud is not known"},
	"region_controllers_cloud_fkey":      {estate.CodeNotFound, "a cloud is not known"},
	"region_controllers_controller_fkey": {estate.CodeNotFound, "the controller is not known"},
	"controllers_state_known":            {estate.CodeNotValid, "there is no such state"},
	"models_state_known":                 {estate.CodeNotValid, "there is no such state"},
	"usersets_pkey":                      {estate.CodeAlreadyExists, "one with this UUID exists already"},
	"usersets_name_key":                  {estate.CodeAlreadyExists, "the name is taken"},
	"usersets_kind_known":                {estate.CodeNotValid, "it is neither group nor role"},
	"usersets_state_known":               {estate.CodeNotValid, "there is no such state"},
	"profiles_pkey":                      {estate.CodeAlreadyExists, "one of this name exists already"},
	"label_printable":                    {estate.CodeNotValid, "names have 1 to 512 bytes and no control characters"},
}

// fail says what could not be done, with a code where PostgreSQL refused the
// values, and where it cannot be asked; anything else is internal and stays
// without.
func fail(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return outage.Wrap(err, "%s", doing)
	}
	coded := func(code, text string) error {
		return &estate.Error{Code: code, Message: doing + ": " + text, Cause: err}
	}
	if b, ok := broken[pgErr.ConstraintName]; ok {
		return coded(b.code, b.text)
	}
	switch pgErr.Code {
	case uniqueViolation:
		return coded(estate.CodeAlreadyExists, "it exists already")
	case foreignKeyViolation:
		return coded(estate.CodeNotFound, "what it refers to is not known")
	case checkViolation, notNullViolation:
		return coded(estate.CodeNotValid, "a value is out of bounds")
	case notInRepertoire, untranslatable:
		return coded(estate.CodeBadRequest, "a text is not UTF-8 or has NUL characters")
	case tooLong, limitExceeded:
		return coded(estate.CodeBadRequest, "a text is too long")
	}
	return outage.Wrap(err, "%s", doing)
}

// violates reports whether an error is about a constraint.
func violates(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.ConstraintName == constraint
}

// clip shortens what a client gave, for error texts.
func clip(s string) string {
	const most = 64 // bytes
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
