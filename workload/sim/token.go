package sim

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/juju/clock"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// minKeyAge is the least time keys are kept, whatever their Cache-Control
// says: the default of the cache a real controller uses (httprc).
const minKeyAge = 15 * time.Minute

// keys verifies tokens with the keys published at a URL.
type keys struct {
	url             string
	client          *http.Client
	clock           clock.Clock
	unknownInterval time.Duration

	mu      sync.Mutex
	set     jwk.Set
	fetched time.Time
	expires time.Time
}

// parse verifies a token as it is on the wire: padded base64 of a compact JWS.
func (k *keys) parse(ctx context.Context, token string) (jwt.Token, error) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, fmt.Errorf("invalid jwt authToken in request: %w", err)
	}
	set, err := k.keysFor(ctx, keyID(raw))
	if err != nil {
		return nil, fmt.Errorf("refreshing jwt key: %w", err)
	}
	return jwt.Parse(raw, jwt.WithKeySet(set), jwt.WithClock(k.clock))
}

// keyID returns the key that a token says it is signed with.
func keyID(raw []byte) string {
	message, err := jws.Parse(raw)
	if err != nil || len(message.Signatures()) == 0 {
		return ""
	}
	return message.Signatures()[0].ProtectedHeaders().KeyID()
}

func (k *keys) keysFor(ctx context.Context, id string) (jwk.Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	fresh := k.set != nil && now.Before(k.expires)
	if fresh && id != "" && k.unknownInterval >= 0 && !now.Before(k.fetched.Add(k.unknownInterval)) {
		_, known := k.set.LookupKeyID(id)
		fresh = known
	}
	if fresh {
		return k.set, nil
	}
	set, age, err := k.fetch(ctx)
	k.fetched = now
	if err != nil {
		if k.set != nil {
			// As jwk.Cache: the last good keys stay.
			return k.set, nil
		}
		return nil, err
	}
	k.set, k.expires = set, now.Add(max(age, minKeyAge))
	return set, nil
}

// fetch returns the published keys and how long they may be kept.
func (k *keys) fetch(ctx context.Context) (jwk.Set, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, 0, err
	}
	// A controller does not follow redirects.
	client := *k.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("failed to fetch %q: status %d", k.url, response.StatusCode)
	}
	set, err := jwk.ParseReader(http.MaxBytesReader(nil, response.Body, 1<<20))
	if err != nil {
		return nil, 0, err
	}
	return set, maxAge(response.Header), nil
}

func maxAge(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		value, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(directive)), "max-age=")
		if !ok {
			continue
		}
		if seconds, err := strconv.Atoi(value); err == nil {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}
