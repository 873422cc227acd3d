package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Charm is JIMM's charm on one unit.
type Charm struct {
	Tools    hook.Tools
	Workload Workload
	// Now tells the time (default time.Now).
	Now func() time.Time
}

// Dispatch does what an event asks for. An error makes Juju put the unit into
// error and try again: it is for hook tools that fail, never for what a person
// has to put right.
func (c *Charm) Dispatch(ctx context.Context, event hook.Event) error {
	if event.Action != "" {
		return c.act(ctx, event)
	}
	err := c.Reconcile(ctx, event)
	if err != nil {
		status := hook.Status{Level: Waiting.String(), Message: oneLine("Juju: a hook tool fails, the hook is tried again: " + err.Error())}
		if failed := c.Tools.SetStatus(ctx, status); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Reconcile makes everything what it should be.
func (c *Charm) Reconcile(ctx context.Context, event hook.Event) error {
	s, err := c.observe(ctx, event)
	if err != nil {
		return err
	}
	p := MakePlan(s)
	findings := slices.Clone(p.Findings)
	if err := c.applySecrets(ctx, p); err != nil {
		// Some versions of Juju 4.0 cannot make secrets at first. All else is worth
		// doing all the same; the next hook tries again.
		findings = append([]Finding{{Waiting, "secrets", "waiting until Juju takes them: " + problem(err)}}, findings...)
		c.log(ctx, "WARNING", "cannot keep a secret: %v", err)
	} else if len(p.Make) > 0 && s.Container.Problem == "" {
		if err := c.Workload.Notify(ctx, noticeKey); err != nil {
			c.log(ctx, "WARNING", "cannot ask for another hook: %v", err)
		}
	}
	if err := c.applyDatabags(ctx, s, p); err != nil {
		return err
	}
	if err := c.applyPorts(ctx, s, p); err != nil {
		findings = append(findings, Finding{Waiting, "ports", "Juju does not open them: " + problem(err)})
	}
	c.pruneSecret(ctx, s)
	found, err := c.applyWorkload(ctx, s, p)
	if err != nil {
		return err
	}
	return c.applyStatus(ctx, s, append(findings, found))
}

// pruneSecret removes a revision that Juju says nobody uses any more.
func (c *Charm) pruneSecret(ctx context.Context, s *Snapshot) {
	if s.Event.Name != "secret-remove" || s.Event.Revision == "" {
		return
	}
	if err := c.Tools.RemoveSecretRevision(ctx, s.Event.Secret, s.Event.Revision); err != nil {
		c.log(ctx, "WARNING", "cannot remove an old revision: %v", err)
	}
}

func (c *Charm) applySecrets(ctx context.Context, p *Plan) error {
	for _, m := range p.Make {
		content, err := generate(m.Label)
		if err != nil {
			return err
		}
		if m.Replace != "" {
			err = c.Tools.SetSecret(ctx, m.Replace, content)
		} else {
			_, err = c.Tools.AddSecret(ctx, m.Owner, m.Label, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// jujuKeys are those that Juju itself writes into the databag of a unit.
var jujuKeys = []string{"egress-subnets", "ingress-address", "private-address"}

// difference is what to write so that have becomes want.
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

func (c *Charm) applyDatabags(ctx context.Context, s *Snapshot, p *Plan) error {
	for _, r := range s.Relations {
		if changes := difference(r.OurUnit, p.Unit[r.ID]); len(changes) > 0 {
			if err := c.Tools.SetRelationUnitData(ctx, r.ID, changes); err != nil {
				return err
			}
		}
		if !s.Leader {
			continue
		}
		if changes := difference(r.Ours, p.App[r.ID]); len(changes) > 0 {
			if err := c.Tools.SetRelationAppData(ctx, r.ID, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Charm) applyPorts(ctx context.Context, s *Snapshot, p *Plan) error {
	for _, port := range p.Ports {
		if !slices.Contains(s.Ports, port) {
			if err := c.Tools.OpenPort(ctx, port); err != nil {
				return err
			}
		}
	}
	for _, port := range s.Ports {
		if !slices.Contains(p.Ports, port) {
			if err := c.Tools.ClosePort(ctx, port); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Charm) applyStatus(ctx context.Context, s *Snapshot, findings []Finding) error {
	for _, f := range findings {
		if f.Level > Active {
			c.log(ctx, "DEBUG", "%s: %s: %s", f.Level, f.Component, f.Message)
		}
	}
	status := Summarize(findings)
	before, err := c.Tools.Status(ctx)
	if err != nil {
		return err
	}
	if before != status {
		if err := c.Tools.SetStatus(ctx, status); err != nil {
			return err
		}
	}
	if !s.Leader {
		return nil
	}
	// Juju shows the worst of the units by itself, unless the charm before this one
	// has set the application's: then it is to be kept up.
	app, units, err := c.Tools.AppStatus(ctx)
	if err != nil || app == status || app.Level == "error" {
		return err
	}
	for unit, theirs := range units {
		if unit != s.Event.Unit && theirs == app {
			return nil
		}
	}
	return c.Tools.SetAppStatus(ctx, status)
}

// log writes to the model's log. That it fails is no reason to stop.
func (c *Charm) log(ctx context.Context, level, format string, args ...any) {
	_ = c.Tools.Log(ctx, level, fmt.Sprintf(format, args...))
}

// explain lists findings for people, the worst first.
func explain(findings []Finding) string {
	byLevel := map[Level][]string{}
	for _, f := range findings {
		byLevel[f.Level] = append(byLevel[f.Level], fmt.Sprintf("%s: %s: %s", f.Level, f.Component, oneLine(f.Message)))
	}
	var lines []string
	for _, level := range slices.Backward(slices.Sorted(maps.Keys(byLevel))) {
		lines = append(lines, byLevel[level]...)
	}
	return strings.Join(lines, "\n")
}
