package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Queries is the port to what runs the programs of queries.
type Queries interface {
	// Check fails with CodeBadRequest if a text is no program.
	Check(ctx context.Context, program string) error
	// Run runs a program on each document, and calls found with what it gives;
	// patience is what it may take for one. An error ends it: CodeBadRequest if
	// the text is no program or takes too long, CodeTooLarge if it wants more
	// memory, or finds more, than a query may.
	Run(ctx context.Context, program string, patience time.Duration, documents <-chan QueryDocument, found func(QueryResult)) error
}

// QueryDocument is what a query is run on.
type QueryDocument struct {
	Key      string
	Document json.RawMessage
}

// QueryResult is what a query found in one document, and the error that ended
// it there.
type QueryResult struct {
	Key     string
	Results []json.RawMessage
	Error   string
}

// QueryAnswer is what a query found in all models, by their UUIDs.
type QueryAnswer struct {
	Results map[string][]json.RawMessage
	Errors  map[string][]string
}

// Bounds of queries.
const (
	// queryLength is how long the text of a query may be.
	queryLength = 64 << 10
	// statusesAtOnce is how many models one controller is asked about at a time.
	statusesAtOnce = 10
	// statusKept is how long the status of a model serves queries that come
	// shortly after one another, as those of a dashboard do.
	statusKept = 3 * time.Second
	// controllerPatience is how many times the time for one model a controller
	// may take for all of its models.
	controllerPatience = 6
)

func (e *Estate) queryTimeout() time.Duration {
	if e.QueryTimeout > 0 {
		return e.QueryTimeout
	}
	return 5 * time.Second
}

// QueryModels runs a jq program on the status of every model that u may read,
// as juju status prints it in JSON. Controllers are asked side by side; of what
// one does not answer in time, the model has an error instead. CodeBadRequest
// if the query is none.
func (e *Estate) QueryModels(ctx context.Context, u User, kind, query string) (QueryAnswer, error) {
	fail := func(err error) (QueryAnswer, error) { return QueryAnswer{}, reword(err, "cannot query models") }
	switch {
	case kind == "jimmsql":
		return fail(Errorf(CodeNotImplemented, "there are no queries of type %q; use \"jq\"", kind))
	case kind != "jq":
		return fail(Errorf(CodeBadRequest, "there are no queries of type %q; use \"jq\"", clip(kind)))
	case query == "":
		return fail(Errorf(CodeBadRequest, "the query is empty; \".\" is all of a model's status"))
	case len(query) > queryLength:
		return fail(Errorf(CodeBadRequest, "the query has more than %d bytes", queryLength))
	}
	models, err := e.ListModelNames(ctx, u)
	if err != nil {
		return fail(err)
	}
	if len(models) == 0 {
		if err := e.Queries.Check(ctx, query); err != nil {
			return fail(err)
		}
		return QueryAnswer{Results: map[string][]json.RawMessage{}, Errors: map[string][]string{}}, nil
	}
	controllers, err := e.controllersByUUID(ctx)
	if err != nil {
		return fail(err)
	}
	// The program may take as long as the controllers, and once more for the last.
	ctx, cancel := context.WithTimeout(ctx, (controllerPatience+1)*e.queryTimeout())
	defer cancel()
	answer := newAnswer()
	documents := make(chan QueryDocument)
	var asking sync.WaitGroup
	for uuid, of := range byController(models) {
		asking.Go(func() { e.statusesOf(ctx, controllers[uuid], of, documents, answer) })
	}
	go func() { asking.Wait(); close(documents) }()
	err = e.Queries.Run(ctx, query, e.queryTimeout(), documents, answer.add)
	cancel()
	for range documents { // what comes too late, until all have ended
	}
	if Is(err, CodeBadRequest) && ctx.Err() == nil {
		return fail(err)
	}
	if err != nil && len(answer.Results) == 0 {
		return fail(err)
	}
	answer.complete(models, err)
	return answer.QueryAnswer, nil
}

func byController(models []ListedModel) map[string][]ListedModel {
	by := map[string][]ListedModel{}
	for _, m := range models {
		by[m.ControllerUUID] = append(by[m.ControllerUUID], m)
	}
	return by
}

// collected is an answer that grows from several sides.
type collected struct {
	mu sync.Mutex
	QueryAnswer
}

func newAnswer() *collected {
	return &collected{QueryAnswer: QueryAnswer{Results: map[string][]json.RawMessage{}, Errors: map[string][]string{}}}
}

