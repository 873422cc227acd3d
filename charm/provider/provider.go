package provider

import (
	"context"
	"slices"
	"strings"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// link is one relation as a provider sees it.
type link struct {
	tools hook.Tools
	event hook.Event
	id    string
	// app is at the other side.
	app string
}

// links are the relations of an endpoint, but for one that is breaking.
func links(ctx context.Context, tools hook.Tools, event hook.Event, endpoint string) ([]link, error) {
	ids, err := tools.RelationIDs(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	var all []link
	for _, id := range ids {
		if event.Breaks(id) {
			continue
		}
		app, err := tools.RelationApp(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, link{tools, event, id, app})
	}
	return all, nil
}

func (l link) theirs(ctx context.Context) (relation.Bag, error) {
	return l.tools.RelationAppData(ctx, l.id, l.app)
}

// units are the databags of the units at the other side.
func (l link) units(ctx context.Context) (map[string]relation.Bag, error) {
	names, err := l.tools.RelationUnits(ctx, l.id)
	if err != nil {
		return nil, err
	}
	bags := map[string]relation.Bag{}
	for _, name := range names {
		if bags[name], err = l.tools.RelationUnitData(ctx, l.id, name); err != nil {
			return nil, err
		}
	}
	return bags, nil
}

var jujuKeys = []string{"egress-subnets", "ingress-address", "private-address"}

// answer writes our application's databag, if it differs.
func (l link) answer(ctx context.Context, bag relation.Bag) error {
	have, err := l.tools.RelationAppData(ctx, l.id, l.event.App)
	if err != nil {
		return err
	}
	if changes := difference(have, bag); len(changes) > 0 {
		return l.tools.SetRelationAppData(ctx, l.id, changes)
	}
	return nil
}

// answerUnit writes our unit's databag, if it differs.
func (l link) answerUnit(ctx context.Context, bag relation.Bag) error {
	have, err := l.tools.RelationUnitData(ctx, l.id, l.event.Unit)
	if err != nil {
		return err
	}
	if changes := difference(have, bag); len(changes) > 0 {
		return l.tools.SetRelationUnitData(ctx, l.id, changes)
	}
	return nil
}

func difference(have, want relation.Bag) relation.Bag {
	changes := relation.Bag{}
	for key, value := range want {
		if have[key] != value {
			changes[key] = value
		}
	}
	for key := range have {
		if _, wanted := want[key]; !wanted && !slices.Contains(jujuKeys, key) {
			changes[key] = ""
		}
	}
	return changes
}

// secret makes the secret of a label what it should be, lets the other side read
// it, and gives its id.
func (l link) secret(ctx context.Context, label string, content relation.Bag) (string, error) {
	have, err := l.tools.LabelledSecret(ctx, label)
	var id string
	switch {
	case hook.IsNotFound(err):
		if id, err = l.tools.AddSecret(ctx, hook.OwnerApp, label, content); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	default:
		if id, err = l.tools.LabelledSecretID(ctx, label); err != nil {
			return "", err
		}
		if len(difference(have, content)) > 0 {
			if err := l.tools.SetSecret(ctx, id, content); err != nil {
				return "", err
			}
		}
	}
	return id, l.grant(ctx, id)
}

// grant lets the other side read a secret.
func (l link) grant(ctx context.Context, id string) error {
	_, err := l.tools.Run(ctx, "secret-grant", nil, id, "-r", l.id)
	return err
}

func (l link) number() string {
	_, number, _ := strings.Cut(l.id, ":")
	return number
}

// status sets the unit's.
func status(ctx context.Context, tools hook.Tools, level, message string) error {
	return tools.SetStatus(ctx, hook.Status{Level: level, Message: message})
}

// leader runs do for each relation of an endpoint, on the leader; then the unit
// is active.
func leader(ctx context.Context, tools hook.Tools, event hook.Event, endpoint string, do func(link) error) error {
	leads, err := tools.IsLeader(ctx)
	if err != nil {
		return err
	}
	if leads {
		all, err := links(ctx, tools, event, endpoint)
		if err != nil {
			return err
		}
		for _, l := range all {
			if err := do(l); err != nil {
				return err
			}
		}
	}
	return status(ctx, tools, "active", "")
}
