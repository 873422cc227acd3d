package openfga

import (
	"context"
	"fmt"
	"time"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"

	"jimm/workload/estate"
)

const (
	maxPage  = 100 // tuples of a page of Read
	maxWrite = 100 // tuples of a transaction
)

// Read implements estate.Permissions. A subject with an id is matched as a
// whole, with its relation or the absence of one. OpenFGA looks up tuples by
// object, or by subject and kind of object; other filters read every tuple and
// keep those that match. Pages have at most 100 tuples, which is also what a
// pageSize of 0 gives; CodeBadRequest for a continuation that is none.
func (p *Permissions) Read(ctx context.Context, filter estate.TupleFilter, pageSize int, continuation string) ([]estate.Tuple, string, error) {
	page, next, err := p.read(ctx, filter, pageSize, continuation)
	if err != nil {
		return nil, "", failure("cannot read tuples", err)
	}
	return page, next, nil
}

func (p *Permissions) read(ctx context.Context, filter estate.TupleFilter, pageSize int, continuation string) ([]estate.Tuple, string, error) {
	request, err := p.readRequest(filter)
	if err != nil {
		return nil, "", err
	}
	if pageSize <= 0 || pageSize > maxPage {
		pageSize = maxPage
	}
	for {
		keys, next, err := p.readPage(ctx, request, pageSize, continuation)
		if err != nil {
			return nil, "", err
		}
		var page []estate.Tuple
		for _, key := range keys {
			t := estate.Tuple{
				Subject:  parseSubject(key.User),
				Relation: estate.Relation(key.Relation),
				Object:   parseObject(key.Object),
			}
			if matches(filter, t) {
				page = append(page, t)
			}
		}
		if len(page) > 0 || next == "" {
			return page, next, nil
		}
		continuation = next
	}
}

// readRequest returns the narrowest request that the server takes and that
// covers the filter.
func (p *Permissions) readRequest(filter estate.TupleFilter) (client.ClientReadRequest, error) {
	var request client.ClientReadRequest
	if filter.Object.Kind != "" && filter.Relation != "" {
		if err := p.schema.checkRelation(filter.Object.Kind, filter.Relation); err != nil {
			return request, err
		}
	}
	var subject string
	if filter.Subject.ID != "" {
		var err error
		if subject, err = p.schema.subjectName(filter.Subject); err != nil {
			return request, err
		}
	}
	switch {
	case filter.Object.ID != "":
		object, err := p.schema.objectName(filter.Object)
		if err != nil {
			return request, err
		}
		request.Object = &object
	case filter.Object.Kind != "" && subject != "":
		request.Object = fga.ToPtr(string(filter.Object.Kind) + ":")
	default:
		return request, nil
	}
	if subject != "" {
		request.User = &subject
	}
	if filter.Relation != "" {
		request.Relation = fga.ToPtr(string(filter.Relation))
	}
	return request, nil
}

func matches(filter estate.TupleFilter, t estate.Tuple) bool {
	if filter.Subject.ID != "" {
		if filter.Subject != t.Subject {
			return false
		}
	} else if filter.Subject.Kind != "" && filter.Subject.Kind != t.Subject.Kind ||
		filter.Subject.Relation != "" && filter.Subject.Relation != t.Subject.Relation {
		return false
	}
	return (filter.Relation == "" || filter.Relation == t.Relation) &&
		(filter.Object.Kind == "" || filter.Object.Kind == t.Object.Kind) &&
		(filter.Object.ID == "" || filter.Object.ID == t.Object.ID)
}

func (p *Permissions) readPage(ctx context.Context, request client.ClientReadRequest, size int, continuation string) ([]fga.TupleKey, string, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	options := client.ClientReadOptions{PageSize: fga.ToPtr(int32(size)), Consistency: higherConsistency}
	if continuation != "" {
		options.ContinuationToken = &continuation
	}
	reply, err := p.client.Read(ctx).Body(request).Options(options).Execute()
	if err != nil {
		return nil, "", err
	}
	keys := make([]fga.TupleKey, len(reply.Tuples))
	for i, t := range reply.Tuples {
		keys[i] = t.Key
	}
	return keys, reply.ContinuationToken, nil
}

