package openfga

import (
	"context"
	"fmt"
	"time"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"

	"jimm/workload/estate"
)

// ListObjects implements estate.Permissions. OpenFGA's plain list ends after
// so many objects and its stream only at its deadline, both without a word. A
// plain list that has fewer is complete, and costs a third of the stream, which
// is a message for each object. Else the stream is taken, and if that took as
// long as the deadline, the list is made from the tuples themselves.
func (p *Permissions) ListObjects(ctx context.Context, u estate.User, relation estate.Relation, kind estate.Kind) ([]string, error) {
	ids, err := p.listObjects(ctx, u, relation, kind)
	if err != nil {
		return nil, failure(fmt.Sprintf("cannot list what %s is %s of", brief(u.Name), brief(string(relation))), err)
	}
	return ids, nil
}

func (p *Permissions) listObjects(ctx context.Context, u estate.User, relation estate.Relation, kind estate.Kind) ([]string, error) {
	asker, err := p.asker(u)
	if err != nil {
		return nil, err
	}
	if err := p.schema.checkRelation(kind, relation); err != nil {
		return nil, err
	}
	found := set{}
	for _, tuples := range asker.contexts {
		request := client.ClientListObjectsRequest{
			User:             asker.name,
			Relation:         string(relation),
			Type:             string(kind),
			ContextualTuples: tuples,
		}
		started := time.Now()
		complete, err := p.plainObjects(ctx, found, request)
		if !complete && time.Since(started) < p.listDeadline && ctx.Err() == nil {
			started = time.Now()
			err = p.streamObjects(ctx, found, client.ClientStreamedListObjectsRequest(request))
		}
		// Past its deadline the server may also break the stream off.
		if time.Since(started) >= p.listDeadline && ctx.Err() == nil {
			return p.walkToObjects(ctx, asker, place{kind, relation})
		}
		if err != nil {
			return nil, err
		}
	}
	return found.ids(), nil
}

// plainObjects adds the ids of the server's plain list to found, and reports
// whether these are all. A list of a round length is not taken for complete,
// whatever the limit is said to be: that of a server is a round number.
func (p *Permissions) plainObjects(ctx context.Context, found set, request client.ClientListObjectsRequest) (complete bool, err error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	reply, err := p.lister.ListObjects(ctx).Body(request).Options(client.ClientListObjectsOptions{Consistency: higherConsistency}).Execute()
	if err != nil {
		return false, err
	}
	for _, object := range reply.Objects {
		found.add(parseObject(object).ID)
	}
	n := len(reply.Objects)
	if n > 0 && n%roundLength == 0 && p.objectsLimit > 0 {
		return false, nil
	}
	return p.objectsLimit < 0 || n < p.objectsLimit, nil
}

// roundLength divides what anybody limits lists to.
const roundLength = 50

// streamObjects adds the ids that the server streams to found.
func (p *Permissions) streamObjects(ctx context.Context, found set, request client.ClientStreamedListObjectsRequest) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	stream, err := p.lister.StreamedListObjects(ctx).Body(request).Options(client.ClientStreamedListObjectsOptions{
		Consistency:      higherConsistency,
		StreamBufferSize: fga.ToPtr(256),
	}).Execute()
	if err != nil {
		return err
	}
	defer stream.Close()
	for object := range stream.Objects {
		found.add(parseObject(object.Object).ID)
	}
	if err, ok := <-stream.Errors; ok && err != nil {
		return err
	}
	return ctx.Err()
}

// ListUsers implements estate.Permissions. A list that the server may have cut
// is made from the tuples themselves.
func (p *Permissions) ListUsers(ctx context.Context, relation estate.Relation, object estate.Object) ([]string, error) {
	ids, err := p.listUsers(ctx, relation, object)
	if err != nil {
		return nil, failure(fmt.Sprintf("cannot list who is %s of %s", brief(string(relation)), brief(object.String())), err)
	}
	return ids, nil
}

func (p *Permissions) listUsers(ctx context.Context, relation estate.Relation, object estate.Object) ([]string, error) {
	name, err := p.target(relation, object)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	reply, err := p.listUsersOnce(ctx, relation, name)
	// Past its deadline the server gives what it has, or an error if that is nothing.
	if time.Since(started) >= p.listDeadline && ctx.Err() == nil {
		return p.walkToUsers(ctx, object, relation)
	}
	if err != nil {
		return nil, err
	}
	if len(reply.Users) >= p.listLimit {
		return p.walkToUsers(ctx, object, relation)
	}
	found := set{}
	for _, user := range reply.Users {
		switch {
		case user.Object != nil:
			found.add(user.Object.Id)
		case user.Wildcard != nil:
			found.add(estate.EveryoneID)
		}
	}
	return found.ids(), nil
}

func (p *Permissions) listUsersOnce(ctx context.Context, relation estate.Relation, object string) (*client.ClientListUsersResponse, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	o := parseObject(object)
	return p.lister.ListUsers(ctx).Body(client.ClientListUsersRequest{
		Object:      fga.FgaObject{Type: string(o.Kind), Id: object[len(o.Kind)+1:]},
		Relation:    string(relation),
		UserFilters: []fga.UserTypeFilter{{Type: string(estate.KindUser)}},
	}).Options(client.ClientListUsersOptions{Consistency: higherConsistency}).Execute()
}

// set is a set of ids.
type set map[string]struct{}

func (s set) add(id string) { s[id] = struct{}{} }

func (s set) ids() []string {
	ids := make([]string, 0, len(s))
	for id := range s {
		ids = append(ids, id)
	}
	return ids
}
