package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
)

func TestAnOutageIsToldAsSuchAndInTime(t *testing.T) {
	pg := cluster.ForTest(t)
	admin := func(t *testing.T, sql string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), pg.DSN("postgres"))
		check(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), sql)
		check(t, err)
	}
	for _, outage := range []struct {
		name string
		// begin makes it; end takes it back.
		begin func(t *testing.T, database string) (end func())
		// text is what clients see.
		text string
	}{
		{"the server is stopped", func(t *testing.T, _ string) func() {
			check(t, pg.Down(false))
			return func() { check(t, pg.Up(context.WithoutCancel(t.Context()))) }
		}, "JIMM's database does not answer; try again in a minute"},
		{"the server is frozen", func(t *testing.T, _ string) func() {
			check(t, pg.Freeze())
			return func() { check(t, pg.Thaw()) }
		}, "JIMM's database has not answered in time; try again in a minute"},
		{"the database lets nobody in", func(t *testing.T, database string) func() {
			admin(t, "alter database "+database+" allow_connections false")
			admin(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+database+"'")
			return func() { admin(t, "alter database "+database+" allow_connections true") }
		}, "JIMM's database does not let JIMM in; tell whoever runs JIMM"},
		{"the database is a standby's", func(t *testing.T, database string) func() {
			admin(t, "alter database "+database+" set default_transaction_read_only = on")
			admin(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+database+"'")
			return func() {
				admin(t, "alter database "+database+" reset default_transaction_read_only")
				admin(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = '"+database+"'")
			}
		}, "JIMM's database takes no changes, as a standby does; try again in a minute"},
	} {
		t.Run(outage.name, func(t *testing.T) {
			var log bytes.Buffer
			dsn := pg.NewDatabase(t)
			config, err := pgx.ParseConfig(dsn)
			check(t, err)
			s := open(t, dsn, postgres.Options{Patience: 2 * time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
			secrets, err := sealed.New(s.Pool(), bytes.Repeat([]byte("k"), sealed.MinKey))
			check(t, err)
			works := func() {
				t.Helper()
				for deadline := time.Now().Add(time.Minute); ; {
					// As in JIMM, where the audit log gives the database the time that others do not.
					err := errors.Join(s.SaveAuditEvents(t.Context(), []estate.AuditEvent{{Time: noon}}), s.EnsureIdentity(t.Context(), "alice@example.com"))
					if err == nil {
						break
					}
					if wantCode(t, err, estate.CodeConnectionFailed); time.Now().After(deadline) {
						t.Fatalf("it is not well: %v", err)
					}
				}
			}
			works()
			end := outage.begin(t, config.Database)
			ended := false
			defer func() {
				if !ended {
					end()
				}
			}()
			uses := map[string]func() error{
				"a statement":   func() error { return s.EnsureIdentity(t.Context(), "bob@example.com") },
				"a batch":       func() error { return s.SaveClouds(t.Context(), "none", nil, nil) },
				"a copy":        func() error { return s.SaveAuditEvents(t.Context(), []estate.AuditEvent{{Time: noon}}) },
				"a transaction": func() error { _, err := s.EndSessions(t.Context(), estate.SessionFilter{}); return err },
				"a secret":      func() error { return secrets.Put(t.Context(), "creds/dev/bob", map[string]string{"key": "hunter2"}) },
			}
			if !strings.Contains(outage.name, "standby") {
				uses["a list"] = func() error { _, err := s.ModelsOn(t.Context(), "none"); return err }
				uses["a row"] = func() error { _, err := s.Identity(t.Context(), "alice@example.com"); return err }
				uses["a secret's value"] = func() error { _, err := secrets.Get(t.Context(), "creds/dev/bob"); return err }
			}
			for name, use := range uses {
				// The first on a connection that was ended learns how, as any but the next may.
				var err error
				for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
					began := time.Now()
					if err = use(); time.Since(began) > 40*time.Second {
						t.Errorf("%s fails after %v", name, time.Since(began))
					}
					if err != nil && strings.HasSuffix(err.Error(), outage.text) {
						break
					}
					if err != nil {
						wantCode(t, err, estate.CodeConnectionFailed)
					}
				}
				wantCode(t, err, estate.CodeConnectionFailed)
				if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || !strings.HasSuffix(err.Error(), ": "+outage.text) || strings.Contains(err.Error(), "127.0.0.1") {
					t.Errorf("%s: %v, want %q", name, err, outage.text)
				}
			}
			end()
			ended = true
			works()
			if text := log.String(); !strings.Contains(text, "the database fails") || !strings.Contains(text, "the database is well again") || strings.Contains(text, config.Password) {
				t.Errorf("the log says %s", text)
			}
		})
	}
}

func TestALookUpThatNobodyWaitsForIsNoOutage(t *testing.T) {
	s, _ := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.EnsureIdentity(ctx, "alice@example.com"); err == nil || estate.CodeOf(err) != "" {
		t.Errorf("got %v", err)
	}
}
