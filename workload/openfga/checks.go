package openfga

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"
	"golang.org/x/sync/errgroup"

	"jimm/workload/estate"
)

// What an OpenFGA server takes in one request, unless it is told otherwise.
const (
	maxChecks           = 50         // checks of a batch
	maxContextualTuples = 100        // contextual tuples of a check; this cannot be changed
	maxBatchBytes       = 256 * 1024 // half of the size of a message, because of its framing
)

// Check implements estate.Permissions.
func (p *Permissions) Check(ctx context.Context, u estate.User, relation estate.Relation, object estate.Object) (bool, error) {
	asker, err := p.asker(u)
	if err == nil {
		var allowed bool
		if allowed, err = p.check(ctx, asker, relation, object); err == nil {
			return allowed, nil
		}
	}
	return false, failure(fmt.Sprintf("cannot check whether %s is %s of %s", brief(u.Name), brief(string(relation)), brief(object.String())), err)
}

// CheckSubject implements estate.Permissions.
func (p *Permissions) CheckSubject(ctx context.Context, s estate.Subject, relation estate.Relation, object estate.Object) (bool, error) {
	name, err := p.schema.subjectName(s)
	if err == nil {
		var allowed bool
		if allowed, err = p.check(ctx, asker{name: name, contexts: [][]fga.TupleKey{nil}}, relation, object); err == nil {
			return allowed, nil
		}
	}
	return false, failure(fmt.Sprintf("cannot check whether %s is %s of %s", brief(s.String()), brief(string(relation)), brief(object.String())), err)
}

func (p *Permissions) check(ctx context.Context, asker asker, relation estate.Relation, object estate.Object) (bool, error) {
	name, err := p.target(relation, object)
	if err != nil {
		return false, err
	}
	for _, tuples := range asker.contexts {
		allowed, err := p.checkOnce(ctx, client.ClientCheckRequest{
			User:             asker.name,
			Relation:         string(relation),
			Object:           name,
			ContextualTuples: tuples,
		})
		if allowed || err != nil {
			return allowed, err
		}
	}
	return false, nil
}

func (p *Permissions) checkOnce(ctx context.Context, request client.ClientCheckRequest) (bool, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	reply, err := p.client.Check(ctx).Body(request).Options(client.ClientCheckOptions{Consistency: higherConsistency}).Execute()
	if err != nil {
		return false, err
	}
	return reply.GetAllowed(), nil
}

// CheckEach implements estate.Permissions.
func (p *Permissions) CheckEach(ctx context.Context, u estate.User, questions []estate.Question) ([]bool, error) {
	answers, err := p.checkEach(ctx, u, questions)
	if err != nil {
		return nil, failure(fmt.Sprintf("cannot check %d permissions of %s", len(questions), brief(u.Name)), err)
	}
	return answers, nil
}

func (p *Permissions) checkEach(ctx context.Context, u estate.User, questions []estate.Question) ([]bool, error) {
	asker, err := p.asker(u)
	if err != nil {
		return nil, err
	}
	objects := make([]string, len(questions))
	for i, q := range questions {
		if objects[i], err = p.target(q.Relation, q.Object); err != nil {
			return nil, err
		}
	}
	answers := make([]bool, len(questions))
	for _, tuples := range asker.contexts {
		var items []client.ClientBatchCheckItem
		for i, q := range questions {
			if answers[i] {
				continue
			}
			items = append(items, client.ClientBatchCheckItem{
				User:             asker.name,
				Relation:         string(q.Relation),
				Object:           objects[i],
				CorrelationId:    strconv.Itoa(i),
				ContextualTuples: tuples,
			})
		}
		if len(items) == 0 {
			break
		}
		results, err := p.batchCheck(ctx, items)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			result, ok := results[item.CorrelationId]
			if !ok {
				return nil, fmt.Errorf("OpenFGA left out the answer for %s", item.Object)
			}
			if result.Error != nil {
				return nil, fmt.Errorf("OpenFGA cannot answer for %s: %s", item.Object, result.Error.GetMessage())
			}
			i, _ := strconv.Atoi(item.CorrelationId)
			answers[i] = result.GetAllowed()
		}
	}
	return answers, nil
}

// batchCheck asks in as many requests as the server's limits take, a few of
// them at a time.
func (p *Permissions) batchCheck(ctx context.Context, items []client.ClientBatchCheckItem) (map[string]fga.BatchCheckSingleResult, error) {
	size := min(maxChecks, max(1, maxBatchBytes/largest(items)))
	batches := slices.Collect(slices.Chunk(items, size))
	results := make([]map[string]fga.BatchCheckSingleResult, len(batches))
	requests, ctx := errgroup.WithContext(ctx)
	requests.SetLimit(4)
	for i, batch := range batches {
		requests.Go(func() (err error) {
			results[i], err = p.batchCheckOnce(ctx, batch)
			return err
		})
	}
	if err := requests.Wait(); err != nil {
		return nil, err
	}
	all := make(map[string]fga.BatchCheckSingleResult, len(items))
	for _, result := range results {
		maps.Copy(all, result)
	}
	return all, nil
}

func (p *Permissions) batchCheckOnce(ctx context.Context, items []client.ClientBatchCheckItem) (map[string]fga.BatchCheckSingleResult, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	reply, err := p.client.BatchCheck(ctx).
		Body(client.ClientBatchCheckRequest{Checks: items}).
		Options(client.BatchCheckOptions{MaxBatchSize: fga.ToPtr(int32(maxChecks)), Consistency: higherConsistency}).
		Execute()
	if err != nil {
		return nil, err
	}
	return reply.GetResult(), nil
}

// largest returns the size of the largest check in a message, in bytes.
func largest(items []client.ClientBatchCheckItem) int {
	largest := 0
	for _, item := range items {
		size := 64 + len(item.User) + len(item.Relation) + len(item.Object)
		for _, t := range item.ContextualTuples {
			size += 64 + len(t.User) + len(t.Relation) + len(t.Object)
		}
		largest = max(largest, size)
	}
	return largest
}

// target returns the object of a question that makes sense.
func (p *Permissions) target(relation estate.Relation, object estate.Object) (string, error) {
	name, err := p.schema.objectName(object)
	if err != nil {
		return "", err
	}
	return name, p.schema.checkRelation(object.Kind, relation)
}

// asker is a user as OpenFGA is to see it.
type asker struct {
	name string
	// contexts are the tuples of the groups that the user brings along, as many
	// as one request takes; at least one, which may be empty. As all relations
	// are unions, a permission never needs two of the tuples together: it is
	// there if any of the contexts gives it.
	contexts [][]fga.TupleKey
}

func (p *Permissions) asker(u estate.User) (asker, error) {
	name, err := p.schema.objectName(u.Object())
	if err != nil {
		return asker{}, err
	}
	a := asker{name: name, contexts: [][]fga.TupleKey{nil}}
	seen := map[string]bool{}
	for _, id := range u.Groups {
		group, err := p.schema.objectName(estate.Object{Kind: estate.KindIdPGroup, ID: id})
		if err != nil || seen[group] {
			// What OpenFGA cannot name was never given anything either.
			continue
		}
		seen[group] = true
		last := len(a.contexts) - 1
		if len(a.contexts[last]) == maxContextualTuples {
			a.contexts = append(a.contexts, nil)
			last++
		}
		a.contexts[last] = append(a.contexts[last], fga.TupleKey{User: name, Relation: string(estate.Member), Object: group})
	}
	return a, nil
}
