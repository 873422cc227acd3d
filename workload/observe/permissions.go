package observe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"jimm/workload/estate"
)

// measured runs one call of a port.
func measured[R any](ctx context.Context, i *Instruments, span, method string, d *prometheus.HistogramVec, e *prometheus.CounterVec,
	f func(context.Context) (R, error),
) (R, error) {
	ctx, end := i.span(ctx, span, outgoing, attribute.String("jimm.method", method))
	began := time.Now()
	result, err := f(ctx)
	d.WithLabelValues(method).Observe(time.Since(began).Seconds())
	failed := e.WithLabelValues(method)
	if err != nil && !gaveUp(err) && !estate.Is(err, estate.CodeNotFound) {
		failed.Inc()
	}
	end(err)
	return result, err
}

// Permissions measures and traces permissions.
func (i *Instruments) Permissions(p estate.Permissions) estate.Permissions { return permissions{p, i} }

type permissions struct {
	estate.Permissions
	i *Instruments
}

func asked[R any](ctx context.Context, p permissions, method string, f func(context.Context) (R, error)) (R, error) {
	return measured(ctx, p.i, "jimm.openfga", method, p.i.openfgaDuration, p.i.openfgaErrors, f)
}

func (p permissions) Check(ctx context.Context, u estate.User, relation estate.Relation, object estate.Object) (bool, error) {
	return asked(ctx, p, "Check", func(ctx context.Context) (bool, error) { return p.Permissions.Check(ctx, u, relation, object) })
}

func (p permissions) CheckSubject(ctx context.Context, s estate.Subject, relation estate.Relation, object estate.Object) (bool, error) {
	return asked(ctx, p, "CheckSubject", func(ctx context.Context) (bool, error) { return p.Permissions.CheckSubject(ctx, s, relation, object) })
}

func (p permissions) CheckEach(ctx context.Context, u estate.User, questions []estate.Question) ([]bool, error) {
	return asked(ctx, p, "CheckEach", func(ctx context.Context) ([]bool, error) { return p.Permissions.CheckEach(ctx, u, questions) })
}

func (p permissions) ListObjects(ctx context.Context, u estate.User, relation estate.Relation, kind estate.Kind) ([]string, error) {
	return asked(ctx, p, "ListObjects", func(ctx context.Context) ([]string, error) { return p.Permissions.ListObjects(ctx, u, relation, kind) })
}

func (p permissions) ListUsers(ctx context.Context, relation estate.Relation, object estate.Object) ([]string, error) {
	return asked(ctx, p, "ListUsers", func(ctx context.Context) ([]string, error) { return p.Permissions.ListUsers(ctx, relation, object) })
}

func (p permissions) Read(ctx context.Context, filter estate.TupleFilter, pageSize int, continuation string) (page []estate.Tuple, next string, err error) {
	page, err = asked(ctx, p, "Read", func(ctx context.Context) (page []estate.Tuple, err error) {
		page, next, err = p.Permissions.Read(ctx, filter, pageSize, continuation)
		return page, err
	})
	return page, next, err
}

func (p permissions) Changes(ctx context.Context, continuation string) (changed []estate.Tuple, next string, err error) {
	changed, err = asked(ctx, p, "Changes", func(ctx context.Context) (changed []estate.Tuple, err error) {
		changed, next, err = p.Permissions.Changes(ctx, continuation)
		return changed, err
	})
	return changed, next, err
}

func (p permissions) Write(ctx context.Context, add, remove []estate.Tuple) error {
	_, err := asked(ctx, p, "Write", func(ctx context.Context) (struct{}, error) { return struct{}{}, p.Permissions.Write(ctx, add, remove) })
	return err
}
