package cli_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"jimm/workload/cli"
)

func userset(name string, n int) map[string]any {
	return map[string]any{"name": name, "uuid": fmt.Sprintf("a0000000-0000-4000-8000-%012d", n), "created_at": "2026-03-04T12:00:00Z", "updated_at": "2026-03-05T12:00:00Z"}
}

func TestGroupsAndRoles(t *testing.T) {
	for _, noun := range []struct{ name, method, plural string }{{"group", "Group", "ListGroups"}, {"role", "Role", "ListRoles"}} {
		t.Run(noun.name, func(t *testing.T) {
			s := newServer(t)
			sh := newShell(t, s)
			s.answers["Add"+noun.method] = userset("engineering", 1)
			s.answers["Rename"+noun.method], s.answers["Remove"+noun.method] = map[string]any{}, map[string]any{}
			s.answers[noun.plural] = map[string]any{"name": []any{userset("engineering", 1), userset("operations", 2)}}

			if got := sh.ok("jaas add-" + noun.name + " engineering"); !strings.Contains(got, "name: engineering\n") || !strings.Contains(got, "uuid: a0000000-") {
				t.Errorf("add prints:\n%s", got)
			}
			equal(t, sh.ok("jaas rename-"+noun.name+" engineering builders"), "")
			equal(t, sh.ok("jaas remove-"+noun.name+" builders --no-prompt"), "")
			equal(t, sh.ok("jaas remove-"+noun.name+" builders --force"), "")
			table := `Name         UUID                                  Created               Changed
engineering  a0000000-0000-4000-8000-000000000001  2026-03-04T12:00:00Z  2026-03-05T12:00:00Z
operations   a0000000-0000-4000-8000-000000000002  2026-03-04T12:00:00Z  2026-03-05T12:00:00Z
`
			equal(t, sh.ok("jaas "+noun.name+"s"), table)
			equal(t, sh.ok("jaas list-"+noun.name+"s --limit 2 --offset 4"), table)
			want := []call{
				{"Add" + noun.method, map[string]any{"name": "engineering"}},
				{"Rename" + noun.method, map[string]any{"name": "engineering", "new-name": "builders"}},
				{"Remove" + noun.method, map[string]any{"name": "builders"}},
				{"Remove" + noun.method, map[string]any{"name": "builders"}},
				{noun.plural, map[string]any{"limit": 1000.0, "offset": 0.0}},
				{noun.plural, map[string]any{"limit": 2.0, "offset": 4.0}},
			}
			if got := s.received(); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%v\nwant\n%v", got, want)
			}

			s.calls = nil
			sh.stdin = "no\n"
			sh.fails(cli.ExitFailure, "nothing was changed", "jaas remove-"+noun.name+" builders")
			sh.fails(cli.ExitUsage, "not negative", "jaas "+noun.name+"s --limit -1")
			sh.fails(cli.ExitUsage, "missing argument", "jaas rename-"+noun.name+" builders")
			if got := s.received(); len(got) > 0 {
				t.Errorf("the server got %v", got)
			}
			s.answers["Add"+noun.method] = coded{"already exists", "cannot add it: the name is taken"}
			sh.fails(cli.ExitFailure, "the name is taken", "jaas add-"+noun.name+" engineering")
			s.answers[noun.plural] = map[string]any{"name": []any{}}
			equal(t, sh.ok("jaas "+noun.name+"s --format json"), "[]\n")
			_, stderr, _ := sh.run("jaas " + noun.name + "s")
			equal(t, stderr, "No "+noun.name+"s. An administrator makes one with \"jaas add-"+noun.name+" NAME\".\n")
			_, stderr, _ = sh.run("jaas " + noun.name + "s --offset 7")
			equal(t, stderr, "No "+noun.name+"s beyond the first 7.\n")
		})
	}
}

