// Command generate turns the authorization model from OpenFGA's language into
// the JSON that its API takes, so that the server needs no parser for it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/openfga/language/pkg/go/transformer"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate <model.fga> <model.json>")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "cannot generate the authorization model:", err)
		os.Exit(1)
	}
}

func generate(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	model, err := transform(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(to, model, 0o644)
}

// transform returns a model in JSON. The spacing is ours, because that of the
// transformer differs from run to run.
func transform(text string) ([]byte, error) {
	model, err := transformer.TransformDSLToJSON(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(model), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
