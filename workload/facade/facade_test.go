package facade

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"jimm/workload/estate"
)

// TestNoMethodOfJujuIsMissing compares what we serve with what the controllers
// of Juju 3.6.11 and 4.1 have (their apiserver/facades/schema.json): every
// method is served, or refused with a sentence.
func TestNoMethodOfJujuIsMissing(t *testing.T) {
	b, err := os.ReadFile("testdata/juju-methods.json")
	if err != nil {
		t.Fatal(err)
	}
	var juju map[string]map[string][]string
	if err := json.Unmarshal(b, &juju); err != nil {
		t.Fatal(err)
	}
	for name, versions := range juju {
		for version, wanted := range versions {
			n, err := strconv.Atoi(version)
			if err != nil {
				t.Fatal(err)
			}
			served, ok := facades[name][n]
			if !ok {
				t.Errorf("facade %s has no version %s", name, version)
				continue
			}
			for _, method := range wanted {
				if served[method].serve == nil {
					t.Errorf("%s(%d).%s is missing", name, n, method)
				}
			}
		}
	}
}

// TestVersionsOfAFacadeHaveTheSameMethods guards against a method that is added
// to one version and forgotten in another.
func TestVersionsOfAFacadeHaveTheSameMethods(t *testing.T) {
	for name, versions := range facades {
		if name == "JIMM" {
			continue // version 3 is of 2024, and has what there was
		}
		var first []string
		for version, served := range versions {
			found := slices.Sorted(maps.Keys(served))
			if first == nil {
				first = found
			} else if !slices.Equal(found, first) {
				t.Errorf("%s(%d) has %v, another version has %v", name, version, found, first)
			}
		}
	}
}

func TestOldJIMMHasNothingThatIsNotThere(t *testing.T) {
	for method := range jimmLegacyMethods {
		if jimmMethods[method].serve == nil {
			t.Errorf("%s is in version 3 and not in 4", method)
		}
	}
	if len(jimmLegacyMethods) < 20 {
		t.Errorf("version 3 has only %d methods", len(jimmLegacyMethods))
	}
}

func TestOldLoginsAreRefusedAsNotSupported(t *testing.T) {
	for version := range 5 {
		_, user, err := NewAdmin(nil, "").Handle(t.Context(), version, "Login", json.RawMessage(`{"auth-tag":"user-admin","credentials":"hush"}`))
		if user != nil || !estate.Is(err, estate.CodeNotSupported) {
			t.Errorf("Admin(%d).Login gives %v, %v", version, user, err)
		}
	}
}
