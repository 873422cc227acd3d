package cli_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"jimm/workload/cli"
)

func TestSessionsAreListed(t *testing.T) {
	s := newServer(t)
	now := time.Now()
	s.answers["ListSessions"] = map[string]any{"sessions": []any{map[string]any{
		"id": strings.Repeat("ab", 16), "user-tag": "user-alice@example.com", "kind": "device", "client": "juju 4.1.0", "address": "10.0.0.1",
		"started": now.Add(-90 * time.Minute), "last-used": now.Add(-10 * time.Minute), "expires": now.Add(4*time.Hour + 30*time.Minute + 59*time.Second), "current": true,
	}, map[string]any{
		"id": strings.Repeat("cd", 16), "user-tag": "user-bob@example.com", "kind": "browser", "client": "", "address": "::1",
		"started": now, "last-used": now, "expires": now.Add(72*time.Hour + time.Minute),
	}}}
	sh := newShell(t, s)
	got := sh.ok("jaas sessions")
	for _, part := range []string{"abababababab*", "alice@example.com", "juju 4.1.0", "10m ago", "in 4h30m", "cdcdcdcdcdcd ", "browser", "now", "in 3d"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if got := sh.ok("jaas sessions --format json"); !strings.Contains(got, `"id": "`+strings.Repeat("ab", 16)+`"`) {
		t.Errorf("as JSON:\n%s", got)
	}
	for line, want := range map[string]map[string]any{
		"jaas sessions":                               {},
		"jaas sessions --user alice@example.com":      {"user-tag": "user-alice@example.com"},
		"jaas sessions --user user-alice@example.com": {"user-tag": "user-alice@example.com"},
		"jaas sessions --all":                         {"all": true},
	} {
		s.calls = nil
		sh.ok(line)
		if got := s.received(); !reflect.DeepEqual(got, []call{{"ListSessions", want}}) {
			t.Errorf("%s sends %v, want %v", line, got, want)
		}
	}
	sh.fails(cli.ExitUsage, "with its domain", "jaas sessions --user alice")
	sh.fails(cli.ExitUsage, "does not go with", "jaas sessions --all --user alice@example.com")
}

func TestSessionsAreRevoked(t *testing.T) {
	s := newServer(t)
	s.answers["RevokeSessions"] = map[string]any{"sessions": []any{map[string]any{
		"id": strings.Repeat("ab", 16), "user-tag": "user-alice@example.com", "client": "juju 4.1.0", "address": "10.0.0.1",
	}}}
	sh := newShell(t, s)
	for line, want := range map[string]map[string]any{
		"jaas revoke-session abababab cdcdcdcd":        {"ids": []any{"abababab", "cdcdcdcd"}},
		"jaas revoke-session --user alice@example.com": {"user-tag": "user-alice@example.com"},
		"jaas revoke-session --all -y":                 {"all": true},
	} {
		s.calls = nil
		if got := sh.ok(line); !strings.Contains(got, "revoked  abababababab  alice@example.com") {
			t.Errorf("%s prints %q", line, got)
		}
		if got := s.received(); !reflect.DeepEqual(got, []call{{"RevokeSessions", want}}) {
			t.Errorf("%s sends %v, want %v", line, got, want)
		}
	}
	s.calls = nil
	sh.fails(cli.ExitUsage, "missing argument", "jaas revoke-session")
	sh.fails(cli.ExitUsage, "do not go with", "jaas revoke-session abababab --all")
	sh.stdin = "n\n"
	sh.fails(cli.ExitFailure, "nothing was changed", "jaas revoke-session --all")
	if got := s.received(); len(got) > 0 {
		t.Errorf("sent %v", got)
	}
	s.answers["RevokeSessions"] = coded{"not found", `session "abababab" not found`}
	sh.fails(cli.ExitNotFound, "not found", "jaas revoke-session abababab")
}