func (a *collected) add(r QueryResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Results[r.Key] = append(make([]json.RawMessage, 0, len(r.Results)), r.Results...)
	if r.Error != "" {
		a.Errors[r.Key] = append(a.Errors[r.Key], r.Error)
	}
}

func (a *collected) fail(uuid, format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Errors[uuid] = append(a.Errors[uuid], fmt.Sprintf(format, args...))
}

// complete gives an error to each model that has neither results nor one.
func (a *collected) complete(models []ListedModel, err error) {
	why := "the query has ended before it came to this model"
	if err != nil {
		why = err.Error()
	}
	for _, m := range models {
		if a.Results[m.UUID] == nil && a.Errors[m.UUID] == nil {
			a.fail(m.UUID, "%s", why)
		}
	}
}

// statusesOf sends the status of models of one controller, and an error for
// those it could not get. A controller that cannot be reached is not tried again
// for each.
func (e *Estate) statusesOf(ctx context.Context, c Controller, models []ListedModel, documents chan<- QueryDocument, answer *collected) {
	patient, cancel := context.WithTimeout(ctx, controllerPatience*e.queryTimeout())
	defer cancel()
	var down sync.Map // one key
	next := make(chan ListedModel)
	var asking sync.WaitGroup
	for range min(statusesAtOnce, len(models)) {
		asking.Go(func() {
			for m := range next {
				if why, ok := down.Load(""); ok {
					answer.fail(m.UUID, "%s", why)
					continue
				}
				document, err := e.statusDocument(patient, Route{Model: Model{UUID: m.UUID, Name: m.Name, Owner: m.Owner}, Controller: c})
				if err != nil {
					answer.fail(m.UUID, "%s", statusFailure(patient, c, err))
					if Is(err, CodeConnectionFailed) && patient.Err() == nil {
						down.Store("", err.Error())
					}
					continue
				}
				select {
				case documents <- QueryDocument{m.UUID, document}:
				case <-ctx.Done(): // complete says why
				}
			}
		})
	}
	for _, m := range models {
		next <- m
	}
	close(next)
	asking.Wait()
}

// statusFailure says why there is no status of a model.
func statusFailure(ctx context.Context, c Controller, err error) string {
	if ctx.Err() != nil {
		return fmt.Sprintf("controller %q has not answered in time", c.Name)
	}
	if CodeOf(err) == "" {
		return "cannot get its status"
	}
	return err.Error()
}

// statuses shares the status of models between queries.
type statuses struct {
	mu      sync.Mutex
	flights map[string]*statusFlight
}

// statusFlight is one asking for the status of a model.
type statusFlight struct {
	done     chan struct{}
	document json.RawMessage
	err      error
	at       time.Time // when it was done
}

// statusDocument returns the status of a model, of a few seconds ago or new; of
// several that ask at once one does. Failures are not kept.
func (e *Estate) statusDocument(ctx context.Context, r Route) (json.RawMessage, error) {
	s := &e.statuses
	s.mu.Lock()
	now := e.Now()
	for uuid, f := range s.flights {
		if !f.at.IsZero() && now.Sub(f.at) > statusKept {
			delete(s.flights, uuid)
		}
	}
	f := s.flights[r.Model.UUID]
	if f != nil {
		s.mu.Unlock()
		select {
		case <-f.done:
			if f.err == nil || ctx.Err() != nil {
				return f.document, f.err
			}
			return e.askStatus(ctx, r) // the other may have been less patient
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f = &statusFlight{done: make(chan struct{})}
	if s.flights == nil {
		s.flights = map[string]*statusFlight{}
	}
	s.flights[r.Model.UUID] = f
	s.mu.Unlock()

	document, err := e.askStatus(ctx, r)
	s.mu.Lock()
	f.document, f.err, f.at = document, err, e.Now()
	if err != nil {
		delete(s.flights, r.Model.UUID)
	}
	s.mu.Unlock()
	close(f.done)
	return document, err
}

func (e *Estate) askStatus(ctx context.Context, r Route) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, e.queryTimeout())
	defer cancel()
	return e.Peers.StatusDocument(ctx, r)
}

// FullStatus returns what a controller says of a model, with storage, as it is
// on the wire; patterns narrow it down as those of juju status do. Needs
// administrator of JIMM.
func (e *Estate) FullStatus(ctx context.Context, u User, modelUUID string, patterns []string) (json.RawMessage, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return nil, err
	}
	r, err := e.Route(ctx, u, modelUUID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.callTimeout())
	defer cancel()
	return e.Peers.FullStatus(ctx, r, patterns)
}
