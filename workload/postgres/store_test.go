package postgres_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

// clock is a store's time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, dsn string, opts postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newStore is a store on a database of its own, at noon.
func newStore(t testing.TB) (*postgres.Store, *clock) {
	t.Helper()
	c := &clock{now: noon}
	return open(t, cluster.ForTest(t).NewDatabase(t), postgres.Options{Now: c.Now, Patience: time.Minute}), c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if estate.CodeOf(err) != code || err == nil {
		t.Errorf("error %v has code %q, want %q", err, estate.CodeOf(err), code)
	}
}

func TestManyStoresCanMigrateOneDatabaseAtOnce(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	const stores = 8
	failed := make(chan error, stores)
	for range stores {
		go func() {
			s, err := postgres.Open(context.WithoutCancel(t.Context()), dsn, postgres.Options{MaxConns: 1})
			if err == nil {
				err = s.EnsureIdentity(t.Context(), "alice@example.com")
				s.Close()
			}
			failed <- err
		}()
	}
	for range stores {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestASchemaFromANewerVersionIsRefused(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	s := open(t, dsn, postgres.Options{})
	_, err := s.Pool().Exec(t.Context(), "update jimm_schema_version set version = 1000")
	check(t, err)
	_, err = postgres.Open(t.Context(), dsn, postgres.Options{})
	if err == nil || !strings.Contains(err.Error(), "newer JIMM") {
		t.Errorf("error %v, want one that says the schema is newer", err)
	}
}

func TestADatabaseOfAnotherProgramIsLeftAlone(t *testing.T) {
	dsn := cluster.ForTest(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "create table controllers (id bigint)")
	check(t, err)
	if _, err := postgres.Open(t.Context(), dsn, postgres.Options{}); err == nil || !strings.Contains(err.Error(), "give this JIMM an empty database") {
		t.Errorf("it is opened with %v", err)
	}
	var ours bool
	check(t, conn.QueryRow(t.Context(), "select to_regclass('identities') is not null").Scan(&ours))
	if ours {
		t.Error("it has tables of ours among its own")
	}
}

func TestOpenErrorsDoNotTellThePassword(t *testing.T) {
	for name, dsn := range map[string]string{
		"a bad port":        "postgres://jimm:hunter2@127.0.0.1:port/jimm",
		"a bad setting":     "postgres://jimm:hunter2@127.0.0.1:1/jimm?pool_max_conns=many",
		"nobody listening":  "postgres://jimm:hunter2@127.0.0.1:1/jimm?connect_timeout=2",
		"key=value words":   "host=127.0.0.1 port=x password=hunter2",
		"the old prefix":    "pgx://jimm:hunter2@127.0.0.1:1/jimm",
		"not a DSN":         "jimm:hunter2@127.0.0.1",
		"a control in host": "postgres://jimm:hunter2@127.0.\x01.1/jimm",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), dsn, postgres.Options{})
			if err == nil {
				t.Fatal("it was opened")
			}
			for ; err != nil; err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error tells the password: %v", err)
				}
			}
		})
	}
}

func TestPingTellsWhetherTheDatabaseAnswers(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.Ping(t.Context()))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
}

// endSessions ends the sessions of a database whose last statement matches,
// as a restart of PostgreSQL would, and returns how many there were.
func endSessions(t testing.TB, dsn, statement string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	defer conn.Close(context.Background())
	var n int
	check(t, conn.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() and query like $1`, statement).Scan(&n))
	return n
}
