package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// Output is how and where a command prints its result.
type Output struct {
	Format, File string
	stdout       io.Writer
	getenv       func(string) string
}

// NewOutput gives a command the flags --format and --output. The first format
// is the default.
func (j *JAAS) NewOutput(cmd *cobra.Command, formats ...string) *Output {
	o := &Output{stdout: j.Stdout, getenv: j.Getenv}
	cmd.Flags().StringVar(&o.Format, "format", formats[0], "output format: "+strings.Join(formats, ", "))
	cmd.Flags().StringVarP(&o.File, "output", "o", "", "write the result to this `FILE`")
	// The error would be that there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, o.Format) {
			return UsageError(fmt.Sprintf("unknown format %q, want %s", o.Format, strings.Join(formats, ", ")))
		}
		return nil
	}
	return o
}

// Tabular tells that the result is for people.
func (o *Output) Tabular() bool { return o.Format == "tabular" }

// Print writes a value that has JSON tags; fill says how it looks as a table.
func (o *Output) Print(value any, fill func(*Table)) error {
	var text []byte
	var err error
	switch o.Format {
	case "json":
		if text, err = json.MarshalIndent(value, "", "  "); err == nil {
			text = append(text, '\n')
		}
	case "yaml":
		text, err = yaml.Marshal(value)
	default:
		t := &Table{colour: o.File == "" && isTerminal(o.stdout) && o.getenv("NO_COLOR") == "" && o.getenv("TERM") != "dumb"}
		fill(t)
		text = []byte(t.String())
	}
	if err != nil {
		return fmt.Errorf("cannot format the result: %w", err)
	}
	if o.File != "" {
		if err := os.WriteFile(o.File, text, 0o644); err != nil {
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
	text, err := readFile(file, stdin)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, value); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	return nil
}

// inputLimit is what a file that a command reads may have, in bytes.
const inputLimit = 16 << 20

// readFile reads a whole file; "-" is standard input.
func readFile(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the file: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, inputLimit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the file: %w", err)
	}
	if len(text) > inputLimit {
		return nil, fmt.Errorf("cannot read %s: it has more than %d MB", file, inputLimit>>20)
	}
	return text, nil
}
