package login

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
)

// CodeTryAgain is the code of a login that was refused because there were too
// many: Juju's own for that. Its info has "retry-after", in seconds.
const CodeTryAgain = params.CodeTryAgain

// Limits are how many attempts to log in may fail in a minute, and as many at
// once; 0 is without a limit. The start of a login by device counts as one that
// has failed, since it costs the issuer something. That of one by browser costs
// nobody anything; its end counts if it fails. What succeeds does not count, nor
// does a session token of ours that is over.
type Limits struct {
	// PerAddress is for one address of clients: of IPv6, for one network of 64 bits.
	PerAddress int
	// PerClient is for one client id of service accounts. Credentials that were
	// right before are not refused because others guess at the same id.
	PerClient int
}

// errLimited is the cause of errors that Limited knows.
var errLimited = errors.New("too many attempts")

// Limited reports whether a login was refused because there were too many.
func Limited(err error) bool { return errors.Is(err, errLimited) }

// maxBuckets bounds who is counted alone. When there are more, all others count
// as one.
const maxBuckets = 20_000

// buckets count failed attempts, by whoever makes them.
type buckets struct {
	perMinute int
	mu        sync.Mutex
	known     map[string]*bucket
	others    *bucket
	// swept is when those who need not be counted were last forgotten.
	swept time.Time
}

type bucket struct {
	*rate.Limiter
	// pending is how many attempts have not ended: each might fail.
	pending int
}

func newBuckets(perMinute int) *buckets {
	b := &buckets{perMinute: perMinute, known: map[string]*bucket{}}
	b.others = b.newBucket()
	return b
}

func (b *buckets) newBucket() *bucket {
	return &bucket{Limiter: rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)}
}

// begin begins an attempt, which end ends. Where there were too many it says
// when there may be another one.
func (b *buckets) begin(key string, now time.Time) (end func(failed bool), wait time.Duration, ok bool) {
	if b.perMinute <= 0 || key == "" {
		return func(bool) {}, 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.bucket(key, now)
	if free := of.TokensAt(now) - float64(of.pending); free < 1 {
		return nil, time.Duration((1 - free) * 60 / float64(b.perMinute) * float64(time.Second)), false
	}
	of.pending++
	return func(failed bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		of.pending--
		if failed {
			of.AllowN(now, 1)
		}
	}, 0, true
}

func (b *buckets) bucket(key string, now time.Time) *bucket {
	if of, ok := b.known[key]; ok {
		return of
	}
	// Looking through all takes a millisecond, so it is not done for everyone.
	if len(b.known) >= maxBuckets && now.Sub(b.swept) >= time.Second {
		b.swept = now
		for k, of := range b.known {
			if of.pending == 0 && of.TokensAt(now) >= float64(b.perMinute) {
				delete(b.known, k)
			}
		}
	}
	if len(b.known) >= maxBuckets {
		return b.others
	}
	of := b.newBucket()
	b.known[key] = of
	return of
}

// attempt makes an attempt to log in, unless there were too many that failed,
// from the address of ctx or (if there is one) with a client id. Which errors
// count is up to failed.
func (s *Service) attempt(ctx context.Context, client string, failed func(error) bool, f func() error) error {
	now := s.config.Now()
	address := addressKey(estate.CallerOf(ctx).Address)
	endAddress, wait, ok := s.addresses.begin(address, now)
	if !ok {
		return s.tooMany(ctx, "your address", wait)
	}
	endClient, wait, ok := s.clients.begin(client, now)
	if !ok {
		endAddress(false)
		return s.tooMany(ctx, "this client id", wait)
	}
	counts := true // a panic, too
	defer func() { endAddress(counts); endClient(counts) }()
	err := f()
	counts = failed(err)
	return err
}

func (s *Service) tooMany(ctx context.Context, what string, wait time.Duration) error {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	s.config.Log.WarnContext(ctx, "a login is refused: too many have failed", "for", what, "address", estate.CallerOf(ctx).Address)
	return &estate.Error{
		Code:    CodeTryAgain,
		Message: fmt.Sprintf("cannot log in: too many attempts with %s; try again in %d s", what, seconds),
		Info:    map[string]any{"retry-after": seconds},
		Cause:   errLimited,
	}
}

// addressKey is what an address counts as: who has an IPv6 network has 2^64 addresses.
func addressKey(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() {
		return address
	}
	network, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return network.String()
}

// always counts attempts that succeed, too.
func always(error) bool { return true }

// refusedLogin reports whether an error is about what was shown, not about us.
func refusedLogin(err error) bool {
	return estate.Is(err, estate.CodeUnauthorized) || estate.Is(err, estate.CodeSessionTokenInvalid)
}
