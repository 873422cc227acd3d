package estate

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/juju/names/v6"
)

// Outcome is what the audit log has of how a request ended: what the client sees.
// An error without a code is for the log only.
func Outcome(err error) (text, code string) {
	switch code = CodeOf(err); {
	case err == nil:
		return "", ""
	case code == "":
		return "internal error", ""
	}
	return err.Error(), code
}

// AuditEvent is one request or reply that passed.
type AuditEvent struct {
	Time           time.Time
	ConversationID string
	MessageID      uint64
	Facade         string
	Method         string
	Version        int
	ObjectID       string
	User           string
	// Address is the client's, as Caller has it.
	Address string
	// Model is the UUID of the model for a model connection, ModelName its
	// owner/name at that time; both are empty elsewhere.
	Model, ModelName string
	IsResponse       bool
	// Params is already redacted; nil for what is not recorded.
	Params json.RawMessage
	// Error and ErrorCode are of a reply.
	Error, ErrorCode string
}

// AuditStore remembers audit events.
type AuditStore interface {
	AuditEvents(ctx context.Context, f AuditFilter) ([]AuditEvent, error)
	// PurgeAuditEvents removes events from before a time, at most so many, and
	// returns how many it has removed.
	PurgeAuditEvents(ctx context.Context, before time.Time, most int) (int, error)
}

// AuditFilter says which events are wanted; zero fields say nothing.
type AuditFilter struct {
	// After and Before are exclusive.
	After, Before time.Time
	User, Method  string
	// Model is a UUID, or owner/name.
	Model string
	// Newest orders by falling time; else the oldest come first.
	Newest        bool
	Offset, Limit int
}

// AuditLimit is how many events are returned if nobody says how many, and
// MaxAuditLimit the most.
const (
	AuditLimit    = 50
	MaxAuditLimit = 1000
)

// FindAuditEvents returns what happened. The user needs audit_log_viewer on
// JIMM. A limit of 0 is AuditLimit; one above MaxAuditLimit is that.
func (e *Estate) FindAuditEvents(ctx context.Context, u User, f AuditFilter) ([]AuditEvent, error) {
	if err := e.require(ctx, u, AuditLogViewer, e.selfObject()); err != nil {
		return nil, err
	}
	owner, name, _ := strings.Cut(f.Model, "/")
	switch {
	case f.Limit < 0 || f.Offset < 0:
		return nil, Errorf(CodeBadRequest, "limit and offset must not be negative")
	case f.Model != "" && !names.IsValidModel(f.Model) && (owner == "" || name == ""):
		return nil, Errorf(CodeBadRequest, "model must be a UUID or OWNER/NAME, not %q", clip(f.Model))
	case !f.After.IsZero() && !f.Before.IsZero() && !f.After.Before(f.Before):
		return nil, Errorf(CodeBadRequest, "there is no time after %s and before %s", f.After.Format(time.RFC3339), f.Before.Format(time.RFC3339))
	}
	if f.Limit == 0 {
		f.Limit = AuditLimit
	}
	f.Limit = min(f.Limit, MaxAuditLimit)
	return e.Store.AuditEvents(ctx, f)
}

// auditPurge is how many events are removed at once: few enough that nothing
// else waits for it.
const auditPurge = 5000

// PurgeAuditEvents removes what happened before a time, and returns how many
// events that were. The user needs to administer JIMM.
func (e *Estate) PurgeAuditEvents(ctx context.Context, u User, before time.Time) (int, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return 0, err
	}
	if before.IsZero() || before.After(e.Now()) {
		return 0, Errorf(CodeBadRequest, "the date to purge to must be one in the past")
	}
	return e.purgeAuditEvents(ctx, before)
}

// ExpireAuditEvents removes events that are older than is configured to keep
// them. One process at a time runs it.
func (e *Estate) ExpireAuditEvents(ctx context.Context) error {
	if e.AuditRetention <= 0 {
		return nil
	}
	n, err := e.purgeAuditEvents(ctx, e.Now().Add(-e.AuditRetention))
	if n > 0 {
		e.Log.Info("removed audit events that were old enough", "events", n, "retention", e.AuditRetention)
	}
	return err
}

func (e *Estate) purgeAuditEvents(ctx context.Context, before time.Time) (total int, err error) {
	for {
		n, err := e.Store.PurgeAuditEvents(ctx, before, auditPurge)
		total += n
		if err != nil || n < auditPurge {
			return total, err
		}
	}
}
