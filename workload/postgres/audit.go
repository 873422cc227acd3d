package postgres

import (
	"context"
	"encoding/json"
	"math"
	"strings"
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
		"user_name", "model", "is_response", "params", "error", "error_code"}
	_, err := s.pool.CopyFrom(ctx, pgx.Identifier{"audit_events"}, columns,
		pgx.CopyFromSlice(len(events), func(i int) ([]any, error) {
			e := &events[i]
			params, err := auditParams(e.Params)
			if err != nil {
				return nil, err
			}
			return []any{e.Time, auditText(e.ConversationID, auditNameLimit), int64(min(e.MessageID, math.MaxInt64)),
				auditText(e.Facade, auditNameLimit), auditText(e.Method, auditNameLimit), int64(e.Version),
				auditText(e.ObjectID, auditNameLimit), auditText(e.User, auditNameLimit), auditText(e.Model, auditNameLimit),
				e.IsResponse, params, auditText(e.Error, auditErrorLimit), auditText(e.ErrorCode, auditNameLimit)}, nil
		}))
	if err != nil {
		return fail(err, "cannot save %d audit events", len(events))
	}
	return nil
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
