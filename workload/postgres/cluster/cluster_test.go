package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// ownerVariable makes the test program an owner of a cluster that can be killed.
const ownerVariable = "JIMM_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		own(dir)
	}
	os.Exit(RunTests(m))
}

// own starts a cluster, says where it is and waits to be killed.
func own(dir string) {
	c, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.DSN("postgres"))
	select {}
}

// tempDir is a folder that the server's user can reach: t.TempDir's parents
// are closed to others.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jimm-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mustStart(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Options{Dir: dir, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustStop(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(values, ",")
}

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAStoppedClusterResumesWithItsData(t *testing.T) {
	dir := tempDir(t)
	c := mustStart(t, dir)
	for range 2 {
		if err := c.CreateDatabase(t.Context(), "estate"); err != nil {
			t.Fatal(err)
		}
	}
	query(t, c.DSN("estate"), "create table kept as select 'yes' as word; ")
	mustStop(t, c)

	c = mustStart(t, dir)
	defer mustStop(t, c)
	if got := query(t, c.DSN("estate"), "select word from kept"); got != "yes" {
		t.Errorf("after resuming the row is %q, want yes", got)
	}
	if got := query(t, c.DSN("estate"), "show fsync"); got != "on" {
		t.Errorf("a durable cluster has fsync %s", got)
	}
}

func TestAClusterWantsItsPassword(t *testing.T) {
	c := ForTest(t)
	dsn := strings.Replace(c.DSN("postgres"), c.password, "wrong", 1)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		conn.Close(t.Context())
		t.Fatal("a wrong password was let in")
	}
}

func TestAClusterWhoseServerWasKilledRecovers(t *testing.T) {
	dir := tempDir(t)
	c := mustStart(t, dir)
	query(t, c.DSN("postgres"), "create table kept as select 'yes' as word")
	if err := unix.Kill(serverPID(t, dir), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err == nil {
		t.Error("stopping a killed server reports no error")
	}

	c = mustStart(t, dir)
	defer mustStop(t, c)
	if got := query(t, c.DSN("postgres"), "select word from kept"); got != "yes" {
		t.Errorf("after the crash the row is %q, want yes", got)
	}
	if sockets, _ := filepath.Glob(filepath.Join(dir, ".s.PGSQL.*")); len(sockets) > 2 {
		t.Errorf("the killed server's sockets are still there: %v", sockets)
	}
}

func TestThePortOfAServerThatIsDownIsNobodyElses(t *testing.T) {
	c := mustStart(t, tempDir(t))
	defer mustStop(t, c)
	if err := c.Down(false); err != nil {
		t.Fatal(err)
	}
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	if err := unix.Bind(other, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: c.port}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("another takes it: %v", err)
	}
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, c.DSN("postgres"), "select 'yes'"); got != "yes" {
		t.Errorf("it answers %q", got)
	}
}

func TestAServerLeftRunningIsTakenOver(t *testing.T) {
	dir := tempDir(t)
	old := mustStart(t, dir)
	query(t, old.DSN("postgres"), "create table kept as select 'yes' as word")
	// The kernel would release the lock of a dead owner just so.
	if err := old.lock.Close(); err != nil {
		t.Fatal(err)
	}
	c := mustStart(t, dir)
	defer mustStop(t, c)
	select {
	case <-old.server.done:
	case <-time.After(time.Minute):
		t.Fatal("the old server still runs")
	}
	if got := query(t, c.DSN("postgres"), "select word from kept"); got != "yes" {
		t.Errorf("after the takeover the row is %q, want yes", got)
	}
}

func TestAPidFileThatNamesAForeignProcessHarmsNobody(t *testing.T) {
	dir := tempDir(t)
	mustStop(t, mustStart(t, dir))
	bystander := exec.Command("sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	}()
	pidFile := fmt.Sprintf("%d\n%s/data\n0\n5432\n\n\n", bystander.Process.Pid, dir)
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(pidFile), 0o644); err != nil {
		t.Fatal(err)
	}
	mustStop(t, mustStart(t, dir))
	if err := unix.Kill(bystander.Process.Pid, 0); err != nil {
		t.Errorf("the process with the stale number is gone: %v", err)
	}
}

