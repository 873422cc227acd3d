package provider

import (
	"context"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Loki answers loki_push_api on the endpoint logging: each unit by itself.
type Loki struct{ URL string }

// Handle is the charm.
func (o *Loki) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	all, err := links(ctx, tools, event, "logging")
	if err != nil {
		return err
	}
	for _, l := range all {
		if err := l.answerUnit(ctx, relation.LokiUnit{URL: o.URL}.Bag()); err != nil {
			return err
		}
	}
	return status(ctx, tools, "active", "")
}

// Tempo answers tracing on the endpoint tracing.
type Tempo struct{ URL string }

// Handle is the charm.
func (o *Tempo) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	return leader(ctx, tools, event, "tracing", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil {
			return err
		}
		request, err := relation.ParseTracingRequest(bag)
		if err != nil || len(request) == 0 {
			return err
		}
		answer := relation.TracingAnswer{}
		for _, protocol := range request {
			answer[protocol] = o.URL
		}
		return l.answer(ctx, answer.Bag())
	})
}

// Passive says nothing: the dashboard, Prometheus and Grafana only read.
func Passive(ctx context.Context, tools hook.Tools, _ hook.Event) error {
	return status(ctx, tools, "active", "")
}
