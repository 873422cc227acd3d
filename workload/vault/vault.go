// Package vault keeps the estate's secrets in HashiCorp Vault: a KV v2 mount,
// with a login by AppRole. It needs a token only while it is called: it renews
// the one it has, and logs in anew when that cannot be renewed any more or is
// refused. Nothing of Vault's state is kept beyond that, so that a Vault that
// was sealed, away or replaced is used again as soon as it answers.
package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/singleflight"

	"jimm/workload/estate"
)

// Config says where Vault is and who JIMM is there.
type Config struct {
	// Address is a URL; Namespace is of Vault Enterprise, empty elsewhere.
	Address, Namespace string
	// Mount is the path of the KV v2 secrets engine.
	Mount string
	// CACertificates are PEM, and alone trusted; without them Transport decides,
	// which may be nil: the system's roots.
	CACertificates []byte
	Transport      http.RoundTripper
	// RoleID and SecretID are of the AppRole. SecretIDFile, in place of
	// SecretID, is read at each login, so that it can be replaced.
	RoleID, SecretID, SecretIDFile string
	// Timeout bounds each attempt at a call (default 5 s).
	Timeout time.Duration
	// Log is told when Vault fails, and when it is well again; nil is
	// slog.Default.
	Log *slog.Logger
	// Now tells the time; nil is time.Now.
	Now func() time.Time
}

// Secrets is an estate.ListedSecrets.
type Secrets struct {
	config  Config
	client  *api.Client // without a token
	session atomic.Pointer[session]
	// flights has at most one login under way where there is no token, and
	// renewing is held by who replaces one that is still good.
	flights  singleflight.Group
	renewing sync.Mutex
	// trouble is what was logged last, nil when all is well.
	trouble atomic.Pointer[trouble]
	// checked is set when the mount was seen to be KV v2.
	checked atomic.Bool
}

var _ estate.ListedSecrets = (*Secrets)(nil)

// New returns the secrets in a Vault. It does not connect.
func New(c Config) (*Secrets, error) {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Mount = strings.Trim(c.Mount, "/")
	switch {
	case c.Address == "":
		return nil, errors.New("cannot use Vault: it has no address")
	case c.Mount == "" || path.Clean("/"+c.Mount) != "/"+c.Mount:
		return nil, fmt.Errorf("cannot use Vault: %q is not the path of a mount", c.Mount)
	case c.RoleID == "" || (c.SecretID == "") == (c.SecretIDFile == ""):
		return nil, errors.New("cannot use Vault: the AppRole needs a role id, and a secret id or a file with one")
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("cannot use Vault: %w", config.Error)
	}
	config.Address = c.Address
	config.MaxRetries = 0 // it would repeat writes, too
	config.Timeout = c.Timeout
	if len(c.CACertificates) == 0 && c.Transport != nil {
		config.HttpClient.Transport = c.Transport
	} else if err := config.ConfigureTLS(&api.TLSConfig{CACertBytes: c.CACertificates}); err != nil {
		return nil, fmt.Errorf("cannot use Vault: its CA certificates are not PEM: %w", err)
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("cannot use Vault: %w", err)
	}
	client.ClearToken() // of the environment
	client.ClearNamespace()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return &Secrets{config: c, client: client}, nil
}

// Put is part of estate.Secrets.
func (s *Secrets) Put(ctx context.Context, path string, value map[string]string) error {
	place, err := encodePath(path)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, call{"store", path, repeatable}, place, value, nil)
	if !isRefusal(err, "check-and-set parameter required") {
		return err
	}
	// The mount wants every write to name the version it replaces.
	for {
		_, version, err := s.read(ctx, call{"store", path, repeatable}, place)
		if err != nil {
			return err
		}
		_, err = s.write(ctx, call{"store", path, once}, place, value, &version)
		if !isRefusal(err, "did not match") {
			return err
		}
	}
}

// Get is part of estate.Secrets.
func (s *Secrets) Get(ctx context.Context, path string) (map[string]string, error) {
	value, version, err := s.GetVersion(ctx, path)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return nil, estate.Errorf(estate.CodeNotFound, "secret not found")
	}
	return value, nil
}

// GetVersion is part of estate.Secrets.
func (s *Secrets) GetVersion(ctx context.Context, path string) (map[string]string, int, error) {
	place, err := encodePath(path)
	if err != nil {
		return nil, 0, err
	}
	value, version, err := s.read(ctx, call{"load", path, repeatable}, place)
	if err != nil || value == nil {
		return nil, 0, err
	}
	return value, version, nil
}

