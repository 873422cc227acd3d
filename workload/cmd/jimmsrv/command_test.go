package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// jimmsrv runs the command in an environment of its own.
func jimmsrv(t *testing.T, environ map[string]string, args ...string) (string, error) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "JIMM_") || strings.HasPrefix(name, "OPENFGA_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for name, value := range environ {
		t.Setenv(name, value)
	}
	var out bytes.Buffer
	root := rootCommand()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// minimal is all that must be set.
var minimal = map[string]string{
	"JIMM_UUID": "11111111-1111-4111-8111-111111111111", "JIMM_DNS_NAME": "jimm.example.com", "JIMM_DSN": "postgres://jimm:hush-1@db/jimm",
	"JIMM_OAUTH_ISSUER_URL": "https://idp.example.com", "JIMM_OAUTH_CLIENT_ID": "jimm", "OPENFGA_HOST": "fga",
	"JIMM_SESSION_SECRET_KEY": strings.Repeat("hush-2", 11), "JIMM_SECRET_STORAGE_KEYS": strings.Repeat("A", 43) + "=",
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	out, err := jimmsrv(t, minimal, "config", "check")
	if err != nil || out != "The configuration is good.\n" {
		t.Errorf("%v %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "jimm.yaml")
	if err := os.WriteFile(file, []byte("JIMM_JWT_EXPIRY: soon\nJIMM_IS_LEADER: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = jimmsrv(t, minimal, "config", "check", "--config", file)
	if err == nil || !strings.Contains(err.Error(), "JIMM_JWT_EXPIRY must be a positive duration") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out, "JIMM_IS_LEADER has no effect: the units agree") {
		t.Errorf("got %s", out)
	}
}

func TestCheckReadsTheFilesThatSettingsName(t *testing.T) {
	environ := maps.Clone(minimal)
	file := filepath.Join(t.TempDir(), "no.pem")
	environ["JIMM_TLS_CERT"], environ["JIMM_TLS_KEY"], environ["JIMM_CA_FILE"] = file, file, file
	out, err := jimmsrv(t, environ, "config", "check")
	for _, want := range []string{"JIMM_TLS_CERT and JIMM_TLS_KEY cannot be used: open " + file, "JIMM_CA_FILE cannot be used: cannot read trusted certificates"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(out, "good") {
			t.Errorf("got %v %s, want %s", err, out, want)
		}
	}
	// What is in the file that cannot be read is not missing.
	if _, err := jimmsrv(t, nil, "config", "check", "--config", file); err == nil || strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

func TestShowShowsAllButSecrets(t *testing.T) {
	for format, decode := range map[string]func(string) error{
		"tabular": func(s string) error { return nil },
		"json":    func(s string) error { return json.Unmarshal([]byte(s), new([]map[string]any)) },
		"yaml":    func(s string) error { return yaml.Unmarshal([]byte(s), new(map[string]map[string]string)) },
	} {
		t.Run(format, func(t *testing.T) {
			out, err := jimmsrv(t, minimal, "config", "show", "--format", format)
			if err != nil {
				t.Fatal(err)
			}
			if err := decode(out); err != nil {
				t.Errorf("%v in %s", err, out)
			}
			for _, want := range []string{"JIMM_UUID", "11111111-1111", "environment", "JIMM_JWT_EXPIRY", "5m", "default", "postgres://jimm:********@db/jimm"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			if strings.Contains(out, "hush") || strings.Contains(out, "AAAA") {
				t.Errorf("a secret is in\n%s", out)
			}
		})
	}
	if _, err := jimmsrv(t, minimal, "config", "show", "--format", "xml"); err == nil {
		t.Error("xml is taken")
	}
}

func TestVersionAndHelp(t *testing.T) {
	if out, err := jimmsrv(t, nil, "version"); err != nil || !strings.HasPrefix(out, "jimmsrv unreleased (commit unknown, go") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := jimmsrv(t, nil, "--help"); err != nil || !strings.Contains(out, "NAME_FILE") || !strings.Contains(out, "HUP") {
		t.Errorf("%v %s", err, out)
	}
	if _, err := jimmsrv(t, nil, "serve"); err == nil || !strings.Contains(err.Error(), `unknown command "serve"`) {
		t.Errorf("got %v", err)
	}
}
