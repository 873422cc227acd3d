//go:build integration

package day

import "testing"

// TestThroughJIMM has real juju clients work through one JIMM with two real controllers.
func TestThroughJIMM(t *testing.T) {
	c := foundCompany(t)
	t.Run("the administrator sets up", c.setUp)
	t.Run("a team", c.team)
	t.Run("what is refused", c.refusals)
	t.Run("a dead controller", c.deadController)
	t.Run("real units", c.realUnits)
	t.Run("a day with juju", c.days)
}
