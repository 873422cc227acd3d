//go:build integration

package operate

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

func TestSettingsChangeWithoutARestart(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "jimm.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	delete(w.environ, "JIMM_LOG_LEVEL")
	delete(w.environ, "JIMM_ADMINS")
	write("JIMM_LOG_LEVEL: warn\n")
	u := w.start("a", map[string]string{"JIMM_CONFIG_FILE": file})
	w.front.use(u)
	c := w.logIn(user, userSecret)
	isAdmin := func() error { return c.Call(t.Context(), "JIMM", 4, "", "ListControllers", nil, nil) }
	// fromPage connects as a web page does.
	fromPage := func(origin string) error {
		conn, answer, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+w.front.address()+"/api", http.Header{"Origin": {origin}})
		if err == nil {
			return conn.Close()
		}
		if answer != nil {
			return fmt.Errorf("%s", answer.Status)
		}
		return err
	}
	level := func() string {
		_, body, err := u.get("/debug/log-level")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(body)
	}
	addRelation := func() error {
		return c.Call(t.Context(), "JIMM", 4, "", "AddRelation", map[string]any{"tuples": []any{
			map[string]string{"object": "user-bob@example.com", "relation": "audit_log_viewer", "target_object": "controller-jimm"},
		}}, nil)
	}
	if err := isAdmin(); err != nil {
		t.Fatal(err)
	}
	if addRelation() == nil || fromPage("https://dashboard.example.com") == nil || level() != "warn" {
		t.Fatalf("it is as if the file had been read already: %s", level())
	}

	write("JIMM_LOG_LEVEL: debug\nJIMM_ADMINS: " + user + "@serviceaccount\nCORS_ALLOWED_ORIGINS: [https://dashboard.example.com]\nJIMM_JWT_EXPIRY: 4m\n")
	if err := u.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.eventually("the settings have changed", func() error {
		if level() != "debug" {
			return errors.New("the level has not")
		}
		return errors.Join(fromPage("https://dashboard.example.com"), addRelation())
	})
	w.eventually("the log names what needs a restart", func() error {
		if log := u.log.text(); !strings.Contains(log, `"some changes of the configuration need a restart","settings":["JIMM_JWT_EXPIRY"]`) {
			return errors.New(u.log.tail(5))
		}
		return nil
	})

	write("JIMM_LOG_LEVEL: loud\n")
	if err := u.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.eventually("a bad file is refused", func() error {
		if !strings.Contains(u.log.text(), "JIMM_LOG_LEVEL must be debug, info, warn or error") {
			return errors.New(u.log.tail(5))
		}
		return nil
	})
	if err := fromPage("https://dashboard.example.com"); err != nil || level() != "debug" {
		t.Errorf("after a bad file, things are not as they were: %v %s", err, level())
	}
	// The level can be changed by itself.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+u.internal+"/debug/log-level", strings.NewReader("error\n"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if level() != "error" {
		t.Errorf("the level is %s", level())
	}
}
