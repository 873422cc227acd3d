package config

import (
	"os"
	"regexp"
	"testing"
)

// TestTheReferenceListsEveryVariable compares the variables that config.go
// names with those in docs/reference/configuration.md.
func TestTheReferenceListsEveryVariable(t *testing.T) {
	find := func(file, pattern string) map[string]bool {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
		}
		return found
	}
	const name = `((?:JIMM|OPENFGA|CORS|VAULT)_[A-Z_]*[A-Z])`
	code := find("config.go", `"`+name+`"`)
	docs := find("../../docs/reference/configuration.md", "`"+name+"`")
	if len(code) == 0 {
		t.Fatal("no variables found in config.go")
	}
	for variable := range code {
		if !docs[variable] {
			t.Errorf("%s is not in docs/reference/configuration.md", variable)
		}
	}
	for variable := range docs {
		if !code[variable] {
			t.Errorf("%s is in docs/reference/configuration.md, and not a setting", variable)
		}
	}
}
