package postgres_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

// newSession is one of a user at noon, for an hour; its id is of one digit.
func newSession(user, digit string) estate.Session {
	return estate.Session{
		ID: strings.Repeat(digit, 32), User: user, Kind: estate.SessionDevice, Client: "juju 4.1.0", Address: "10.0.0.1",
		StartedAt: noon, LastUsed: noon, Expires: noon.Add(time.Hour), RefreshedAt: noon, Groups: []string{"tea"},
	}
}

func ids(sessions []estate.Session) (list []string) {
	for _, s := range sessions {
		list = append(list, s.ID[:1])
	}
	return list
}

func TestASessionIsFoundAsItWasSaved(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.EnsureIdentity(t.Context(), "alice@example.com"))
	want := newSession("alice@example.com", "a")
	want.Kind, want.IdleLimit, want.Refreshable, want.AccessUntil = estate.SessionBrowser, 90*time.Minute, true, noon.Add(time.Minute)
	check(t, s.InsertSession(t.Context(), want))
	got, err := s.UseSession(t.Context(), want.ID)
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	nobody := newSession("nobody@example.com", "b")
	wantCode(t, s.InsertSession(t.Context(), nobody), estate.CodeUserNotFound)
	wantCode(t, s.InsertSession(t.Context(), want), estate.CodeAlreadyExists)
	long := newSession("alice@example.com", "c")
	long.Client = strings.Repeat("é", 1000) + "\x00"
	check(t, s.InsertSession(t.Context(), long))
}

func TestASessionIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*estate.Session)
		after  time.Duration
		end    bool
		over   bool
	}{
		"not before it expires":                    {nil, time.Hour - time.Second, false, false},
		"when it expires":                          {nil, time.Hour, false, true},
		"not before it was idle for too long":      {func(s *estate.Session) { s.IdleLimit = 10 * time.Minute }, 10*time.Minute - time.Second, false, false},
		"when it was idle for too long":            {func(s *estate.Session) { s.IdleLimit = 10 * time.Minute }, 10 * time.Minute, false, true},
		"when it is ended":                         {nil, 0, true, true},
		"when it expires, however idle it may be":  {func(s *estate.Session) { s.IdleLimit = 10 * time.Hour }, time.Hour, false, true},
		"and stays over if its idle limit is past": {func(s *estate.Session) { s.IdleLimit = time.Second }, time.Minute, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock := newStore(t)
			check(t, s.EnsureIdentity(t.Context(), "alice@example.com"))
			session := newSession("alice@example.com", "a")
			if c.change != nil {
				c.change(&session)
			}
			check(t, s.InsertSession(t.Context(), session))
			clock.advance(c.after)
			if c.end {
				_, err := s.EndSessions(t.Context(), estate.SessionFilter{IDs: []string{session.ID}})
				check(t, err)
			}
			alive, err := s.UseSessions(t.Context(), []string{session.ID, "unknown"})
			check(t, err)
			listed, err := s.Sessions(t.Context(), estate.SessionFilter{})
			check(t, err)
			dead, err := s.DeadSessions(t.Context(), 10)
			check(t, err)
			check(t, s.DeleteSession(t.Context(), session.ID))
			_, err = s.UseSession(t.Context(), session.ID)
			if c.over {
				wantCode(t, err, estate.CodeNotFound)
				wantCode(t, s.SaveRefresh(t.Context(), session.ID, nil, time.Time{}), estate.CodeNotFound)
			} else {
				check(t, err)
			}
			if over := len(alive) == 0; over != c.over || len(listed) == 1 == c.over || len(dead) == 0 == c.over {
				t.Errorf("alive %v, listed %v, dead %v; want over: %v", ids(alive), ids(listed), ids(dead), c.over)
			}
		})
	}
}

func TestUseOfASessionIsSavedOnceAMinute(t *testing.T) {
	s, clock := newStore(t)
	check(t, s.EnsureIdentity(t.Context(), "alice@example.com"))
	session := newSession("alice@example.com", "a")
	session.IdleLimit = 2 * time.Minute
	check(t, s.InsertSession(t.Context(), session))
	lastUsed := func() time.Duration {
		t.Helper()
		found, err := s.Sessions(t.Context(), estate.SessionFilter{User: "alice@example.com"})
		check(t, err)
		if len(found) != 1 {
			t.Fatalf("the session is over after %v", clock.Now().Sub(noon))
		}
		return found[0].LastUsed.Sub(noon)
	}
	for _, step := range []struct{ at, want time.Duration }{
		{30 * time.Second, 0}, {59 * time.Second, 0}, {90 * time.Second, 90 * time.Second}, {2 * time.Minute, 90 * time.Second}, {3 * time.Minute, 3 * time.Minute},
	} {
		clock.advance(step.at - clock.Now().Sub(noon))
		_, err := s.UseSession(t.Context(), session.ID)
		check(t, err)
		if got := lastUsed(); got != step.want {
			t.Errorf("used at %v, saved %v, want %v", step.at, got, step.want)
		}
	}
	clock.advance(90 * time.Second)
	_, err := s.UseSessions(t.Context(), []string{session.ID})
	check(t, err)
	if got, want := lastUsed(), 4*time.Minute+30*time.Second; got != want {
		t.Errorf("of several saved %v, want %v", got, want)
	}
}

