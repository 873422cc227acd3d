// Package cluster runs a private PostgreSQL cluster for development and tests:
// a data folder, a server on a free port of 127.0.0.1, and a password that
// stays in the folder. It needs only PostgreSQL's own programs.
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// superuser is the only role of a private cluster.
const superuser = "jimm"

// Options say where a cluster lives and how careful it is.
type Options struct {
	// Dir is the cluster's folder; it is made and initialised if it is empty.
	// Nothing else may live in it.
	Dir string
	// Durable makes commits survive a crash of the machine. Without it they
	// survive only a crash of this process or of PostgreSQL, and are faster.
	Durable bool
	// Log receives PostgreSQL's own log; nil discards it.
	Log io.Writer
}

// Cluster is a running PostgreSQL cluster.
type Cluster struct {
	home     home
	port     int
	password string
	lock     *os.File
	// kept keeps the port ours, also while no server listens on it.
	kept     *os.File
	server   *server
	programs programs
	options  Options
}

// Start starts the cluster in opts.Dir, first making it if there is none. A
// cluster whose owner died is taken over: a server that is still running is
// stopped first, a stale pid file is no obstacle. Two living processes can't
// share one folder.
//
// As root, which PostgreSQL refuses, the server runs as the operating system's
// user postgres, else nobody, and the folder is given to that user. If a parent
// folder is closed to it, as /root usually is, the data are kept below
// /var/lib/jimm-clusters instead; Dir tells where.
//
// It gives a *MissingError if PostgreSQL's programs are not installed.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	h, err := openHome(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	lock, err := h.lock()
	if err != nil {
		return nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	c := &Cluster{home: h, lock: lock, options: opts}
	defer func() {
		if err != nil {
			c.letGo()
		}
	}()
	if c.programs, err = findPrograms(h.version()); err != nil {
		return nil, err
	}
	if c.password, err = h.initialise(ctx, c.programs); err != nil {
		return nil, err
	}
	if err := h.stopOrphan(ctx); err != nil {
		return nil, err
	}
	if err := h.removeSockets(); err != nil {
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// launch starts the server and waits until it answers. A start can fail for
// reasons that pass, such as backends of a server that was killed that have not
// noticed yet.
func (c *Cluster) launch(ctx context.Context) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		if c.kept != nil {
			_ = c.kept.Close()
		}
		var err error
		if c.kept, c.port, err = keepPort(); err != nil {
			return fmt.Errorf("cannot start PostgreSQL: %w", err)
		}
		err = c.serve(ctx)
		if err == nil {
			return nil
		}
		var exited *exitedError
		if attempt == attempts || !errors.As(err, &exited) {
			return fmt.Errorf("cannot start PostgreSQL in %s: %w", c.home.dir, err)
		}
		if err := pause(ctx, time.Duration(attempt)*200*time.Millisecond); err != nil {
			return err
		}
	}
}

// serve starts the server on the cluster's port.
func (c *Cluster) serve(ctx context.Context) (err error) {
	if c.server, err = c.home.serve(c.programs, c.port, c.options); err != nil {
		return err
	}
	if err = c.awaitReady(ctx); err != nil {
		_ = c.server.stop(unix.SIGQUIT)
	}
	return err
}

func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.server.done:
			return &exitedError{log: c.server.tail.String()}
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Dir returns the folder that holds the cluster's data.
func (c *Cluster) Dir() string { return c.home.dir }

// DSN returns the URL of one of the cluster's databases, with the password in
// it. The role is a superuser.
func (c *Cluster) DSN(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, c.password),
		Host:     "127.0.0.1:" + strconv.Itoa(c.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// CreateDatabase makes a database unless it is there.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	err := c.exec(ctx, "create database "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "42P04" || pgErr.Code == "23505") {
		return nil // duplicate_database, or another session is making it at this moment
	}
	if err != nil {
		return fmt.Errorf("cannot create database %q: %w", name, err)
	}
	return nil
}

func (c *Cluster) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// Stop ends all sessions, shuts the server down and waits for it.
func (c *Cluster) Stop() error {
	defer c.letGo()
	return c.server.stop(unix.SIGINT)
}

// letGo gives the folder and the port to others.
func (c *Cluster) letGo() {
	_ = c.lock.Close()
	if c.kept != nil {
		_ = c.kept.Close()
	}
}

// Down ends the server, for tests of what others do without it: in order, or as
// a crash does. Up starts it again, where it was.
func (c *Cluster) Down(crash bool) error {
	if crash {
		return c.server.stop(unix.SIGQUIT)
	}
	return c.server.stop(unix.SIGINT)
}

// Up starts a server again that is Down.
func (c *Cluster) Up(ctx context.Context) error {
	if err := c.serve(ctx); err != nil {
		return fmt.Errorf("cannot start PostgreSQL in %s again: %w", c.home.dir, err)
	}
	return nil
}

// Freeze stops the server and all its sessions from doing anything: connections
// stay, new ones are taken by the kernel, and nobody answers. Thaw has them go on.
func (c *Cluster) Freeze() error { return c.signal(unix.SIGSTOP) }

// Thaw ends a Freeze.
func (c *Cluster) Thaw() error { return c.signal(unix.SIGCONT) }

func (c *Cluster) signal(sig syscall.Signal) error {
	// The one that makes new ones first; it may be about to make one.
	all := []int{c.server.process.Pid}
	for range 2 {
		others, err := c.home.processes()
		if err != nil {
			return err
		}
		for _, pid := range append(all, others...) {
			if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot send %v to PostgreSQL: %w", sig, err)
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// initialise makes the data folder if there is none, and returns the password.
// An initialisation that was interrupted is done again.
func (h home) initialise(ctx context.Context, programs programs) (string, error) {
	passwordFile := filepath.Join(h.dir, "password")
	if h.version() != "" {
		password, err := os.ReadFile(passwordFile)
		if err != nil {
			return "", fmt.Errorf("cannot start PostgreSQL: its password is lost: %w", err)
		}
		return string(password), nil
	}
	password := rand.Text()
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("cannot initialise PostgreSQL: %w", err)
	}
	if err := h.own(passwordFile); err != nil {
		return "", err
	}
	unfinished := h.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", fmt.Errorf("cannot initialise PostgreSQL: %w", err)
	}
	cmd := h.command(ctx, programs.initdb,
		"--pgdata", unfinished, "--username", superuser, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot initialise PostgreSQL in %s: %w: %s", h.dir, err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(unfinished, h.data()); err != nil {
		return "", fmt.Errorf("cannot initialise PostgreSQL: %w", err)
	}
	return password, nil
}
