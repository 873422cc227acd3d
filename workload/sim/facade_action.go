package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// action7 is Action (apiserver/facades/client/action).
var action7 = methods{
	"EnqueueOperation":          write(enqueueOperation),
	"Run":                       write(run),
	"ListOperations":            read(listOperations),
	"Operations":                read(operations),
	"Actions":                   read(actions),
	"Cancel":                    write(cancelActions),
	"ApplicationsCharmsActions": read(applicationsCharmsActions),
	"WatchActionsProgress":      write(watchActionsProgress),
}

// units are the units that a receiver such as unit-labapp-0 or labapp/leader means.
func (m *model) receiver(text string) (string, error) {
	if name, ok := strings.CutSuffix(text, "/leader"); ok {
		a, err := m.application(name)
		if err != nil {
			return "", err
		}
		if a.leader() < 0 {
			return "", notFound("leader for %q", name)
		}
		return unitName(a, a.leader()), nil
	}
	tag, err := names.ParseUnitTag(text)
	if err != nil {
		return "", err
	}
	_, _, err = m.unitNamed(tag.Id())
	return tag.Id(), err
}

func enqueueOperation(cn *conn, args params.Actions) (params.EnqueuedActions, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.EnqueuedActions{}, err
	}
	if len(args.Actions) == 0 {
		return params.EnqueuedActions{}, fmt.Errorf("no actions specified")
	}
	result := params.EnqueuedActions{Actions: make([]params.ActionResult, len(args.Actions))}
	var units []string
	var indexes []int
	for i, arg := range args.Actions {
		unit, err := m.receiver(arg.Receiver)
		if err != nil {
			result.Actions[i].Error = asParams(err)
			continue
		}
		a, _, err := m.unitNamed(unit)
		if err != nil {
			return params.EnqueuedActions{}, err
		}
		f, err := m.charmOf(a)
		if err != nil {
			return params.EnqueuedActions{}, err
		}
		if f.Charm.Actions == nil || len(f.Charm.Actions.ActionSpecs) == 0 {
			return params.EnqueuedActions{}, coded(params.CodeNotFound, "no actions defined for charm %s.", f.Charm.Meta.Name)
		}
		if _, ok := f.Charm.Actions.ActionSpecs[arg.Name]; !ok {
			return params.EnqueuedActions{}, coded(params.CodeNotFound, "action %q not defined for unit %q.", arg.Name, unit)
		}
		units, indexes = append(units, unit), append(indexes, i)
	}
	if len(units) == 0 {
		return result, nil
	}
	o := cn.ctl.enqueue(m, args.Actions[indexes[0]].Name, args.Actions[indexes[0]].Parameters, units)
	for i, t := range o.Tasks {
		result.Actions[indexes[i]] = t.result()
	}
	result.OperationTag = names.NewOperationTag(o.ID).String()
	return result, nil
}

func run(cn *conn, args params.RunParams) (params.EnqueuedActions, error) {
	if err := cn.has(permission.AdminAccess, names.NewModelTag(cn.model)); err != nil {
		return params.EnqueuedActions{}, err
	}
	m, err := cn.theModel()
	if err != nil {
		return params.EnqueuedActions{}, err
	}
	units := slices.Clone(args.Units)
	for _, name := range args.Applications {
		a, err := m.application(name)
		if err != nil {
			return params.EnqueuedActions{}, err
		}
		for _, number := range sortedKeys(a.Units) {
			units = append(units, unitName(a, number))
		}
	}
	for i, name := range units {
		if app, ok := strings.CutSuffix(name, "/leader"); ok {
			a, err := m.application(app)
			if err != nil {
				return params.EnqueuedActions{}, err
			}
			units[i] = unitName(a, a.leader())
		}
		if _, _, err := m.unitNamed(units[i]); err != nil {
			return params.EnqueuedActions{}, err
		}
	}
	if len(units) == 0 {
		return params.EnqueuedActions{}, fmt.Errorf("no units to run on")
	}
	o := cn.ctl.enqueue(m, "juju-exec", map[string]any{"command": args.Commands, "timeout": args.Timeout.Nanoseconds()}, units)
	result := params.EnqueuedActions{OperationTag: names.NewOperationTag(o.ID).String()}
	for _, t := range o.Tasks {
		result.Actions = append(result.Actions, t.result())
	}
	return result, nil
}

