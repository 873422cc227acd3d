package compat

import (
	"slices"
	"testing"
)

func TestWhatIsAnotherForEachRunIsTheSameAfterwards(t *testing.T) {
	for _, test := range []struct{ name, user, text, want string }{
		{"the user", "bob@example.com", "owner: bob@example.com/model", "owner: admin/model"},
		{"another user", "bob@example.com", "grant carol@example.com read", "grant carol@example.com read"},
		{"a user by the name alone", "bob@example.com", "model on dev for user 'bob'", "model on dev for user 'admin'"},
		{"an identifier", "admin", "  model-uuid: 677f439d-0893-4f0f-8262-8077d43da620", "  model-uuid: <uuid>"},
		{"an address", "admin", "api-endpoints: ['10.4.0.11:17070']", "api-endpoints: ['<address>']"},
		{"a moment", "admin", "since: 22 Nov 2026 04:22:48Z", "since: <time>"},
		{"a while", "admin", "last-connection: 3 seconds ago", "last-connection: <time>"},
		{"the width of columns", "admin", "Name   Status    \n", "Name Status"},
		{"a number", "admin", "machine-count: 2", "machine-count: 2"},
		{"a version", "admin", "agent-version: 3.6.11", "agent-version: 3.6.11"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := newNormaliser(test.user).lines(test.text); !slices.Equal(got, []string{test.want}) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestADifferenceIsWhatOnlyOneHasAsOften(t *testing.T) {
	first, second := difference([]string{"a", "b", "b", "c"}, []string{"c", "b", "d"})
	if !slices.Equal(first, []string{"a", "b"}) || !slices.Equal(second, []string{"d"}) {
		t.Errorf("only the first has %q, only the second %q", first, second)
	}
}
