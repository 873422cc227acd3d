package vault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// standIn answers as a Vault with an AppRole and a KV v2 mount does, and fails
// as a test wants. The same adapter is tested with a real Vault, too; what is
// here is for faults that a real one has at no given moment.
type standIn struct {
	*httptest.Server
	mu       sync.Mutex
	now      time.Time
	life     time.Duration // of a token
	longest  time.Duration // with all renewals
	secretID string
	tokens   map[string]*token
	secrets  map[string]*secret
	logins   int
	renewals int
	writes   int
	refused  int // calls with a bad token
	// fault, where set, may answer in place of the stand-in.
	fault func(w http.ResponseWriter, r *http.Request) bool
	// after, where set, is called when a write was done, before it is answered.
	after func(w http.ResponseWriter)
}

type token struct{ made, expires time.Time }

type secret struct {
	version int
	data    map[string]any
}

const (
	roleID   = "the-role"
	secretID = "hunter2-secret-id"
)

func newStandIn(t *testing.T) *standIn {
	v := &standIn{
		now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), life: time.Hour, longest: time.Hour,
		secretID: secretID, tokens: map[string]*token{}, secrets: map[string]*secret{},
	}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *standIn) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *standIn) time() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

func answer(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, texts ...string) {
	if texts == nil {
		texts = []string{}
	}
	answer(w, status, map[string]any{"errors": texts})
}

func (v *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fault != nil && v.fault(w, r) {
		return
	}
	var body struct {
		RoleID   string         `json:"role_id"`
		SecretID string         `json:"secret_id"`
		Data     map[string]any `json:"data"`
		Options  struct {
			CAS *int `json:"cas"`
		} `json:"options"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	path, _ := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/v1/"))
	if path == "auth/approle/login" {
		if body.RoleID != roleID || body.SecretID != v.secretID {
			refuse(w, 400, "invalid role or secret ID")
			return
		}
		v.logins++
		name := fmt.Sprintf("token-%d", v.logins)
		v.tokens[name] = &token{v.now, v.now.Add(v.life)}
		v.grant(w, name, v.life)
		return
	}
	name := r.Header.Get("X-Vault-Token")
	held := v.tokens[name]
	if held == nil || !v.now.Before(held.expires) {
		v.refused++
		refuse(w, 403, "permission denied")
		return
	}
	switch {
	case path == "auth/token/lookup-self":
		answer(w, 200, map[string]any{"data": map[string]any{"id": name}})
	case path == "auth/token/renew-self":
		v.renewals++
		held.expires = v.now.Add(v.life)
		if end := held.made.Add(v.longest); held.expires.After(end) {
			held.expires = end
		}
		v.grant(w, name, held.expires.Sub(v.now))
	case path == "sys/internal/ui/mounts/jimm":
		answer(w, 200, map[string]any{"data": map[string]any{"type": "kv", "options": map[string]any{"version": "2"}}})
	case strings.HasPrefix(path+"/", "jimm/metadata/"):
		v.metadata(w, r, strings.TrimPrefix(path+"/", "jimm/metadata/"))
	case strings.HasPrefix(path, "jimm/data/"):
		path = strings.TrimPrefix(path, "jimm/data/")
		kept := v.secrets[path]
		if r.Method == http.MethodGet {
			if kept == nil {
				refuse(w, 404)
				return
			}
			answer(w, 200, map[string]any{"data": map[string]any{"data": kept.data, "metadata": map[string]any{"version": kept.version}}})
			return
		}
		if kept == nil {
			kept = &secret{}
		}
		if body.Options.CAS != nil && *body.Options.CAS != kept.version {
			refuse(w, 400, "check-and-set parameter did not match the current version")
			return
		}
		v.writes++
		v.secrets[path] = &secret{kept.version + 1, body.Data}
		if v.after != nil {
			v.after(w)
		}
		answer(w, 200, map[string]any{"data": map[string]any{"version": kept.version + 1}})
	default:
		refuse(w, 404, "no handler for route")
	}
}

func (v *standIn) grant(w http.ResponseWriter, name string, life time.Duration) {
	answer(w, 200, map[string]any{"auth": map[string]any{"client_token": name, "lease_duration": int(life.Seconds()), "renewable": true}})
}

func (v *standIn) metadata(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method == http.MethodDelete {
		delete(v.secrets, strings.TrimSuffix(path, "/"))
		w.WriteHeader(204)
		return
	}
	names := map[string]bool{}
	for secret := range v.secrets {
		if rest, ok := strings.CutPrefix(secret, path); ok {
			name, _, deeper := strings.Cut(rest, "/")
			if deeper {
				name += "/"
			}
			names[name] = true
		}
	}
	if len(names) == 0 {
		refuse(w, 404)
		return
	}
	var keys []string
	for name := range names {
		keys = append(keys, name)
	}
	answer(w, 200, map[string]any{"data": map[string]any{"keys": keys}})
}
