package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is how and where a command prints its result.
type output struct {
	format, file string
	formats      []string
	stdout       io.Writer
}

// newOutput gives a command the flags --format and --output. The first format
// is the default.
func newOutput(cmd *cobra.Command, stdout io.Writer, formats ...string) *output {
	o := &output{formats: formats, stdout: stdout}
	cmd.Flags().StringVar(&o.format, "format", formats[0], "output format: "+strings.Join(formats, ", "))
	cmd.Flags().StringVarP(&o.file, "output", "o", "", "write the result to this file")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, o.format) {
			return usageError(fmt.Sprintf("unknown format %q, want %s", o.format, strings.Join(formats, ", ")))
		}
		return nil
	}
	return o
}

// print writes a value that has JSON tags; table says how it looks as a table,
// cells being separated by tabs.
func (o *output) print(value any, table func(io.Writer)) error {
	var text []byte
	var err error
	switch o.format {
	case "json":
		if text, err = json.MarshalIndent(value, "", "  "); err == nil {
			text = append(text, '\n')
		}
	case "yaml":
		text, err = yaml.Marshal(value)
	case "tabular":
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
		table(w)
		err = w.Flush()
		text = []byte(b.String())
	}
	if err != nil {
		return fmt.Errorf("cannot format the result: %w", err)
	}
	if o.file != "" {
		if err := os.WriteFile(o.file, text, 0o644); err != nil {
			return fmt.Errorf("cannot write the result: %w", err)
		}
		return nil
	}
	_, err = o.stdout.Write(text)
	return err
}

// readInput reads a file of YAML or JSON into value, which has JSON tags; "-"
// is standard input. Keys that value has not are an error.
func readInput(file string, stdin io.Reader, value any) error {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, value); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	return nil
}
