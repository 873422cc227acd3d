package sealed_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"jimm/workload/estate"
	"jimm/workload/estate/secretstest"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

var (
	oldKey = bytes.Repeat([]byte("old "), 8)
	newKey = bytes.Repeat([]byte("new "), 16)
)

func newDB(t *testing.T) *pgxpool.Pool {
	t.Helper()
	s, err := postgres.Open(t.Context(), cluster.ForTest(t).NewDatabase(t), postgres.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Pool()
}

func newSecrets(t *testing.T, db sealed.DB, keys ...[]byte) *sealed.Secrets {
	t.Helper()
	s, err := sealed.New(db, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s estate.Secrets, path, text string) {
	t.Helper()
	if err := s.Put(t.Context(), path, map[string]string{"text": text}); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, s estate.Secrets, path, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), path)
	if err != nil || got["text"] != want {
		t.Errorf("secret %s is %v, %v, want %q", path, got, err, want)
	}
}

func change(t *testing.T, db *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestSealedSecretsAreSecrets(t *testing.T) {
	db := newDB(t)
	secretstest.Run(t, func(t *testing.T) estate.ListedSecrets { return newSecrets(t, db, oldKey) })
}

func TestTheDatabaseHoldsNoPlainText(t *testing.T) {
	db := newDB(t)
	s := newSecrets(t, db, oldKey)
	put(t, s, "creds/aws", "hunter2hunter2")
	var row []byte
	if err := db.QueryRow(t.Context(), "select sealed from secrets").Scan(&row); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(row, []byte("hunter2")) || bytes.Contains(row, []byte("text")) {
		t.Error("the value is in plain text")
	}
	put(t, s, "creds/aws", "hunter2hunter2")
	var again []byte
	if err := db.QueryRow(t.Context(), "select sealed from secrets").Scan(&again); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(row, again) {
		t.Error("the same value sealed twice is the same row: one learns that it did not change")
	}
}

func TestARowThatWasTamperedWithDoesNotOpen(t *testing.T) {
	for name, sql := range map[string]string{
		"exchanged for another's":    `update secrets s set sealed = o.sealed from secrets o where s.path = 'mine' and o.path = 'theirs'`,
		"given an older value":       `update secrets s set sealed = o.sealed from kept o where s.path = 'mine' and o.path = 'mine'`,
		"given another version":      `update secrets set version = version + 1 where path = 'mine'`,
		"changed in its last byte":   `update secrets set sealed = set_byte(sealed, length(sealed) - 1, 255 - get_byte(sealed, length(sealed) - 1))`,
		"cut short":                  `update secrets set sealed = substring(sealed from 1 for 4)`,
		"emptied":                    `update secrets set sealed = ''`,
		"sealed by an unknown keyid": `update secrets set sealed = set_byte(sealed, 1, 255 - get_byte(sealed, 1))`,
	} {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			s := newSecrets(t, db, oldKey)
			put(t, s, "mine", "first")
			change(t, db, `create table kept as select * from secrets`)
			put(t, s, "mine", "second")
			put(t, s, "theirs", "third")
			change(t, db, sql)
			value, err := s.Get(t.Context(), "mine")
			if err == nil || value != nil {
				t.Fatalf("it opens as %v", value)
			}
			if code := estate.CodeOf(err); code != "" {
				t.Errorf("the client is told %q with code %q: it is not its fault", err, code)
			}
			if _, _, err := s.GetVersion(t.Context(), "mine"); err == nil {
				t.Error("GetVersion opens it")
			}
			// It can be replaced.
			put(t, s, "mine", "fourth")
			wantText(t, s, "mine", "fourth")
		})
	}
}

func TestKeysAreReplacedOneAfterTheOther(t *testing.T) {
	db := newDB(t)
	before, between, after := newSecrets(t, db, oldKey), newSecrets(t, db, newKey, oldKey), newSecrets(t, db, newKey)
	put(t, before, "a", "1")
	put(t, before, "b/odd %2F\x00 path", "2")
	if _, err := after.Get(t.Context(), "a"); err == nil {
		t.Error("it opens without its key")
	}
	wantText(t, between, "a", "1")
	put(t, between, "c", "3")
	wantText(t, after, "c", "3")

	_, version, err := between.GetVersion(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		if n, err := between.Reseal(t.Context()); n != want || err != nil {
			t.Errorf("Reseal gives %d, %v, want %d", n, err, want)
		}
	}
	wantText(t, after, "a", "1")
	wantText(t, after, "b/odd %2F\x00 path", "2")
	if ok, err := after.PutIfVersion(t.Context(), "a", version, nil); !ok || err != nil {
		t.Errorf("resealing changed the version: %v, %v", ok, err)
	}
	put(t, before, "d", "4")
	if _, err := after.Reseal(t.Context()); err == nil {
		t.Error("Reseal passes over what it cannot open")
	}
}

func TestKeysThatAreNoKeysAreRefused(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none":        nil,
		"short":       {[]byte("hunter2")},
		"short third": {oldKey, newKey, oldKey[:31]},
		"twice":       {oldKey, newKey, oldKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sealed.New(nil, keys...)
			if err == nil {
				t.Fatal("it is taken")
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "old ") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

func TestAnEndedContextEndsAPut(t *testing.T) {
	s := newSecrets(t, newDB(t), oldKey)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "a", map[string]string{"text": "hunter2"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}
