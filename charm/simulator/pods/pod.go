package pods

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/canonical/pebble/client"
	"golang.org/x/sys/unix"
)

// user is _daemon_ of rocks, whom metadata.yaml has the container run as.
const user = 584792

// Image is what a workload container starts with.
type Image struct {
	// Pebble and Programs are programs of this machine; the latter by their path in
	// the container. They must need no library.
	Pebble   string
	Programs map[string]string
	// Layer is what the rock brings, of Pebble's plan.
	Layer []byte
}

// Pod is a pod.
type Pod struct {
	// Address is its own; a pod that was replaced has another.
	Address string

	image     Image
	dir       string
	subnet    string // "10.N.0."
	namespace string
	veth      string
	number    int
	life      int // how many containers there were

	mu      sync.Mutex
	daemon  *exec.Cmd
	ended   chan struct{}
	starts  int
	notices int
	client  *client.Client
}

// Network is where pods are: the bridge of a lab, by this machine's address in it.
type Network struct {
	mu    sync.Mutex
	host  netip.Addr
	taken int
}

// NewNetwork takes the bridge of the lab whose host address this is. Pods have
// the names that the lab itself gives to controllers from number 50 on, so that
// it cleans up what a killed process leaves.
func NewNetwork(host string) (*Network, error) {
	address, err := netip.ParseAddr(host)
	if err != nil || !address.Is4() {
		return nil, fmt.Errorf("cannot make pods at %q: it is no address of a lab", host)
	}
	return &Network{host: address, taken: 49}, nil
}

