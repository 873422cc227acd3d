package sim

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// entityKey names an entity of a model, such as {unit labapp/0}.
type entityKey struct{ kind, id string }

// deltas are what AllWatcher.Next tells: [kind, change or remove, entity].
type deltas struct {
	Deltas [][3]any `json:"deltas"`
}

// allWatcher3 is AllWatcher of 3.x: everything at first, then what changed.
var allWatcher3 = watcherFacade("AllWatcher", func(cn *conn, w *watcher) (deltas, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := make(map[entityKey]string)
	var result deltas
	if m := cn.ctl.state.Models[w.model.UUID]; m != nil {
		for key, entity := range cn.ctl.entities(m) {
			data, err := json.Marshal(entity)
			if err != nil {
				cn.ctl.log.Error("cannot encode an entity", "kind", key.kind, "id", key.id, "err", err)
				continue
			}
			now[key] = string(data)
			if w.told[key] != now[key] {
				result.Deltas = append(result.Deltas, [3]any{key.kind, "change", entity})
			}
		}
	}
	for key := range w.told {
		if _, ok := now[key]; !ok {
			result.Deltas = append(result.Deltas, [3]any{key.kind, "remove", map[string]any{"model-uuid": w.model.UUID, "id": key.id, "name": key.id}})
		}
	}
	slices.SortStableFunc(result.Deltas, func(a, b [3]any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	w.told = now
	return result, len(result.Deltas) > 0
})

// watchAll starts an AllWatcher (Client.WatchAll of 3.x).
func watchAll(cn *conn, _ none) (params.AllWatcherId, error) {
	if err := cn.onModel(permission.ReadAccess, cn.model); err != nil {
		return params.AllWatcherId{}, err
	}
	m, err := cn.theModel()
	if err != nil {
		return params.AllWatcherId{}, err
	}
	id, w := cn.watch("AllWatcher", m)
	w.signal()
	return params.AllWatcherId{AllWatcherId: id}, nil
}

// entities are what an AllWatcher tells of a model.
func (c *Controller) entities(m *model) map[entityKey]any {
	all := make(map[entityKey]any)
	all[entityKey{"model", m.UUID}] = map[string]any{
		"model-uuid": m.UUID, "name": m.Name, "life": m.Life, "owner": m.Owner, "controller-uuid": c.state.UUID,
		"is-controller": m.UUID == c.state.ControllerModel, "config": m.Config, "constraints": m.Constraints, "status": m.status(),
	}
	for name, a := range m.Applications {
		all[entityKey{"application", name}] = map[string]any{
			"model-uuid": m.UUID, "name": name, "exposed": a.Exposed, "charm-url": a.Charm, "owner-tag": ownerTag(m.Owner), "life": alive,
			"constraints": a.Constraints, "config": a.Config, "subordinate": false, "status": statusInfo("active", a),
		}
		for number, u := range a.Units {
			all[entityKey{"unit", unitName(a, number)}] = map[string]any{
				"model-uuid": m.UUID, "name": unitName(a, number), "application": name, "charm-url": a.Charm, "life": alive,
				"public-address": "10.0.0." + u.Machine, "private-address": "10.0.0." + u.Machine, "machine-id": u.Machine,
				"workload-status": statusInfo("active", a), "agent-status": statusInfo("idle", a),
			}
		}
	}
	for id, machine := range m.Machines {
		all[entityKey{"machine", id}] = map[string]any{
			"model-uuid": m.UUID, "id": id, "instance-id": instanceID(m, id), "life": alive, "base": machine.Base.Name + "@" + machine.Base.Channel,
			"agent-status": map[string]any{"current": "started", "message": "", "since": machine.Since},
		}
	}
	for _, r := range m.Relations {
		all[entityKey{"relation", r.key()}] = map[string]any{"model-uuid": m.UUID, "key": r.key(), "id": r.ID}
	}
	return all
}

func statusInfo(current string, a *application) map[string]any {
	return map[string]any{"current": current, "message": "", "since": a.Since, "version": ""}
}
