package openfga

import (
	"context"
	"time"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"

	"jimm/workload/estate"
)

// recent is how far back changes are read at first: longer than a write takes,
// and than clocks differ.
const recent = time.Minute

// Changes implements estate.Permissions.
func (p *Permissions) Changes(ctx context.Context, continuation string) ([]estate.Tuple, string, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	options := client.ClientReadChangesOptions{PageSize: fga.ToPtr(int32(maxPage))}
	var body client.ClientReadChangesRequest
	if continuation != "" {
		options.ContinuationToken = &continuation
	} else {
		body.StartTime = time.Now().Add(-recent)
	}
	reply, err := p.client.ReadChanges(ctx).Body(body).Options(options).Execute()
	if err != nil {
		return nil, "", failure("cannot read the changes of tuples", err)
	}
	changed := make([]estate.Tuple, len(reply.Changes))
	for i, c := range reply.Changes {
		changed[i] = estate.Tuple{
			Subject:  parseSubject(c.TupleKey.User),
			Relation: estate.Relation(c.TupleKey.Relation),
			Object:   parseObject(c.TupleKey.Object),
		}
	}
	if token := reply.GetContinuationToken(); token != "" {
		continuation = token
	}
	return changed, continuation, nil
}
