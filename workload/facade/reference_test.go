package facade_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jimm/workload/facade"
)

// TestTheReferenceListsEveryMethod compares the JIMM facade with its page.
func TestTheReferenceListsEveryMethod(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/facade-jimm.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(facade.Served()["JIMM"][4], listed); diff != "" {
		t.Errorf("methods that are served and listed (-served +listed):\n%s", diff)
	}
}
