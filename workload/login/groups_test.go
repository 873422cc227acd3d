package login_test

import (
	"context"
	"errors"
	"testing"

	"jimm/workload/estate"
	"jimm/workload/idp"
	"jimm/workload/login"
)

// lookup knows groups of users; nil: it does not answer.
type lookup map[string][]string

func (l lookup) GroupsOf(_ context.Context, userName string) ([]string, error) {
	if l == nil {
		return nil, &estate.Error{Code: estate.CodeConnectionFailed, Message: "the look-up does not answer", Cause: errors.New("refused")}
	}
	return l[userName], nil
}

func TestGroupsAreLookedUpWhereNoTokenNamesThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claim  string
		lookup estate.IdPGroups
		alice  []string
		robot  []string
		fails  bool
	}{
		"a claim is not looked up":      {"groups", lookup(nil), []string{"engineering", "tea"}, []string{"machines"}, false},
		"without a claim":               {"", lookup{"alice.liddell@example.com": {"found"}}, []string{"found"}, nil, false},
		"with a claim that is not made": {"teams", lookup{"robot@serviceaccount": {"found"}}, nil, []string{"found"}, false},
		"and nobody is let in unheard":  {"teams", lookup(nil), nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, opaque := range []bool{false, true} {
				l := newLab(t, func(c *idp.Config) { c.OpaqueTokens = opaque }, func(c *login.Config) { c.GroupClaim, c.IdPGroups = test.claim, test.lookup })
				token, alice, err := l.logIn(t, "alice.liddell@example.com")
				robot, failed := l.ClientCredentials(t.Context(), "robot", robotSecret)
				if test.fails {
					wantError(t, err, login.CodeLoginFailed, "the look-up does not answer")
					wantError(t, failed, estate.CodeConnectionFailed, "the look-up does not answer")
					equal(t, "token", token, "")
					continue
				}
				check(t, errors.Join(err, failed))
				equal(t, "alice's groups", alice.Groups, test.alice)
				equal(t, "robot's groups", robot.Groups, test.robot)
			}
		})
	}
}
