package cli_test

import (
	"reflect"
	"testing"

	"jimm/workload/cli"
)

func TestPermissionsAreSentAsTyped(t *testing.T) {
	bob := map[string]any{"object": "user-bob@example.com", "relation": "writer", "target_object": "model-alice@example.com/m"}
	dev := map[string]any{"object": "group-dev#member", "relation": "administrator", "target_object": "controller-blue"}
	s := newServer(t)
	s.answers["AddRelation"], s.answers["RemoveRelation"] = map[string]any{}, map[string]any{}
	sh := newShell(t, s)
	for _, test := range []struct {
		line, stdin, method string
		tuples              []any
	}{{
		line: "jaas add-permission user-bob@example.com writer model-alice@example.com/m", method: "AddRelation", tuples: []any{bob},
	}, {
		line: "jaas remove-permission group-dev#member administrator controller-blue", method: "RemoveRelation", tuples: []any{dev},
	}, {
		line: "jaas add-permission -f -", method: "AddRelation", tuples: []any{bob, dev},
		stdin: `[{"object": "user-bob@example.com", "relation": "writer", "target_object": "model-alice@example.com/m"},
		         {"object": "group-dev#member", "relation": "administrator", "target_object": "controller-blue"}]`,
	}, {
		line: "jaas remove-permission --file -", method: "RemoveRelation", tuples: []any{dev},
		stdin: "- object: group-dev#member\n  relation: administrator\n  target_object: controller-blue\n",
	}} {
		s.calls, sh.stdin = nil, test.stdin
		equal(t, sh.ok(test.line), "")
		want := []call{{test.method, map[string]any{"tuples": test.tuples}}}
		if got := s.received(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s sends %v, want %v", test.line, got, want)
		}
	}
}

func TestAFileOfPermissionsHasToBeComplete(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	for stdin, text := range map[string]string{
		`[{"object": "user-bob@example.com", "relation": "writer"}]`: "entry 1 lacks object, relation or target_object",
		`[{"object": "user-bob@example.com", "target": "cloud-x"}]`:  `there is no key "target"`,
		`[]`:              "it has no permissions",
		`{"a": 1}`:        "cannot read -: it must be a list, not object",
		`no list {`:       "cannot read -: it must be a list, not string",
		`[{"object": 5}]`: "cannot read -: object must be text, not number",
		`[{"object": `:    "cannot read -: yaml: line 1",
	} {
		sh.stdin = stdin
		sh.fails(cli.ExitFailure, text, "jaas add-permission -f -")
	}
	sh.fails(cli.ExitFailure, "no such file", "jaas add-permission -f /does/not/exist")
	if calls := s.received(); len(calls) > 0 {
		t.Errorf("the server got %v", calls)
	}
}

func TestARefusedPermissionShowsTheServersReason(t *testing.T) {
	s := newServer(t)
	s.answers["AddRelation"] = coded{"failed to parse tuple", `cannot parse "usr-bob": unknown kind "usr"`}
	sh := newShell(t, s)
	sh.fails(cli.ExitFailure, "ERROR cannot parse \"usr-bob\": unknown kind \"usr\"\n", "jaas add-permission usr-bob writer model-x")
}
