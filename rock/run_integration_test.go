//go:build integration

package rock_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canonical/pebble/client"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sys/unix"
	"gopkg.in/yaml.v3"

	"jimm/rock"
	"jimm/workload/idp"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.RunTests(m)) }

// maxPull is how many bytes of the image people should have to pull at most.
const maxPull = 60e6

// TestTheImageServes builds the image as make rock does, and runs what is in it as
// a container runtime would: its entry point, as its user, with its files alone.
func TestTheImageServes(t *testing.T) {
	out := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "run", "./rock/build", "-out", out)
	build.Dir = ".."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the image: %v\n%s", err, text)
	}
	archives, err := filepath.Glob(filepath.Join(out, "*.rock"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("the build made %v, %v", archives, err)
	}
	root, entrypoint := unroll(t, archives[0])
	c := container{t: t, root: root}
	environ := surroundings(t)
	address, internal := freeAddress(t, 21000), freeAddress(t, 21100)
	environ["JIMM_LISTEN_ADDR"], environ["JIMM_INTERNAL_LISTEN_ADDR"], environ["JIMM_DNS_NAME"] = address, internal, address
	pebble := c.start(entrypoint)

	// What the charm does: a layer with settings, checks where JIMM listens, and go.
	layer, err := yaml.Marshal(map[string]any{
		"services": map[string]any{"jimm": map[string]any{"override": "merge", "startup": "enabled", "environment": environ}},
		"checks": map[string]any{
			"jimm-live":  map[string]any{"override": "merge", "startup": "enabled", "period": "1s", "http": map[string]any{"url": "http://" + internal + "/debug/live"}},
			"jimm-ready": map[string]any{"override": "merge", "startup": "enabled", "period": "1s", "http": map[string]any{"url": "http://" + internal + "/debug/ready"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pebble.AddLayer(&client.AddLayerOptions{Combine: true, Label: "settings", LayerData: layer}); err != nil {
		t.Fatal(err)
	}
	change, err := pebble.Replan(&client.ServiceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := pebble.WaitChange(change, &client.WaitChangeOptions{Timeout: time.Minute}); err != nil || done.Err != "" {
		t.Fatalf("cannot start JIMM: %v, %+v", err, done)
	}
	c.eventually("JIMM is live and ready", func() error {
		checks, err := pebble.Checks(&client.ChecksOptions{})
		if err != nil {
			return err
		}
		if len(checks) != 2 {
			return fmt.Errorf("%d checks", len(checks))
		}
		for _, check := range checks {
			if check.Status != client.CheckStatusUp || check.Successes == nil || *check.Successes == 0 {
				return fmt.Errorf("%s is %s after %d failures", check.Name, check.Status, check.Failures)
			}
		}
		return nil
	})
	c.eventually("JIMM publishes its keys", func() error {
		answer, err := http.Get("http://" + address + "/.well-known/jwks.json")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && (answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(`"keys"`))) {
			err = fmt.Errorf("%s: %s", answer.Status, text)
		}
		return err
	})

	// The operator's command is there, finds the settings, and says what it is.
	var said bytes.Buffer
	process, err := pebble.Exec(&client.ExecOptions{Command: []string{"/usr/bin/jimmctl", "version"}, ServiceContext: "jimm", Stdout: &said, Stderr: &said})
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil || said.Len() == 0 {
		t.Errorf("jimmctl version: %v: %s", err, said.String())
	}
	c.runsAsDaemon("/usr/bin/jimmsrv", "/usr/bin/pebble")

	change, err = pebble.Stop(&client.ServiceOptions{Names: []string{"jimm"}})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := pebble.WaitChange(change, &client.WaitChangeOptions{Timeout: time.Minute}); err != nil || done.Err != "" {
		t.Errorf("cannot stop JIMM: %v, %+v", err, done)
	}
}

// container is a root file system in which programs run.
type container struct {
	t    *testing.T
	root string
	cmd  *exec.Cmd
}

// unroll unpacks an OCI archive, and the layers of its image.
func unroll(t *testing.T, archive string) (root string, entrypoint []string) {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	untar(t, f, dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %+v, %v", manifest, err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	// The daemon has to get there from the root of this machine.
	root, err = os.MkdirTemp("", "jimm-rock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var pull int64
	for _, layer := range layers {
		size, err := layer.Size()
		if err != nil {
			t.Fatal(err)
		}
		pull += size
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		untar(t, r, root)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%.1f MB to pull", float64(pull)/1e6)
	if pull > maxPull {
		t.Errorf("%.1f MB to pull, more than %.1f", float64(pull)/1e6, maxPull/1e6)
	}
	// A container runtime gives every container these.
	proc := filepath.Join(root, "proc")
	if err := os.Mkdir(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", proc, "proc", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(proc, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(root, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	null := filepath.Join(root, "dev", "null")
	if err := unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(null, 0o666); err != nil {
		t.Fatal(err)
	}
	return root, config.Config.Entrypoint
}

func untar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		mode := fs.FileMode(h.Mode & 0o777)
		if h.Mode&0o1000 != 0 {
			mode |= fs.ModeSticky
		}
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
			if err == nil {
				err = writeFile(path, archive)
			}
		}
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func writeFile(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// start runs the entry point as the daemon, with nothing but the container's files.
func (c *container) start(entrypoint []string) *client.Client {
	c.t.Helper()
	var log bytes.Buffer
	c.cmd = exec.Command(entrypoint[0], entrypoint[1:]...)
	c.cmd.Dir = "/"
	c.cmd.Env = []string{"PATH=/usr/bin"}
	c.cmd.Stdout, c.cmd.Stderr = &log, &log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Setpgid: true, Credential: &syscall.Credential{Uid: rock.DaemonID, Gid: rock.DaemonID}}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		ended := make(chan error, 1)
		go func() { ended <- c.cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			c.t.Error("Pebble does not stop")
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if c.t.Failed() {
			c.t.Logf("log of the container:\n%s", log.String())
		}
	})
	pebble, err := client.New(&client.Config{Socket: filepath.Join(c.root, "var/lib/pebble/default/.pebble.socket")})
	if err != nil {
		c.t.Fatal(err)
	}
	c.eventually("Pebble answers", func() error { _, err := pebble.SysInfo(); return err })
	return pebble
}

// runsAsDaemon looks at the processes of the container.
func (c *container) runsAsDaemon(programs ...string) {
	c.t.Helper()
	found := map[string]uint32{}
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, exe := range processes {
		program, err := os.Readlink(exe)
		if inside, ok := strings.CutPrefix(program, c.root); err == nil && ok {
			info, err := os.Stat(filepath.Dir(exe))
			if err == nil {
				found[inside] = info.Sys().(*syscall.Stat_t).Uid
			}
		}
	}
	for _, program := range programs {
		if uid, ok := found[program]; !ok || uid != rock.DaemonID {
			c.t.Errorf("%s runs as %s, not as %d", program, map[bool]string{true: strconv.Itoa(int(uid)), false: "nobody: it does not run"}[ok], rock.DaemonID)
		}
	}
}

func (c *container) eventually(what string, try func() error) {
	c.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not after two minutes: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// surroundings are what JIMM needs, and its settings with them.
func surroundings(t *testing.T) map[string]string {
	t.Helper()
	pg := cluster.ForTest(t)
	permissions, err := embedded.Open(t.Context(), embedded.Config{DSN: pg.NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := permissions.Close(); err != nil {
			t.Error(err)
		}
	})
	fga := httptest.NewServer(permissions.Handler())
	t.Cleanup(fga.Close)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(fga.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var provider http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(issuer.Close)
	clientSecret := random(24)
	if provider, err = idp.New(idp.Config{Issuer: issuer.URL, Clients: []idp.Client{{ID: "jimm", Secret: clientSecret}}}); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"JIMM_UUID": "7e5dbfbf-1111-4222-8333-94e1d8fd2b1c", "JIMM_DSN": pg.NewDatabase(t), "JIMM_ADMINS": "ops@example.com",
		"JIMM_OAUTH_ISSUER_URL": issuer.URL, "JIMM_OAUTH_CLIENT_ID": "jimm", "JIMM_OAUTH_CLIENT_SECRET": clientSecret,
		"JIMM_SESSION_SECRET_KEY": random(64), "JIMM_SECRET_STORAGE_KEYS": random(32),
		"OPENFGA_HOST": host, "OPENFGA_PORT": port, "OPENFGA_LIST_OBJECTS_MAX_RESULTS": "0",
	}
}

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// freeAddress finds a port that nobody listens on, below those that the kernel gives
// to outgoing connections until JIMM listens there.
func freeAddress(t *testing.T, from int) string {
	t.Helper()
	for port := from; port < from+100; port++ {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", address); err == nil && l.Close() == nil {
			return address
		}
	}
	t.Fatalf("no port from %d on is free", from)
	return ""
}
