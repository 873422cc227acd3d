// Package postgres is the estate's memory: rows in PostgreSQL 14 or later, by
// pgx. Its migrations run at start; those of the tables that package sealed
// uses are among them.
//
// Leases and migrations hold session advisory locks, so a connection pooler in
// between must be in session mode.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"

	"jimm/workload/estate"
)

// Options are a store's settings; the zero value is ready for use.
type Options struct {
	// MaxConns bounds the pool; 0 leaves it to the DSN (pool_max_conns) or to
	// pgx, which takes the larger of 4 and the number of CPUs. Leases and
	// listeners have connections of their own.
	MaxConns int32
	// Now tells the time; nil is time.Now.
	Now func() time.Time
	// Patience bounds how long a query may take, and the wait for a connection for
	// it (default 10 s); the audit log may take six times that. The error then has
	// CodeConnectionFailed, as all have that are because the database cannot be
	// reached, or does not do its work.
	Patience time.Duration
	// LeaseCheck is how often the holder of a lease makes sure that it still
	// holds it (default 5 s). PostgreSQL takes a lease from a holder that has
	// been silent for four times that.
	LeaseCheck time.Duration
	// Tracer, where set, is told of every query.
	Tracer pgx.QueryTracer
	// Log gets what no caller is told, such as a listener's reconnects; nil
	// is slog.Default.
	Log *slog.Logger
}

// Store is an estate.Store.
type Store struct {
	pool *pgxpool.Pool
	// alone is how connections beside the pool are made, which nothing bounds.
	alone      *pgx.ConnConfig
	now        func() time.Time
	leaseCheck time.Duration
	log        *slog.Logger
}

var _ estate.Store = (*Store)(nil)

// Open connects to a database and brings its schema up to date; of several
// processes that open it at once, one migrates and the others wait for it. The
// DSN is a URL (postgres, postgresql or pgx) or key=value words.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	config.ConnConfig.Tracer = opts.Tracer
	alone := config.ConnConfig.Copy()
	if _, err := migrateSchema(ctx, alone.Copy(), true); err != nil {
		return nil, fmt.Errorf("cannot open database: %w", err)
	}
	if opts.Patience <= 0 {
		opts.Patience = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	tracers := []pgx.QueryTracer{&patience{bound: opts.Patience, log: opts.Log}}
	if opts.Tracer != nil {
		tracers = append(tracers, opts.Tracer)
	}
	config.ConnConfig.Tracer = multitracer.New(tracers...)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("cannot open database: %w", err)
	}
	s := &Store{pool: pool, alone: alone, now: opts.Now, leaseCheck: opts.LeaseCheck, log: opts.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.leaseCheck <= 0 {
		s.leaseCheck = 5 * time.Second
	}
	return s, nil
}

// parseDSN reads a DSN, and sets what it leaves open.
func parseDSN(dsn string) (*pgxpool.Config, error) {
	if rest, ok := strings.CutPrefix(dsn, "pgx:"); ok {
		dsn = "postgres:" + rest
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// Not with the cause: it quotes the string, and what in one that makes no sense
		// is the password nobody can tell.
		return nil, errors.New("cannot open database: its connection string must be a URL such as postgres://user@host:5432/jimm?sslmode=verify-full, or words such as host=db user=jimm dbname=jimm; a word, a port or a file that it names is wrong")
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "jimm"
	}
	return config, nil
}

// Schema is how far a database's schema is: the number of its last migration,
// and of the last that this program has.
type Schema struct {
	Version int `json:"version"`
	Newest  int `json:"newest"`
}

// Migrate brings the schema of a database up to date, and returns how it was
// before. Without apply it only looks.
func Migrate(ctx context.Context, dsn string, apply bool) (Schema, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return Schema{}, err
	}
	return migrateSchema(ctx, config.ConnConfig, apply)
}

//go:embed migrations/*.sql
var migrations embed.FS

// migrateSchema returns how far the schema is and, with apply, runs the
// migrations that the database lacks. It refuses a schema that a newer JIMM has
// made.
func migrateSchema(ctx context.Context, config *pgx.ConnConfig, apply bool) (Schema, error) {
	var schema Schema
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return schema, err
	}
	defer closeConn(conn)
	m, err := migrate.NewMigrator(ctx, conn, "jimm_schema_version")
	if err != nil {
		return schema, fmt.Errorf("cannot prepare migrations: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return schema, err
	}
	if err := m.LoadMigrations(files); err != nil {
		return schema, fmt.Errorf("cannot load migrations: %w", err)
	}
	version, err := m.GetCurrentVersion(ctx)
	if err != nil {
		return schema, fmt.Errorf("cannot read the schema's version: %w", err)
	}
	schema = Schema{Version: int(version), Newest: len(m.Migrations)}
	if schema.Version > schema.Newest {
		return schema, fmt.Errorf("its schema has version %d, made by a newer JIMM; this one knows up to %d", schema.Version, schema.Newest)
	}
	if !apply {
		return schema, nil
	}
	if err := m.Migrate(ctx); err != nil {
		var failed interface{ SQLState() string }
		if errors.As(err, &failed) && failed.SQLState() == duplicateTable {
			return schema, fmt.Errorf("it has tables of another program, or of the JIMM that Canonical publishes; give this JIMM an empty database: %w", err)
		}
		return schema, fmt.Errorf("cannot migrate schema: %w", err)
	}
	return schema, nil
}

// Pool returns the connections, for what has tables of its own in the same
// database.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping makes sure that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// Close closes the connections, when their users have given them back.
func (s *Store) Close() { s.pool.Close() }

// closeConn ends a connection, not waiting long for a server that is gone.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// connect makes a connection beside the pool.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, s.alone)
}
