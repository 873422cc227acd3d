package dev_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jimm/workload/dev"
)

// binDir holds the programs once a test has wanted one.
var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "jimm-dev-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := trustTestServers(binDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(binDir)
	os.Exit(code)
}

// unitVersion is what the linker puts into the programs.
const unitVersion = "1.2.3"

// build builds the programs, as a release does.
var build = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+unitVersion, "-o", binDir+"/", "../cmd/jimmsrv", "../cmd/jaas", "../cmd/jimmctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, name := range []string{"juju-jaas", "juju-query-models"} {
		if err := os.Symlink("jaas", filepath.Join(binDir, name)); err != nil {
			return err
		}
	}
	return nil
})

// program returns the file of a program.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binDir, name)
}

// unit is a jimmsrv that runs, as a unit of the JIMM of a stack.
type unit struct {
	// address is where clients reach it; internal is for those who run it.
	address, internal string
	// environ are its settings.
	environ map[string]string
	log     *journal
}

// startUnit starts a jimmsrv on the services of a stack, whose administrator is
// the service account. Queries may take what a busy machine needs, unless settings say
// otherwise. The test fails if it does not stop by itself at the end.
func startUnit(t *testing.T, s *dev.Stack, settings map[string]string) *unit {
	t.Helper()
	environ, stop, err := s.UnitEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	environ["JIMM_ADMINS"], environ["JIMM_CROSS_MODEL_QUERY_TIMEOUT"] = robot, "1m"
	maps.Copy(environ, settings)
	for range 5 {
		u := &unit{address: freeAddress(t), internal: freeAddress(t), environ: environ, log: &journal{}}
		environ["JIMM_DNS_NAME"], environ["JIMM_LISTEN_ADDR"], environ["JIMM_INTERNAL_LISTEN_ADDR"] = u.address, u.address, u.internal
		if u.start(t) {
			return u
		}
	}
	t.Fatal("others take every address that was free")
	return nil
}

// start starts the program, and reports whether it could; if not somebody else has
// taken its address meanwhile.
func (u *unit) start(t *testing.T) bool {
	t.Helper()
	cmd := exec.Command(program(t, "jimmsrv"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range u.environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = u.log, u.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); u.ready(t.Context()) != nil; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			if strings.Contains(u.log.text(), "address already in use") {
				return false
			}
			t.Fatalf("jimmsrv ended at once: %v\n%s", err, u.log.tail(20))
		default:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			t.Fatalf("jimmsrv is not ready: %v\n%s", <-ended, u.log.tail(20))
		}
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("jimmsrv ends with %v", err)
			}
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			t.Errorf("jimmsrv does not stop: %v", <-ended)
		}
		if t.Failed() {
			t.Logf("the log of jimmsrv:\n%s", u.log.tail(20))
		}
	})
	return true
}

func (u *unit) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.internal+"/debug/ready", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// eventually waits until something works that a machine which stands still may keep
// from it.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// freeAddress returns one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// journal is the log of a program.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(j.text()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
