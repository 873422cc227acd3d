//go:build integration

package day

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jimm/integration/lab"
	"jimm/workload/dev"
	"jimm/workload/idp"
)

// newcomer is somebody on a machine with a jimmdev that was just built.
type newcomer struct {
	t *testing.T
	// home is where the state is, and where jimmdev is started if started is empty.
	home, started string
	jimmdev, juju string
	// as is the user, nil for the one who runs the tests.
	as *syscall.Credential
	// device is who logs in with a browser, nil for the service account.
	device *idp.User
	port   int
}

func TestFirstFiveMinutes(t *testing.T) {
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	jimmdev := buildJimmdev(t)
	for _, test := range []struct {
		name, juju string
		as         *syscall.Credential
		device     *idp.User
	}{
		{"as root with juju 4.1 and the service account", bin.Juju41, nil, nil},
		// Juju 3.6 knows no service accounts.
		{"as an ordinary user with juju 3.6 and a browser", bin.Juju36, &syscall.Credential{Uid: 65534, Gid: 65534}, &dev.Bob},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := &newcomer{t: t, as: test.as, device: test.device, port: freePorts(t)}
			n.settle(jimmdev, test.juju)
			n.liveThroughIt()
		})
	}
}

func TestRealControllersGoOn(t *testing.T) {
	bin, err := lab.Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	n := &newcomer{t: t, port: freePorts(t)}
	n.settle(buildJimmdev(t), bin.Juju41)
	// Real controllers are built from the repository that jimmdev is started in.
	if n.started, err = filepath.Abs("../.."); err != nil {
		t.Fatal(err)
	}
	j := n.up("--juju", "real")
	n.login().says(`You are now logged into "jimm"`)
	n.sh("juju add-model hello").says("Added 'hello' model on dev/")
	n.sh("juju model-config -m hello logging-config='<root>=DEBUG'").says()
	j.interrupt()

	for _, end := range []func(*running){(*running).kill, (*running).interrupt} {
		j = n.up("--juju", "real")
		n.sh("juju models").says("hello", "available")
		n.sh("juju model-config -m hello logging-config").says("<root>=DEBUG")
		end(j)
	}
	j = n.up("--juju", "real", "--fresh")
	j.interrupt()
}

func buildJimmdev(t *testing.T) string {
	t.Helper()
	jimmdev := filepath.Join(t.TempDir(), "jimmdev")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", jimmdev, "../../workload/cmd/jimmdev").CombinedOutput(); err != nil {
		t.Fatalf("cannot build jimmdev: %v\n%s", err, out)
	}
	return jimmdev
}

// settle copies the programs to where any user reaches them.
func (n *newcomer) settle(jimmdev, juju string) {
	n.t.Helper()
	dir, err := os.MkdirTemp("", "jimm-first-")
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			n.t.Error(err)
		}
	})
	n.jimmdev, n.juju, n.home = filepath.Join(dir, "jimmdev"), filepath.Join(dir, "juju"), filepath.Join(dir, "home")
	if out, err := exec.CommandContext(n.t.Context(), "cp", jimmdev, juju, dir).CombinedOutput(); err != nil {
		n.t.Fatalf("cannot copy the programs: %v\n%s", err, out)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(n.home, 0o755)); err != nil {
		n.t.Fatal(err)
	}
	if n.as != nil {
		if err := os.Chown(n.home, int(n.as.Uid), int(n.as.Gid)); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *newcomer) liveThroughIt() {
	j := n.up()
	n.login().says(`You are now logged into "jimm"`)
	n.sh("juju add-model hello").says("Added 'hello' model")
	n.sh("juju models").says("hello", "available")
	n.sh("juju add-model bye dev/west").says("Added 'bye' model on dev/west")
	n.sh(`printenv JIMM_DEV_USERS`).says("alice@example.com:", "bob@example.com:")
	n.second("another jimmdev runs in")
	j.interrupt()

	j = n.up()
	n.sh("juju models").says("hello", "bye", "available")
	n.sh("juju destroy-model bye --no-prompt").says()
	n.sh("juju models").says("hello").omits("bye")
	j.kill()

	j = n.up() // takes over what the killed one has left running
	n.sh("juju models").says("hello").omits("bye")
	n.sh("juju add-model again").says()
	j.interrupt()

	j = n.up("--fresh")
	n.sh("juju unregister jimm --no-prompt").says()
	n.login().says()
	n.sh("juju models").omits("hello", "again")
	j.interrupt()
}

// command is a program run by the newcomer, in a process group of its own as shells do it.
func (n *newcomer) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = n.home
	cmd.Env = []string{
		"PATH=" + filepath.Dir(n.juju) + ":" + os.Getenv("PATH"), "HOME=" + n.home, "JUJU_DATA=" + filepath.Join(n.home, "juju"), "LANG=C.UTF-8",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: n.as}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// login logs in, by a person in a browser or as the service account.
