package sim_test

import (
	"path/filepath"
	"strings"
	"testing"

	"jimm/workload/sim"

	"github.com/juju/juju/rpc/params"
)

func TestAControllerComesBackFromItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "blue.json")
	config := sim.Config{Name: "blue", Generation: sim.Juju41, AdminPassword: "sekrit", StateFile: file}
	first, err := sim.Start(t.Context(), config)
	ok(t, err)
	uuids, err := first.SeedModels(2, func(i int) sim.Model {
		return sim.Model{Name: []string{"m", "n"}[i], Owner: "alice@canonical.com", Applications: []string{"app"}}
	})
	ok(t, err)
	ok(t, first.Close())
	again, err := sim.Start(t.Context(), config)
	ok(t, err)
	defer func() { ok(t, again.Close()) }()
	same(t, again.UUID(), first.UUID())
	same(t, again.CACert(), first.CACert())
	same(t, again.Address(), first.Address())
	same(t, len(again.ModelUUIDs()), 2)
	w := worldOf(again)
	var status params.FullStatus
	ok(t, call(t, w.asAdmin(t, "/model/"+uuids[0]+"/api"), "Client", 8, "FullStatus", params.StatusParams{}, &status))
	same(t, len(status.Applications["app"].Units), 1)
	_, err = again.SeedModels(1, func(int) sim.Model { return sim.Model{Name: "m", Owner: "alice@canonical.com"} })
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
}

func TestAFileOfAnotherControllerIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "blue.json")
	first, err := sim.Start(t.Context(), sim.Config{Generation: sim.Juju41, StateFile: file})
	ok(t, err)
	ok(t, first.Close())
	_, err = sim.Start(t.Context(), sim.Config{Generation: sim.Juju41, StateFile: file, UUID: "33333333-3333-4333-8333-333333333333"})
	if err == nil || !strings.Contains(err.Error(), "holds controller "+first.UUID()) {
		t.Fatal(err)
	}
}

func TestHundredsOfControllersRunInOneProcess(t *testing.T) {
	for range 200 {
		c, err := sim.Start(t.Context(), sim.Config{Generation: sim.Juju36, AdminPassword: "sekrit"})
		ok(t, err)
		t.Cleanup(func() { ok(t, c.Close()) })
		w := worldOf(c)
		ok(t, call(t, w.asAdmin(t, "/api"), "Pinger", 1, "Ping", nil, nil))
	}
}
