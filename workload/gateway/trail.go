package gateway

import (
	"context"
	"encoding/json"
	"net/http"

	"jimm/workload/estate"
)

// httpFacade stands in the audit log for what is asked over HTTP, where the
// method says what is done: DownloadCharm.
const httpFacade = "HTTP"

// record takes a request, and when ended is called what became of it, to the
// audit log. Who shows no credentials is asked for them, and not worth a line.
func (t *Transfer) record(r *http.Request, about target, request authorized) (ended func(error), err error) {
	if _, _, shown := r.BasicAuth(); t.config.Recorder == nil || !shown {
		return func(error) {}, nil
	}
	// Also for a client that is gone.
	ctx := context.WithoutCancel(r.Context())
	e := estate.AuditEvent{
		Time: t.config.Now(), ConversationID: randomID(), MessageID: 1, Facade: httpFacade, Method: about.does,
		User: request.user.Name, Model: about.model,
	}
	if m := request.route.Model; m.Name != "" {
		e.ModelName = m.Owner + "/" + m.Name
	}
	// It has strings and a number only.
	e.Params, _ = json.Marshal(map[string]any{"path": about.path, "bytes": r.ContentLength})
	if err := t.config.Recorder.Record(ctx, e); err != nil {
		return func(error) {}, err
	}
	return func(err error) {
		e.Time, e.IsResponse, e.Params = t.config.Now(), true, nil
		e.Error, e.ErrorCode = estate.Outcome(err)
		_ = t.config.Recorder.Record(ctx, e) // a reply is always taken, and the client has it
	}, nil
}

// record takes a request to the audit log.
func (s *session) record(id uint64, facade string, version int, object, method string, raw json.RawMessage) error {
	return s.write(estate.AuditEvent{
		MessageID: id, Facade: facade, Method: method, Version: version, ObjectID: object, Params: raw,
	})
}

// recordReply takes a reply to the audit log.
func (s *session) recordReply(id uint64, facade string, version int, object, method, errText, code string) error {
	return s.write(estate.AuditEvent{
		MessageID: id, Facade: facade, Method: method, Version: version, ObjectID: object,
		IsResponse: true, Error: errText, ErrorCode: code,
	})
}

// write takes an event to the audit log, with when and in what session it is.
func (s *session) write(e estate.AuditEvent) error {
	if s.g.Recorder == nil {
		return nil
	}
	e.Time, e.ConversationID, e.Model = s.g.Now(), s.conversation, s.modelUUID
	e.User, e.ModelName = s.names()
	return s.g.Recorder.Record(s.ctx, e)
}

// finished says how a request that was forwarded has ended; its error takes the
// place of the reply.
func (s *session) finished(c *call, errText, code string) (unwritten error) {
	if c.audit {
		unwritten = s.recordReply(c.id, c.facade, c.version, c.object, c.method, errText, code)
	}
	if c.replied != nil {
		c.replied(code)
	}
	return unwritten
}
