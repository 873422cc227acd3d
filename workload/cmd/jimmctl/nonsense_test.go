package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode"

	"jimm/workload/cli"
)

// TestOperatorsCommandsRefuseNonsense tries arguments, flags and settings that make
// no sense on what operators run. The other commands have tests of their own, against
// a server.
func TestOperatorsCommandsRefuseNonsense(t *testing.T) {
	const secret = "hush-hush"
	long := strings.Repeat("x", 1<<20)
	settings := map[string]map[string]string{
		"none":        {},
		"no database": {"JIMM_DSN": "postgres://jimm:" + secret + "@127.0.0.1:1/jimm?connect_timeout=1"},
		"no URL":      {"JIMM_DSN": "postgres://jimm:" + secret + "@[::1/\x1b[2J"},
		"nonsense":    {"JIMM_DSN": "jimm " + secret, "JIMM_SECRET_STORAGE": "cupboard\x07", "JIMM_SECRET_STORAGE_KEYS": secret, "OPENFGA_PORT": long, "VAULT_ADDR": "\x1b]0;x\x07"},
	}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "JIMM_") || strings.HasPrefix(name, "OPENFGA_") || strings.HasPrefix(name, "VAULT_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	for _, command := range operatorCommands(program()) {
		name := command.Name()
		lines := map[string][]string{
			"as it is": {}, "an argument": {"x"}, "a hostile argument": {"\x1b[2J\xff\n'; drop table models; --"}, "a long argument": {long},
			"an empty argument": {""}, "no such flag": {"--no-such"}, "no such format": {"--format", "\x1b[2J"}, "no format": {"--format"},
			"no such file": {"--config", "/none\x07"}, "no time": {"--timeout", "-1"},
		}
		for how, line := range lines {
			for which, set := range settings {
				t.Run(name+" with "+how+" and "+which+" settings", func(t *testing.T) {
					for variable, value := range set {
						t.Setenv(variable, value)
					}
					var out bytes.Buffer
					j := program()
					j.Stdin, j.Stdout, j.Stderr = strings.NewReader(""), &out, &out
					j.Operator = operatorCommands(j)
					code := j.Main(t.Context(), append([]string{"jimmctl", name}, line...))
					wrong := len(line) > 0 && !(name == "doctor" && (how == "no such file" || how == "no time"))
					if code == 0 || wrong && code != cli.ExitUsage || out.Len() == 0 {
						t.Errorf("exit code %d, and it says %.300q", code, out.String())
					}
					if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
						t.Errorf("it prints what is not for a terminal: %.200q", out.String()[max(0, i-60):])
					}
					if out.Len() > 20_000 || strings.Contains(out.String(), secret) {
						t.Errorf("it prints %d bytes: %.300q", out.Len(), out.String())
					}
				})
			}
		}
	}
}
