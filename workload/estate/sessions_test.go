package estate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

// begin begins a session with an id of one digit.
func (w *world) begin(user, digit string, change func(*estate.Session)) estate.User {
	w.Helper()
	must(w.T, w.store.EnsureIdentity(w.ctx, user))
	now := time.Now()
	s := estate.Session{
		ID: strings.Repeat(digit, 32), User: user, Kind: estate.SessionDevice, Client: "juju 4.1.0", Address: "10.0.0.1",
		StartedAt: now, LastUsed: now, Expires: now.Add(time.Hour), RefreshedAt: now,
	}
	if change != nil {
		change(&s)
	}
	must(w.T, w.store.InsertSession(w.ctx, s))
	return estate.User{Name: user, Session: s.ID}
}

func digits(sessions []estate.Session) (list string) {
	for _, s := range sessions {
		list += s.ID[:1]
	}
	return list
}

func TestSessionsAreSeenAndEndedByWhoMay(t *testing.T) {
	w := newWorld(t)
	w.begin(alice.Name, "a", nil)
	w.begin(bob.Name, "b", nil)
	w.begin(bob.Name, "c", nil)
	w.begin(admin.Name, "d", nil)

	all := func(list []estate.Session, err error) (string, error) { return digits(list), err }
	for name, c := range map[string]struct {
		ask        func() (string, error)
		want, code string
	}{
		"one's own":                       {func() (string, error) { return all(w.ListSessions(w.ctx, alice, "")) }, "a", ""},
		"one's own by name":               {func() (string, error) { return all(w.ListSessions(w.ctx, alice, alice.Name)) }, "a", ""},
		"another's":                       {func() (string, error) { return all(w.ListSessions(w.ctx, alice, bob.Name)) }, "", estate.CodeUnauthorized},
		"those of nobody":                 {func() (string, error) { return all(w.ListSessions(w.ctx, alice, "nobody@example.com")) }, "", estate.CodeUnauthorized},
		"everyone's":                      {func() (string, error) { return all(w.ListAllSessions(w.ctx, alice)) }, "", estate.CodeUnauthorized},
		"an administrator's of another":   {func() (string, error) { return all(w.ListSessions(w.ctx, admin, alice.Name)) }, "a", ""},
		"an administrator's of everyone":  {func() (string, error) { return all(w.ListAllSessions(w.ctx, admin)) }, "dacb", ""},
		"ending another's":                {func() (string, error) { return all(w.Estate.EndSessions(w.ctx, alice, []string{"bbbbbbbb"})) }, "", estate.CodeNotFound},
		"ending all of another":           {func() (string, error) { return all(w.EndUserSessions(w.ctx, alice, bob.Name)) }, "", estate.CodeUnauthorized},
		"ending everyone's":               {func() (string, error) { return all(w.EndAllSessions(w.ctx, alice)) }, "", estate.CodeUnauthorized},
		"ending with too little of an id": {func() (string, error) { return all(w.Estate.EndSessions(w.ctx, admin, []string{"bbb"})) }, "", estate.CodeBadRequest},
		"ending one that is not there": {func() (string, error) {
			return all(w.Estate.EndSessions(w.ctx, admin, []string{"bbbbbbbb", "ffffffff"}))
		}, "", estate.CodeNotFound},
		"ending none":                  {func() (string, error) { return all(w.Estate.EndSessions(w.ctx, admin, nil)) }, "", estate.CodeBadRequest},
		"ending all of nobody at all":  {func() (string, error) { return all(w.EndUserSessions(w.ctx, admin, "")) }, "", estate.CodeBadRequest},
		"ending all of one who is not": {func() (string, error) { return all(w.EndUserSessions(w.ctx, admin, "nobody@example.com")) }, "", estate.CodeUserNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.ask()
			if c.code != "" {
				wantCode(t, err, c.code)
			} else {
				must(t, err)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}

	left := func(want string) {
		t.Helper()
		list, err := w.ListAllSessions(w.ctx, admin)
		must(t, err)
		if got := digits(list); got != want {
			t.Errorf("left %q, want %q", got, want)
		}
	}
	left("dacb")
	_, err := w.Estate.EndSessions(w.ctx, alice, []string{"aaaaaaaa"})
	must(t, err)
	left("dcb")
	_, err = w.Estate.EndSessions(w.ctx, admin, []string{"bbbbbbbb"})
	must(t, err)
	left("dc")
	_, err = w.EndUserSessions(w.ctx, bob, bob.Name)
	must(t, err)
	left("d")
	_, err = w.EndAllSessions(w.ctx, admin)
	must(t, err)
	left("")
}

func TestTheBeginningOfSeveralIdsIsNone(t *testing.T) {
	w := newWorld(t)
	for _, last := range []string{"1", "2"} {
		w.begin(alice.Name, "a", func(s *estate.Session) { s.ID = s.ID[:31] + last })
	}
	_, err := w.Estate.EndSessions(w.ctx, alice, []string{"aaaaaaaa"})
	wantCode(t, err, estate.CodeBadRequest)
	_, err = w.Estate.EndSessions(w.ctx, alice, []string{strings.Repeat("a", 31) + "2"})
	must(t, err)
}

func TestASweepForgetsWhatSessionsLeave(t *testing.T) {
	w := newWorld(t)
	refreshable := func(s *estate.Session) {
		s.Refreshable = true
		must(t, w.Secrets.Put(w.ctx, estate.SessionSecretPath(s.ID), map[string]string{"refresh-token": "hush"}))
	}
	w.begin(alice.Name, "a", refreshable)
	w.begin(alice.Name, "b", refreshable)
	w.begin(alice.Name, "c", func(s *estate.Session) { refreshable(s); s.Expires = s.StartedAt.Add(-time.Second) })
	_, err := w.Estate.EndSessions(w.ctx, alice, []string{"aaaaaaaa"})
	must(t, err)
	must(t, w.Sweep(w.ctx))
	for digit, there := range map[string]bool{"a": false, "b": true, "c": false} {
		_, err := w.Secrets.Get(w.ctx, estate.SessionSecretPath(strings.Repeat(digit, 32)))
		if there != (err == nil) {
			t.Errorf("refresh token of %s: %v", digit, err)
		}
	}
	dead, err := w.store.DeadSessions(w.ctx, 10)
	must(t, err)
	if len(dead) > 0 {
		t.Errorf("still there: %q", digits(dead))
	}
}

// attend is a connection; what it returns is closed when it has to end.
func (w *world) attend(u estate.User) (ended <-chan struct{}) {
	w.Helper()
	over := make(chan struct{})
	leave, err := w.Attend(w.ctx, u, func() { close(over) })
	must(w.T, err)
	w.Cleanup(leave)
	return over
}

func (w *world) wantEnded(who string, over <-chan struct{}) {
	w.Helper()
	select {
	case <-over:
	case <-w.ctx.Done():
		w.Fatalf("the connection of %s has not ended", who)
	}
}

// keep runs what ends connections, until the test ends.
func (w *world) keep() {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.KeepSessions(ctx) }()
	w.Cleanup(func() { cancel(); <-done })
}

func TestConnectionsEndWithTheirSession(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.EnsureIdentity(w.ctx, "ci@serviceaccount"))
	a, b, c := w.begin(alice.Name, "a", nil), w.begin(alice.Name, "b", nil), w.begin(bob.Name, "c", nil)
	ci := estate.User{Name: "ci@serviceaccount"}
	forgotten := make(chan string, 10)
	w.ForgetAccount = func(user string) { forgotten <- user }
	overA, overA2, overB, overC, overCI := w.attend(a), w.attend(a), w.attend(b), w.attend(c), w.attend(ci)
	w.keep()
	if user := <-forgotten; user != "" {
		t.Errorf("at first it forgets %q", user)
	}

	_, err := w.Estate.EndSessions(w.ctx, alice, []string{a.Session})
	must(t, err)
	w.wantEnded("a", overA)
	w.wantEnded("a", overA2)
	_, err = w.Attend(w.ctx, a, func() {})
	wantCode(t, err, estate.CodeSessionTokenInvalid)

	_, err = w.EndUserSessions(w.ctx, admin, alice.Name)
	must(t, err)
	w.wantEnded("b", overB)
	if user := <-forgotten; user != alice.Name {
		t.Errorf("forgets %q", user)
	}
	_, err = w.EndUserSessions(w.ctx, admin, ci.Name)
	must(t, err)
	w.wantEnded("the service account", overCI)
	overCI = w.attend(ci)
	select {
	case <-overC:
		t.Error("bob's connection has ended, too")
	default:
	}
	_, err = w.EndAllSessions(w.ctx, admin)
	must(t, err)
	w.wantEnded("c", overC)
	w.wantEnded("the service account", overCI)
}

