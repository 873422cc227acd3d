//go:build integration

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// newLab makes a lab that is closed at the end of the test.
func newLab(t *testing.T) *Lab {
	t.Helper()
	bin, err := Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// cloudsOf gives the names of the clouds of the controller's models, by name of the model.
func cloudsOf(t *testing.T, c *Controller) map[string]string {
	t.Helper()
	out, err := c.Juju(t.Context(), "models", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Models []struct {
			ShortName string `json:"short-name"`
			Cloud     string `json:"cloud"`
		} `json:"models"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	clouds := map[string]string{}
	for _, model := range list.Models {
		clouds[model.ShortName] = model.Cloud
	}
	return clouds
}

func assertClouds(t *testing.T, c *Controller, want map[string]string) {
	t.Helper()
	if got := cloudsOf(t, c); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("models of %s are %v, want %v", c.Name, got, want)
	}
}

func assertRefused(t *testing.T, c *Controller) {
	t.Helper()
	if conn, err := net.DialTimeout("tcp", c.Address, time.Second); err == nil {
		_ = conn.Close()
		t.Errorf("%s still takes connections", c.Name)
	}
}

func TestControllersStopStartAndDie(t *testing.T) {
	l := newLab(t)
	l.Options.Clouds = []string{"", "second"}
	l.Options.Regions = [][]string{{"default"}, {"west", "east"}}
	began := time.Now()
	controllers, err := l.Start(t.Context(), 2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two controllers up in %v", time.Since(began))
	first, second := controllers[0], controllers[1]
	assertClouds(t, first, map[string]string{"controller": "lab"})
	assertClouds(t, second, map[string]string{"controller": "second"})
	if first.Cloud != "lab" || second.Cloud != "second" || first.UUID == second.UUID || first.CACert == second.CACert {
		t.Errorf("facts of the controllers: %+v, %+v", first, second)
	}
	if first.Region != "default" || second.Region != "west" {
		t.Errorf("regions are %q and %q", first.Region, second.Region)
	}
	regions, err := second.Juju(t.Context(), "regions", "second", "--controller", second.Name)
	if err != nil || !strings.Contains(regions, "west") || !strings.Contains(regions, "east") {
		t.Errorf("regions of cloud second are %q, %v", regions, err)
	}

	if _, err := second.Juju(t.Context(), "add-model", "kept"); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(context.Context) error{second.Stop, second.Kill} {
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		assertRefused(t, second)
		assertClouds(t, first, map[string]string{"controller": "lab"})
		if err := second.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		assertClouds(t, second, map[string]string{"controller": "second", "kept": "second"})
	}

	l.Options.Clouds = nil
	third, err := l.Start(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	assertClouds(t, third[0], map[string]string{"controller": "lab"})
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	l := newLab(t)
	if _, err := l.Start(t.Context(), 2, ""); err != nil {
		t.Fatal(err)
	}
	number := l.subnet.number
	if left := traces(t, number, l.dir); len(left) != 7 { // the bridge, and for each a link, a namespace and data
		t.Errorf("an open lab has %v", left)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, number, l.dir); len(left) != 0 {
		t.Errorf("Close has left %v", left)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestControllerFetchesKeysFromTheHost(t *testing.T) {
	l := newLab(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(l.HostAddress(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	var fetched atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[]}`))
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	controllers, err := l.Start(t.Context(), 1, "http://"+listener.Addr().String()+"/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	if fetched.Load() == 0 {
		t.Error("the controller has not fetched the keys")
	}
	out, err := controllers[0].Juju(t.Context(), "controller-config", "login-token-refresh-url")
	if err != nil || !strings.Contains(out, listener.Addr().String()) {
		t.Errorf("login-token-refresh-url is %q, %v", out, err)
	}
}

func TestLabsOfTwoProcessesAreApart(t *testing.T) {
	first, second := newLab(t), newLab(t)
	if first.HostAddress() == second.HostAddress() {
		t.Fatalf("both labs are at %s", first.HostAddress())
	}
	for _, l := range []*Lab{first, second} {
		controllers, err := l.Start(t.Context(), 1, "")
		if err != nil {
			t.Fatal(err)
		}
		assertClouds(t, controllers[0], map[string]string{"controller": "lab"})
	}
}

