package cli_test

import (
	"reflect"
	"strings"
	"testing"
)

func TestModelsAreTakenInAndFollowed(t *testing.T) {
	const uuid = "2cb433a6-04eb-4ec4-9567-90426d20a004"
	s := newServer(t)
	s.answers["ImportModel"], s.answers["UpdateMigratedModel"] = map[string]any{}, map[string]any{}
	sh := newShell(t, s)
	for line, want := range map[string]call{
		"jaas import-model blue " + uuid + " --owner alice@example.com": {"ImportModel", map[string]any{"controller": "blue", "model-tag": "model-" + uuid, "owner": "alice@example.com"}},
		"jaas import-model blue " + uuid:                                {"ImportModel", map[string]any{"controller": "blue", "model-tag": "model-" + uuid, "owner": ""}},
		"jaas update-migrated-model green " + uuid:                      {"UpdateMigratedModel", map[string]any{"model-tag": "model-" + uuid, "target-controller": "green"}},
	} {
		t.Run(line, func(t *testing.T) {
			equal(t, sh.ok(line), "")
			calls := s.received()
			if got := calls[len(calls)-1]; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	for _, line := range []string{"jaas import-model blue old", "jaas update-migrated-model green alice@example.com/old"} {
		if _, stderr, code := sh.run(line); code != 2 || !strings.Contains(stderr, "not the UUID of a model") {
			t.Errorf("%s: exit code %d, %s", line, code, stderr)
		}
	}
}
