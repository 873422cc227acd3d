//go:build integration

package compat

import (
	"strings"
	"testing"
)

func TestWhatIsNotTheSameNeedsAReasonThatIsNeeded(t *testing.T) {
	works, fails := result{0, []string{"done"}}, result{1, []string{"ERROR no"}}
	refusal := reason{why: "it is refused", worse: true, through: "ERROR no"}
	for _, test := range []struct {
		name            string
		direct, through result
		reasons         []reason
		problem         string
	}{
		{"the same", works, works, nil, ""},
		{"the same failure", fails, fails, nil, ""},
		{"better", fails, works, nil, ""},
		{"worse without a reason", works, fails, nil, "is worse through JIMM"},
		{"worse with a reason", works, fails, []reason{refusal}, ""},
		{"worse with a reason for another error", works, fails, []reason{{why: "x", worse: true, through: "ERROR yes"}}, "is worse through JIMM"},
		{"worse with a reason for a difference", works, fails, []reason{{why: "x", through: "ERROR no"}}, "is worse through JIMM"},
		{"worse without a word", works, result{1, nil}, nil, "is worse through JIMM"},
		{"different without a reason", works, result{0, []string{"ready"}}, nil, "is different through JIMM"},
		{"different with a reason", works, result{0, []string{"ready"}}, []reason{{why: "x", direct: "done", through: "ready"}}, ""},
		{"another exit code", result{2, nil}, result{1, nil}, nil, "is different through JIMM"},
		{"a reason that nothing needs", works, works, []reason{refusal}, "stale"},
		{"a reason for a client that does not need it", works, fails, []reason{{why: "x", worse: true, through: "ERROR no", releases: []string{"4.1", "3.6.11"}}}, "stale"},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := newTable([]*generation{{name: "4.1"}}, []release{{name: "4.1"}})
			k := key{0, "4.1", "4.1"}
			table.set(k, direct, outcome{}, test.direct)
			table.set(k, throughJIMM, outcome{}, test.through)
			problems := strings.Join(table.judge(test.reasons), "\n")
			if (problems == "") != (test.problem == "") || !strings.Contains(problems, test.problem) {
				t.Errorf("the problems are %q, want %q", problems, test.problem)
			}
		})
	}
}
