package observe

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"jimm/workload/estate"
	"jimm/workload/logging"
)

// Controllers measures and traces what is asked of controllers: a juju.Observer.
type Controllers struct{ *Instruments }

// Dial implements juju.Observer.
func (i Controllers) Dial(ctx context.Context, c estate.Controller) (context.Context, func(error)) {
	if c.UUID == "" {
		c.Name = "being added"
	}
	ctx, end := i.span(ctx, "jimm.juju-dial", outgoing, attribute.String("jimm.controller", c.Name))
	began := time.Now()
	return ctx, func(err error) {
		end(err)
		i.dialDuration.WithLabelValues(c.Name).Observe(time.Since(began).Seconds())
		failed := i.dialErrors.WithLabelValues(c.Name)
		if err != nil && !gaveUp(err) {
			failed.Inc()
		}
	}
}

// answered reports errors that a controller has answered with: it works, and
// says no.
func answered(err error) bool {
	code := estate.CodeOf(err)
	return code != "" && code != estate.CodeConnectionFailed
}

// Call implements juju.Observer.
func (i Controllers) Call(ctx context.Context, c estate.Controller, facade, method string) (context.Context, func(error)) {
	ctx, end := i.span(ctx, "jimm.juju-rpc", outgoing,
		attribute.String("jimm.controller", c.Name), attribute.String("jimm.facade", facade), attribute.String("jimm.method", method))
	began := time.Now()
	ctx = logging.With(ctx, "controller", c.Name)
	return toRequest(ctx), func(err error) {
		end(err)
		took := time.Since(began).Seconds()
		if facade == "Pinger" {
			i.pingDuration.WithLabelValues(c.Name).Observe(took)
		} else {
			i.callDuration.WithLabelValues(facade, method, c.Name).Observe(took)
		}
		failed := i.callErrors.WithLabelValues(facade, method, c.Name)
		if err != nil && !gaveUp(err) && !answered(err) {
			failed.Inc()
		}
	}
}