func listOperations(cn *conn, args params.OperationQueryArgs) (params.OperationResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.OperationResults{}, err
	}
	var results params.OperationResults
	for _, o := range slices.Backward(m.Operations) {
		r := o.result()
		if len(args.Status) > 0 && !slices.Contains(args.Status, r.Status) {
			continue
		}
		if len(args.ActionNames) > 0 && !slices.Contains(args.ActionNames, o.Tasks[0].Name) {
			continue
		}
		if len(args.Units) > 0 && !slices.ContainsFunc(o.Tasks, func(t *task) bool { return slices.Contains(args.Units, t.Unit) }) {
			continue
		}
		if args.Limit != nil && len(results.Results) == *args.Limit {
			results.Truncated = true
			break
		}
		results.Results = append(results.Results, r)
	}
	return results, nil
}

func operations(cn *conn, args params.Entities) (params.OperationResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.OperationResults{}, err
	}
	results := params.OperationResults{Results: make([]params.OperationResult, len(args.Entities))}
	for i, arg := range args.Entities {
		tag, err := names.ParseOperationTag(arg.Tag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		results.Results[i].Error = notFound("operation %q", tag.Id())
		for _, o := range m.Operations {
			if o.ID == tag.Id() {
				results.Results[i] = o.result()
			}
		}
	}
	return results, nil
}

func (m *model) task(actionTag string) (*task, error) {
	tag, err := names.ParseActionTag(actionTag)
	if err != nil {
		return nil, coded(params.CodeNotFound, "id not found")
	}
	for _, o := range m.Operations {
		for _, t := range o.Tasks {
			if t.ID == tag.Id() {
				return t, nil
			}
		}
	}
	return nil, notFound("action %q", tag.Id())
}

func actions(cn *conn, args params.Entities) (params.ActionResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.ActionResults{}, err
	}
	results := params.ActionResults{Results: make([]params.ActionResult, len(args.Entities))}
	for i, arg := range args.Entities {
		t, err := m.task(arg.Tag)
		if err != nil {
			results.Results[i].Error = coded(params.CodeNotFound, "id not found")
			continue
		}
		results.Results[i] = t.result()
	}
	return results, nil
}

func cancelActions(cn *conn, args params.Entities) (params.ActionResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ActionResults{}, err
	}
	results := params.ActionResults{Results: make([]params.ActionResult, len(args.Entities))}
	for i, arg := range args.Entities {
		t, err := m.task(arg.Tag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		if t.Status == params.ActionPending {
			t.Status, t.Completed = params.ActionCancelled, cn.ctl.clock.Now()
			cn.ctl.changed(m)
		}
		results.Results[i] = t.result()
	}
	return results, nil
}

func applicationsCharmsActions(cn *conn, args params.Entities) (params.ApplicationsCharmActionsResults, error) {
	// Juju asks for write here, though nothing is written.
	m, err := cn.writeModel()
	if err != nil {
		return params.ApplicationsCharmActionsResults{}, err
	}
	var results params.ApplicationsCharmActionsResults
	for _, arg := range args.Entities {
		result := params.ApplicationCharmActionsResult{ApplicationTag: arg.Tag, Actions: map[string]params.ActionSpec{}}
		tag, err := names.ParseApplicationTag(arg.Tag)
		var f *charmFile
		if err == nil {
			var a *application
			if a, err = m.application(tag.Id()); err == nil {
				f, err = m.charmOf(a)
			}
		}
		if err != nil {
			result.Error = asParams(err)
		} else if f.Charm.Actions != nil {
			for name, spec := range f.Charm.Actions.ActionSpecs {
				result.Actions[name] = params.ActionSpec{Description: spec.Description, Params: spec.Params}
			}
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

func watchActionsProgress(cn *conn, args params.Entities) (params.StringsWatchResults, error) {
	m, err := cn.readModel()
	if err != nil {
		return params.StringsWatchResults{}, err
	}
	results := params.StringsWatchResults{Results: make([]params.StringsWatchResult, len(args.Entities))}
	for i, arg := range args.Entities {
		t, err := m.task(arg.Tag)
		if err != nil {
			results.Results[i].Error = asParams(err)
			continue
		}
		id, w := cn.watch("StringsWatcher", m)
		w.task, w.lastStatus = t, t.Status
		results.Results[i] = params.StringsWatchResult{StringsWatcherId: id, Changes: []string{}}
	}
	return results, nil
}
