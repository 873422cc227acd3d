package main

import (
	"flag"
	"testing"

	"jimm/workload/cli/pages"
)

var update = flag.Bool("update", false, "write docs/reference/jimmctl anew")

// TestReferencePages fails when the pages in docs/reference/jimmctl are not what
// the commands say of themselves; "make docs" writes them.
func TestReferencePages(t *testing.T) {
	pages.Check(t, program().Command(), "../../../docs/reference/jimmctl", *update)
}