func TestLabOfAKilledProcessIsTakenDown(t *testing.T) {
	killed := newLab(t)
	if _, err := killed.Start(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	number, dir := killed.subnet.number, killed.dir
	if err := killed.subnet.lock.Close(); err != nil { // as the kernel does for a process that dies
		t.Fatal(err)
	}
	killed.subnet = nil

	next := newLab(t)
	left := traces(t, number, dir)
	if next.subnet.number == number && len(left) == 1 {
		left = nil // the new lab's bridge
	}
	if len(left) != 0 {
		t.Errorf("New has left %v", left)
	}
}

func TestOpenedLabGoesOnWithItsControllers(t *testing.T) {
	dir := t.TempDir()
	bin, err := Build(t.Context(), "../..", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	// kill lets go of a lab as the kernel does for a process that dies.
	kill := func(l *Lab) {
		t.Helper()
		if err := l.subnet.lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(l *Lab) {
		t.Helper()
		number := l.subnet.number
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if left := traces(t, number, filepath.Join(dir, "none")); len(left) != 0 {
			t.Errorf("Close has left %v", left)
		}
	}
	open := func() (*Lab, *Controller) {
		t.Helper()
		l, err := Open(bin, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		controllers, err := l.Start(t.Context(), 1, "")
		if err != nil {
			t.Fatal(err)
		}
		return l, controllers[0]
	}

	first, before := open()
	host := first.HostAddress()
	if _, err := before.Juju(t.Context(), "add-model", "kept"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"controller": "lab", "kept": "lab"}
	for _, end := range []func(*Lab){leave, kill} {
		end(first)
		other := newLab(t) // does not take the subnet, nor the controllers' data
		if other.HostAddress() == host {
			t.Errorf("another lab has taken %s", host)
		}
		again, after := open()
		if again.HostAddress() != host || after.UUID != before.UUID || after.Address != before.Address {
			t.Errorf("the lab went on at %s with %s at %s, want %s, %s, %s", again.HostAddress(), after.UUID, after.Address, host, before.UUID, before.Address)
		}
		assertClouds(t, after, want)
		first = again
	}
	number := first.subnet.number
	leave(first)

	holder, err := tryLock(number)
	if err != nil || holder == nil {
		t.Fatalf("subnet %d is still locked: %v", number, err)
	}
	defer holder.lock.Close()
	if l, err := Open(bin, dir); err == nil || !strings.Contains(err.Error(), "another has its subnet") {
		t.Errorf("Open with the subnet taken gives %v, %v", l, err)
	}
}

// traces gives what the machine has of the lab with that number and directory.
func traces(t *testing.T, number int, dir string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		fmt.Sprintf("/sys/class/net/jujubr%d", number),
		fmt.Sprintf("/sys/class/net/vj%d-*", number),
		fmt.Sprintf("/run/netns/juju%d-*", number),
		filepath.Join(dir, "c*"),
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	return found
}

func TestCharmRunsUnderBothCLIs(t *testing.T) {
	l := newLab(t)
	controllers, err := l.Start(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	c := controllers[0]
	charm, err := Charm(t.TempDir(), "probe", CharmOptions{})
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(t.TempDir(), "blob.txt")
	if err := os.WriteFile(blob, []byte("some text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path, name string
		// 3.6 can't send a resource while it deploys to 4.1, only after.
		options []string
	}{
		{path: l.bin.Juju41, name: "with41", options: []string{"--resource", "blob=" + blob}},
		{path: l.bin.Juju36, name: "with36"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cli := &CLI{Path: test.path, Data: c.clientDir()}
			juju := func(args ...string) string {
				t.Helper()
				out, err := cli.Run(t.Context(), args...)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			deploy := []string{"deploy", "-m", "controller", charm, test.name, "--to", "0", "--config", "opt=" + test.name}
			juju(append(deploy, test.options...)...)
			awaitStatus(t, c, test.name, "active opt="+test.name)
			juju("attach-resource", "-m", "controller", test.name, "blob="+blob)
			if out := juju("run", "-m", "controller", test.name+"/0", "ping", "--wait=4m"); !strings.Contains(out, "answer: pong") {
				t.Errorf("ping answers %q", out)
			}
			if out := juju("exec", "--wait=4m", "-m", "controller", "--unit", test.name+"/0", "cat $(resource-get blob)"); out != "some text\n" {
				t.Errorf("the resource is %q", out)
			}
		})
	}
	if _, err := c.Juju(t.Context(), "integrate", "-m", "controller", "with41:db", "with36:src"); err != nil {
		t.Error(err)
	}
}

// awaitStatus waits until the application's status and message are as wanted.
func awaitStatus(t *testing.T, c *Controller, application, want string) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var got string
	for got != want {
		out, err := c.Juju(t.Context(), "status", "-m", "controller", "--format", "json")
		if err != nil {
			t.Fatal(err)
		}
		var status struct {
			Applications map[string]struct {
				Status struct {
					Current string `json:"current"`
					Message string `json:"message"`
				} `json:"application-status"`
			} `json:"applications"`
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			t.Fatal(err)
		}
		got = status.Applications[application].Status.Current + " " + status.Applications[application].Status.Message
		select {
		case <-deadline:
			t.Fatalf("%s is %q after five minutes, want %q", application, got, want)
		case <-tick.C:
		}
	}
}
