package server

import (
	"context"
	"log/slog"
	"time"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/facade"
	"jimm/workload/rpc"
)

// recorder writes what passes into the audit log.
type recorder struct {
	trail *audit.Log
	log   *slog.Logger
}

// Record implements gateway.Recorder. When the audit log is full it waits:
// overload slows callers down, nothing is dropped.
func (r recorder) Record(ctx context.Context, e estate.AuditEvent) {
	if e.Address == "" {
		e.Address = estate.CallerOf(ctx).Address
	}
	if err := r.trail.RecordRaw(ctx, e); err != nil && ctx.Err() == nil {
		r.log.ErrorContext(ctx, "cannot audit", "facade", e.Facade, "method", e.Method, "user", e.User, "error", err)
	}
}

// facade records a request on a controller connection and how it ended.
func (r recorder) facade(ctx context.Context, c *facade.Connection, q *rpc.Request, err error) {
	if !audit.Worth(q.Type, q.Method) {
		return
	}
	e := estate.AuditEvent{
		Time: time.Now(), ConversationID: c.ID, MessageID: q.RequestID,
		Facade: q.Type, Method: q.Method, Version: q.Version, ObjectID: q.ID, Params: q.Params,
	}
	if u := c.User(); u != nil {
		e.User = u.Name
	}
	r.Record(ctx, e)
	e.IsResponse, e.Params = true, nil
	if err != nil {
		e.Error, e.ErrorCode = "internal error", estate.CodeOf(err)
		if e.ErrorCode != "" {
			e.Error = err.Error()
		}
	}
	r.Record(ctx, e)
}