// PutIfVersion is part of estate.Secrets. When the connection breaks before
// Vault has answered, the write may or may not have happened: it is not
// repeated, and the error has CodeConnectionFailed.
func (s *Secrets) PutIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error) {
	place, err := encodePath(path)
	if err != nil {
		return false, err
	}
	put := call{"store", path, once}
	_, err = s.write(ctx, put, place, value, &version)
	if version == 0 && isRefusal(err, "did not match") {
		// Deleted by a person, with vault kv delete, it keeps its version.
		kept, last, readErr := s.read(ctx, call{"load", path, repeatable}, place)
		if readErr != nil {
			return false, readErr
		}
		if kept == nil && last > 0 {
			_, err = s.write(ctx, put, place, value, &last)
		}
	}
	if isRefusal(err, "did not match") {
		return false, nil
	}
	return err == nil, err
}

// Delete is part of estate.Secrets.
func (s *Secrets) Delete(ctx context.Context, path string) error {
	place, err := encodePath(path)
	if err != nil {
		return err
	}
	return s.do(ctx, call{"delete", path, repeatable}, func(ctx context.Context, client *api.Client) error {
		_, err := client.Logical().DeleteWithContext(ctx, s.config.Mount+"/metadata/"+place)
		return err
	})
}

// Paths is part of estate.ListedSecrets. A secret that a person has deleted, with
// vault kv delete, is among them. It needs the capability "list".
func (s *Secrets) Paths(ctx context.Context, f func(path string) error) error {
	return s.paths(ctx, "", f)
}

func (s *Secrets) paths(ctx context.Context, folder string, f func(path string) error) error {
	var names []string
	err := s.do(ctx, call{"list", folder, repeatable}, func(ctx context.Context, client *api.Client) error {
		list, err := client.Logical().ListWithContext(ctx, s.config.Mount+"/metadata/"+folder)
		if err != nil || list == nil {
			return err
		}
		keys, _ := list.Data["keys"].([]any)
		names = nil
		for _, key := range keys {
			if name, ok := key.(string); ok {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			err = s.paths(ctx, folder+name, f)
		} else {
			var secret string
			if secret, err = decodePath(folder + name); err == nil {
				err = f(secret)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Check makes sure that Vault can be used: that it answers, knows the AppRole,
// and has a KV v2 mount.
func (s *Secrets) Check(ctx context.Context) error {
	return s.do(ctx, call{"use", "", repeatable}, func(ctx context.Context, client *api.Client) error {
		_, err := client.Auth().Token().LookupSelfWithContext(ctx)
		return err
	})
}

// version is what a KV v2 mount says of a version of a secret.
type version struct {
	Data     map[string]any `json:"data"`
	Metadata struct {
		Version int `json:"version"`
	} `json:"metadata"`
}

// read returns the value at an encoded path, nil if there is none, and its
// version, which one that was deleted has, too.
func (s *Secrets) read(ctx context.Context, c call, place string) (map[string]string, int, error) {
	var found version
	err := s.do(ctx, c, func(ctx context.Context, client *api.Client) error {
		found = version{}
		response, err := client.Logical().ReadRawWithContext(ctx, s.config.Mount+"/data/"+place)
		if response == nil || response.Body == nil {
			return err
		}
		defer response.Body.Close()
		var refused *api.ResponseError
		if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound && len(refused.Errors) == 0 {
			err = nil // there is nothing, or it was deleted
		}
		if err != nil {
			return err
		}
		var body struct {
			Data version `json:"data"`
		}
		if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
			return &unreadable{err}
		}
		found = body.Data
		return nil
	})
	if err != nil || found.Data == nil {
		return nil, found.Metadata.Version, err
	}
	value := make(map[string]string, len(found.Data))
	for name, field := range found.Data {
		text, ok := field.(string)
		if !ok {
			return nil, 0, fmt.Errorf("cannot load secret %q: it is not a map of strings", c.path)
		}
		value[name] = text
	}
	return value, found.Metadata.Version, nil
}

// write stores a value at an encoded path and returns its version; where
// replaces is not nil, only if that is the version there is.
func (s *Secrets) write(ctx context.Context, c call, place string, value map[string]string, replaces *int) (int, error) {
	if value == nil {
		value = map[string]string{}
	}
	body := map[string]any{"data": value}
	if replaces != nil {
		body["options"] = map[string]any{"cas": *replaces}
	}
	stored := 0
	err := s.do(ctx, c, func(ctx context.Context, client *api.Client) error {
		answer, err := client.Logical().WriteWithContext(ctx, s.config.Mount+"/data/"+place, body)
		if err != nil {
			return err
		}
		if answer == nil {
			return &unreadable{errors.New("a write was answered without a version")}
		}
		number, _ := answer.Data["version"].(json.Number)
		n, err := number.Int64()
		stored = int(n)
		if err != nil {
			return &unreadable{err}
		}
		return nil
	})
	return stored, err
}
