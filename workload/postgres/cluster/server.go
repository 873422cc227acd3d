package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketPathLimit is what fits into sockaddr_un, less the socket's own name.
const socketPathLimit = 107 - len("/.s.PGSQL.65535.lock")

// server is a PostgreSQL server process that this process started.
type server struct {
	process *os.Process
	// done is closed when the process has been waited for; err is set before.
	done chan struct{}
	err  error
	tail *tail
	// socketDir is a temporary folder to remove, or empty.
	socketDir string
}

// exitedError says that a server ended before it answered.
type exitedError struct {
	log string
}

func (e *exitedError) Error() string { return "it ended at once: " + e.log }

// serve starts the server process.
func (h home) serve(programs programs, port int, opts Options) (*server, error) {
	s := &server{done: make(chan struct{}), tail: &tail{}}
	sockets := h.dir
	if len(sockets) > socketPathLimit || strings.ContainsAny(sockets, ",\" ") {
		dir, err := os.MkdirTemp("", "jimm-pg-")
		if err != nil {
			return nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
		}
		s.socketDir, sockets = dir, dir
		if err := h.own(dir); err != nil {
			s.removeSockets()
			return nil, err
		}
	}
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": sockets,
		"max_connections":         "200",
		"log_checkpoints":         "off",
		"log_timezone":            "UTC",
		"timezone":                "UTC",
	}
	if !opts.Durable {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	args := []string{"-D", h.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	cmd := h.command(context.Background(), programs.postgres, args...)
	// When this process dies without a word, the server shuts down by itself.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGINT
	cmd.Stderr = s.tail
	if opts.Log != nil {
		cmd.Stderr = io.MultiWriter(opts.Log, s.tail)
	}
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that forked for the death of
		// the parent, so that thread waits here for as long as the server lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := <-started; err != nil {
		s.removeSockets()
		return nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	s.process = cmd.Process
	return s, nil
}

// stop ends the server with a signal (SIGINT: fast; SIGQUIT: at once, with
// recovery at the next start) and waits for it.
func (s *server) stop(sig syscall.Signal) error {
	defer s.removeSockets()
	if err := s.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop PostgreSQL: %w", err)
	}
	<-s.done
	if s.err != nil && sig == unix.SIGINT {
		return fmt.Errorf("PostgreSQL did not stop cleanly: %w: %s", s.err, s.tail)
	}
	return nil
}

func (s *server) removeSockets() {
	if s.socketDir != "" {
		_ = os.RemoveAll(s.socketDir)
	}
}

// keepPort finds a free port, which the kernel gives to nobody while the file is
// open: it belongs to a socket that does not listen. PostgreSQL, which asks for it
// by number and says that it may be in use (SO_REUSEADDR), gets it all the same.
func keepPort() (*os.File, int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot make a socket: %w", err)
	}
	kept := os.NewFile(uintptr(fd), "port")
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var address unix.Sockaddr
	if err == nil {
		address, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = kept.Close()
		return nil, 0, fmt.Errorf("cannot find a free port: %w", err)
	}
	return kept, address.(*unix.SockaddrInet4).Port, nil
}

// tail keeps the end of a log, for error messages.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const tailSize = 2000 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if len(t.end) > tailSize {
		t.end = t.end[len(t.end)-tailSize:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.end))
}