// Start makes a pod in a directory, whose path must be short: sockets are in it.
func (n *Network) Start(dir string, image Image) (*Pod, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken++
	lab := strconv.Itoa(int(n.host.As4()[1]))
	p := &Pod{
		image: image, dir: dir, number: n.taken, subnet: "10." + lab + ".0.",
		namespace: fmt.Sprintf("juju%s-%d", lab, n.taken), veth: fmt.Sprintf("vj%s-%d", lab, n.taken),
	}
	for _, args := range [][]string{
		{"netns", "add", p.namespace},
		{"link", "add", p.veth, "type", "veth", "peer", "name", "eth0", "netns", p.namespace},
		{"link", "set", p.veth, "master", "jujubr" + lab, "up"},
		{"-n", p.namespace, "link", "set", "lo", "up"},
		{"-n", p.namespace, "link", "set", "eth0", "up"},
	} {
		if err := ip(args...); err != nil {
			return nil, err
		}
	}
	if err := p.Readdress(10 + p.number); err != nil {
		return nil, err
	}
	return p, errors.Join(p.container(), p.Boot())
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make a pod: ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Readdress gives the pod another address, the last number of which is this.
func (p *Pod) Readdress(last int) error {
	p.Address = p.subnet + strconv.Itoa(last)
	return errors.Join(ip("-n", p.namespace, "addr", "flush", "dev", "eth0"), ip("-n", p.namespace, "addr", "add", p.Address+"/24", "dev", "eth0"))
}

// Path is the root directory of the charm container.
func (p *Pod) Path() string { return filepath.Join(p.dir, "charm") }

// workload is the root directory of the workload container.
func (p *Pod) workload() string { return filepath.Join(p.dir, "w"+strconv.Itoa(p.life)) }

// container lays a new workload container out, as its image has it.
func (p *Pod) container() error {
	p.life++
	root := p.workload()
	for _, dir := range []string{"charm/bin", "charm/container", "var/lib/pebble/default/layers", "var/lib/jimm", "tmp", "dev", "etc/ssl/certs", "usr/bin", "proc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(p.Path(), "charm/containers/jimm"), 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"charm/container", "var/lib/pebble/default", "var/lib/pebble/default/layers"} {
		if err := os.Chown(filepath.Join(root, dir), user, user); err != nil {
			return err
		}
	}
	if err := errors.Join(unix.Chmod(filepath.Join(root, "tmp"), 0o1777), unix.Chmod(filepath.Join(root, "var/lib/jimm"), 0o1777), os.Chmod(p.dir, 0o755)); err != nil {
		return err
	}
	for _, r := range []string{root, p.Path()} {
		for name, text := range map[string]string{
			"etc/passwd": "root:x:0:0::/root:/bin/false\n_daemon_:x:584792:584792::/:/bin/false\n", "etc/group": "root:x:0:\n_daemon_:x:584792:\n",
			"etc/hosts": "127.0.0.1 localhost\n", "etc/resolv.conf": "",
			// All that Pebble wants of /proc.
			"proc/sys/kernel/random/boot_id": fmt.Sprintf("00000000-0000-4000-8000-%012d\n", p.life),
		} {
			file := filepath.Join(r, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				return err
			}
		}
		for name, minor := range map[string]uint32{"null": 3, "urandom": 9} {
			file := filepath.Join(r, "dev", name)
			_ = os.MkdirAll(filepath.Dir(file), 0o755)
			if err := unix.Mknod(file, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("cannot make %s: %w", file, err)
			}
			if err := os.Chmod(file, 0o666); err != nil {
				return err
			}
		}
	}
	programs := map[string]string{"/charm/bin/pebble": p.image.Pebble}
	for to, from := range p.image.Programs {
		programs[to] = from
	}
	for to, from := range programs {
		if err := os.Link(from, filepath.Join(root, to)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "var/lib/pebble/default/layers/001-rockcraft-jimm.yaml"), p.image.Layer, 0o644)
}

// Boot starts Pebble, as Juju starts a workload container, and waits for it.
func (p *Pod) Boot() error {
	cmd := exec.Command("/charm/bin/pebble", "run", "--create-dirs", "--hold", "--verbose")
	cmd.Env = []string{"PEBBLE=/var/lib/pebble/default", "PEBBLE_SOCKET=/charm/container/pebble.socket", "PATH=/usr/bin:/bin", "HOME=/"}
	log, err := os.OpenFile(filepath.Join(p.dir, "pebble.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.workload(), Credential: &syscall.Credential{Uid: user, Gid: user}, Setpgid: true}
	if err := p.in(cmd.Start); err != nil {
		return errors.Join(fmt.Errorf("cannot start Pebble: %w", err), log.Close())
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait(); _ = log.Close() }()
	socket := filepath.Join(p.workload(), "charm/container/pebble.socket")
	c, err := client.New(&client.Config{Socket: socket})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.daemon, p.ended, p.client = cmd, ended, c
	p.mu.Unlock()
	overdue := time.After(time.Minute)
	for {
		if _, err = c.SysInfo(); err == nil {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-ended:
		case <-overdue:
		}
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("cannot reach Pebble: %w: %s", err, said)
	}
	// The charm container sees the same socket at its own path.
	seen := filepath.Join(p.Path(), "charm/containers/jimm/pebble.socket")
	_ = os.Remove(seen)
	if err := os.Link(socket, seen); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts++
	p.notices = 0
	return nil
}

// Kill ends the workload container and all that runs in it.
func (p *Pod) Kill() {
	p.mu.Lock()
	daemon, ended := p.daemon, p.ended
	p.daemon, p.client = nil, nil
	p.mu.Unlock()
	if daemon == nil {
		return
	}
	_ = daemon.Process.Kill()
	<-ended
	// Without Pebble, which starts again what has ended.
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		out, _ := exec.Command("ip", "netns", "pids", p.namespace).Output()
		left := strings.Fields(string(out))
		if len(left) == 0 {
			return
		}
		for _, field := range left {
			if pid, err := strconv.Atoi(field); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// Renew replaces the container by a new one of an image, as Kubernetes does when
// it has died, or for a new image.
func (p *Pod) Renew(image Image) error {
	p.Kill()
	p.image = image
	old := p.workload()
	if err := p.container(); err != nil {
		return err
	}
	return errors.Join(p.Boot(), os.RemoveAll(old))
}

// Image is what the container was made of.
func (p *Pod) Image() Image { return p.image }

// Stop removes the pod.
func (p *Pod) Stop() error {
	p.Kill()
	return errors.Join(ip("link", "del", p.veth), ip("netns", "del", p.namespace))
}

// Run implements simulator.Root.
func (p *Pod) Run(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.Path()}
	if err := p.in(cmd.Start); err != nil {
		return err
	}
	return cmd.Wait()
}

// in has a process started in the pod's network. A process belongs to the network
// of the thread that starts it.
func (p *Pod) in(start func() error) error {
	done := make(chan error)
	go func() {
		// The thread is not given back, unless it is the first of this process, which
		// never ends: it must not stay in the pod, or it would count as a process of it.
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = home.Close() }()
		f, err := os.Open("/run/netns/" + p.namespace)
		if err == nil {
			defer func() { _ = f.Close() }()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = errors.Join(start(), unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
		}
		done <- err
	}()
	return <-done
}

// Starts implements simulator.Container.
func (p *Pod) Starts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// Notices implements simulator.Container: custom notices since Pebble started.
func (p *Pod) Notices() int {
	p.mu.Lock()
	c := p.client
	p.mu.Unlock()
	if c == nil {
		return 0
	}
	notices, err := c.Notices(&client.NoticesOptions{Types: []client.NoticeType{client.CustomNotice}, Users: client.NoticesUsersAll})
	if err != nil {
		return 0
	}
	n := 0
	for _, notice := range notices {
		n += notice.Occurrences
	}
	return n
}

// Checks implements simulator.Container: how often checks have failed so often
// that they count as failed, and how often they have recovered from it.
func (p *Pod) Checks() (failed, recovered int) {
	p.mu.Lock()
	c := p.client
	p.mu.Unlock()
	if c == nil {
		return 0, 0
	}
	changes, err := c.Changes(&client.ChangesOptions{Selector: client.ChangesAll})
	if err != nil {
		return 0, 0
	}
	for _, change := range changes {
		if change.Kind == "recover-check" {
			failed++
			if change.Ready && change.Status == "Done" {
				recovered++
			}
		}
	}
	return failed, recovered
}

// Work tells what Pebble has been made to do to services, so that two looks can
// be compared.
func (p *Pod) Work() (string, error) {
	p.mu.Lock()
	c := p.client
	p.mu.Unlock()
	if c == nil {
		return "", errors.New("the container does not run")
	}
	changes, err := c.Changes(&client.ChangesOptions{Selector: client.ChangesAll})
	if err != nil {
		return "", err
	}
	var work []string
	for _, change := range changes {
		if !strings.HasSuffix(change.Kind, "-check") {
			work = append(work, change.Kind+" "+change.ID)
		}
	}
	slices.Sort(work)
	return strings.Join(work, ", "), nil
}

// Process is the id of the process of a program, empty if it does not run.
func (p *Pod) Process(program string) (pid string, err error) {
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "pids", p.namespace).Output()
	if err != nil {
		return "", err
	}
	for _, pid := range strings.Fields(string(out)) {
		if name, err := os.Readlink("/proc/" + pid + "/exe"); err == nil && strings.HasSuffix(name, program) {
			return pid, nil
		}
	}
	return "", nil
}

// Environment is what JIMM's process was started with, from /proc.
func (p *Pod) Environment(program string) (map[string]string, error) {
	pid, err := p.Process(program)
	if err != nil || pid == "" {
		return nil, err
	}
	text, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for pair := range strings.SplitSeq(string(text), "\x00") {
		if name, value, found := strings.Cut(pair, "="); found {
			env[name] = value
		}
	}
	return env, nil
}

// Read reads a file of the workload container.
func (p *Pod) Read(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(p.workload(), path))
}
