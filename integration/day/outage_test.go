//go:build integration

package day

import (
	"testing"
	"time"
)

// deadController is what users see of a controller that has died.
func (c *company) deadController(t *testing.T) {
	type user struct {
		*session
		alive, dead string
	}
	var users []user
	for _, u := range []struct {
		member member
		juju   generation
	}{{memberBob, c.generations()[0]}, {memberRobot, c.generations()[1]}} {
		s := c.person(t, u.member, u.juju.path)
		c.logIn(s, u.member).says()
		one := user{s, "alive-" + u.juju.shorten(), "dead-" + u.juju.shorten()}
		s.juju("add-model", one.alive, "dev/east").says()
		s.juju("add-model", one.dead, "dev/west").says()
		users = append(users, one)
	}
	if err := c.west.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		t.Run("while it is down, with "+u.alive, func(t *testing.T) {
			u.t = t
			// JIMM gives up to reach a controller after 15 s; what waits for that takes longer.
			atOnce := 14 * time.Second
			u.until(func(r *run) bool {
				r.says(u.alive, u.dead).within(atOnce)
				return saying("unavailable")(r)
			}, "models")
			models := modelsOf(u.session)
			if m := models[u.who+"/"+u.alive]; m.Status.Current != "available" {
				t.Errorf("the model of the living controller is %+v", m)
			}
			if m := models[u.who+"/"+u.dead]; m.Status.Current != "unavailable" {
				t.Errorf("the model of the dead controller is %+v", m)
			}
			u.juju("status", "-m", u.alive).says(u.alive).within(atOnce)
			u.juju("show-model", u.dead).says("unavailable", "its controller does not answer")
			u.juju("status", "-m", u.dead).fails("cannot connect to controller").within(atOnce)
			u.juju("destroy-model", u.dead, "--no-prompt").fails("cannot connect to controller")
			u.juju("models").says(u.dead)

			// New models go where somebody answers.
			u.juju("add-model", "new-"+u.alive, "dev").says("dev/east")
			u.juju("status", "-m", "new-"+u.alive).says("dev/east")
			u.juju("destroy-model", "new-"+u.alive, "--no-prompt").says()
		})
	}
	if err := c.west.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		t.Run("when it is back, with "+u.alive, func(t *testing.T) {
			u.t = t
			u.until(func(r *run) bool { return saying(u.dead, "available")(r) && !saying("unavailable")(r) }, "models")
			u.until(saying(u.dead), "status", "-m", u.dead)
			u.juju("destroy-model", u.alive, "--no-prompt").says()
		})
	}
}
