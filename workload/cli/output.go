package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf16"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// Output is how and where a command prints its result.
type Output struct {
	Format, File string
	file         *os.File
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
		return o.open()
	}
	return o
}

// open finds out that the file can be written before the command changes anything:
// its result may be there only once. What the file has stays until then.
func (o *Output) open() (err error) {
	if o.File == "" {
		return nil
	}
	if o.file, err = os.OpenFile(o.File, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// write puts the result in place of what the file had.
func (o *Output) write(text []byte) error {
	err := o.file.Truncate(0)
	var path *os.PathError
	if errors.As(err, &path) && errors.Is(path.Err, syscall.EINVAL) {
		err = nil // a pipe or a device has nothing to replace
	}
	if err == nil {
		_, err = o.file.Write(text)
	}
	return errors.Join(err, o.file.Close())
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
			text = append(escaped(text), '\n')
		}
	case "yaml":
		text, err = yamlOf(value)
	default:
		t := &Table{colour: o.File == "" && isTerminal(o.stdout) && o.getenv("NO_COLOR") == "" && o.getenv("TERM") != "dumb"}
		fill(t)
		text = []byte(t.String())
	}
	if err != nil {
		return fmt.Errorf("cannot format the result: %w", err)
	}
	if o.File != "" {
		if err := o.write(text); err != nil {
			return fmt.Errorf("cannot write the result: %w", err)
		}
		return nil
	}
	_, err = o.stdout.Write(text)
	return err
}

// escaped is JSON in which a terminal just shows the strings, too.
func escaped(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		if r == '\n' || !unseen(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return b.Bytes()
}

// jsonString is a string in JSON.
var jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// yamlOf is YAML in which a terminal just shows the strings, too. What has more in
// it than the library escapes by itself goes through that as a word, in whose place
// comes the string, quoted.
func yamlOf(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	word := "stand-in"
	for bytes.Contains(text, []byte(word)) {
		word += "x"
	}
	var instead []string
	text = jsonString.ReplaceAllFunc(text, func(quoted []byte) []byte {
		var s string
		if json.Unmarshal(quoted, &s) != nil || strings.IndexFunc(s, sly) < 0 {
			return quoted
		}
		stand := fmt.Sprintf("%s-%d-", word, len(instead))
		instead = append(instead, stand, quotedYAML(s))
		return []byte(`"` + stand + `"`)
	})
	if text, err = yaml.JSONToYAML(text); err != nil || instead == nil {
		return text, err
	}
	return []byte(strings.NewReplacer(instead...).Replace(string(text))), nil
}

// sly is what is unseen, but for what YAML has a form of its own for.
func sly(r rune) bool { return unseen(r) && r != '\n' && r != '\t' }

// quotedYAML is a string in double quotes.
func quotedYAML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unseen(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// readInput reads a file of YAML or JSON into value, which has JSON tags; "-"
// is standard input. Keys that value has not are an error.
func readInput(file string, stdin io.Reader, value any) error {
	text, err := readFile(file, stdin)
	if err != nil {
		return err
	}
	text, err = yaml.YAMLToJSONStrict(text)
	if err != nil {
		return fmt.Errorf("cannot read %s: %s", file, strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "))
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("cannot read %s: %s", file, misfit(err))
	}
	return nil
}

// misfit says what is wrong with what a file has, in other words than Go's.
func misfit(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return strings.Replace(strings.TrimPrefix(err.Error(), "json: "), "unknown field", "there is no key", 1)
	}
	what, want := "it", wrong.Type.Kind().String()
	if wrong.Field != "" {
		what = wrong.Field
	}
	switch wrong.Type.Kind() {
	case reflect.Slice:
		want = "a list"
	case reflect.Struct, reflect.Map:
		want = "keys with values"
	case reflect.String:
		want = "text"
	}
	return fmt.Sprintf("%s must be %s, not %s", what, want, wrong.Value)
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
