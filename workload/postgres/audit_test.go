package postgres_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/postgres"
)

func auditRows(t *testing.T, s *postgres.Store) []estate.AuditEvent {
	t.Helper()
	rows, _ := s.Pool().Query(t.Context(), `select time, conversation_id, message_id, facade, method, version, object_id,
		user_name, model, is_response, params, error, error_code from audit_events order by id`)
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (estate.AuditEvent, error) {
		var e estate.AuditEvent
		var params *string
		err := row.Scan(&e.Time, &e.ConversationID, &e.MessageID, &e.Facade, &e.Method, &e.Version, &e.ObjectID,
			&e.User, &e.Model, &e.IsResponse, &params, &e.Error, &e.ErrorCode)
		if params != nil {
			e.Params = json.RawMessage(*params)
		}
		e.Time = e.Time.UTC()
		return e, err
	})
	check(t, err)
	return events
}

func TestAuditEventsComeBackAsTheyWereSaved(t *testing.T) {
	s, _ := newStore(t)
	events := []estate.AuditEvent{
		{
			Time: noon, ConversationID: "conversation", MessageID: 7, Facade: "Application", Method: "Deploy", Version: 20,
			ObjectID: "object", User: alice, Model: productionUUID, Params: json.RawMessage(`{"name": "mysql"}`),
		},
		{Time: noon, MessageID: 7, IsResponse: true, Error: "permission denied", ErrorCode: "unauthorized access"},
	}
	check(t, s.SaveAuditEvents(t.Context(), events))
	equal(t, "events", auditRows(t, s), events)
	check(t, s.SaveAuditEvents(t.Context(), nil))
}

func TestNoAuditEventIsTooStrangeToBeSaved(t *testing.T) {
	s, _ := newStore(t)
	long := strings.Repeat("é", 100_000)
	events := []estate.AuditEvent{
		{Time: noon, Facade: "a\x00b", Method: "\xff", User: long, Error: long, ErrorCode: long, Model: long, ObjectID: long},
		{Time: noon, MessageID: math.MaxUint64, Version: math.MaxInt64},
		{Time: noon, Params: json.RawMessage(`{"a":`)},
		{Time: noon, Params: json.RawMessage("\"\xff\"")},
		{Time: noon, Params: json.RawMessage(`["\u0000", "\ud800", 1e999999, -1e-999999, 12345678901234567890123456789012345678901234567890]`)},
		{Time: noon, Params: json.RawMessage(strings.Repeat("[", 9000) + strings.Repeat("]", 9000))},
	}
	for i, e := range events {
		if err := s.SaveAuditEvents(t.Context(), []estate.AuditEvent{e}); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
	got := auditRows(t, s)
	equal(t, "number of events", len(got), len(events))
	equal(t, "facade", got[0].Facade, "a\uFFFDb")
	equal(t, "params that are not JSON", string(got[2].Params), `{"unreadable": 5}`)
}