func TestSessionsArePickedAndEnded(t *testing.T) {
	for name, c := range map[string]struct {
		filter            estate.SessionFilter
		ended, left, told string
		users             []string
	}{
		"by id":                      {estate.SessionFilter{IDs: []string{strings.Repeat("a", 32)}}, "a", "b c", `{"ids":["` + strings.Repeat("a", 32) + `"]}`, nil},
		"by the beginning of ids":    {estate.SessionFilter{IDs: []string{"aaaaaaaa", "cccccccc"}}, "a c", "b", "", nil},
		"by id of another's session": {estate.SessionFilter{User: "bob@example.com", IDs: []string{"aaaaaaaa"}}, "", "a b c", "", nil},
		"by user":                    {estate.SessionFilter{User: "alice@example.com"}, "a b", "c", `{"user":"alice@example.com"}`, []string{"alice@example.com"}},
		"all":                        {estate.SessionFilter{}, "a b c", "", `{"all":true}`, []string{"alice@example.com", "bob@example.com"}},
		"of nobody":                  {estate.SessionFilter{User: "carol@example.com"}, "", "a b c", `{"user":"carol@example.com"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := cluster.ForTest(t).NewDatabase(t)
			clock := &clock{now: noon}
			s := open(t, dsn, postgres.Options{Now: clock.Now})
			for digit, user := range map[string]string{"a": "alice@example.com", "b": "alice@example.com", "c": "bob@example.com"} {
				check(t, s.EnsureIdentity(t.Context(), user))
				check(t, s.InsertSession(t.Context(), newSession(user, digit)))
			}
			listener, err := pgx.Connect(t.Context(), dsn)
			check(t, err)
			defer listener.Close(t.Context())
			_, err = listener.Exec(t.Context(), "listen "+estate.SessionChannel)
			check(t, err)

			found, err := s.Sessions(t.Context(), c.filter)
			check(t, err)
			ended, err := s.EndSessions(t.Context(), c.filter)
			check(t, err)
			again, err := s.EndSessions(t.Context(), c.filter)
			check(t, err)
			left, err := s.Sessions(t.Context(), estate.SessionFilter{})
			check(t, err)
			endedIDs := ids(ended)
			slices.Sort(endedIDs)
			if got := strings.Join(endedIDs, " "); got != c.ended || strings.Join(ids(found), " ") != c.ended || len(again) > 0 {
				t.Errorf("found %v, ended %q, then %v; want %q", ids(found), got, ids(again), c.ended)
			}
			if got := strings.Join(ids(left), " "); got != c.left {
				t.Errorf("left %q, want %q", got, c.left)
			}
			users, err := s.EndedUsers(t.Context(), []string{"alice@example.com", "bob@example.com", "carol@example.com"})
			check(t, err)
			if len(users) != len(c.users) {
				t.Errorf("ended users %v, want %v", users, c.users)
			}
			for _, u := range c.users {
				if !users[u].Equal(noon) {
					t.Errorf("%s ended at %v", u, users[u])
				}
			}
			if c.told != "" {
				n, err := listener.WaitForNotification(t.Context())
				check(t, err)
				if n.Payload != c.told {
					t.Errorf("told %s, want %s", n.Payload, c.told)
				}
			}
		})
	}
}

func TestOneOfAllRefreshesASession(t *testing.T) {
	s, clock := newStore(t)
	check(t, s.EnsureIdentity(t.Context(), "alice@example.com"))
	session := newSession("alice@example.com", "a")
	check(t, s.InsertSession(t.Context(), session))
	claim := func() bool {
		mine, err := s.ClaimRefresh(t.Context(), session.ID, clock.Now().Add(-10*time.Minute))
		check(t, err)
		return mine
	}
	if claim() {
		t.Error("it was claimed although it is fresh")
	}
	clock.advance(10 * time.Minute)
	if !claim() || claim() {
		t.Error("it was not claimed by just one")
	}
	until := clock.Now().Add(time.Hour).UTC()
	check(t, s.SaveRefresh(t.Context(), session.ID, []string{"coffee"}, until))
	found, err := s.UseSession(t.Context(), session.ID)
	check(t, err)
	if !slices.Equal(found.Groups, []string{"coffee"}) || !found.RefreshedAt.Equal(noon.Add(10*time.Minute)) || !found.AccessUntil.Equal(until) {
		t.Errorf("found %+v", found)
	}
}

func TestAStateOfALoginIsSpentOnce(t *testing.T) {
	s, clock := newStore(t)
	spend := func(digest string) bool {
		first, err := s.SpendState(t.Context(), digest, clock.Now().Add(30*time.Minute))
		check(t, err)
		return first
	}
	if !spend("one") || spend("one") || !spend("two") {
		t.Error("states were not spent once each")
	}
	clock.advance(31 * time.Minute)
	if !spend("three") || !spend("one") {
		t.Error("states are known for longer than was asked")
	}
}
