package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
	"jimm/workload/secrets"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

var quiet = slog.New(slog.DiscardHandler)

// world is a database and two places, each of which is sealed rows somewhere: what
// Vault is like is tested with a real one.
type world struct {
	store  *postgres.Store
	dsn    string
	places map[secrets.Place]estate.ListedSecrets
	steps  *steps
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := cluster.ForTest(t)
	w := &world{dsn: c.NewDatabase(t), places: map[secrets.Place]estate.ListedSecrets{}, steps: &steps{}}
	w.store = open(t, w.dsn)
	for place, store := range map[secrets.Place]*postgres.Store{secrets.Sealed: w.store, secrets.Vault: open(t, c.NewDatabase(t))} {
		rows, err := sealed.New(store.Pool(), slices.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		w.places[place] = rows
	}
	return w
}

// reset makes the world new.
func (w *world) reset(t *testing.T) {
	t.Helper()
	*w.steps = steps{}
	if _, err := w.store.Pool().Exec(t.Context(), "delete from secret_state"); err != nil {
		t.Fatal(err)
	}
	for _, place := range w.places {
		check(t, place.Paths(t.Context(), func(path string) error { return place.Delete(t.Context(), path) }))
	}
}

func open(t *testing.T, dsn string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn, postgres.Options{Log: quiet, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// move tries to move the secrets, as a process that steps may end.
func (w *world) move(t *testing.T, place secrets.Place, wipe bool) (secrets.Moved, error) {
	t.Helper()
	m := secrets.Move{States: stepping{w.store, w.steps}, Open: func(p secrets.Place) (estate.ListedSecrets, error) {
		return steppingSecrets{w.places[p], w.steps}, nil
	}}
	return m.To(t.Context(), place, wipe)
}

func (w *world) put(t *testing.T, place secrets.Place, path, value string) {
	t.Helper()
	if err := w.places[place].Put(t.Context(), path, map[string]string{"value": value}); err != nil {
		t.Fatal(err)
	}
}

// has returns all that a place has.
func (w *world) has(t *testing.T, place secrets.Place) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := w.places[place].Paths(t.Context(), func(path string) error {
		value, err := w.places[place].Get(t.Context(), path)
		all[path] = value["value"]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *world) expect(t *testing.T, place secrets.Place, want map[string]string) {
	t.Helper()
	if got := w.has(t, place); !maps.Equal(got, want) {
		t.Errorf("%s has %v, want %v", place, got, want)
	}
}

func (w *world) use(t *testing.T, place secrets.Place) error {
	t.Helper()
	return secrets.Use(t.Context(), w.store, place, func(context.Context) error { return nil })
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if !estate.Is(err, estate.CodeServerConfiguration) || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v with code %q, want one that says %q", err, estate.CodeOf(err), want)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errKilled = errors.New("killed")

// steps ends a process at its nth step, before it is done or after.
type steps struct {
	mu    sync.Mutex
	count int
	last  int
	after bool
}

func (s *steps) do(f func() error) error {
	s.mu.Lock()
	s.count++
	n := s.count
	s.mu.Unlock()
	if s.last > 0 && (n > s.last || n == s.last && !s.after) {
		return errKilled
	}
	err := f()
	if s.last > 0 && n == s.last {
		return errKilled
	}
	return err
}

type stepping struct {
	estate.SecretStates
	steps *steps
}

func (s stepping) SwapSecretState(ctx context.Context, old, state estate.SecretState) (ok bool, err error) {
	err = s.steps.do(func() error { ok, err = s.SecretStates.SwapSecretState(ctx, old, state); return err })
	return ok, err
}

type steppingSecrets struct {
	estate.ListedSecrets
	steps *steps
}

func (s steppingSecrets) Put(ctx context.Context, path string, value map[string]string) error {
	return s.steps.do(func() error { return s.ListedSecrets.Put(ctx, path, value) })
}

func (s steppingSecrets) Delete(ctx context.Context, path string) error {
	return s.steps.do(func() error { return s.ListedSecrets.Delete(ctx, path) })
}

func some() map[string]string {
	all := map[string]string{}
	for i := range 3 {
		all[fmt.Sprintf("creds/alice@example.com/%d", i)] = fmt.Sprint("secret ", i)
	}
	return all
}

func (w *world) fill(t *testing.T, place secrets.Place) {
	t.Helper()
	check(t, w.use(t, place))
	for path, value := range some() {
		w.put(t, place, path, value)
	}
}

func TestUnitsRefuseToBeginWhereTheSecretsAreNot(t *testing.T) {
	w := newWorld(t)
	check(t, secrets.Check(t.Context(), w.store, secrets.Vault))
	check(t, w.use(t, secrets.Sealed))
	check(t, w.use(t, secrets.Sealed))
	refused(t, w.use(t, secrets.Vault), "the secrets are in sealed rows of PostgreSQL, and the settings say Vault: stop every jimmsrv and run jimmctl move-secrets")
	refused(t, secrets.Check(t.Context(), w.store, secrets.Vault), "JIMM_SECRET_STORAGE=sealed")
	check(t, secrets.Check(t.Context(), w.store, secrets.Sealed))
}

func TestSecretsMoveThereAndBack(t *testing.T) {
	w := newWorld(t)
	if _, err := w.move(t, secrets.Vault, true); err == nil {
		t.Error("there is nothing, and it moves")
	}
	w.fill(t, secrets.Sealed)
	for from, to := range map[secrets.Place]secrets.Place{secrets.Sealed: secrets.Vault, secrets.Vault: secrets.Sealed} {
		if len(w.has(t, from)) == 0 {
			from, to = to, from
		}
		moved, err := w.move(t, to, true)
		if want := (secrets.Moved{Copied: 3, Wiped: 3}); moved != want || err != nil {
			t.Errorf("to %s: %+v, %v", to, moved, err)
		}
		w.expect(t, to, some())
		w.expect(t, from, nil)
		check(t, w.use(t, to))
		refused(t, w.use(t, from), "the settings say")
		if moved, err := w.move(t, to, true); moved != (secrets.Moved{}) || err != nil {
			t.Errorf("again to %s: %+v, %v", to, moved, err)
		}
	}
}

// A move that ends at any step, before it or after, loses nothing, lets no unit run
// with half of it, and goes on or turns back.
func TestAMoveCanBeInterruptedAnywhere(t *testing.T) {
	for _, goOn := range []bool{true, false} {
		w := newWorld(t)
		for step, done := 1, false; !done; step++ {
			for _, after := range []bool{false, true} {
				w.reset(t)
				w.fill(t, secrets.Sealed)
				*w.steps = steps{last: step, after: after}
				_, err := w.move(t, secrets.Vault, true)
				if done = err == nil; done {
					break
				}
				if !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				state, err := w.store.SecretState(t.Context())
				check(t, err)
				w.expect(t, secrets.Place(state.Place), some())
				for _, place := range []secrets.Place{secrets.Sealed, secrets.Vault} {
					if err := w.use(t, place); (err == nil) != (state.Target == "" && string(place) == state.Place) {
						t.Errorf("step %d: with %+v a unit told %s gets %v", step, state, place, err)
					}
				}
				w.steps.last = 0
				place, other := secrets.Vault, secrets.Sealed
				if !goOn && state.Place == string(secrets.Sealed) {
					place, other = other, place
				}
				moved, err := w.move(t, place, true)
				if err != nil || moved.TurnedBack != (!goOn && state.Target != "") {
					t.Fatalf("step %d: %+v %v", step, moved, err)
				}
				w.expect(t, place, some())
				w.expect(t, other, nil)
				check(t, w.use(t, place))
			}
			if step > 50 {
				t.Fatal("it never ends")
			}
		}
	}
}

func TestWhatIsLeftIsNeverTakenForSecrets(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	moved, err := w.move(t, secrets.Vault, false)
	if moved.Wiped != 0 || err != nil {
		t.Fatalf("%+v, %v", moved, err)
	}
	w.expect(t, secrets.Sealed, some())
	// Life goes on, and then they move back: what was left is old by then.
	check(t, w.places[secrets.Vault].Delete(t.Context(), "creds/alice@example.com/0"))
	w.put(t, secrets.Vault, "creds/alice@example.com/1", "new")
	now := w.has(t, secrets.Vault)
	if _, err := w.move(t, secrets.Sealed, true); err != nil {
		t.Fatal(err)
	}
	w.expect(t, secrets.Sealed, now)
	w.expect(t, secrets.Vault, nil)
}

func TestAMoveThatWasTurnedBackWithoutItsTargetIsCleanedUpLater(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	w.steps.last, w.steps.after = 3, true
	if _, err := w.move(t, secrets.Vault, true); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	w.steps.last = 0
	vault := w.places[secrets.Vault]
	delete(w.places, secrets.Vault) // it does not answer any more
	moved, err := w.move(t, secrets.Sealed, false)
	if err != nil || !moved.TurnedBack {
		t.Fatalf("%+v, %v", moved, err)
	}
	check(t, w.use(t, secrets.Sealed))
	w.places[secrets.Vault] = vault
	if moved, err := w.move(t, secrets.Sealed, true); moved.Wiped != 2 || err != nil {
		t.Errorf("%+v, %v", moved, err)
	}
	w.expect(t, secrets.Vault, nil)
}

func TestAPlaceWithOthersSecretsIsRefused(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	w.put(t, secrets.Vault, "another/team", "hunter2")
	_, err := w.move(t, secrets.Vault, true)
	refused(t, err, `Vault has secrets already, such as "another/team"`)
	w.expect(t, secrets.Vault, map[string]string{"another/team": "hunter2"})
	check(t, w.use(t, secrets.Sealed))
}

func TestSecretsOfALostPlaceCanBeGivenUp(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	lost := w.places[secrets.Sealed]
	delete(w.places, secrets.Sealed)
	m := secrets.Move{States: w.store, Forget: true, Open: func(p secrets.Place) (estate.ListedSecrets, error) {
		if w.places[p] == nil {
			return nil, errors.New("it is lost")
		}
		return w.places[p], nil
	}}
	if moved, err := m.To(t.Context(), secrets.Vault, true); moved != (secrets.Moved{}) || err != nil {
		t.Errorf("%+v, %v", moved, err)
	}
	check(t, w.use(t, secrets.Vault))
	// It was only mislaid.
	w.places[secrets.Sealed] = lost
	w.expect(t, secrets.Sealed, some())
	if moved, err := w.move(t, secrets.Vault, true); moved.Wiped != 3 || err != nil {
		t.Errorf("%+v, %v", moved, err)
	}
}

// askedStates tell when they have been asked.
type askedStates struct {
	estate.SecretStates
	asked chan<- struct{}
}

func (s askedStates) SecretState(ctx context.Context) (estate.SecretState, error) {
	defer func() {
		select {
		case s.asked <- struct{}{}:
		default:
		}
	}()
	return s.SecretStates.SecretState(ctx)
}

func TestAUnitWaitsForAMoveToEnd(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	held, inVain := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		_, release, err := secrets.Hold(t.Context(), askedStates{w.store, inVain}, secrets.Vault, time.Minute, quiet)
		if err == nil {
			release()
		}
		held <- err
	}()
	<-inVain
	m := secrets.Move{States: w.store, Patience: time.Minute, Open: func(p secrets.Place) (estate.ListedSecrets, error) { return w.places[p], nil }}
	if _, err := m.To(t.Context(), secrets.Vault, true); err != nil {
		t.Fatal(err)
	}
	check(t, <-held)
}

// lossy forgets what it should keep.
type lossy struct{ estate.ListedSecrets }

func (lossy) Put(context.Context, string, map[string]string) error { return nil }
func (lossy) Get(context.Context, string) (map[string]string, error) {
	return map[string]string{"value": "another"}, nil
}

func TestASecretThatDoesNotArriveStaysWhereItWas(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	w.places[secrets.Vault] = lossy{w.places[secrets.Vault]}
	_, err := w.move(t, secrets.Vault, true)
	if err == nil || !strings.Contains(err.Error(), "still") || !strings.Contains(err.Error(), "does not come back") || strings.Contains(err.Error(), "secret 1") {
		t.Errorf("got %v", err)
	}
	w.expect(t, secrets.Sealed, some())
}

func TestUnitsAndMovesExcludeEachOther(t *testing.T) {
	w := newWorld(t)
	holding, release, err := secrets.Hold(t.Context(), w.store, secrets.Sealed, 0, quiet)
	check(t, err)
	_, second, err := secrets.Hold(t.Context(), open(t, w.dsn), secrets.Sealed, 0, quiet)
	check(t, err)
	_, err = w.move(t, secrets.Vault, true)
	refused(t, err, "stop every jimmsrv")
	second()
	_, err = w.move(t, secrets.Vault, true)
	refused(t, err, "stop every jimmsrv")
	if holding.Err() != nil {
		t.Errorf("a unit ends: %v", context.Cause(holding))
	}
	release()
	if cause := context.Cause(holding); !errors.Is(cause, context.Canceled) {
		t.Errorf("a unit that let go has cause %v", cause)
	}
	if _, err = w.move(t, secrets.Vault, true); err != nil {
		t.Error(err)
	}
	_, err = w.store.Lead(t.Context(), "secrets", func(context.Context) error {
		refused(t, w.use(t, secrets.Vault), "wait until jimmctl move-secrets has ended")
		_, _, err := secrets.Hold(t.Context(), w.store, secrets.Vault, 0, quiet)
		refused(t, err, "wait until jimmctl move-secrets has ended")
		return nil
	})
	check(t, err)
}

func TestAUnitThatWasCutOffEndsOnlyIfTheSecretsMoved(t *testing.T) {
	w := newWorld(t)
	w.fill(t, secrets.Sealed)
	holding, release, err := secrets.Hold(t.Context(), w.store, secrets.Sealed, 0, quiet)
	check(t, err)
	defer release()
	cut := func() {
		t.Helper()
		var n int // with a minute for each to end
		err := w.store.Pool().QueryRow(t.Context(), `select count(*) filter (where pg_terminate_backend(pid, 60000)) from pg_locks where locktype = 'advisory'
			and granted and database = (select oid from pg_database where datname = current_database())`).Scan(&n)
		if err != nil || n != 1 {
			t.Fatalf("%d sessions are cut, %v", n, err)
		}
	}
	cut()
	shares := func() bool {
		var n int
		check(t, w.store.Pool().QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and granted
			and database = (select oid from pg_database where datname = current_database())`).Scan(&n))
		return n == 1
	}
	for deadline := time.Now().Add(time.Minute); !shares(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not hold the secrets again")
		}
	}
	if holding.Err() != nil {
		t.Fatalf("it ends: %v", context.Cause(holding))
	}
	cut()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		_, err := w.move(t, secrets.Vault, true)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		if shares() { // it was faster: cut it again
			cut()
		}
	}
	select {
	case <-holding.Done():
		refused(t, context.Cause(holding), "the secrets are in Vault, and the settings say sealed rows")
	case <-time.After(time.Minute):
		t.Error("it goes on with secrets that moved")
	}
}
