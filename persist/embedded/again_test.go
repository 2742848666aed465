//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"errors"
	"net"
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

// Whoever has connected once finds the server again: on its port, on another one where that is taken, and after it was killed.
// connection.json that is lost or cut is no end: the error says how to get in, and so one does.
func TestAServerIsFoundAgain(t *testing.T) {
	t.Parallel()
	dir := place(t)
	s := start(t, dir)
	ask(t, s, "CREATE TABLE kept AS SELECT 'data' AS v")
	dialer, err := NewDialer(Options{Dir: dir, FastAndLoose: true}, new(net.Dialer).DialContext)
	must(t, err)
	config, err := pgx.ParseConfig(s.URL()) // as it was at first: the dialer knows better
	must(t, err)
	config.DialFunc = dialer.Dial
	kept := func() {
		t.Helper()
		conn, err := pgx.ConnectConfig(t.Context(), config)
		must(t, err)
		defer conn.Close(t.Context())
		var v string
		if err := conn.QueryRow(t.Context(), "SELECT v FROM kept").Scan(&v); err != nil || v != "data" {
			t.Errorf("%q, %v", v, err)
		}
	}
	kept()

	must(t, s.Stop(t.Context()))
	again := start(t, dir)
	if again.URL() != s.URL() {
		t.Errorf("its port was free, and it has another one")
	}
	must(t, again.Stop(t.Context()))
	taken, err := net.Listen("tcp4", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))))
	must(t, err)
	other := start(t, dir)
	if other.URL() == s.URL() {
		t.Errorf("its port is taken, and it has it")
	}
	kept()
	must(t, taken.Close())

	must(t, syscall.Kill(other.PID(), syscall.SIGKILL))
	var crowd errgroup.Group
	for range 8 {
		crowd.Go(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
			defer cancel()
			conn, err := dialer.Dial(ctx, "", "")
			if err == nil {
				err = conn.Close()
			}
			return err
		})
	}
	must(t, crowd.Wait())
	for { // what still listened when it was killed may have taken the first connection
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err == nil {
			must(t, conn.Close(t.Context()))
			break
		}
		must(t, pause(t.Context()))
	}
	found, err := Find(t.Context(), dir)
	must(t, err)
	if found.PID() == other.PID() {
		t.Error("the server that was killed is there")
	}
	kept()
	must(t, Stop(t.Context(), dir))

	path := filepath.Join(dir, connectionName)
	for _, damage := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, []byte(`{"User":"syn`), 0o600) },
		func() error { return os.WriteFile(path, []byte(`{"User":"syncer"}`), 0o600) },
	} {
		must(t, damage())
		_, err := Start(t.Context(), Options{Dir: dir, FastAndLoose: true})
		if err == nil || !strings.Contains(err.Error(), "The data is whole") || !strings.Contains(err.Error(), "--single -D "+filepath.Join(dir, dataName)) {
			t.Fatalf("started without its connection file: %v", err)
		}
	}
	setPassword(t, dir, "NEW")
	must(t, os.WriteFile(path, []byte(`{"User":"syncer","Password":"NEW","Database":"syncer"}`), 0o600))
	if got := ask(t, start(t, dir), "SELECT v FROM kept"); got != "data" {
		t.Errorf("after the way in: %q", got)
	}
}

// setPassword does what wayIn says.
func setPassword(t *testing.T, dir, password string) {
	t.Helper()
	who, err := serverAccount()
	must(t, err)
	major, err := clusterMajor(dir)
	must(t, err)
	bin, err := findBinaries(t.Context(), Options{Dir: dir}, who, major)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin.dir, "postgres"), "--single", "-D", filepath.Join(dir, dataName), "postgres")
	cmd.Stdin = strings.NewReader("ALTER ROLE syncer PASSWORD '" + password + "'\n")
	cmd.Dir = dir
	cmd.SysProcAttr = who.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A data folder with nothing in it is a disk that is not mounted: no cluster is made there, and the way into the one on that
// disk stays.
func TestADiskThatIsNotMountedGetsNoCluster(t *testing.T) {
	t.Parallel()
	dir := place(t)
	s := start(t, dir)
	must(t, s.Stop(t.Context()))
	way, err := os.ReadFile(filepath.Join(dir, connectionName))
	must(t, err)
	data := filepath.Join(dir, dataName)
	must(t, os.Rename(data, data+"-elsewhere"))
	must(t, os.Mkdir(data, 0o700))
	for _, existing := range []bool{true, false} {
		if _, err := Start(t.Context(), Options{Dir: dir, Existing: existing, FastAndLoose: true}); !errors.Is(err, ErrNoCluster) {
			t.Errorf("existing %v: %v", existing, err)
		}
	}
	if now, err := os.ReadFile(filepath.Join(dir, connectionName)); err != nil || string(now) != string(way) {
		t.Errorf("the way into the cluster was overwritten: %v", err)
	}
	must(t, os.Remove(data))
	must(t, os.Rename(data+"-elsewhere", data))
	must(t, start(t, dir).Stop(t.Context()))
}