func TestWhatEndsWhileNobodyListensIsFoundOut(t *testing.T) {
	w := newWorld(t)
	must(t, w.store.EnsureIdentity(w.ctx, "ci@serviceaccount"))
	a, b := w.begin(alice.Name, "a", nil), w.begin(alice.Name, "b", nil)
	ci := estate.User{Name: "ci@serviceaccount"}
	overA, overB, overCI := w.attend(a), w.attend(b), w.attend(ci)
	_, err := w.Estate.EndSessions(w.ctx, alice, []string{a.Session})
	must(t, err)
	_, err = w.EndUserSessions(w.ctx, admin, ci.Name)
	must(t, err)
	w.keep()
	w.wantEnded("a", overA)
	w.wantEnded("the service account", overCI)
	select {
	case <-overB:
		t.Error("b has ended, too")
	default:
	}
}

func TestConnectionsAreReviewedUntilTheStoreAnswers(t *testing.T) {
	w := newWorld(t)
	a := w.begin(alice.Name, "a", nil)
	over := w.attend(a)
	_, err := w.Estate.EndSessions(w.ctx, alice, []string{a.Session})
	must(t, err)
	faulty := &faultyStore{Store: w.store, failures: 2}
	w.Store = faulty
	w.keep()
	w.wantEnded("a", over)
}

