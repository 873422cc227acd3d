package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"jimm/workload/dev"
	"jimm/workload/facade"
	"jimm/workload/rpc"
	"jimm/workload/server"
)

// Values that have no business where a method wants another one, as JSON.
var (
	wrongTypes   = []string{`null`, `7`, `-1`, `1.5`, `1e308`, `true`, `"x"`, `""`, `[]`, `{}`, `[null]`, `[[]]`, `{"a":{"b":[1]}}`, strings.Repeat("[", 9000) + strings.Repeat("]", 9000)}
	hostileTexts = []string{
		`"` + strings.Repeat("x", 1<<20) + `"`, `"\u0000"`, `"a\u0000b"`, `"a\nb\tc\r"`, `"\u001b[2J\u001b]0;x\u0007"`, `"\u009b2J\u202egnp"`,
		`"'; drop table models; --"`, `"$(reboot)` + "`reboot`" + `"`, `"../../../etc/passwd"`, `"%s%n%d"`, `"\ud800"`, "\"\xff\xfe\"", `" "`, `"*"`,
		`"model-"`, `"user-@"`, `"user-a\u0000b@example.com"`, `"user-everyone@external"`, `"controller-"`, `"group-\u0000#member"`, `"a/b/c"`,
	}
	hostileNumbers = []string{`0`, `-9223372036854775808`, `9223372036854775807`, `18446744073709551615`, `4294967296`, `1e400`, `"7"`}
	hostileTimes   = []string{`"yesterday"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"99999-01-01T00:00:00Z"`, `"-1"`}
)

// examples are what a parameter of this name may be.
var examples = map[string]string{
	"cloud-tag": "cloud-dev", "model-tag": "model-${model}", "user-tag": bob, "owner-tag": alice, "tag": "model-${model}", "credential-tag": credential,
	"cloudcred-tag": credential, "controller-tag": "controller-${model}", "name": "hostile", "new-name": "hostile2", "uuid": "${model}",
	"controller-name": "juju36", "controller": "juju36", "target-controller": "juju36", "cloud-name": "dev", "cloud": "dev", "region": "west", "owner": "alice@example.com",
	"qualifier": "alice@example.com", "model-qualifier": "alice@example.com/hostile", "object": bob, "relation": "reader", "target_object": "model-${model}",
	"type": "jq", "query": ".model.name", "level": "read", "access": "read", "action": "grant", "auth-type": "empty", "method": "AddGroup",
	"juju-version": "4.1", "offer-url": "alice@example.com/hostile.db", "offer-urls": "alice@example.com/hostile.db", "application-name": "db", "offer-name": "db",
	"statuses": "failed", "continuation-token": "", "continuation_token": "", "cursor": "", "password": "pw", "username": "admin", "api-addresses": "127.0.0.1:1",
	"public-address": "127.0.0.1:1", "after": "2026-01-01T00:00:00Z", "before": "2026-01-01T00:00:00Z", "min-version": "3.6.0",
}

// example makes parameters of a type that may make sense, for JSON.
func example(t reflect.Type, name string, depth int) any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return json.RawMessage(`"2026-01-01T00:00:00Z"`)
	case depth > 6:
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return example(t.Elem(), name, depth)
	case reflect.Slice, reflect.Array:
		return []any{example(t.Elem(), name, depth+1)}
	case reflect.Map:
		return map[string]any{"key": example(t.Elem(), name, depth+1)}
	case reflect.Struct:
		all := map[string]any{}
		for i := range t.NumField() {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case tag == "-" || !f.IsExported():
			case tag == "" && f.Anonymous:
				if inner, ok := example(f.Type, name, depth).(map[string]any); ok {
					maps.Copy(all, inner)
				}
			default:
				if tag == "" {
					tag = f.Name
				}
				all[tag] = example(f.Type, tag, depth+1)
			}
		}
		return all
	case reflect.String:
		if text, ok := examples[strings.ToLower(name)]; ok {
			return text
		}
		return "text"
	case reflect.Bool:
		return false
	case reflect.Interface:
		return "anything"
	}
	return json.RawMessage("1") // a number
}

// spoil calls emit with all variants of a value in which one part is not what it
// should be, and how it is wrong.
func spoil(value any, emit func(bad any, how string)) {
	texts := wrongTypes
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			spoil(v[key], func(bad any, how string) {
				other := maps.Clone(v)
				other[key] = bad
				emit(other, key+" "+how)
			})
			without := maps.Clone(v)
			delete(without, key)
			emit(without, "no "+key)
		}
		more := maps.Clone(v)
		more["extra"] = map[string]any{"Name": "hostile"}
		more["\x00"] = 1
		emit(more, "more keys")
	case []any:
		for i := range v {
			spoil(v[i], func(bad any, how string) {
				other := slices.Clone(v)
				other[i] = bad
				emit(other, how)
			})
		}
		emit(slices.Repeat(v, 500), "very many")
		emit(append(slices.Clone(v), nil), "and null")
	case json.RawMessage:
		texts = slices.Concat(texts, hostileNumbers, hostileTimes)
	case string:
		texts = slices.Concat(texts, hostileTexts)
	}
	for _, text := range texts {
		emit(json.RawMessage(text), "is "+text[:min(len(text), 40)])
	}
}

// drastic are methods that would take the ground from under those that follow: they
// are asked about what is not there.
func drastic(method string) bool {
	for _, verb := range []string{"Remove", "Destroy", "Revoke", "Purge", "Unset", "Rotate", "UpdateMigratedModel"} {
		if strings.HasPrefix(method, verb) {
			return true
		}
	}
	return false
}