func TestTheServerEndsWithItsOwner(t *testing.T) {
	dir := tempDir(t)
	owner := exec.Command(os.Args[0], "-test.run=^$")
	owner.Env = append(os.Environ(), ownerVariable+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("the owner says %q, %v", line, err)
	}
	query(t, strings.TrimSpace(line), "create table kept as select 'yes' as word")
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second owner beside the first gets error %v", err)
	}
	pid := serverPID(t, dir)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	for deadline := time.Now().Add(time.Minute); unix.Kill(pid, 0) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the server outlives its owner by a minute")
		}
		if err := pause(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	c := mustStart(t, dir)
	defer mustStop(t, c)
	if got := query(t, c.DSN("postgres"), "select word from kept"); got != "yes" {
		t.Errorf("after the owner's death the row is %q, want yes", got)
	}
}

func TestAFolderClosedToTheServerIsKeptElsewhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another user")
	}
	closed := tempDir(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "postgres")
	c := mustStart(t, dir)
	if !strings.HasPrefix(c.Dir(), elsewhere+"/") {
		t.Errorf("the data are in %s", c.Dir())
	}
	mustStop(t, c)
	gone := func(after string) {
		t.Helper()
		// Another process's test may be the one that removes it.
		for deadline := time.Now().Add(time.Minute); ; {
			_, err := os.Stat(c.Dir())
			if errors.Is(err, os.ErrNotExist) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("after %s, stat gives %v", after, err)
			}
			if err := pause(t.Context(), 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	gone("Remove")

	// The next cluster takes away what a test that was killed has left.
	mustStop(t, mustStart(t, dir))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(closed, "next")
	mustStop(t, mustStart(t, next))
	gone("the start of the next")
	if err := Remove(next); err != nil {
		t.Fatal(err)
	}
}

func TestALongPathHasItsSocketInATemporaryFolder(t *testing.T) {
	dir := filepath.Join(tempDir(t), strings.Repeat("long/", 25))
	for parent := dir; ; parent = filepath.Dir(parent) {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(parent) == os.TempDir() {
			if err := os.Chmod(parent, 0o755); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	c := mustStart(t, dir)
	sockets := c.server.socketDir
	if sockets == "" {
		t.Error("the socket is in the long path")
	}
	mustStop(t, c)
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop, stat of the socket's folder gives %v", err)
	}
}

func TestAFolderWithOtherThingsIsRefused(t *testing.T) {
	dir := tempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "thesis.odt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "thesis.odt") {
		t.Errorf("error %v, want one that names the file", err)
	}
}

func TestMissingProgramsNameTheirPackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	saved := debianVersions
	debianVersions = t.TempDir()
	defer func() { debianVersions = saved }()
	for version, want := range map[string]string{
		"":   "apt-get install postgresql",
		"14": "apt-get install postgresql-14",
	} {
		_, err := findPrograms(version)
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("version %q: error %v, want one that ends in %q", version, err, want)
		}
	}
}

func TestAnUnfinishedInitialisationIsDoneAgain(t *testing.T) {
	dir := tempDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustStop(t, mustStart(t, dir))
}

func TestEveryTestGetsADatabaseOfItsOwn(t *testing.T) {
	c := ForTest(t)
	var name string
	t.Run("during the test it is there", func(t *testing.T) {
		name = query(t, c.NewDatabase(t), "select current_database()::text")
	})
	got := query(t, c.DSN("postgres"), "select datname::text from pg_database where datname = '"+name+"'")
	if name == "" || got != "" {
		t.Errorf("database %q: after its test %q is left", name, got)
	}
}
