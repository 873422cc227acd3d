package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	// startLimit is how long a service may take until it answers.
	startLimit = time.Minute
	// stopLimit is how long it may take to stop when asked to.
	stopLimit = 10 * time.Second
)

// Service is a program that runs as a process of its own.
type Service struct {
	// Name is that of the program.
	Name string
	// LogFile has what it writes.
	LogFile string

	path   string
	args   []string
	env    []string
	client *http.Client
	// health is the URL that answers when it is ready.
	health string
	// healthy are the statuses beside 200 that count.
	healthy []int
	// afterStart makes it usable, such as unsealing Vault.
	afterStart func(context.Context) error

	process *os.Process
	ended   chan struct{}
}

// NewService describes a program that answers 200 at the URL health once it is
// ready. Its environment is env alone, and what it writes goes to NAME.log in dir.
func NewService(name, path, dir string, client *http.Client, health string, env []string, args ...string) *Service {
	return &Service{Name: name, LogFile: filepath.Join(dir, name+".log"), path: path, args: args, env: env, client: client, health: health}
}

// Start starts the service and waits until it answers.
func (s *Service) Start(ctx context.Context) error {
	if s.process != nil {
		return fmt.Errorf("cannot start %s: it runs", s.Name)
	}
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.path, s.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	// It ends when this process dies, and not by a Ctrl-C meant for this one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The kernel takes the death of the thread that forked for the death of the
		// parent, so that thread waits here for as long as the service lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // its log tells
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name, err)
	}
	s.process, s.ended = cmd.Process, ended
	if err := s.awaitReady(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	if s.afterStart != nil {
		if err := s.afterStart(ctx); err != nil {
			return errors.Join(err, s.Kill())
		}
	}
	return nil
}

func (s *Service) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		status, err := s.ask(ctx)
		if err == nil && (status == http.StatusOK || slices.Contains(s.healthy, status)) {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("cannot start %s: it ended at once; see %s", s.Name, s.LogFile)
		case <-ctx.Done():
			return fmt.Errorf("cannot start %s: it does not answer at %s (status %d, %w); see %s", s.Name, s.health, status, err, s.LogFile)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func (s *Service) ask(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.health, nil)
	if err != nil {
		return 0, err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// Stop asks the service to end and waits for it; it is killed if it takes long.
func (s *Service) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends the service as a crash does.
func (s *Service) Kill() error { return s.end(syscall.SIGKILL) }

func (s *Service) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop %s: %w", s.Name, err)
	}
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		_ = s.process.Kill()
		<-s.ended
	}
	s.process = nil
	return nil
}

// Freeze stops the service from doing anything: its connections stay, and nobody
// answers. Thaw has it go on.
func (s *Service) Freeze() error {
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	// Until all its threads have stopped, it may answer.
	for {
		var state syscall.WaitStatus
		_, err := syscall.Wait4(s.process.Pid, &state, syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return fmt.Errorf("cannot wait until %s has stopped: %w", s.Name, err)
		case !state.Stopped():
			return fmt.Errorf("%s has ended", s.Name)
		default:
			return nil
		}
	}
}

// Thaw ends a Freeze.
func (s *Service) Thaw() error { return s.process.Signal(syscall.SIGCONT) }

// PID is the process id, 0 when it does not run.
func (s *Service) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.Pid
}

// run runs a program to its end, for what has to be done before a start.
func run(ctx context.Context, env []string, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		const most = 2000
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(path), args[0], err, out[max(0, len(out)-most):])
	}
	return nil
}
