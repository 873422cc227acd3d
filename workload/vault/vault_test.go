package vault_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/estate/secretstest"
	"jimm/workload/vault"
)

func open(t *testing.T, v *standIn, change func(*vault.Config)) *vault.Secrets {
	t.Helper()
	c := vault.Config{
		Address: v.URL, Mount: "jimm", RoleID: roleID, SecretID: secretID, Timeout: time.Minute, Now: v.time,
		Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	s, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var value = map[string]string{"password": "hunter2"}

func put(t *testing.T, s *vault.Secrets, path string) {
	t.Helper()
	if err := s.Put(t.Context(), path, value); err != nil {
		t.Fatal(err)
	}
}

func TestTheStandInPassesForAVault(t *testing.T) {
	v := newStandIn(t)
	s := open(t, v, nil)
	secretstest.Run(t, func(t *testing.T) estate.ListedSecrets { return s })
}

func TestEachFaultIsToldAndHealsByItself(t *testing.T) {
	for name, fault := range map[string]struct {
		fault func(w http.ResponseWriter, r *http.Request) bool
		code  string
		text  string
	}{
		"sealed": {func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 503, "Vault is sealed")
			return true
		}, estate.CodeConnectionFailed, "Vault is sealed; an operator has to unseal it"},
		"not initialised": {func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 501, "Vault is not initialized")
			return true
		}, estate.CodeConnectionFailed, "an operator has to do that"},
		"without an active node": {func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 500, "local node not active but active cluster node not found")
			return true
		}, estate.CodeConnectionFailed, "no active node"},
		"closing connections": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, estate.CodeConnectionFailed, "cannot be reached"},
		"a login page of a proxy": {func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>hunter2</html>"))
			return true
		}, estate.CodeConnectionFailed, "is not Vault"},
		"failing inside": {func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, 500, "1 error occurred: disk full")
			return true
		}, estate.CodeConnectionFailed, "internal problem"},
		"refusing the AppRole": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/login") {
				refuse(w, 400, "invalid role or secret ID")
				return true
			}
			refuse(w, 403, "permission denied")
			return true
		}, estate.CodeServerConfiguration, "does not accept JIMM's AppRole"},
		"permitting nothing": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/data/") || strings.Contains(r.URL.Path, "/metadata/") {
				refuse(w, 403, "1 error occurred: permission denied")
				return true
			}
			return false
		}, estate.CodeServerConfiguration, "does not permit it"},
		"without the mount": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "jimm/") {
				refuse(w, 404, `no handler for route "jimm/data/a". route entry not found.`)
				return true
			}
			return false
		}, estate.CodeServerConfiguration, "no KV secrets engine"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newStandIn(t)
			var log bytes.Buffer
			s := open(t, v, func(c *vault.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			put(t, s, "a")
			v.set(func() { v.fault = fault.fault })
			_, getErr := s.Get(t.Context(), "a")
			_, casErr := s.PutIfVersion(t.Context(), "a", 1, value)
			for call, err := range map[string]error{
				"Get": getErr, "PutIfVersion": casErr, "Put": s.Put(t.Context(), "a", value), "Delete": s.Delete(t.Context(), "a"),
			} {
				if estate.CodeOf(err) != fault.code || !strings.Contains(err.Error(), fault.text) {
					t.Errorf("%s gives %q with code %q, want %q", call, err, estate.CodeOf(err), fault.text)
				} else if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s tells a secret: %v", call, err)
				}
			}
			v.set(func() { v.fault = nil })
			if got, err := s.Get(t.Context(), "a"); err != nil || got["password"] != "hunter2" {
				t.Errorf("when Vault is well again, Get gives %v", err)
			}
			told := log.String()
			if n := strings.Count(told, "Vault fails"); n != 1 || !strings.Contains(told, "Vault is well again") {
				t.Errorf("the log tells of %d failures:\n%s", n, told)
			}
			if strings.Contains(told, "hunter2") {
				t.Errorf("the log tells a secret:\n%s", told)
			}
		})
	}
}

func TestVaultThatIsAwayOrNotTrusted(t *testing.T) {
	v := newStandIn(t)
	for name, c := range map[string]struct {
		address, code, text string
	}{
		"away":             {"http://127.0.0.1:1", estate.CodeConnectionFailed, "cannot be reached"},
		"plain, not HTTPS": {strings.Replace(v.URL, "http:", "https:", 1), estate.CodeServerConfiguration, "cannot be trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, v, func(o *vault.Config) { o.Address = c.address })
			if _, err := s.Get(t.Context(), "a"); estate.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Get gives %v", err)
			}
		})
	}
}

