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
