package sim_test

import (
	"testing"

	"jimm/workload/rpc"
	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

func TestSummariesArePushedBy36(t *testing.T) {
	w := newWorld(t, sim.Juju36)
	client := w.asAdmin(t, "/api")
	var id params.SummaryWatcherID
	ok(t, call(t, client, "Controller", 11, "WatchAllModelSummaries", nil, &id))
	next := func() params.SummaryWatcherNextResults {
		var results params.SummaryWatcherNextResults
		ok(t, client.Call(t.Context(), "ModelSummaryWatcher", 1, id.WatcherID, "Next", nil, &results))
		return results
	}
	same(t, next().Models[0].Name, "controller")
	uuids, err := w.SeedModels(1, func(int) sim.Model {
		return sim.Model{Name: "m", Owner: "alice@canonical.com", Applications: []string{"app"}}
	})
	ok(t, err)
	changed := next().Models
	same(t, len(changed), 1)
	same(t, changed[0].UUID, uuids[0])
	same(t, changed[0].Size, params.ModelSummarySize{Machines: 1, Applications: 1, Units: 1})
	ok(t, call(t, client, "ModelManager", 10, "DestroyModels",
		params.DestroyModelsParams{Models: []params.DestroyModelParams{{ModelTag: "model-" + uuids[0]}}}, nil))
	eventually(t, "the model is told of as removed", func() bool { return next().Models[0].Removed })

	waiting := make(chan error, 1)
	go func() {
		waiting <- client.Call(t.Context(), "ModelSummaryWatcher", 1, id.WatcherID, "Next", nil, nil)
	}()
	eventually(t, "Next waits", func() bool { return w.Faults().Calls("ModelSummaryWatcher.Next") >= 4 })
	ok(t, client.Call(t.Context(), "ModelSummaryWatcher", 1, id.WatcherID, "Stop", nil, nil))
	err = <-waiting
	e := errorOf(t, err)
	if e.Code != "stopped" && e.Code != "not found" { // not found if Stop was first
		t.Fatal(e)
	}
	same(t, errorOf(t, client.Call(t.Context(), "ModelSummaryWatcher", 1, id.WatcherID, "Next", nil, nil)),
		rpc.Error{Code: "not found", Message: "unknown watcher id"})
}

func TestSummariesAreNotSupportedBy41(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	same(t, errorOf(t, call(t, w.asAdmin(t, "/api"), "Controller", 14, "WatchAllModelSummaries", nil, nil)),
		rpc.Error{Code: "not supported", Message: "WatchAllModelSummaries not supported"})
}

func TestAnAllWatcherTellsEverythingThenWhatChanged(t *testing.T) {
	w := newWorld(t, sim.Juju36)
	uuids, err := w.SeedModels(1, func(int) sim.Model {
		return sim.Model{Name: "m", Owner: "alice@canonical.com", Applications: []string{"app"}}
	})
	ok(t, err)
	client := w.asAdmin(t, "/model/"+uuids[0]+"/api")
	var id params.AllWatcherId
	ok(t, call(t, client, "Client", 7, "WatchAll", nil, &id))
	next := func() map[string]int {
		var results struct{ Deltas [][3]any }
		ok(t, client.Call(t.Context(), "AllWatcher", 3, id.AllWatcherId, "Next", nil, &results))
		kinds := make(map[string]int)
		for _, delta := range results.Deltas {
			kinds[delta[0].(string)+" "+delta[1].(string)]++
		}
		return kinds
	}
	same(t, next(), map[string]int{"model change": 1, "application change": 1, "unit change": 1, "machine change": 1})
	ok(t, call(t, client, "Application", 20, "AddUnits", params.AddApplicationUnits{ApplicationName: "app", NumUnits: 2}, nil))
	same(t, next(), map[string]int{"unit change": 2, "machine change": 2})
	ok(t, call(t, client, "Application", 20, "DestroyApplication",
		params.DestroyApplicationsParams{Applications: []params.DestroyApplicationParams{{ApplicationTag: "application-app"}}}, nil))
	same(t, next(), map[string]int{"application remove": 1, "unit remove": 3, "machine remove": 3})
}

func TestANotifyWatcherTellsOfChanges(t *testing.T) {
	w := newWorld(t, sim.Juju41)
	client := w.asAdmin(t, "/api")
	var results params.NotifyWatchResults
	ok(t, call(t, client, "CrossController", 1, "WatchControllerInfo", nil, &results))
	id := results.Results[0].NotifyWatcherId
	ok(t, client.Call(t.Context(), "NotifyWatcher", 1, id, "Next", nil, nil))
	waiting := make(chan error, 1)
	go func() { waiting <- client.Call(t.Context(), "NotifyWatcher", 1, id, "Next", nil, nil) }()
	eventually(t, "Next waits", func() bool { return w.Faults().Calls("NotifyWatcher.Next") == 2 })
	ok(t, call(t, client, "ModelConfig", 4, "ModelSet", params.ModelSet{Config: map[string]any{"logging-config": "<root>=DEBUG"}}, nil))
	ok(t, <-waiting)
}
