package postgres

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// instant is a time as a column: zero is null.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// since is the reverse of instant, in UTC.
func since(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// document encodes a value for a JSON column. Documents come from peers, so
// what PostgreSQL's JSON can't hold, NUL characters and numbers out of all
// bounds, is replaced rather than refused.
func document(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || !bytes.Contains(b, []byte(`\u0000`)) {
		return b, err
	}
	return cleanDocument(b)
}

// cleanDocument is document for JSON that Go did not encode. Most of it can be
// taken as it is.
func cleanDocument(b []byte) ([]byte, error) {
	if isPlain(b) && utf8.Valid(b) && json.Valid(b) {
		return b, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(clean(tree))
}

// isPlain reports whether JSON has no escaped code points, among which are those
// that PostgreSQL does not take, and no numbers but short ones without exponent.
func isPlain(b []byte) bool {
	text, number := false, 0
	for i, c := range b {
		switch {
		case c == '\\':
			if i+1 < len(b) && b[i+1] == 'u' {
				return false
			}
		case c == '"' && !escaped(b[:i]):
			text = !text
		case text:
		case c >= '0' && c <= '9' || c == '-' || c == '.' || c == '+':
			if number++; number > 40 {
				return false
			}
		case (c == 'e' || c == 'E') && number > 0:
			return false
		default:
			number = 0
		}
	}
	return true
}

// escaped reports whether what follows some JSON is escaped.
func escaped(b []byte) bool {
	n := len(b) - len(bytes.TrimRight(b, `\`))
	return n%2 == 1
}

func clean(v any) any {
	switch v := v.(type) {
	case string:
		return cleanText(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil || len(v) > 40 {
			return string(v)
		}
		if strings.ContainsAny(string(v), "eE") {
			return f // which settles exponents
		}
	case []any:
		for i := range v {
			v[i] = clean(v[i])
		}
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for key, value := range v {
			cleaned[cleanText(key)] = clean(value)
		}
		return cleaned
	}
	return v
}

func cleanText(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }

// list makes an array column's value of a slice that may be nil.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// orNil is the reverse of list.
func orNil(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}
