package estate

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// attendance knows the connections to this unit on which somebody is logged in,
// so that they end when their session does.
type attendance struct {
	mu    sync.Mutex
	users map[string]map[*attendant]struct{}
}

// attendant is one connection.
type attendant struct {
	user  User
	since time.Time
	end   func()
}

// Attend keeps an eye on a connection on which u has logged in: end is called,
// from another goroutine, when u's session is over or is ended, until leave is
// called. Who logged in without a session, as service accounts do, is ended
// when all sessions of that user are. CodeSessionTokenInvalid if u's session
// has ended since the login.
func (e *Estate) Attend(ctx context.Context, u User, end func()) (leave func(), err error) {
	a := &attendant{user: u, since: e.Now(), end: end}
	e.attendance.add(a)
	leave = func() { _ = e.attendance.remove(a) }
	if u.Session == "" {
		return leave, nil
	}
	// Asked again, now that we would hear of its end.
	if _, err := e.Store.UseSession(ctx, u.Session); err != nil {
		leave()
		if Is(err, CodeNotFound) {
			return nil, errSessionOver
		}
		return nil, err
	}
	return leave, nil
}

func (s *attendance) add(a *attendant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]map[*attendant]struct{}{}
	}
	if s.users[a.user.Name] == nil {
		s.users[a.user.Name] = map[*attendant]struct{}{}
	}
	s.users[a.user.Name][a] = struct{}{}
}

// remove reports whether a was still there.
func (s *attendance) remove(a *attendant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.users[a.user.Name][a]
	delete(s.users[a.user.Name], a)
	if len(s.users[a.user.Name]) == 0 {
		delete(s.users, a.user.Name)
	}
	return there
}

// of returns the connections of a user, or of all users.
func (s *attendance) of(user string) []*attendant {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*attendant
	if user != "" {
		for a := range s.users[user] {
			list = append(list, a)
		}
		return list
	}
	for _, connections := range s.users {
		for a := range connections {
			list = append(list, a)
		}
	}
	return list
}

// KeepSessions ends this unit's connections when their session does, until ctx
// ends: at once when any unit ends a session, within SessionCheck when it
// expires, or when the issuer is to be asked about it again and does not let the
// user go on.
func (e *Estate) KeepSessions(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() {
		// It returns when ctx ends, not before.
		_ = e.Store.Listen(ctx, SessionChannel, func(payload string) { e.hearSessions(ctx, readEndedSessions(payload)) })
	})
	running.Go(func() {
		e.everyCheck(ctx, func() { e.reviewUntilDone(ctx, e.attendance.of("")) })
	})
	// Apart from that, since an issuer may take its time.
	running.Go(func() { e.everyCheck(ctx, func() { e.refreshAttended(ctx) }) })
	running.Wait()
}

// everyCheck does something each SessionCheck until ctx ends.
func (e *Estate) everyCheck(ctx context.Context, f func()) {
	period := e.SessionCheck
	if period <= 0 {
		period = SessionTouch
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// refreshers is for how many sessions the issuer is asked at a time.
const refreshers = 16

// refreshAttended has the issuer asked about the sessions that have connections,
// where that is due: an open connection is use, and nothing else may ask. The
// connections end about which the issuer says no, or nothing for too long.
func (e *Estate) refreshAttended(ctx context.Context) {
	if e.RefreshSession == nil {
		return
	}
	attendants := map[string][]*attendant{}
	for _, a := range e.attendance.of("") {
		if a.user.Session != "" {
			attendants[a.user.Session] = append(attendants[a.user.Session], a)
		}
	}
	if len(attendants) == 0 {
		return
	}
	sessions, err := e.Store.UseSessions(ctx, slices.Sorted(maps.Keys(attendants)))
	if err != nil {
		e.Log.WarnContext(ctx, "cannot find out which sessions are to be refreshed", "error", err)
		return
	}
	var asking sync.WaitGroup
	free := make(chan struct{}, refreshers)
	for _, s := range sessions {
		if !s.Refreshable || e.Now().Before(s.AccessUntil) {
			continue
		}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			switch err := e.RefreshSession(ctx, s); {
			case Is(err, CodeUnauthorized), Is(err, CodeConnectionFailed):
				e.Log.InfoContext(ctx, "connections are ended: their session cannot be refreshed", "user", s.User, "session", s.ID, "connections", len(attendants[s.ID]))
				e.attendance.end(attendants[s.ID])
			case err != nil && ctx.Err() == nil:
				e.Log.WarnContext(ctx, "cannot refresh a session", "user", s.User, "session", s.ID, "error", err)
			}
		})
	}
	asking.Wait()
}

// hearSessions ends the connections of what has ended.
func (e *Estate) hearSessions(ctx context.Context, ended EndedSessions) {
	if len(ended.IDs) == 0 && e.ForgetAccount != nil {
		e.ForgetAccount(ended.User)
	}
	var over, doubtful []*attendant
	for _, a := range e.attendance.of(ended.User) {
		switch {
		case slices.Contains(ended.IDs, a.user.Session):
			over = append(over, a)
		case len(ended.IDs) > 0:
		case a.user.Session == "" && (ended.All || ended.User != ""):
			over = append(over, a)
		default:
			doubtful = append(doubtful, a)
		}
	}
	e.attendance.end(over)
	e.reviewUntilDone(ctx, doubtful)
}

// end ends connections, all at once: each may take its second to say goodbye.
func (s *attendance) end(list []*attendant) {
	var ending sync.WaitGroup
	for _, a := range list {
		if s.remove(a) {
			ending.Go(a.end)
		}
	}
	ending.Wait()
}

// reviewUntilDone ends the connections whose session the store does not have
// any more, however long it takes until the store answers.
func (e *Estate) reviewUntilDone(ctx context.Context, list []*attendant) {
	for ctx.Err() == nil {
		err := e.review(ctx, list)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.Log.WarnContext(ctx, "cannot find out which sessions have ended", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (e *Estate) review(ctx context.Context, list []*attendant) error {
	var ids, accounts []string
	for _, a := range list {
		if a.user.Session != "" {
			ids = append(ids, a.user.Session)
		} else {
			accounts = append(accounts, a.user.Name)
		}
	}
	alive := map[string]bool{}
	if len(ids) > 0 {
		slices.Sort(ids)
		found, err := e.Store.UseSessions(ctx, slices.Compact(ids))
		if err != nil {
			return err
		}
		for _, s := range found {
			alive[s.ID] = true
		}
	}
	var ended map[string]time.Time
	if len(accounts) > 0 {
		slices.Sort(accounts)
		var err error
		if ended, err = e.Store.EndedUsers(ctx, slices.Compact(accounts)); err != nil {
			return err
		}
	}
	var over []*attendant
	for _, a := range list {
		if a.user.Session != "" && !alive[a.user.Session] || a.user.Session == "" && a.since.Before(ended[a.user.Name]) {
			over = append(over, a)
		}
	}
	e.attendance.end(over)
	return nil
}