// Write implements estate.Permissions. More than 100 tuples are written in
// transactions of 100, added ones first. A tuple that is malformed, that the
// model does not allow, or that is in both lists is CodeBadRequest, and so is
// a member of an idpgroup: only the identity provider says who that is.
func (p *Permissions) Write(ctx context.Context, add, remove []estate.Tuple) error {
	if err := p.write(ctx, add, remove); err != nil {
		return failure("cannot write tuples", err)
	}
	return nil
}

func (p *Permissions) write(ctx context.Context, add, remove []estate.Tuple) error {
	adding := map[fga.TupleKeyWithoutCondition]bool{}
	keys := make([]fga.TupleKeyWithoutCondition, 0, len(add)+len(remove))
	for _, t := range add {
		key, err := p.tupleKey(t)
		if err != nil {
			return err
		}
		if !p.schema[t.Object.Kind][t.Relation].direct[t.Subject.Shape()] {
			return estate.Errorf(estate.CodeBadRequest, "%s cannot be given to %s", brief(string(t.Relation)+" of "+string(t.Object.Kind)), brief(t.Subject.Shape()))
		}
		if t.Object.Kind == estate.KindIdPGroup {
			return estate.Errorf(estate.CodeBadRequest, "members of %s are known to the identity provider alone", brief(t.Object.String()))
		}
		if !adding[key] {
			adding[key] = true
			keys = append(keys, key)
		}
	}
	added := len(keys)
	removing := map[fga.TupleKeyWithoutCondition]bool{}
	for _, t := range remove {
		key, err := p.tupleKey(t)
		if err != nil {
			return err
		}
		if adding[key] {
			return estate.Errorf(estate.CodeBadRequest, "%s is both added and removed", brief(t.String()))
		}
		if !removing[key] {
			removing[key] = true
			keys = append(keys, key)
		}
	}
	for start := 0; start < len(keys); start += maxWrite {
		end := min(start+maxWrite, len(keys))
		var request client.ClientWriteRequest
		for i := start; i < end; i++ {
			if i < added {
				request.Writes = append(request.Writes, fga.TupleKey{User: keys[i].User, Relation: keys[i].Relation, Object: keys[i].Object})
			} else {
				request.Deletes = append(request.Deletes, keys[i])
			}
		}
		if err := p.writeTransaction(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

func (p *Permissions) tupleKey(t estate.Tuple) (fga.TupleKeyWithoutCondition, error) {
	subject, err := p.schema.subjectName(t.Subject)
	if err != nil {
		return fga.TupleKeyWithoutCondition{}, err
	}
	object, err := p.target(t.Relation, t.Object)
	if err != nil {
		return fga.TupleKeyWithoutCondition{}, err
	}
	return fga.TupleKeyWithoutCondition{User: subject, Relation: string(t.Relation), Object: object}, nil
}

// writeTransaction writes at most 100 tuples. Two transactions that add or
// remove the same tuple at the same moment conflict; the one that is rolled
// back finds the tuple as it wants it when it tries again.
func (p *Permissions) writeTransaction(ctx context.Context, request client.ClientWriteRequest) error {
	for attempt := 1; ; attempt++ {
		err := p.writeOnce(ctx, request)
		if !isConflict(err) || attempt == 8 {
			return err
		}
		pause := time.NewTimer(time.Duration(attempt) * 5 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w while retrying: %w", ctx.Err(), err)
		}
	}
}

func (p *Permissions) writeOnce(ctx context.Context, request client.ClientWriteRequest) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	_, err := p.client.Write(ctx).Body(request).Options(client.ClientWriteOptions{
		Conflict: client.ClientWriteConflictOptions{
			OnDuplicateWrites: client.CLIENT_WRITE_REQUEST_ON_DUPLICATE_WRITES_IGNORE,
			OnMissingDeletes:  client.CLIENT_WRITE_REQUEST_ON_MISSING_DELETES_IGNORE,
		},
	}).Execute()
	return err
}
