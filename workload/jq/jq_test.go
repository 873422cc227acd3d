package jq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/jq"
)

// run runs a program on documents, and returns what it finds in each.
func run(t *testing.T, r *jq.Runner, patience time.Duration, program string, documents ...string) ([]estate.QueryResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	in := make(chan estate.QueryDocument, len(documents))
	for i, d := range documents {
		in <- estate.QueryDocument{Key: fmt.Sprint(i), Document: json.RawMessage(d)}
	}
	close(in)
	var found []estate.QueryResult
	err := r.Run(ctx, program, patience, in, func(result estate.QueryResult) { found = append(found, result) })
	return found, err
}

func TestAProgramRunsOnEachDocument(t *testing.T) {
	found, err := run(t, new(jq.Runner), time.Minute, `.a[] | . * 2`, `{"a": [1, 2]}`, `{"a": []}`, `{"a": "x"}`, `{"a": [12345678901234567890]}`)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, r := range found {
		got += fmt.Sprintf("%s: %s %s\n", r.Key, r.Results, r.Error)
	}
	want := "0: [2 4] \n1: [] \n2: [] cannot iterate over: string (\"x\")\n3: [24691357802469135780] \n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestAHostileProgramIsStopped(t *testing.T) {
	t.Setenv("JIMM_SECRET", "for nobody")
	r := &jq.Runner{Memory: 128 << 20, Results: 1 << 20}
	for name, test := range map[string]struct{ program, code, text string }{
		"no program":                  {"def f: .; f |", estate.CodeBadRequest, "not a jq program"},
		"nested without end":          {strings.Repeat("(", 60_000), estate.CodeBadRequest, "not a jq program"},
		"that never ends":             {"def f: f; f", "", "too long"},
		"that never ends to repeat":   {"[repeat(1)] | length", "", "too long"},
		"that wants all memory":       {`[range(1e10)] | length`, estate.CodeTooLarge, "too much memory"},
		"that makes a long string":    {`reduce range(30) as $i ("xxxxxxxxxx"; . + .) | length`, estate.CodeTooLarge, "too much memory"},
		"that nests without end":      {`def f: [f]; f`, estate.CodeTooLarge, "too much memory"},
		"that finds too much":         {`"x" * 2000000`, estate.CodeTooLarge, "more than can be sent"},
		"with too many results":       {`range(1e9)`, "", "more than"},
		"that looks at files":         {`input`, estate.CodeBadRequest, "not allowed"},
		"that looks at modules":       {`import "a" as a; .`, estate.CodeBadRequest, "not a jq program"},
		"that looks at the secrets":   {`if env == {} and $ENV == {} then error("nothing to see") else . end`, "", "nothing to see"},
		"that halts":                  {`halt_error`, "", "halt"},
		"that reads what is not JSON": {`"[[" | fromjson`, "", "fromjson"},
	} {
		t.Run(name, func(t *testing.T) {
			patience := 2 * time.Minute // what else is wrong comes first
			if test.text == "too long" {
				patience = 300 * time.Millisecond
			}
			found, err := run(t, r, patience, test.program, `{}`)
			text := fmt.Sprint(err)
			if err == nil && len(found) == 1 {
				text = found[0].Error
			}
			if estate.CodeOf(err) != test.code || !strings.Contains(text, test.text) {
				t.Errorf("it ends with %q (code %q), want %q (%q)", text, estate.CodeOf(err), test.text, test.code)
			}
		})
	}
}

func TestAProgramEndsWithWhoeverWantedIt(t *testing.T) {
	one := &jq.Runner{AtOnce: 1}
	// Somebody who sends no document keeps the only place.
	gone, leave := context.WithCancel(t.Context())
	waiting, first := make(chan estate.QueryDocument), make(chan error, 1)
	go func() { first <- one.Run(gone, ".", time.Hour, waiting, func(estate.QueryResult) {}) }()
	waiting <- estate.QueryDocument{Key: "0", Document: json.RawMessage(`{}`)}
	for name, test := range map[string]struct {
		runner  *jq.Runner
		program string
		until   time.Duration
	}{
		"while it runs":             {new(jq.Runner), "def f: f; f", 200 * time.Millisecond},
		"before it runs":            {new(jq.Runner), ".", 0},
		"while it waits for others": {one, ".", 50 * time.Millisecond},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), test.until)
		in := make(chan estate.QueryDocument, 1)
		in <- estate.QueryDocument{Key: "0", Document: json.RawMessage(`{}`)}
		close(in)
		err := test.runner.Run(ctx, test.program, time.Hour, in, func(estate.QueryResult) {})
		cancel()
		if !estate.Is(err, estate.CodeBadRequest) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s it ends with %v", name, err)
		}
	}
	leave()
	close(waiting)
	<-first
}

func TestAProgramIsCheckedWithoutDocuments(t *testing.T) {
	r := &jq.Runner{AtOnce: 1}
	for range 2 { // neither keeps the only place
		if err := r.Check(t.Context(), ".model.name"); err != nil {
			t.Errorf("a good program: %v", err)
		}
		if err := r.Check(t.Context(), ".model."); !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("a bad program: %v", err)
		}
	}
}
