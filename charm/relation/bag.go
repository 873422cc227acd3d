package relation

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// Bag is the content of a databag, or of a secret.
type Bag = map[string]string

// limit is how many bytes of a strange value an error quotes.
const limit = 60

// quote makes a value from elsewhere fit for an error: short, on one line.
func quote(value string) string {
	if len(value) > limit {
		return fmt.Sprintf("%.*q… (%d bytes)", limit, value, len(value))
	}
	return fmt.Sprintf("%q", value)
}

func invalid(key, value, want string) error {
	return fmt.Errorf("%s is %s, not %s", key, quote(value), want)
}

// put sets a key, but not to nothing: an empty value cannot be in a databag.
func put(bag Bag, key, value string) {
	if value != "" {
		bag[key] = value
	}
}

func putJSON(bag Bag, key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // values of our own types
	}
	bag[key] = string(text)
}

// getJSON decodes a key that may be missing.
func getJSON(bag Bag, key, want string, out any) error {
	if bag[key] == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(bag[key]), out); err != nil {
		return invalid(key, bag[key], want)
	}
	return nil
}

// word checks a value that goes into an environment or a command of ours: one
// word of printable characters. Empty is fine.
func word(key, value string) (string, error) {
	for _, r := range value {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return "", invalid(key, value, "one word")
		}
	}
	return value, nil
}

// address checks a URL with one of the schemes. Empty is fine.
func address(key, value string, schemes ...string) (string, error) {
	if value == "" {
		return "", nil
	}
	want := "a URL with " + strings.Join(schemes, " or ")
	if _, err := word(key, value); err != nil {
		return "", invalid(key, value, want)
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", invalid(key, value, want)
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return "", invalid(key, value, want)
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return value, nil
		}
	}
	return "", invalid(key, value, want)
}

// secretID checks the id of a secret. Empty is fine.
func secretID(key, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	id, found := strings.CutPrefix(value, "secret:")
	if !found || strings.TrimLeft(id, "/") == "" || strings.HasPrefix(value, "-") {
		return "", invalid(key, value, "the id of a secret")
	}
	return word(key, value)
}

// certificates checks PEM text and gives it with one line break at its end.
// Empty is fine.
func certificates(key, value string) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return "", nil
	}
	for rest := []byte(value); len(strings.TrimSpace(string(rest))) > 0; {
		block, more := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return "", invalid(key, value, "certificates in PEM")
		}
		rest = more
	}
	return value + "\n", nil
}
