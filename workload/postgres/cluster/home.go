package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// elsewhere holds the clusters of root whose own folder the server's user
// can't reach.
const elsewhere = "/var/lib/jimm-clusters"

// home is a cluster's folder and the operating system's user it belongs to:
//
//	data/     PostgreSQL's data folder
//	password  of the superuser
//	lock      held by the process that runs the cluster
//	origin    the folder that it is in place of, if it is elsewhere
type home struct {
	dir string
	// user is whom the server runs as; nil is the user of this process.
	user *account
}

type account struct {
	name     string
	uid, gid uint32
}

// openHome makes the folder if needed and gives it to the server's user.
func openHome(dir string) (home, error) {
	if dir == "" {
		return home{}, errors.New("no folder given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return home{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return home{}, err
	}
	// Resolved, because the server names its folder so and stopOrphan compares.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return home{}, err
	}
	h := home{dir: dir}
	if err := h.checkContents(); err != nil {
		return home{}, err
	}
	if os.Geteuid() == 0 {
		if h.user, err = serverAccount(); err != nil {
			return home{}, err
		}
		if closed := h.closedParent(); closed != "" {
			removeForsaken()
			h.dir = elsewhereFor(dir)
			err := os.MkdirAll(h.dir, 0o755)
			for range 10 { // another process may remove the empty folder above it
				if !errors.Is(err, os.ErrNotExist) {
					break
				}
				err = os.MkdirAll(h.dir, 0o755)
			}
			if err != nil {
				return home{}, err
			}
			if err := os.WriteFile(filepath.Join(h.dir, "origin"), []byte(dir), 0o600); err != nil {
				return home{}, err
			}
			if again := h.closedParent(); again != "" {
				return home{}, fmt.Errorf("user %s can't reach %s because %s is closed to it: run chmod o+x %s, or choose another folder",
					h.user.name, dir, closed, closed)
			}
		}
	}
	if err := os.Chmod(h.dir, 0o700); err != nil {
		return home{}, err
	}
	return h, h.own(h.dir)
}

// checkContents fails if the folder is somebody else's: it is about to change
// its owner and mode.
func (h home) checkContents() error {
	if h.version() != "" {
		return nil
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Name() {
		case "data", "data.new", "password", "lock":
		default:
			return fmt.Errorf("%s holds other things, such as %q: choose an empty folder", h.dir, e.Name())
		}
	}
	return nil
}

func elsewhereFor(dir string) string {
	return filepath.Join(elsewhere, fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16])
}

// removeForsaken deletes the clusters elsewhere of temporary folders that are gone:
// a test that was killed could not. Any other folder may only have been moved.
func removeForsaken() {
	entries, _ := os.ReadDir(elsewhere)
	for _, e := range entries {
		h := home{dir: filepath.Join(elsewhere, e.Name())}
		origin, err := os.ReadFile(filepath.Join(h.dir, "origin"))
		if err != nil || !strings.HasPrefix(string(origin), filepath.Clean(os.TempDir())+"/") {
			continue
		}
		if _, err := os.Stat(string(origin)); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		lock, err := h.lock()
		if err != nil {
			continue // it runs
		}
		_ = h.stopOrphan(context.Background())
		_ = os.RemoveAll(h.dir)
		_ = lock.Close()
	}
}

// Remove deletes the cluster of a folder, which must not be running.
func Remove(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("cannot remove cluster: %w", err)
	}
	for _, d := range []string{dir, elsewhereFor(dir)} {
		if err := os.RemoveAll(d); err != nil {
			return fmt.Errorf("cannot remove cluster: %w", err)
		}
	}
	_ = os.Remove(elsewhere) // if this was the last
	return nil
}

// serverAccount returns whom a server started by root runs as.
func serverAccount() (*account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// closedParent returns the first parent folder that the server's user can't
// traverse, or the empty string.
func (h home) closedParent() string {
	for dir := filepath.Dir(h.dir); ; dir = filepath.Dir(dir) {
		var st syscall.Stat_t
		if err := syscall.Stat(dir, &st); err != nil {
			return dir
		}
		bit := uint32(0o001)
		switch {
		case st.Uid == h.user.uid:
			bit = 0o100
		case st.Gid == h.user.gid:
			bit = 0o010
		}
		if st.Mode&bit == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (h home) data() string { return filepath.Join(h.dir, "data") }

// version returns the major version of the data, or the empty string if there
// are none yet.
func (h home) version() string {
	b, err := os.ReadFile(filepath.Join(h.data(), "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// own gives a file to the server's user.
func (h home) own(path string) error {
	if h.user == nil {
		return nil
	}
	if err := os.Chown(path, int(h.user.uid), int(h.user.gid)); err != nil {
		return fmt.Errorf("cannot give %s to user %s: %w", path, h.user.name, err)
	}
	return nil
}

// lock makes sure that no other living process runs this cluster. The kernel
// releases it when its holder dies.
func (h home) lock() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process is running the cluster in %s", h.dir)
	}
	return f, nil
}

// command prepares one of PostgreSQL's programs to run as the server's user,
// free of the caller's PG* settings.
func (h home) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = h.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	// A group of its own keeps a terminal's Ctrl-C from the server: its owner
	// stops it, after whoever still needs it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if h.user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: h.user.uid, Gid: h.user.gid}
	}
	return cmd
}

// stopOrphan stops a server of this folder whose owner died without stopping
// it, and removes its pid file: PostgreSQL itself can be kept from starting by
// a file whose number now belongs to another process.
func (h home) stopOrphan(ctx context.Context) error {
	pidFile := filepath.Join(h.data(), "postmaster.pid")
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	first, _, _ := strings.Cut(string(b), "\n")
	postmaster, _ := strconv.Atoi(strings.TrimSpace(first))
	begun := time.Now()
	for sig, sent := unix.SIGINT, false; ; {
		left, err := h.processes()
		if err != nil {
			return nil // PostgreSQL decides
		}
		if len(left) == 0 {
			break
		}
		if sig == unix.SIGINT && time.Since(begun) > 10*time.Second {
			sig, sent = unix.SIGQUIT, false
		}
		// Without a postmaster the others end by themselves.
		if !sent && slices.Contains(left, postmaster) {
			if err := unix.Kill(postmaster, sig); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot stop the PostgreSQL server %d that still runs in %s: %w", postmaster, h.dir, err)
			}
			sent = true
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("cannot stop the PostgreSQL server that still runs in %s (processes %v): %w", h.dir, left, err)
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	return nil
}

// processes returns the server processes of this folder: those that work in
// it, since numbers in files are reused.
func (h home) processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil && cwd == h.data() {
			found = append(found, pid)
		}
	}
	return found, nil
}

// removeSockets removes what servers that were killed left; each start has
// another port, so their successors do not.
func (h home) removeSockets() error {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".s.PGSQL.") {
			continue
		}
		if err := os.Remove(filepath.Join(h.dir, e.Name())); err != nil {
			return fmt.Errorf("cannot start PostgreSQL: %w", err)
		}
	}
	return nil
}
