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