func TestAVaultThatHangsIsWaitedForAndNotForEver(t *testing.T) {
	frozen := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(frozen.CloseClientConnections)
	s := open(t, newStandIn(t), func(c *vault.Config) { c.Address, c.Timeout = frozen.URL, 50*time.Millisecond })
	if _, err := s.Get(t.Context(), "a"); !estate.Is(err, estate.CodeConnectionFailed) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("Get gives %v", err)
	}
}

func TestATokenThatIsRefusedIsReplaced(t *testing.T) {
	v := newStandIn(t)
	s := open(t, v, nil)
	put(t, s, "a")
	v.set(func() { clear(v.tokens) })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := s.Get(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			if _, err := s.PutIfVersion(t.Context(), "a", 99, value); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if v.logins != 2 {
		t.Errorf("there were %d logins, want 2", v.logins)
	}
}

func TestTokensAreReplacedBeforeTheyEnd(t *testing.T) {
	for name, c := range map[string]struct {
		life, longest time.Duration
	}{
		"those that cannot be renewed past their hour": {time.Hour, time.Hour},
		"those that live longer when they are renewed": {20 * time.Minute, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			v := newStandIn(t)
			v.life, v.longest = c.life, c.longest
			s := open(t, v, nil)
			put(t, s, "a")
			for range 24 * 60 {
				v.set(func() { v.now = v.now.Add(time.Minute) })
				if _, err := s.Get(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
			}
			if v.refused > 0 {
				t.Errorf("%d calls were made with a token that was over", v.refused)
			}
			if v.logins < 24 || v.logins > 40 {
				t.Errorf("there were %d logins in 24 hours", v.logins)
			}
			if c.longest > c.life && v.renewals < 24 {
				t.Errorf("tokens were renewed %d times", v.renewals)
			}
		})
	}
}

func TestATokenServesToItsEndWhileThereIsNoOther(t *testing.T) {
	v := newStandIn(t)
	s := open(t, v, nil)
	put(t, s, "a")
	v.set(func() {
		v.now = v.now.Add(50 * time.Minute)
		v.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/login") || strings.HasSuffix(r.URL.Path, "/renew-self") {
				refuse(w, 500, "no")
				return true
			}
			return false
		}
	})
	for range 3 {
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	v.set(func() { v.now = v.now.Add(11 * time.Minute) })
	if _, err := s.Get(t.Context(), "a"); !estate.Is(err, estate.CodeConnectionFailed) {
		t.Errorf("after its end, Get gives %v", err)
	}
	v.set(func() { v.fault = nil })
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestAWriteOfUnknownOutcomeIsRepeatedOnlyIfThatIsSafe(t *testing.T) {
	v := newStandIn(t)
	s := open(t, v, nil)
	put(t, s, "a")
	broken := 0
	v.after = func(http.ResponseWriter) {
		if broken++; broken == 1 {
			panic(http.ErrAbortHandler) // done, and not answered
		}
	}
	ok, err := s.PutIfVersion(t.Context(), "a", 1, value)
	if ok || !estate.Is(err, estate.CodeConnectionFailed) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("PutIfVersion gives %v, %v", ok, err)
	}
	if v.writes != 2 {
		t.Errorf("%d writes arrived, want 2", v.writes)
	}
	broken = 0
	put(t, s, "a")
	if v.writes != 4 {
		t.Errorf("a Put whose answer was lost was not repeated: %d writes", v.writes)
	}
}

func TestASecretIDInAFileCanBeReplaced(t *testing.T) {
	v := newStandIn(t)
	file := filepath.Join(t.TempDir(), "secret-id")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, v, func(c *vault.Config) { c.SecretID, c.SecretIDFile = "", file })
	if err := s.Put(t.Context(), "a", value); !estate.Is(err, estate.CodeServerConfiguration) {
		t.Errorf("without the file, Put gives %v", err)
	}
	write(secretID + "\n")
	put(t, s, "a")
	v.set(func() { v.secretID = "second"; clear(v.tokens) })
	write("second")
	put(t, s, "a")
}

func TestPathsAreListedAsTheyWerePut(t *testing.T) {
	v := newStandIn(t)
	s := open(t, v, nil)
	want := []string{"a/..", "a/b", "a/b/c", "a/b/with space", "a/nul\x00", "a/...x..y", "z/%2F"}
	for _, path := range want {
		put(t, s, path)
	}
	var got []string
	if err := s.Paths(t.Context(), func(path string) error { got = append(got, path); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the paths are %q, want %q", got, want)
	}
	for path := range v.secrets {
		if strings.Contains(path, "..") {
			t.Errorf("Vault is told a path with a way up: %q", path)
		}
	}
}
