package juju

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"jimm/workload/estate"
	"jimm/workload/rpc"
)

// pingInterval keeps connections alive: a controller drops one that is silent
// for three minutes, and so do we, sooner, with a controller that is.
const pingInterval = 30 * time.Second

// session is a connection to a controller on which a user is logged in with
// certain claims. Its calls run side by side, so one serves everybody who needs
// the same.
type session struct {
	key    string
	opened chan struct{} // closed when the dialling has ended
	err    error         // how it ended
	client *rpc.Client
	// facades are the versions the controller announced at login.
	facades map[string][]int
	born    time.Time

	// Guarded by the pool's mutex.
	users     int
	idleSince time.Time
	expiry    *time.Timer
	retired   bool // no longer in the pool: closed with its last user
}

// broken reports whether the connection has ended.
func (s *session) broken() bool {
	select {
	case <-s.client.Done():
		return true
	default:
		return false
	}
}

// sessionKey tells sessions apart. A token's claims stay in force for as long
// as its connection lives, so they are part of it: a connection never serves
// anyone whom the estate gives more or less at the moment.
func sessionKey(controllerUUID, user string, claims estate.Claims) string {
	var key strings.Builder
	key.WriteString(controllerUUID + "\n" + user)
	for _, tag := range slices.Sorted(maps.Keys(claims)) {
		key.WriteString("\n" + tag + "=" + claims[tag])
	}
	return key.String()
}

// pool keeps sessions for reuse.
type pool struct {
	idle    time.Duration // how long an unused one is kept
	life    time.Duration // how long one is given to new users
	maxIdle int
	now     func() time.Time

	mu       sync.Mutex
	sessions map[string]*session
	// draining are those no longer given to anyone, but still in use.
	draining map[*session]struct{}
	closed   bool
	tasks    sync.WaitGroup
}

var errPoolClosed = errors.New("the connections to controllers are closed")

// acquire returns the session of a key, opening one if there is none to share.
// Several that want the same wait for one dialling, which no single one of them
// can cancel. Each acquire needs a release.
func (p *pool) acquire(ctx context.Context, key string, open func(context.Context) (*rpc.Client, map[string][]int, error)) (*session, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errPoolClosed
	}
	s := p.sessions[key]
	if s != nil && !p.fresh(s) {
		p.retire(s)
		s = nil
	}
	if s == nil {
		s = &session{key: key, opened: make(chan struct{}), born: p.now()}
		if p.sessions == nil {
			p.sessions, p.draining = make(map[string]*session), make(map[*session]struct{})
		}
		p.sessions[key] = s
		p.tasks.Go(func() { p.open(context.WithoutCancel(ctx), s, open) })
	}
	s.users++
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	p.mu.Unlock()

	select {
	case <-s.opened:
	case <-ctx.Done():
		p.release(s)
		return nil, ctx.Err()
	}
	if s.err != nil {
		p.release(s)
		return nil, s.err
	}
	return s, nil
}

// fresh reports whether a session may be given to another user. The pool's
// mutex is held.
func (p *pool) fresh(s *session) bool {
	select {
	case <-s.opened:
		return s.err == nil && !s.broken() && p.now().Before(s.born.Add(p.life))
	default:
		return true
	}
}

func (p *pool) open(ctx context.Context, s *session, open func(context.Context) (*rpc.Client, map[string][]int, error)) {
	s.client, s.facades, s.err = open(ctx)
	close(s.opened)
	if s.err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.retire(s)
		return
	}
	p.mu.Lock()
	if s.retired && s.users == 0 {
		// Everyone has given up.
		p.hangUp(s)
	}
	p.mu.Unlock()
	keepAlive(s)
}

// keepAlive pings until the connection ends.
func keepAlive(s *session) {
	self := &peer{session: s}
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.client.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), pingInterval)
		err := self.Ping(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			_ = s.client.Close()
			return
		}
	}
}

// release gives a session back.
func (p *pool) release(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	if s.users > 0 {
		return
	}
	if s.retired {
		p.hangUp(s)
		return
	}
	s.idleSince = p.now()
	s.expiry = time.AfterFunc(p.idle, func() { p.expire(s) })
	p.trim()
}

// expire closes a session that nobody has used for a while.
func (p *pool) expire(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users == 0 && !s.retired && s.expiry != nil {
		p.retire(s)
	}
}

// trim closes the sessions that are idle the longest, if there are too many.
// The pool's mutex is held.
func (p *pool) trim() {
	var idle []*session
	for _, s := range p.sessions {
		if s.users == 0 {
			idle = append(idle, s)
		}
	}
	if len(idle) <= p.maxIdle {
		return
	}
	slices.SortFunc(idle, func(a, b *session) int { return a.idleSince.Compare(b.idleSince) })
	for _, s := range idle[:len(idle)-p.maxIdle] {
		p.retire(s)
	}
}

// drop takes a session that turned out broken out of the pool.
func (p *pool) drop(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(s)
}

// retire takes a session out of the pool; it is closed when nobody uses it any
// more. The pool's mutex is held.
func (p *pool) retire(s *session) {
	if s.retired {
		return
	}
	s.retired = true
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if p.sessions[s.key] == s {
		delete(p.sessions, s.key)
	}
	if s.users == 0 {
		p.hangUp(s)
		return
	}
	p.draining[s] = struct{}{}
}

// hangUp closes the connection of a retired session, if it has one by now. The
// pool's mutex is held, but not while the peer is told.
func (p *pool) hangUp(s *session) {
	select {
	case <-s.opened:
	default:
		return // open comes back to it
	}
	delete(p.draining, s)
	if s.client != nil && !p.closed {
		p.tasks.Go(func() { _ = s.client.Close() })
	}
}

// close closes all sessions, in use or not, and waits for what runs.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	sessions := slices.Collect(maps.Values(p.sessions))
	for _, s := range sessions {
		p.retire(s)
	}
	sessions = slices.AppendSeq(sessions, maps.Keys(p.draining))
	p.mu.Unlock()
	for _, s := range sessions {
		<-s.opened
		if s.client != nil {
			_ = s.client.Close()
		}
	}
	p.tasks.Wait()
}
