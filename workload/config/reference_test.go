package config

import (
	"os"
	"regexp"
	"testing"
)

// TestTheReferenceListsEveryVariable compares the variables that this package
// names with those in docs/reference/configuration.md.
func TestTheReferenceListsEveryVariable(t *testing.T) {
	find := func(pattern string, files ...string) map[string]bool {
		t.Helper()
		found := map[string]bool{}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				found[match[1]] = true
			}
		}
		return found
	}
	const name = `((?:JIMM|OPENFGA|CORS|VAULT|BAKERY)_[A-Z_]*[A-Z])`
	code := find(`"`+name+`"`, "config.go", "browsers.go", "vault.go", "hookservice.go", "load.go", "elsewhere.go")
	docs := find("`"+name+"`", "../../docs/reference/configuration.md")
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