func (n *newcomer) login() *run {
	n.t.Helper()
	const line = `juju login "$JIMM_DEV_ADDRESS" -c jimm --no-prompt`
	if n.device == nil {
		return n.sh(line)
	}
	certificate, err := os.ReadFile(filepath.Join(n.home, ".jimmdev", "ca.pem"))
	if err != nil {
		n.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer browser.CloseIdleConnections()
	return n.session().approve(n.shell(line), *n.device, browser)
}

// sh runs a line in a shell that has read what jimmdev has written for scripts.
func (n *newcomer) sh(line string) *run {
	n.t.Helper()
	return n.session().run(n.shell(line))
}

func (n *newcomer) shell(line string) *exec.Cmd {
	// Without a list of public clouds juju fetches one.
	return n.command(n.t.Context(), "sh", "-c",
		`mkdir -p "$JUJU_DATA" && echo "clouds: {}" >"$JUJU_DATA/public-clouds.yaml" && set -a && . .jimmdev/env && set +a && exec `+line)
}

func (n *newcomer) session() *session {
	return &session{t: n.t, who: "newcomer", log: func() string {
		out, _ := exec.Command("tail", "-n", "40", filepath.Join(n.home, ".jimmdev", "log")).CombinedOutput()
		return string(out)
	}}
}

// freePorts gives the first of some ports in a row that nobody listens on.
func freePorts(t *testing.T) int {
	t.Helper()
	const inARow = 4
	for port := 20000; port < 30000; port += inARow {
		free := true
		for i := range inARow {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// running is a jimmdev that is up.
type running struct {
	n      *newcomer
	cmd    *exec.Cmd
	output *tail
	ended  chan error
}

var ready = regexp.MustCompile(`Ready in ([0-9.]+) s`)

// startLimit is how many seconds a start may take once all is built: it takes less than ten, but
// on a busy machine.
const startLimit = 60.0

// up starts jimmdev and waits until it is ready.
func (n *newcomer) up(args ...string) *running {
	n.t.Helper()
	r := &running{n: n, output: &tail{}, ended: make(chan error, 1)}
	if n.started != "" {
		args = append(args, "--dir", filepath.Join(n.home, ".jimmdev"))
	}
	r.cmd = n.command(context.Background(), n.jimmdev, append([]string{"up", "--port", strconv.Itoa(n.port)}, args...)...)
	if n.started != "" {
		r.cmd.Dir = n.started
	}
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	if err := r.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait(); close(r.ended) }()
	n.t.Cleanup(r.end)
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := ready.FindStringSubmatch(r.output.String()); found != nil {
			if took, err := strconv.ParseFloat(found[1], 64); err != nil || took > startLimit {
				n.t.Errorf("jimmdev is ready only after %s s:\n%s", found[1], r.output)
			}
			n.t.Logf("ready in %s s", found[1])
			return r
		}
		select {
		case err := <-r.ended:
			n.t.Fatalf("jimmdev ends: %v\n%s", err, r.output)
		case <-deadline:
			n.t.Fatalf("jimmdev is not ready after %v:\n%s", patience, r.output)
		case <-tick.C:
		}
	}
}

// second starts another jimmdev in the same place, which has to refuse.
func (n *newcomer) second(says string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	out, err := n.command(ctx, n.jimmdev, "up", "--port", strconv.Itoa(n.port)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), says) {
		n.t.Errorf("a second jimmdev: %v\n%s", err, out)
	}
}

// interrupt stops jimmdev as Ctrl-C does, which the terminal sends to all processes of the
// group, and wants nothing to be left of it.
func (r *running) interrupt() {
	r.n.t.Helper()
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT); err != nil {
		r.n.t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			r.n.t.Errorf("jimmdev ends with %v\n%s", err, r.output)
		}
	case <-time.After(patience):
		r.n.t.Fatalf("jimmdev does not end\n%s", r.output)
	}
	if left := r.n.processes(); len(left) != 0 {
		r.n.t.Errorf("jimmdev has left running:\n%s", strings.Join(left, "\n"))
	}
}

// end stops a jimmdev that a failed test has left.
func (r *running) end() {
	_ = r.cmd.Process.Signal(os.Interrupt)
	select {
	case <-r.ended:
	case <-time.After(patience):
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// kill ends jimmdev as a crash does.
func (r *running) kill() {
	r.n.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.n.t.Fatal(err)
	}
	<-r.ended
}

// processes are those of this machine that have to do with the newcomer's home.
func (n *newcomer) processes() []string {
	n.t.Helper()
	var found []string
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, file := range lines {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd"))
		if line := strings.ReplaceAll(string(text), "\x00", " "); strings.Contains(line, n.home) || strings.HasPrefix(cwd, n.home) {
			found = append(found, fmt.Sprintf("%s in %s", line, cwd))
		}
	}
	return found
}