func TestAccessToTheAuditLogIsForAUser(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	s.answers["GrantAuditLogAccess"], s.answers["RevokeAuditLogAccess"] = map[string]any{}, map[string]any{}
	equal(t, sh.ok("jaas grant-audit-log bob@example.com"), "")
	equal(t, sh.ok("jaas revoke-audit-log user-bob@example.com"), "")
	bob := map[string]any{"user-tag": "user-bob@example.com", "level": "read"}
	if got, want := s.received(), []call{{"GrantAuditLogAccess", bob}, {"RevokeAuditLogAccess", bob}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestACheckIsAnsweredInWordsAndByTheExitCode(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	const line = "jaas check-permission user-bob@example.com writer model-alice@example.com/m"
	s.answers["CheckRelation"] = map[string]any{"allowed": true}
	equal(t, sh.ok(line), "access check for user-bob@example.com on resource model-alice@example.com/m with permission writer is allowed\n")
	equal(t, sh.ok(line+" --format yaml"), `allowed: true
result: allowed
tuple:
  object: user-bob@example.com
  relation: writer
  target_object: model-alice@example.com/m
`)
	s.answers["CheckRelation"] = map[string]any{"allowed": false}
	stdout, stderr, code := sh.run(line)
	equal(t, stdout, "access check for user-bob@example.com on resource model-alice@example.com/m with permission writer is not allowed\n")
	equal(t, stderr, "")
	if code != cli.ExitNo {
		t.Errorf("the exit code is %d", code)
	}
	s.answers["CheckRelation"] = coded{"failed to parse tuple", `"bob" is not a tag`}
	sh.fails(cli.ExitFailure, "ERROR \"bob\" is not a tag\n", line)
}

func TestPermissionsAreListedPageByPage(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	row := func(object string) any {
		return map[string]any{"object": object, "relation": "reader", "target_object": "model-alice@example.com/m"}
	}
	s.answers["ListRelationshipTuples"] = []any{
		map[string]any{"tuples": []any{row("user-a@example.com")}, "continuation_token": "more"},
		map[string]any{"tuples": []any{row("group-eng#member")}, "errors": []any{"cannot name model-x: it is gone"}},
	}
	stdout, stderr, _ := sh.run("jaas permissions --target model-alice@example.com/m --relation reader")
	equal(t, stdout, `Object              Relation  Target
user-a@example.com  reader    model-alice@example.com/m
group-eng#member    reader    model-alice@example.com/m
`)
	equal(t, stderr, "cannot name model-x: it is gone\n")
	calls := s.received()
	tuple := map[string]any{"object": "", "relation": "reader", "target_object": "model-alice@example.com/m"}
	want := []call{
		{"ListRelationshipTuples", map[string]any{"tuple": tuple, "page_size": 100.0, "resolve_uuids": true}},
		{"ListRelationshipTuples", map[string]any{"tuple": tuple, "page_size": 100.0, "resolve_uuids": true, "continuation_token": "more"}},
	}
	if !reflect.DeepEqual(calls, want) {
		t.Errorf("got %v, want %v", calls, want)
	}
	sh.fails(cli.ExitUsage, "--object and --relation need --target", "jaas permissions --object user-a@example.com")
}

func TestExplanationsAreDrawn(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	step := func(kind, object, relation, target string) any {
		return map[string]any{"object": object, "relation": relation, "target_object": target, "kind": kind}
	}
	const m = "model-alice@example.com/m"
	tuple := map[string]any{"object": "user-bob@example.com", "relation": "reader", "target_object": m}
	implied := step("implied", m+"#writer", "reader", m)
	role := step("granted", "role-operator#assignee", "writer", m)
	s.answers["ExplainRelation"] = map[string]any{"tuple": tuple, "allowed": true, "paths": []any{
		[]any{step("login", "user-bob@example.com", "member", "idpgroup-Staff #1"), step("granted", "idpgroup-Staff #1#member", "reader", m)},
		[]any{step("granted", "user-bob@example.com", "assignee", "role-operator"), role, implied},
		[]any{step("granted", "user-everyone@external", "member", "group-eng"), step("granted", "group-eng#member", "assignee", "role-operator"), role, implied},
		[]any{step("granted", "user-bob@example.com", "administrator", "controller-c"), step("inherited", "controller-c#administrator", "administrator", m), implied},
	}}
	equal(t, sh.ok("jaas explain-permission bob@example.com reader "+m), `user-bob@example.com is reader of model-alice@example.com/m
├─ every member of idpgroup-Staff #1 is reader of model-alice@example.com/m
│  └─ user-bob@example.com is member of idpgroup-Staff #1, says the identity provider
└─ every writer of model-alice@example.com/m is reader
   ├─ every assignee of role-operator is writer of model-alice@example.com/m
   │  ├─ user-bob@example.com is assignee of role-operator
   │  └─ every member of group-eng is assignee of role-operator
   │     └─ everyone is member of group-eng
   └─ every administrator of controller-c is administrator of model-alice@example.com/m, which belongs to it
      └─ user-bob@example.com is administrator of controller-c
`)
	grant := func(path ...any) any { return map[string]any{"tuple": path[0], "path": path} }
	s.answers["ExplainRelation"] = map[string]any{"tuple": tuple, "allowed": false, "incomplete": true, "grants": []any{
		grant(step("missing", "user-bob@example.com", "reader", m)),
		grant(step("missing", "user-bob@example.com", "member", "idpgroup-Staff #1"), step("granted", "idpgroup-Staff #1#member", "reader", m)),
		grant(step("missing", "user-bob@example.com", "assignee", "role-operator"), role, implied),
	}}
	stdout, stderr, code := sh.run("jaas explain-permission bob@example.com reader " + m)
	equal(t, stdout, `user-bob@example.com is not reader of model-alice@example.com/m
Any one of these would change that, the nearest first:
  jaas add-permission user-bob@example.com reader model-alice@example.com/m
  at the identity provider: put user-bob@example.com into the group Staff #1
      since every member of idpgroup-Staff #1 is reader of model-alice@example.com/m
  jaas add-permission user-bob@example.com assignee role-operator
      since every assignee of role-operator is writer of model-alice@example.com/m
      since every writer of model-alice@example.com/m is reader
There may be more.
`)
	equal(t, stderr, "")
	if code != cli.ExitNo {
		t.Errorf("the exit code is %d", code)
	}
	if got := s.received()[0]; !reflect.DeepEqual(got, call{"ExplainRelation", map[string]any{"tuple": tuple}}) {
		t.Errorf("the server got %v", got)
	}
}

func TestSigningKeysAreShownAndRotated(t *testing.T) {
	s := newServer(t)
	sh := newShell(t, s)
	schedule := map[string]any{"keys": []any{
		map[string]any{"id": "key-1", "state": "signs", "signs-from": "2026-03-04T12:00:00Z", "signs-until": "2026-03-05T12:00:00Z", "public-until": "2026-03-05T13:00:00Z"},
		map[string]any{"id": "key-2", "state": "next", "public-from": "2026-03-04T12:00:00Z", "signs-from": "2026-03-05T12:00:00Z"},
	}, "max-age-seconds": 3600, "lead-seconds": 86400}
	s.answers["ShowSigningKeys"], s.answers["RotateSigningKeys"] = schedule, schedule
	table := `Key    State  Public from           Signs from            Signs until           Public until
key-1  signs  -                     2026-03-04 12:00 UTC  2026-03-05 12:00 UTC  2026-03-05 13:00 UTC
key-2  next   2026-03-04 12:00 UTC  2026-03-05 12:00 UTC  -                     -
`
	equal(t, sh.ok("jaas signing-keys"), table)
	equal(t, sh.ok("jaas rotate-keys"), table)
	equal(t, sh.ok("jaas rotate-keys --emergency --no-prompt"), table)
	sh.stdin = ""
	sh.fails(cli.ExitFailure, "nobody is there to confirm it", "jaas rotate-keys --emergency")
	want := []call{
		{"ShowSigningKeys", map[string]any{}},
		{"RotateSigningKeys", map[string]any{"emergency": false}},
		{"RotateSigningKeys", map[string]any{"emergency": true}},
	}
	if got := s.received(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
