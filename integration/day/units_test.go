//go:build integration

package day

import (
	"testing"

	"github.com/google/uuid"

	"jimm/workload/estate"
)

// realUnits has units at work: they run on the machine of a controller, in its own model,
// which JIMM is told about for this.
func (c *company) realUnits(t *testing.T) {
	c.adoptControllerModel(t)
	for _, g := range c.generations() {
		t.Run("juju "+g.name, func(t *testing.T) {
			me := c.person(t, memberBob, g.path)
			c.logIn(me, memberBob).says()
			app := "worker" + g.shorten()
			const model = "bob@example.com/controller"
			me.juju("deploy", "-m", model, c.charm, app, "--to", "0", "--config", "opt=hi").says()
			me.until(saying("active", "opt=hi"), "status", "-m", model, app)
			me.juju("config", "-m", model, app, "opt=changed").says()
			me.until(saying("active", "opt=changed"), "status", "-m", model, app)
			me.juju("attach-resource", "-m", model, app, "blob="+c.blob).says()
			me.juju("run", "-m", model, app+"/0", "ping", "--wait=4m").says("answer: pong")
			me.juju("exec", "--wait=4m", "-m", model, "--unit", app+"/0", "cat $(resource-get blob)").says("some text")
			me.juju("debug-log", "-m", model, "--replay", "--no-tail", "--include", "unit-"+app+"-0").says("unit-" + app + "-0:")
			me.juju("remove-application", "-m", model, app, "--no-prompt", "--force").says()
		})
	}
}

// adoptControllerModel makes the model of the eastern controller bob's.
func (c *company) adoptControllerModel(t *testing.T) {
	t.Helper()
	admin := c.direct(t, c.east, c.bin.Juju41)
	id := modelsOf(admin)["admin/controller"].UUID
	now := c.stack.Server.Estate.Now()
	m := estate.Model{
		ID: uuid.NewString(), Owner: memberBob.name, Name: "controller", State: estate.ModelCreating, ControllerUUID: c.east.UUID,
		Cloud: c.east.Cloud, Region: c.east.Region, CreatedAt: now, UpdatedAt: now,
	}
	if err := c.stack.Store.InsertModel(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	object := estate.Object{Kind: estate.KindModel, ID: id}
	err := c.stack.Server.Estate.Permissions.Write(t.Context(), []estate.Tuple{
		{Subject: estate.Subject{Object: estate.Object{Kind: estate.KindController, ID: c.east.UUID}}, Relation: estate.InController, Object: object},
		{Subject: estate.User{Name: memberBob.name}.Subject(), Relation: estate.Administrator, Object: object},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.stack.Store.CompleteModel(t.Context(), m.ID, id, "iaas"); err != nil {
		t.Fatal(err)
	}
}
