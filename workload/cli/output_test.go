package cli

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestWhatATerminalWouldObeyIsEscapedInEveryFormat(t *testing.T) {
	value := map[string]any{
		"plain": "größer: 日本", "lines": "a\nb\tc\n", "number": 12345678901.0, "float": 0.5, "none": nil, "yes": true, "word": "stand-in-0-",
		"turned": "user\u202egnp.exe", "isolated": "\u2066a\u2069 \"b\" \\", "byte order": "\ufeffx", "joined": "a\u200bb\u00ad", "lines too": "a\u2028b\u0085c\nd",
		"control": "\x1b]0;x\x07\x7f\u009b31m\r", "private": "\ue000\U000f0000", "tag": "a\U000e0001b",
		"list": []any{"\u202ea", map[string]any{"key\u202ea": "\u061c"}},
	}
	for _, format := range []string{"json", "yaml"} {
		var out bytes.Buffer
		o := &Output{Format: format, stdout: &out}
		if err := o.Print(value, nil); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && unseen(r) {
				t.Errorf("%s has %q as it is", format, r)
			}
		}
		var got map[string]any
		parse := func(text []byte, into any) error { return yaml.Unmarshal(text, into) }
		if format == "json" {
			parse = json.Unmarshal
		}
		if err := parse(out.Bytes(), &got); err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s comes back as %q, %v, from\n%s", format, got, err, out.String())
		}
	}
}

// What needs no escapes looks as the library writes it.
func TestYAMLIsPlainWhereItCanBe(t *testing.T) {
	value := map[string]any{"name": "größer", "text": "a\nb\n", "many": []string{"x: y", "12"}, "long": strings.Repeat("word ", 50)}
	want, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := yamlOf(value); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}
