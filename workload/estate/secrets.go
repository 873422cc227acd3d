package estate

import "context"

// Secrets is the port to the place where secrets are kept: Vault, or sealed
// rows. Paths are slash-separated segments of any text without slashes; the
// adapter encodes them. Values never appear in errors or logs.
type Secrets interface {
	// Put stores the value, replacing what was there.
	Put(ctx context.Context, path string, value map[string]string) error
	// Get returns the value; an Error with CodeNotFound if there is none.
	Get(ctx context.Context, path string) (map[string]string, error)
	// Delete removes the value and its history; it is no error if there is none.
	Delete(ctx context.Context, path string) error
	// PutIfVersion stores the value if the stored version is still version
	// (0: nothing stored), and reports whether it did. For what several units
	// may create at once, such as signing keys.
	PutIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error)
	// GetVersion is Get with the version that PutIfVersion takes; 0 and no
	// error if there is none.
	GetVersion(ctx context.Context, path string) (map[string]string, int, error)
}

// ListedSecrets are secrets that can be moved elsewhere.
type ListedSecrets interface {
	Secrets
	// Paths calls f for the path of each secret, until f fails. What is put or
	// deleted meanwhile, by f itself too, may be among them or not.
	Paths(ctx context.Context, f func(path string) error) error
}

// SecretState says which of the places has the secrets. All fields are empty
// before the first unit has run.
type SecretState struct {
	Place string
	// Target is where they are being moved; nobody may use them until then.
	Target string
	// Leftover is a place that still has copies of them, which nobody uses.
	Leftover string
}

// SecretStates is the port to what units and moves of secrets agree by.
type SecretStates interface {
	SecretState(ctx context.Context) (SecretState, error)
	// SwapSecretState reports false if the state is not old any more.
	SwapSecretState(ctx context.Context, old, state SecretState) (bool, error)
	// Lead is as in Store, and Share the same for many at once.
	Lead(ctx context.Context, lease string, f func(context.Context) error) (ok bool, err error)
	Share(ctx context.Context, lease string, f func(context.Context) error) (ok bool, err error)
}
