package facade

import (
	"context"
	"encoding/json"
	"time"

	jimmparams "github.com/canonical/jimm-go-sdk/v3/api/params"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// auditMethods are the part of the JIMM facade about the audit log.
var auditMethods = methods{
	"FindAuditEvents": call(findAuditEvents),
	"PurgeLogs":       call(purgeLogs),
}

// auditEvent is the SDK's, and what JIMM adds to it: where the client was, and
// the model's UUID beside its name.
type auditEvent struct {
	jimmparams.AuditEvent
	ClientAddress string `json:"client-address,omitempty"`
	ModelUUID     string `json:"model-uuid,omitempty"`
}

type auditEvents struct {
	Events []auditEvent `json:"events"`
}

func findAuditEvents(ctx context.Context, c *Connection, args jimmparams.FindAuditEventsRequest) (auditEvents, error) {
	f := estate.AuditFilter{Method: args.Method, Model: args.Model, Offset: args.Offset, Limit: args.Limit, Newest: args.SortTime}
	var err error
	if f.After, err = auditTime("after", args.After); err != nil {
		return auditEvents{}, err
	}
	if f.Before, err = auditTime("before", args.Before); err != nil {
		return auditEvents{}, err
	}
	if args.UserTag != "" {
		tag, err := names.ParseUserTag(args.UserTag)
		if err != nil {
			return auditEvents{}, estate.Errorf(estate.CodeBadRequest, "%q is not a user tag", clip(args.UserTag))
		}
		f.User = tag.Id()
	}
	if tag, err := names.ParseModelTag(args.Model); err == nil {
		f.Model = tag.Id()
	}
	found, err := c.server.Estate.FindAuditEvents(ctx, *c.User(), f)
	return auditEvents{each(found, wireAuditEvent)}, err
}

func auditTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, estate.Errorf(estate.CodeBadRequest, "%s must be a time such as 2026-03-04T15:04:05Z, not %q", name, clip(text))
	}
	return at, nil
}

// wireAuditEvent shows an event as clients know it. The model is called by the
// name it had, and the error of a reply stands among results, as in Juju's bulk
// calls.
func wireAuditEvent(e estate.AuditEvent) auditEvent {
	w := auditEvent{AuditEvent: jimmparams.AuditEvent{
		Time: e.Time, ConversationId: e.ConversationID, MessageId: e.MessageID, FacadeName: e.Facade, FacadeMethod: e.Method,
		FacadeVersion: e.Version, ObjectId: e.ObjectID, Model: e.ModelName, IsResponse: e.IsResponse,
	}, ClientAddress: e.Address, ModelUUID: e.Model}
	if w.Model == "" {
		w.Model = e.Model
	}
	if names.IsValidUser(e.User) {
		w.UserTag = names.NewUserTag(e.User).String()
	}
	if len(e.Params) > 0 && json.Unmarshal(e.Params, &w.Params) != nil {
		w.Params = map[string]any{"unreadable": len(e.Params)}
	}
	if e.Error != "" || e.ErrorCode != "" {
		w.Errors = map[string]any{"results": []any{map[string]any{"error": params.Error{Message: e.Error, Code: e.ErrorCode}}}}
	}
	return w
}

func purgeLogs(ctx context.Context, c *Connection, args jimmparams.PurgeLogsRequest) (jimmparams.PurgeLogsResponse, error) {
	n, err := c.server.Estate.PurgeAuditEvents(ctx, *c.User(), args.Date)
	return jimmparams.PurgeLogsResponse{DeletedCount: int64(n)}, err
}
