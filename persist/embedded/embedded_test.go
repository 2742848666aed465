//go:build linux || darwin || freebsd

package embedded

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// childDir tells this test binary to be a command that starts a server in that folder, says so and waits to be killed.
const childDir = "SYNCER_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, err := Start(ctx, Options{Dir: dir, FastAndLoose: true})
	if err != nil {
		os.Stdout.WriteString("error " + strings.ReplaceAll(err.Error(), "\n", " ") + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("started " + strconv.Itoa(s.PID()) + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// place is a folder for a server, which its user can enter: t.TempDir() is closed to it. What runs there ends with the
// test.
func place(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("/var/tmp", "syncer-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "postgres")
	t.Cleanup(func() {
		if err := Stop(context.WithoutCancel(t.Context()), dir); err != nil && !errors.Is(err, ErrNotRunning) {
			t.Error(err)
		}
		os.RemoveAll(parent)
	})
	return dir
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{Dir: dir, Log: func(m string) { t.Log(m) }, FastAndLoose: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask runs one query on a new connection and returns its text.
func ask(t *testing.T, s *Server, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var out *string
	if err := conn.QueryRow(t.Context(), query).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", query, err)
	}
	if out == nil {
		return ""
	}
	return *out
}

// One server lives through its life here: made, used, found, stopped, started again with its data, crashed, removed.
func TestLife(t *testing.T) {
	t.Parallel()
	dir := place(t)
	s := start(t, dir)
	if !s.Started() {
		t.Error("the first Start must have started it")
	}
	ask(t, s, "CREATE TABLE kept AS SELECT 'data' AS v")
	if got := ask(t, s, "SELECT concat_ws(' ', current_database(), current_user, current_setting('listen_addresses'), current_setting('unix_socket_directories'), current_setting('server_encoding'))"); got != "syncer syncer 127.0.0.1  UTF8" {
		t.Errorf("settings: %q", got)
	}
	checkPasswordIsAsked(t, s)

	again := start(t, dir)
	if again.Started() || again.PID() != s.PID() || again.URL() != s.URL() {
		t.Errorf("a second Start must find the first: %+v", again.PID())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Find after Stop = %v", err)
	}
	if err := Stop(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a second Stop = %v", err)
	}

	s = start(t, dir)
	if got := ask(t, s, "SELECT v FROM kept"); got != "data" {
		t.Errorf("after a restart: %q", got)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	recovered := start(t, dir)
	if !recovered.Started() || recovered.PID() == s.PID() {
		t.Error("after a crash Start must start a new server")
	}
	if got := ask(t, recovered, "SELECT v FROM kept"); got != "data" {
		t.Errorf("after a crash: %q", got)
	}

	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove left the folder: %v", err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
}

func TestStalePostmasterFileIsNotBelieved(t *testing.T) {
	t.Parallel()
	dir := place(t)
	s := start(t, dir)
	pidFile := filepath.Join(dir, dataName, "postmaster.pid")
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// As after a reboot: the file is there, and its number belongs to somebody else now, to us.
	_, rest, _ := strings.Cut(string(content), "\n")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Find believed the file: %v", err)
	}
	if err := Stop(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Stop believed the file (and would have interrupted us): %v", err)
	}
	if s := start(t, dir); !s.Started() {
		t.Error("Start believed the file")
	}
}

// Ten commands start at once, five of them in processes of their own; there is one server.
func TestManyStartersOneServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server from ten places")
	}
	t.Parallel()
	dir := place(t)
	var group errgroup.Group
	started, pids := make(chan bool, 10), make(chan string, 10)
	for range 5 {
		child := runChild(t, exec.Command(os.Args[0]), dir)
		group.Go(func() error { pids <- child.said(t); return nil })
		group.Go(func() error {
			s, err := Start(t.Context(), Options{Dir: dir, FastAndLoose: true})
			if err != nil {
				return err
			}
			started <- s.Started()
			pids <- "started " + strconv.Itoa(s.PID())
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(started)
	close(pids)
	count := 0
	for s := range started {
		if s {
			count++
		}
	}
	if count > 1 {
		t.Errorf("%d of the starters in this process started a server", count)
	}
	first := <-pids
	for pid := range pids {
		if pid != first || !strings.HasPrefix(pid, "started ") {
			t.Errorf("two answers: %q and %q", first, pid)
		}
	}
}

func TestServerSurvivesAKilledStarter(t *testing.T) {
	if testing.Short() {
		t.Skip("kills starters of a server")
	}
	t.Parallel()
	dir := place(t)
	child := runChild(t, exec.Command(os.Args[0]), dir)
	said := child.said(t)
	if err := child.cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	_ = child.cmd.Wait() // "signal: killed" is what we asked for
	s, err := Find(t.Context(), dir)
	if err != nil {
		t.Fatalf("the server went with its starter: %v", err)
	}
	if said != "started "+strconv.Itoa(s.PID()) {
		t.Errorf("another server: the child %s, found %d", said, s.PID())
	}
	if got := ask(t, s, "SELECT 'alive'"); got != "alive" {
		t.Errorf("got %q", got)
	}
}

// child is a process of this test binary that starts a server.
type child struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func runChild(t *testing.T, cmd *exec.Cmd, dir string) child {
	t.Helper()
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // ends the child's wait
		_ = cmd.Wait()
	})
	return child{cmd, bufio.NewReader(out)}
}

func (c child) said(t *testing.T) string {
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Errorf("the child said nothing: %v", err)
	}
	return strings.TrimSpace(line)
}

// As root, the same again as an ordinary user: no user is switched to, no chown is done.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if s := start(t, place(t)); ask(t, s, "SELECT 'ordinary'") != "ordinary" {
			t.Error("no answer")
		}
		return
	}
	dir := place(t)
	parent := filepath.Dir(dir)
	binary := filepath.Join(parent, "starter")
	self, err := os.ReadFile(os.Args[0]) // the build folder is closed to others
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	nobody := account{uid: 65534, gid: 65534, switched: true}
	if err := nobody.own(parent); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Dir = parent
	cmd.SysProcAttr = nobody.attributes()
	if said := runChild(t, cmd, dir).said(t); !strings.HasPrefix(said, "started ") {
		t.Fatalf("as nobody: %s", said)
	}
	info, err := os.Stat(filepath.Join(dir, connectionName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != nobody.uid {
		t.Errorf("connection.json: %v, %v", info, err)
	}
	// Root may use it, but not take a folder of somebody else's for its own.
	if s, err := Find(t.Context(), dir); err != nil || ask(t, s, "SELECT 'ordinary'") != "ordinary" {
		t.Errorf("Find as root: %v", err)
	}
	if err := Stop(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not a folder of the user") {
		t.Errorf("Start of somebody else's server: %v", err)
	}
}

func checkPasswordIsAsked(t *testing.T, s *Server) {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := u.User.Password(); len(password) < 40 {
		t.Error("the password is short")
	}
	u.User = url.UserPassword("syncer", "wrong")
	if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
		conn.Close(t.Context())
		t.Error("any password connects")
	}
}
