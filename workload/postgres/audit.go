package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

// What is kept of a text that a client or controller chose, in bytes.
const (
	auditNameLimit  = 512
	auditErrorLimit = 4096
)

// SaveAuditEvents appends events in one round trip: all of them or none. Texts
// are cut and cleaned to what a column takes, so that no client can make an
// event that cannot be saved.
func (s *Store) SaveAuditEvents(ctx context.Context, events []estate.AuditEvent) error {
	columns := []string{"time", "conversation_id", "message_id", "facade", "method", "version", "object_id",
		"user_name", "address", "model", "model_name", "is_response", "params", "error", "error_code"}
	_, err := s.pool.CopyFrom(forMuch(ctx), pgx.Identifier{"audit_events"}, columns,
		pgx.CopyFromSlice(len(events), func(i int) ([]any, error) {
			e := &events[i]
			params, err := auditParams(e.Params)
			if err != nil {
				return nil, err
			}
			return []any{e.Time, auditText(e.ConversationID, auditNameLimit), int64(min(e.MessageID, math.MaxInt64)),
				auditText(e.Facade, auditNameLimit), auditText(e.Method, auditNameLimit), int64(e.Version),
				auditText(e.ObjectID, auditNameLimit), auditText(e.User, auditNameLimit), auditText(e.Address, auditNameLimit),
				auditText(e.Model, auditNameLimit), auditText(e.ModelName, auditNameLimit),
				e.IsResponse, params, auditText(e.Error, auditErrorLimit), auditText(e.ErrorCode, auditNameLimit)}, nil
		}))
	if err != nil {
		return fail(err, "cannot save %d audit events", len(events))
	}
	return nil
}

// AuditEvents is part of estate.Store.
func (s *Store) AuditEvents(ctx context.Context, f estate.AuditFilter) ([]estate.AuditEvent, error) {
	var where []string
	var args []any
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if !f.After.IsZero() {
		and("time > $%d", f.After)
	}
	if !f.Before.IsZero() {
		and("time < $%d", f.Before)
	}
	if f.User != "" {
		and("user_name = $%d", f.User)
	}
	if f.Method != "" {
		and("method = $%d", f.Method)
	}
	switch {
	case strings.Contains(f.Model, "/"):
		and("model_name = $%d and model_name <> ''", f.Model)
	case f.Model != "":
		and("model = $%d and model <> ''", f.Model)
	}
	sql := `select time, conversation_id, message_id, facade, method, version, object_id, user_name, address, model, model_name,
		is_response, params, error, error_code from audit_events`
	if len(where) > 0 {
		sql += " where " + strings.Join(where, " and ")
	}
	if f.Newest {
		sql += " order by time desc, id desc"
	} else {
		sql += " order by time, id"
	}
	args = append(args, f.Limit, f.Offset)
	sql += fmt.Sprintf(" limit $%d offset $%d", len(args)-1, len(args))
	rows, _ := s.pool.Query(forMuch(ctx), sql, args...)
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (estate.AuditEvent, error) {
		var e estate.AuditEvent
		err := row.Scan(&e.Time, &e.ConversationID, &e.MessageID, &e.Facade, &e.Method, &e.Version, &e.ObjectID, &e.User, &e.Address,
			&e.Model, &e.ModelName, &e.IsResponse, (*[]byte)(&e.Params), &e.Error, &e.ErrorCode)
		e.Time = e.Time.UTC()
		return e, err
	})
	if err != nil {
		return nil, fail(err, "cannot load audit events")
	}
	return events, nil
}

// PurgeAuditEvents is part of estate.Store.
func (s *Store) PurgeAuditEvents(ctx context.Context, before time.Time, most int) (int, error) {
	tag, err := s.pool.Exec(forMuch(ctx), `delete from audit_events where id = any(array(
		select id from audit_events where time < $1 order by time limit $2))`, before, most)
	if err != nil {
		return 0, fail(err, "cannot remove audit events")
	}
	return int(tag.RowsAffected()), nil
}

func auditText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return cleanText(s)
}

// auditParams returns what a JSON column takes; null for no parameters.
func auditParams(params json.RawMessage) ([]byte, error) {
	if params == nil {
		return nil, nil
	}
	if b, err := cleanDocument(params); err == nil {
		return b, nil
	}
	return document(map[string]any{"unreadable": len(params)})
}
