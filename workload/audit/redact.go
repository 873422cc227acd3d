package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Worth reports whether a call belongs in the audit log. What an idle client
// repeats without meaning anything does not: pings, and asking watchers for
// what is next.
func Worth(facade, method string) bool {
	switch method {
	case "Ping":
		return facade != "Pinger"
	case "Next", "Stop":
		return !strings.HasSuffix(facade, "Watcher")
	}
	return true
}

// What is kept of a value.
const (
	maxText     = 1024 // bytes
	maxElements = 100
)

// redacted stands for parameters of which nothing may be kept.
var redacted = json.RawMessage(`{"redacted":true}`)

// Redact returns what may be kept of a call's parameters: the fields that the
// allow-list names for the method, texts cut to 1 KiB and lists to 100
// elements, with "redacted":true beside them if anything was left out. It
// returns nil for no parameters.
func Redact(facade, methodName string, params json.RawMessage) json.RawMessage {
	if empty(params) {
		return nil
	}
	rule := rules[method{facade, methodName}]
	if rule == nil {
		return redacted
	}
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil || decoder.More() {
		return redacted
	}
	r := redaction{}
	kept, ok := r.keep(rule, tree).(map[string]any)
	if !ok {
		return redacted
	}
	if r.leftOut {
		kept["redacted"] = true
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return redacted
	}
	return b
}

// rule says what to keep of an object: fields, by name. Of an array, the rule
// is about its elements.
type rule struct {
	fields map[string]*rule
	// leaf is set on what is kept as it is: a scalar, or an array of scalars.
	leaf bool
	// keys is set on an object of which only the names of the fields are kept.
	keys bool
}

// redaction remembers whether anything was left out.
type redaction struct{ leftOut bool }

// keep returns what a rule keeps of a value; nil for nothing.
func (r *redaction) keep(rule *rule, value any) any {
	switch value := value.(type) {
	case []any:
		if len(value) > maxElements {
			value, r.leftOut = value[:maxElements], true
		}
		kept := make([]any, len(value))
		for i, element := range value {
			if _, nested := element.([]any); nested { // no wire type has that where something is kept
				r.leftOut = true
				continue
			}
			kept[i] = r.keep(rule, element)
		}
		return kept
	case map[string]any:
		if rule.keys {
			return r.names(value)
		}
		kept := map[string]any{}
		for name, field := range value {
			sub := rule.fields[name]
			if sub == nil {
				r.leftOut = true
				continue
			}
			kept[name] = r.keep(sub, field)
		}
		return kept
	case string:
		if !rule.leaf {
			break
		}
		if len(value) > maxText {
			value, r.leftOut = strings.ToValidUTF8(value[:maxText], ""), true
		}
		return value
	case json.Number:
		if !rule.leaf || len(value) > 24 {
			break
		}
		return value
	case bool:
		if rule.leaf {
			return value
		}
	case nil:
		return nil
	}
	r.leftOut = true
	return nil
}

// names returns the names of an object's fields.
func (r *redaction) names(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		if len(name) > maxText {
			name = strings.ToValidUTF8(name[:maxText], "")
		}
		names = append(names, name)
	}
	r.leftOut = r.leftOut || len(names) > 0
	slices.Sort(names)
	return names[:min(len(names), maxElements)]
}