// reads matches the methods that change nothing, whatever they are asked.
var reads = regexp.MustCompile(`^(List|Get|Show|Find|Check|Explain|Version|.*Info|.*Status|.*Overview|CrossModelQuery|JobInfo|Supported.*)`)

// TestNoParametersDoHarm asks every method of every facade with parameters that
// make no sense. What fails says why, with a code, and has changed nothing.
func TestNoParametersDoHarm(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	stack, err := dev.Start(ctx, dev.Options{Dir: t.TempDir(), Juju: "sim", Server: func(c *server.Config) { c.QueryTimeout = time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &wire{t: t, ctx: ctx, stack: stack, kept: map[string]string{}}
	w.logIn()
	reply := w.ask("ModelManager", 11, "", "CreateModel", `{"name":"hostile","qualifier":"alice@example.com","cloud-tag":"cloud-dev","region":"west"}`)
	model := at(t, reply, "response.uuid")
	served := facade.Served()
	for _, name := range slices.Sorted(maps.Keys(served)) {
		version := slices.Max(slices.Collect(maps.Keys(served[name])))
		for _, method := range served[name][version] {
			h := &harm{wire: w, facade: name, version: version, method: method, limit: 10}
			if name == "JIMM" {
				h.limit = 80
			}
			t.Run(name+"."+method, func(t *testing.T) {
				h.t = t
				h.all(model)
			})
		}
	}
}

// harm tries to do harm with one method.
type harm struct {
	*wire
	t       *testing.T
	facade  string
	version int
	method  string
	// limit is how many variants of parameters are tried, of those there are.
	limit int
	bad   int
}

func (h *harm) all(model string) {
	type variant struct {
		params any
		how    string
	}
	var variants []variant
	if t := facade.Parameters(h.facade, h.version, h.method); t != nil {
		spoil(example(t, "", 0), func(bad any, how string) { variants = append(variants, variant{bad, how}) })
	}
	step := max(1, float64(len(variants))/float64(h.limit))
	var tried []variant
	for i := 0.0; int(i) < len(variants); i += step {
		tried = append(tried, variants[int(i)])
	}
	for _, params := range wrongTypes {
		tried = append(tried, variant{json.RawMessage(params), "all is " + params[:min(len(params), 40)]})
	}
	replace := strings.NewReplacer("${model}", model)
	if drastic(h.method) {
		replace = strings.NewReplacer("${model}", "00000000-0000-4000-8000-000000000000", "juju36", "nowhere", "hostile", "nothing", "cloud-dev", "cloud-moon")
	}
	before := h.dump()
	for _, v := range tried {
		params, err := json.Marshal(v.params)
		if err != nil {
			h.t.Fatal(err)
		}
		if refused := h.try(replace.Replace(string(params)), v.how); !refused && !reads.MatchString(h.method) {
			before = h.dump()
		}
		if h.bad > 5 {
			return // it has been said
		}
	}
	if after := h.dump(); after != before {
		h.t.Errorf("what was refused has changed something: %s", firstDifference(before, after))
	}
}

func (h *harm) dump() string {
	h.t.Helper()
	text, err := h.stack.Dump(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// try asks once, and tells whether it was refused.
func (h *harm) try(params, how string) (refused bool) {
	h.text.Reset()
	h.last++
	frame := rpc.AppendRequest(nil, &rpc.Request{RequestID: h.last, Type: h.facade, Version: h.version, Method: h.method, Params: json.RawMessage(params)})
	complain := func(format string, args ...any) {
		h.bad++
		h.t.Errorf("%s: %s", how, fmt.Sprintf(format, args...))
	}
	answered := time.AfterFunc(5*time.Minute, func() { _ = h.conn.Close() }) // what hangs fails
	defer answered.Stop()
	if err := h.conn.WriteFrame(frame); err != nil {
		complain("%v", err)
		h.logIn()
		return true
	}
	defer h.conn.Ask()()
	reply, err := h.conn.ReadFrame()
	if err != nil {
		complain("the connection ends: %v", err)
		h.logIn()
		return true
	}
	defer reply.Release()
	text := bytes.Clone(reply.Bytes())
	var answer struct {
		Error    string          `json:"error"`
		Code     string          `json:"error-code"`
		Response json.RawMessage `json:"response"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		complain("%v in %.200s", err, text)
		return true
	}
	check := func(message, code string) {
		switch {
		case strings.Contains(message, "internal error") || code == "" && h.facade == "JIMM":
			complain("the error is %.300q with code %q", message, code)
		case len(message) > 4000:
			complain("the error has %d bytes: %.100q…", len(message), message)
		case !utf8.ValidString(message) || strings.ContainsFunc(message, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
			complain("the error is not for a terminal: %.300q", message)
		}
	}
	if answer.Error != "" {
		check(answer.Error, answer.Code)
		return true
	}
	var results any
	if len(answer.Response) > 0 && json.Unmarshal(answer.Response, &results) == nil {
		eachError(results, check)
	}
	return false
}

// eachError finds the errors within a result.
func eachError(value any, found func(message, code string)) {
	switch v := value.(type) {
	case map[string]any:
		if e, ok := v["error"].(map[string]any); ok {
			message, _ := e["message"].(string)
			code, _ := e["code"].(string)
			found(message, code)
		}
		for _, inner := range v {
			eachError(inner, found)
		}
	case []any:
		for _, inner := range v {
			eachError(inner, found)
		}
	}
}