// faultyStore fails some times when it is asked about sessions.
type faultyStore struct {
	estate.Store
	failures int
}

func (s *faultyStore) UseSessions(ctx context.Context, ids []string) ([]estate.Session, error) {
	if s.failures > 0 {
		s.failures--
		return nil, errors.New("the database does not answer")
	}
	return s.Store.UseSessions(ctx, ids)
}

func BenchmarkAttend(b *testing.B) {
	ctx := b.Context()
	store, err := postgres.Open(ctx, cluster.ForTest(b).NewDatabase(b), postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.EnsureIdentity(ctx, alice.Name); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	s := estate.Session{ID: strings.Repeat("a", 32), User: alice.Name, Kind: estate.SessionDevice, StartedAt: now, LastUsed: now, Expires: now.Add(time.Hour), RefreshedAt: now}
	if err := store.InsertSession(ctx, s); err != nil {
		b.Fatal(err)
	}
	e := &estate.Estate{Store: store, Now: time.Now}
	for b.Loop() {
		leave, err := e.Attend(ctx, estate.User{Name: alice.Name, Session: s.ID}, func() {})
		if err != nil {
			b.Fatal(err)
		}
		leave()
	}
}

func TestConnectionsEndWhenTheIssuerSaysSo(t *testing.T) {
	w := newWorld(t)
	due := func(s *estate.Session) {
		s.Kind, s.Refreshable, s.AccessUntil = estate.SessionBrowser, true, time.Now().Add(-time.Second)
	}
	no, silent, broken := w.begin(alice.Name, "a", due), w.begin(alice.Name, "b", due), w.begin(bob.Name, "c", due)
	later := w.begin(bob.Name, "d", func(s *estate.Session) { due(s); s.AccessUntil = time.Now().Add(time.Hour) })
	never := w.begin(bob.Name, "e", nil)
	asked := make(chan string, 1000)
	w.RefreshSession = func(_ context.Context, s estate.Session) error {
		select {
		case asked <- s.ID:
		default: // it has been told often enough
		}
		switch s.ID {
		case no.Session:
			return estate.Errorf(estate.CodeUnauthorized, "the person may not go on")
		case silent.Session:
			return estate.Errorf(estate.CodeConnectionFailed, "the issuer does not answer")
		}
		return errors.New("the secrets are not there")
	}
	w.SessionCheck = 10 * time.Millisecond
	overNo, overNo2, overSilent := w.attend(no), w.attend(no), w.attend(silent)
	stay := map[string]<-chan struct{}{"broken": w.attend(broken), "later": w.attend(later), "never": w.attend(never)}
	w.keep()
	w.wantEnded("one whom the issuer refuses", overNo)
	w.wantEnded("one whom the issuer refuses", overNo2)
	w.wantEnded("one about whom it says nothing", overSilent)
	for range 10 {
		if id := <-asked; id == later.Session || id == never.Session {
			t.Errorf("the issuer is asked about session %s", id)
		}
	}
	for name, over := range stay {
		select {
		case <-over:
			t.Errorf("%s has ended, too", name)
		default:
		}
	}
}
