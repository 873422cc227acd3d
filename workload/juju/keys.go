package juju

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jimm/workload/estate"
)

// keysPath is where the key set is kept in the secrets, under keysField.
const (
	keysPath  = "juju/signing-keys"
	keysField = "keys"
)

// KeyOptions are the settings of the signing keys; zero fields take defaults.
type KeyOptions struct {
	// Now tells the time (default time.Now).
	Now func() time.Time
	Log *slog.Logger
	// Life is how long a key signs before the next takes over (default 30 days).
	Life time.Duration
	// Lead is how long a key is public at least before it signs (default 24 h).
	// It must be at least twice MaxAge.
	Lead time.Duration
	// Keep is for how long a key stays public after its last signature; it must
	// exceed the life of any token (default 1 h).
	Keep time.Duration
	// MaxAge is how long a controller may keep the set before it asks again
	// (default 1 h; controllers take no less than 15 minutes).
	MaxAge time.Duration
	// Refresh is how often Run looks for what other units did (default 1 m).
	Refresh time.Duration
}

// Keys are the keys that tokens for controllers are signed with. There are
// always at least two: the current one, and the next, public long before it
// signs; then those that signed tokens which may still be in use. The set is
// kept in the secrets, so that all units have the same, and which of its keys
// is the current one depends on the time alone, so that nobody has to tell.
//
// The keys are ES256. Juju 3.6.11 and 4.1 parse tokens in the same way
// (internal/jwtparser: base64, then jwx's jwt.Parse with the key set), by jwx
// v2.0.21 and v2.1.6, both of which verify ES256 by the "alg" and "kid" that
// each key in the set must carry. They ask for the set again after its
// Cache-Control max-age, but not within 15 minutes, and check for that every 15
// minutes; a token with a kid they do not know does not make them ask.
type Keys struct {
	secrets estate.Secrets
	opts    KeyOptions
	set     atomic.Pointer[keySet]
}

// keySet is a version of the set as it is stored, and what is made from it.
type keySet struct {
	version int
	keys    []signingKey
	signers []jose.Signer
}

// signingKey is a key of the set, as it is stored.
type signingKey struct {
	// Key is the private key; its KeyID is the RFC 7638 thumbprint.
	Key jose.JSONWebKey `json:"key"`
	// PublicFrom is when it was put into the set. It is zero for keys of a set
	// that was stored before that was noted.
	PublicFrom time.Time `json:"public-from,omitzero"`
	// UseFrom is when it begins to sign; it ends where the next one begins.
	UseFrom time.Time `json:"use-from"`
}

