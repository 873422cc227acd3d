package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheInstallGuidesSettingsAreGood reads the file and the variables that
// docs/howto/install.md shows.
func TestTheInstallGuidesSettingsAreGood(t *testing.T) {
	b, err := os.ReadFile("../../docs/howto/install.md")
	if err != nil {
		t.Fatal(err)
	}
	var settings []string
	for line := range strings.Lines(string(b)) {
		if regexp.MustCompile(`^(?:JIMM|OPENFGA)_[A-Z_]+: `).MatchString(line) {
			settings = append(settings, strings.TrimSpace(line))
		}
	}
	dir := t.TempDir()
	var environ []string
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(string(b), -1) {
		for _, pair := range strings.Fields(line[1]) {
			environ = append(environ, strings.ReplaceAll(pair, "%d", dir))
		}
	}
	for name, text := range map[string]string{
		"jimm.yaml": strings.Join(settings, "\n"), "dsn": "postgres://jimm:p@localhost/jimm", "session-key": strings.Repeat("k", 64),
		"storage-keys": strings.Repeat("A", 43) + "=", "openfga-token": "t", "client-secret": "s",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Load(environ, "")
	if err != nil {
		t.Fatalf("%v\nwith %s\nand %s", err, settings, environ)
	}
	if l.DSN == "" || l.TLSKey != dir+"/tls.key" || l.OpenFGAObjects != -1 || l.ListenAddress != ":443" {
		t.Errorf("got %+v", l.Config)
	}
}
