package provider

import (
	"context"
	"fmt"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Ingress answers ingress and ingress_per_unit on the endpoints of these names
// with a dash, as Traefik's charm does by path.
type Ingress struct {
	// Scheme and Host are of the address that it gives.
	Scheme, Host string
	// Bare leaves out the path that Traefik puts before an application.
	Bare bool
	// Route, if set, is told where an application is.
	Route func(ctx context.Context, prefix string, request relation.IngressRequest, units []relation.IngressUnit) error
}

// Handle is the charm.
func (i *Ingress) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	err := leader(ctx, tools, event, "ingress", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil {
			return err
		}
		request, err := relation.ParseIngressRequest(bag)
		if err != nil || request.Name == "" {
			return err
		}
		bags, err := l.units(ctx)
		if err != nil {
			return err
		}
		var units []relation.IngressUnit
		for _, bag := range bags {
			unit, err := relation.ParseIngressUnit(bag)
			if err != nil {
				return err
			}
			if unit.IP != "" {
				units = append(units, unit)
			}
		}
		if len(units) == 0 {
			return l.answer(ctx, relation.Bag{})
		}
		prefix := fmt.Sprintf("/%s-%s", request.Model, request.Name)
		if i.Bare {
			prefix = ""
		}
		if i.Route != nil {
			if err := i.Route(ctx, prefix, request, units); err != nil {
				return err
			}
		}
		return l.answer(ctx, relation.IngressAnswer{URL: i.Scheme + "://" + i.Host + prefix}.Bag())
	})
	if err != nil {
		return err
	}
	return leader(ctx, tools, event, "ingress-per-unit", func(l link) error {
		bags, err := l.units(ctx)
		if err != nil {
			return err
		}
		answer := relation.IngressPerUnitAnswer{}
		for _, bag := range bags {
			request, err := relation.ParseIngressPerUnitRequest(bag)
			if err != nil {
				return err
			}
			if request.Port != 0 {
				answer[request.Unit] = fmt.Sprintf("%s:%d", i.Host, request.Port)
			}
		}
		return l.answer(ctx, answer.Bag())
	})
}
