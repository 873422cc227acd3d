package estate

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/juju/names/v6"
)

// A controller looks at a token once, when a connection logs in with it. What a
// user loses afterwards the connection would keep; so whoever opens one holds
// it, and is told when it has to end.

const (
	// holdChecks is how many holds are checked at once.
	holdChecks = 8
	// holdPatience is for how long a hold stands whose check fails: beyond it
	// nobody knows what the user may do.
	holdPatience = time.Minute
	// holdRetry is between two tries.
	holdRetry = time.Second
)

// Hold is a connection to a controller on which a user has what its claims say.
// Release must be called.
type Hold struct {
	estate *Estate
	user   User
	route  Route
	lost   func()
	ended  sync.Once

	mu     sync.Mutex
	claims Claims
}

// Hold keeps an eye on a connection that u has by this route: once u does not
// have all that it claims any more, however that came about, lost is called,
// from another goroutine, and once only. It is called also when that cannot be
// found out for a minute.
func (e *Estate) Hold(u User, r Route, claims Claims, lost func()) *Hold {
	h := &Hold{estate: e, user: u, route: r, lost: lost, claims: maps.Clone(claims)}
	if e.holds.add(h) != r.asOf {
		e.holds.doubt([]*Hold{h}) // what was heard since the route was given may be about it
	}
	e.stream.wakeWatching()
	return h
}

// Claim adds to what the connection claims.
func (h *Hold) Claim(claims Claims) {
	h.mu.Lock()
	for tag, access := range claims {
		h.claims[tag] = access
	}
	h.mu.Unlock()
	h.estate.holds.doubt([]*Hold{h}) // it was checked a while ago
}

// Release ends the hold: lost is not called any more, unless it is being called.
func (h *Hold) Release() { h.ended.Do(func() { h.estate.holds.remove(h) }) }

// end calls lost, unless the hold has ended.
func (h *Hold) end() {
	h.ended.Do(func() {
		h.estate.holds.remove(h)
		h.lost()
	})
}

// about returns the claims, and the questions whose answers they rest on.
func (h *Hold) about() (Claims, []Question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var questions []Question
	for tag, access := range h.claims {
		// What was claimed was a question before.
		if q, err := h.estate.requirement(h.route, tag, access); err == nil && q != nil {
			questions = append(questions, *q)
		}
	}
	return maps.Clone(h.claims), questions
}

// upheld reports whether the user still has all that is claimed.
func (h *Hold) upheld(ctx context.Context) (bool, error) {
	_, questions := h.about()
	has, err := h.estate.Permissions.CheckEach(ctx, h.user, questions)
	return !slices.Contains(has, false), err
}

// concerned reports whether a change may be about the hold.
func (h *Hold) concerned(c change) bool {
	if c.Access || slices.Contains(c.Users, h.user.Name) {
		return true
	}
	for _, user := range []string{h.user.Name, ""} {
		if slices.Contains(c.Shared[user], h.route.Model.UUID) {
			return true
		}
	}
	if len(c.Shared) == 0 && len(c.Objects) == 0 {
		return false
	}
	claims, _ := h.about()
	for tag := range claims {
		for _, user := range []string{h.user.Name, ""} {
			kind, id, err := splitTag(tag)
			if err == nil && (kind == names.ModelTagKind && slices.Contains(c.Shared[user], id) || slices.Contains(c.Objects[user], tag)) {
				return true
			}
		}
	}
	return false
}

func splitTag(tag string) (kind, id string, err error) {
	t, err := names.ParseTag(tag)
	if err != nil {
		return "", "", err
	}
	return t.Kind(), t.Id(), nil
}

// holds are those of this unit.
type holds struct {
	mu  sync.Mutex
	all map[*Hold]struct{}
	// doubtful are to be checked; since when for those that could not be.
	doubtful map[*Hold]time.Time
	woken    chan struct{}
	// heard counts the changes of access that this unit has heard of.
	heard uint64
}

// add returns how many changes have been heard of.
func (s *holds) add(h *Hold) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*Hold]struct{}{}
	}
	s.all[h] = struct{}{}
	return s.heard
}

func (s *holds) remove(h *Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, h)
	delete(s.doubtful, h)
}

func (s *holds) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *holds) asOf() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

func (s *holds) doubt(list []*Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range list {
		s.doubtLocked(h)
	}
}

func (s *holds) doubtLocked(h *Hold) {
	if _, there := s.all[h]; !there {
		return
	}
	if s.doubtful == nil {
		s.doubtful = map[*Hold]time.Time{}
	}
	if _, already := s.doubtful[h]; !already {
		s.doubtful[h] = time.Time{}
	}
	wake(s.woken)
}

// hear takes note of a change.
func (s *holds) hear(c change) {
	if !c.concernsAccess() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard++
	for h := range s.all {
		if h.concerned(c) {
			s.doubtLocked(h)
		}
	}
}

// take returns those to be checked. A change that is heard meanwhile puts them
// there again.
func (s *holds) take() map[*Hold]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.doubtful
	s.doubtful = nil
	return taken
}

// again puts back one that could not be checked.
func (s *holds) again(h *Hold, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.all[h]; !there {
		return
	}
	if s.doubtful == nil {
		s.doubtful = map[*Hold]time.Time{}
	}
	s.doubtful[h] = since
}

// keepHolds checks what is in doubt until ctx ends.
func (e *Estate) keepHolds(ctx context.Context) {
	for {
		failed := e.checkHolds(ctx)
		var retry <-chan time.Time
		if failed {
			retry = time.After(holdRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.holds.woken:
		case <-retry:
		}
	}
}

// checkHolds checks what is in doubt, and reports whether some could not be.
func (e *Estate) checkHolds(ctx context.Context) (failed bool) {
	var checking sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, holdChecks)
	for h, since := range e.holds.take() {
		places <- struct{}{}
		checking.Go(func() {
			defer func() { <-places }()
			ok, err := h.upheld(ctx)
			switch {
			case ctx.Err() != nil:
			case err == nil && !ok:
				e.Log.InfoContext(ctx, "a connection ends: its user has lost access", "user", h.user.Name, "model", h.route.Model.UUID)
				h.end()
			case err == nil:
			case !since.IsZero() && e.Now().Sub(since) > holdPatience:
				e.Log.ErrorContext(ctx, "a connection ends: nobody can say what its user may do", "user", h.user.Name, "model", h.route.Model.UUID, "error", err)
				h.end()
			default:
				if since.IsZero() {
					since = e.Now()
					e.Log.WarnContext(ctx, "cannot check what a connection rests on", "user", h.user.Name, "model", h.route.Model.UUID, "error", err)
				}
				e.holds.again(h, since)
				mu.Lock()
				failed = true
				mu.Unlock()
			}
		})
	}
	checking.Wait()
	return failed
}