// OpenKeys loads the key set, or creates it. ctx is for that only.
func OpenKeys(ctx context.Context, secrets estate.Secrets, opts KeyOptions) (*Keys, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&opts.Life, 30 * 24 * time.Hour},
		{&opts.Lead, 24 * time.Hour},
		{&opts.Keep, time.Hour},
		{&opts.MaxAge, time.Hour},
		{&opts.Refresh, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if opts.Life < opts.Lead {
		return nil, fmt.Errorf("cannot use signing keys: their life (%s) must not be shorter than the time they are public before use (%s)", opts.Life, opts.Lead)
	}
	if opts.Lead < 2*opts.MaxAge {
		return nil, fmt.Errorf("cannot use signing keys: the time they are public before use (%s) must be at least twice the time a controller may keep the set (%s)", opts.Lead, opts.MaxAge)
	}
	k := &Keys{secrets: secrets, opts: opts}
	if err := k.Tick(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Tick takes up what other units did to the set and does what is due: it makes
// the next key when the last one made has begun to sign, and drops keys that no
// valid token is signed with any more.
func (k *Keys) Tick(ctx context.Context) error { return k.change(ctx, k.due) }

// change replaces the set by what f makes of it, if that is another one.
func (k *Keys) change(ctx context.Context, f func([]signingKey) ([]signingKey, bool, error)) error {
	// Another unit may do the same at once; then its set is the one that counts.
	for range 5 {
		set, err := k.load(ctx)
		if err != nil {
			return err
		}
		due, changed, err := f(set.keys)
		if err != nil {
			return fmt.Errorf("cannot make a signing key: %w", err)
		}
		if !changed {
			k.set.Store(set)
			return nil
		}
		stored, err := json.Marshal(due)
		if err != nil {
			return fmt.Errorf("cannot store the signing keys: %w", err)
		}
		ours, err := k.secrets.PutIfVersion(ctx, keysPath, set.version, map[string]string{keysField: string(stored)})
		if err != nil {
			return fmt.Errorf("cannot store the signing keys: %w", err)
		}
		if ours {
			f = k.due // what was asked for is done
		}
	}
	return fmt.Errorf("cannot store the signing keys: other units keep changing them")
}

// Run calls Tick until ctx ends. A failure is logged: the set at hand serves
// on, since the next key is always part of it.
func (k *Keys) Run(ctx context.Context) {
	ticker := time.NewTicker(k.opts.Refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := k.Tick(ctx); err != nil && ctx.Err() == nil {
			k.opts.Log.Error("cannot refresh the signing keys", "error", err)
		}
	}
}

func (k *Keys) load(ctx context.Context) (*keySet, error) {
	value, version, err := k.secrets.GetVersion(ctx, keysPath)
	if err != nil {
		return nil, fmt.Errorf("cannot load the signing keys: %w", err)
	}
	if have := k.set.Load(); have != nil && version == have.version {
		return have, nil
	}
	set := &keySet{version: version}
	if version == 0 {
		return set, nil
	}
	if err := json.Unmarshal([]byte(value[keysField]), &set.keys); err != nil {
		// The text of the error may quote the keys.
		return nil, fmt.Errorf("cannot load the signing keys: the stored set is damaged")
	}
	for _, key := range set.keys {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Key}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			return nil, fmt.Errorf("cannot load the signing keys: key %q: %w", key.Key.KeyID, err)
		}
		set.signers = append(set.signers, signer)
	}
	return set, nil
}

// due returns the set as it should be now, oldest key first, and whether that
// is another than the one given.
func (k *Keys) due(keys []signingKey) ([]signingKey, bool, error) {
	now := k.opts.Now()
	changed := false
	// A key is done when its successor has signed for so long that no token of
	// its own is valid any more.
	for len(keys) > 1 && now.After(keys[1].UseFrom.Add(k.opts.Keep)) {
		keys, changed = keys[1:], true
	}
	if len(keys) == 0 {
		key, err := newSigningKey(now, now)
		if err != nil {
			return nil, false, err
		}
		keys, changed = []signingKey{key}, true
	}
	if last := keys[len(keys)-1]; !last.UseFrom.After(now) {
		// Normally a whole life ahead; where all units were down for longer
		// than that, the lead still counts.
		from := last.UseFrom.Add(k.opts.Life)
		if least := now.Add(k.opts.Lead); from.Before(least) {
			from = least
		}
		key, err := newSigningKey(now, from)
		if err != nil {
			return nil, false, err
		}
		keys, changed = append(keys[:len(keys):len(keys)], key), true
	}
	return keys, changed, nil
}

// newSigningKey makes a key. Since Go 1.26 its randomness can't be chosen.
func newSigningKey(now, from time.Time) (signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signingKey{}, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	second := func(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
	return signingKey{Key: key, PublicFrom: second(now), UseFrom: second(from)}, nil
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517): what
// controllers fetch from the URL in their login-token-refresh-url.
func (k *Keys) JWKS() []byte {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range k.set.Load().keys {
		set.Keys = append(set.Keys, key.Key.Public())
	}
	// Marshalling public keys that were parsed before can't fail.
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return text
}

// MaxAge is how long the set may be kept: the max-age for Cache-Control.
func (k *Keys) MaxAge() time.Duration { return k.opts.MaxAge }

// Sign signs claims with the current key and returns the compact JWS.
func (k *Keys) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("cannot sign a token: %w", err)
	}
	set, now := k.set.Load(), k.opts.Now()
	current := 0
	for i, key := range set.keys {
		if !key.UseFrom.After(now) {
			current = i
		}
	}
	signed, err := set.signers[current].Sign(payload)
	if err != nil {
		return "", fmt.Errorf("cannot sign a token: %w", err)
	}
	return signed.CompactSerialize()
}
