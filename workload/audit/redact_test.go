package audit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jimm/workload/audit"
)

func TestParametersAreRedactedByTheAllowList(t *testing.T) {
	long := strings.Repeat("é", 1000)
	for name, c := range map[string]struct{ facade, method, params, want string }{
		"all fields listed": {
			"ModelManager", "ModelInfo", `{"entities":[{"tag":"model-a"},{"tag":"model-b"}]}`,
			`{"entities":[{"tag":"model-a"},{"tag":"model-b"}]}`,
		},
		"a credential keeps its name and type": {
			"Cloud", "UpdateCredentialsCheckModels",
			`{"credentials":[{"tag":"cloudcred-aws_alice_work","credential":{"auth-type":"access-key","attrs":{"secret-key":"hunter2"}}}],"force":false}`,
			`{"credentials":[{"credential":{"auth-type":"access-key"},"tag":"cloudcred-aws_alice_work"}],"force":false,"redacted":true}`,
		},
		"a login keeps who": {
			"Admin", "LoginWithClientCredentials", `{"client-id":"ci","client-secret":"hunter2"}`, `{"client-id":"ci","redacted":true}`,
		},
		"a session token is all secret": {"Admin", "LoginWithSessionToken", `{"session-token":"hunter2"}`, `{"redacted":true}`},
		"a controller's password": {
			"JIMM", "AddController", `{"name":"blue","username":"admin","password":"hunter2","api-addresses":["10.0.0.1:17070"]}`,
			`{"api-addresses":["10.0.0.1:17070"],"name":"blue","redacted":true}`,
		},
		"configuration keeps its names": {
			"ModelConfig", "ModelSet", `{"config":{"proxy":"http://hunter2@proxy","a":1}}`, `{"config":["a","proxy"],"redacted":true}`,
		},
		"an action keeps its parameters' names": {
			"Action", "EnqueueOperation", `{"actions":[{"receiver":"unit-a-0","name":"get","parameters":{"password":"hunter2"}}]}`,
			`{"actions":[{"name":"get","parameters":["password"],"receiver":"unit-a-0"}],"redacted":true}`,
		},
		"commands are left out": {
			"Action", "Run", `{"commands":"echo hunter2","units":["a/0"]}`, `{"redacted":true,"units":["a/0"]}`,
		},
		"a migration keeps where to": {
			"Controller", "InitiateMigration",
			`{"specs":[{"model-tag":"model-a","target-info":{"controller-tag":"controller-b","password":"hunter2","macaroons":"hunter2"}}]}`,
			`{"redacted":true,"specs":[{"model-tag":"model-a","target-info":{"controller-tag":"controller-b"}}]}`,
		},
		"a secret keeps its URI": {
			"Secrets", "CreateSecrets", `{"args":[{"uri":"secret:x","label":"db","content":{"data":{"p":"hunter2"}}}]}`,
			`{"args":[{"label":"db","uri":"secret:x"}],"redacted":true}`,
		},
		"a version in either form":             {"ModelUpgrader", "UpgradeModel", `{"target-version":"3.6.11","model-tag":"m"}`, `{"model-tag":"m","target-version":"3.6.11"}`},
		"an unlisted method":                   {"Client", "FullStatus", `{"patterns":["hunter2"]}`, `{"redacted":true}`},
		"an unlisted facade":                   {"Nonsense", "Do", `{"a":"hunter2"}`, `{"redacted":true}`},
		"an object where a text belongs":       {"JIMM", "AddGroup", `{"name":{"password":"hunter2"}}`, `{"name":{},"redacted":true}`},
		"a text where an object belongs":       {"ModelManager", "ModelInfo", `{"entities":"hunter2"}`, `{"entities":null,"redacted":true}`},
		"a list in a list":                     {"JIMM", "AddGroup", `{"name":[["hunter2"]]}`, `{"name":[null],"redacted":true}`},
		"a text where configuration belongs":   {"ModelConfig", "ModelSet", `{"config":"hunter2"}`, `{"config":null,"redacted":true}`},
		"a list of texts for configuration":    {"ModelConfig", "ModelSet", `{"config":["hunter2"]}`, `{"config":[null],"redacted":true}`},
		"another spelling of a field":          {"JIMM", "AddGroup", `{"Name":"hunter2"}`, `{"redacted":true}`},
		"a long text":                          {"JIMM", "AddGroup", `{"name":"a` + long + `"}`, `{"name":"a` + long[:1022] + `","redacted":true}`},
		"a number out of bounds":               {"JIMM", "AddGroup", `{"name":1e999999999999999999999999}`, `{"name":null,"redacted":true}`},
		"no object":                            {"JIMM", "AddGroup", `["hunter2"]`, `{"redacted":true}`},
		"no JSON":                              {"JIMM", "AddGroup", `{"name":"hunter2`, `{"redacted":true}`},
		"more than one value":                  {"JIMM", "AddGroup", `{"name":"a"} {"name":"hunter2"}`, `{"redacted":true}`},
		"deeply nested":                        {"JIMM", "AddGroup", `{"name":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, `{"name":[null],"redacted":true}`},
		"more deeply nested than JSON is read": {"JIMM", "AddGroup", `{"name":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, `{"redacted":true}`},
		"no parameters":                        {"JIMM", "AddGroup", ``, ``},
		"null":                                 {"JIMM", "AddGroup", `null`, ``},
		"an empty object":                      {"Client", "FullStatus", `{}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(audit.Redact(c.facade, c.method, json.RawMessage(c.params))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestLongListsAreCut(t *testing.T) {
	params := json.RawMessage(`{"machine-tags":[` + strings.Repeat(`"machine-1",`, 500) + `"machine-2"]}`)
	var got struct {
		Tags     []string `json:"machine-tags"`
		Redacted bool
	}
	check(t, json.Unmarshal(audit.Redact("MachineManager", "DestroyMachineWithParams", params), &got))
	if len(got.Tags) != 100 || !got.Redacted {
		t.Errorf("%d elements are kept, redacted %v", len(got.Tags), got.Redacted)
	}
}

func TestWhatIdleClientsRepeatIsNotWorthRecording(t *testing.T) {
	for call, want := range map[string]bool{
		"Pinger.Ping": false, "NotifyWatcher.Next": false, "AllWatcher.Next": false, "ModelSummaryWatcher.Stop": false,
		"ModelManager.CreateModel": true, "Admin.LoginDevice": true, "Nonsense.Next": true, "JIMM.Ping": true, ".": true,
	} {
		facade, method, _ := strings.Cut(call, ".")
		if got := audit.Worth(facade, method); got != want {
			t.Errorf("Worth of %s is %v", call, got)
		}
	}
}

// facadeSchema is one of what Juju publishes of its API.
type facadeSchema struct {
	Name   string
	Schema struct {
		Properties map[string]struct {
			Properties struct{ Params *schema }
		}
		Definitions map[string]*schema
	}
}

type schema struct {
	Ref               string `json:"$ref"`
	Type              string
	Items             *schema
	Properties        map[string]*schema
	PatternProperties map[string]*schema
}

// example makes a value of a schema in which every text tells its own path,
// and what is free-form is a secret.
func example(s *schema, definitions map[string]*schema, path string, depth int) any {
	if s == nil || depth > 12 {
		return nil
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
		return example(definitions[name], definitions, path, depth+1)
	}
	switch s.Type {
	case "array":
		return []any{example(s.Items, definitions, path, depth+1)}
	case "string":
		return path
	case "integer", "number":
		return 1
	case "boolean":
		return true
	}
	if len(s.Properties) == 0 {
		return map[string]any{"hunter": "hunter2 at " + path}
	}
	object := map[string]any{}
	for name, field := range s.Properties {
		object[name] = example(field, definitions, strings.TrimPrefix(path+"."+name, "."), depth+1)
	}
	return object
}

// Juju's own schema says what parameters there are: whatever they are called,
// none that could hold a secret may come through.
func TestNoFieldOfJujusSchemaThatCouldHoldASecretIsKept(t *testing.T) {
	secretive := regexp.MustCompile(`(?i)password|secret|token|macaroon|cert|attrs|content|command|nonce|yaml|keys|user-data|private|hunter2|credentials$`)
	// Names and switches, not secrets.
	harmless := map[string]bool{
		"secret-backend-name": true, // of ModelConfig.SetModelSecretBackend
		"ssh-keys":            true, // of KeyManager.ImportKeys: gh:name or lp:name
		"keys":                true, // of ModelConfig.ModelUnset: names of settings
		"keys.cloud-tag":      true, "keys.cloud-region": true, "keys.keys": true,
	}
	methods := 0
	for _, f := range jujuSchema(t) {
		for method, m := range f.Schema.Properties {
			if m.Properties.Params == nil {
				continue
			}
			methods++
			params, err := json.Marshal(example(m.Properties.Params, f.Schema.Definitions, "", 0))
			check(t, err)
			var kept any
			check(t, json.Unmarshal(audit.Redact(f.Name, method, params), &kept))
			texts(kept, func(text string) {
				if secretive.MatchString(text) && !harmless[text] {
					t.Errorf("%s.%s keeps %q", f.Name, method, text)
				}
			})
		}
	}
	if methods < 100 {
		t.Fatalf("the schema has only %d methods with parameters", methods)
	}
}

func texts(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, element := range v {
			texts(element, visit)
		}
	case map[string]any:
		for _, field := range v {
			texts(field, visit)
		}
	}
}

// A misspelt name in the allow-list would keep nothing, silently.
func TestTheAllowListNamesWhatJujusSchemaHas(t *testing.T) {
	type key struct{ facade, method string }
	examples := map[key]any{}
	for _, f := range jujuSchema(t) {
		for method, m := range f.Schema.Properties {
			examples[key{f.Name, method}] = example(m.Properties.Params, f.Schema.Definitions, "", 0)
		}
	}
	lines := 0
	for line := range strings.Lines(audit.Allowed) {
		name, paths, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(name, "~") {
			continue
		}
		lines++
		facade, method, _ := strings.Cut(name, ".")
		value, ok := examples[key{facade, method}]
		if !ok {
			t.Errorf("Juju has no %s", name)
			continue
		}
		for path := range strings.FieldsSeq(paths) {
			if !strings.HasPrefix(path, "~") && !has(value, strings.Split(path, ".")) {
				t.Errorf("%s has no parameter %s", name, path)
			}
		}
	}
	if lines < 80 {
		t.Fatalf("only %d lines were looked at", lines)
	}
}

// has reports whether an example value has what a path of the allow-list names.
func has(value any, path []string) bool {
	if list, ok := value.([]any); ok {
		return has(list[0], path)
	}
	object, isObject := value.(map[string]any)
	if len(path) == 0 {
		return !isObject
	}
	if path[0] == "*" {
		return isObject
	}
	field, ok := object[path[0]]
	return isObject && ok && has(field, path[1:])
}

func jujuSchema(t *testing.T) []facadeSchema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/juju/juju").Output()
	check(t, err)
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "apiserver", "facades", "schema.json"))
	check(t, err)
	var all []facadeSchema
	check(t, json.Unmarshal(b, &all))
	return all
}

func FuzzRedact(f *testing.F) {
	f.Add("JIMM", "AddGroup", []byte(`{"name":"a","x":"hunter2"}`))
	f.Add("ModelConfig", "ModelSet", []byte(`{"config":{"a":["hunter2"]}}`))
	f.Fuzz(func(t *testing.T, facade, method string, params []byte) {
		got := audit.Redact(facade, method, params)
		if got != nil && !json.Valid(got) {
			t.Errorf("not JSON: %q", got)
		}
	})
}
