package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/embedded"
	"syncer/proof/lab"
)

// A service goes on when its embedded database was stopped and started, and when it was killed: it is ready again, and the
// next tick fires.
func TestAServiceOutlivesItsEmbeddedDatabase(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	parent, err := os.MkdirTemp("/var/tmp", "syncer-outlives-") // t.TempDir() is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "postgres")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := embedded.Remove(ctx, dir); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(parent)
	})
	l := lab.New(t, lab.Options{Log: "info", Lease: "30s"})
	configure(l, `database: { url: "file:database-url" }`, "database: { state_dir: "+parent+" }")
	configure(l, "batch_size: 10 }", `batch_size: 10, schedule: "* * * * *", time_zone: UTC }`)
	l.ImportBank("bank1", 0, 1) // makes it
	listen := free(t)
	serve := l.Start([]string{"SYNCER_SERVER_LISTEN=" + listen}, "serve")
	ready := func() bool {
		answer, err := http.Get("http://" + listen + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
	server := func() *embedded.Server {
		s, err := embedded.Find(t.Context(), dir)
		if err != nil {
			if !errors.Is(err, embedded.ErrNotRunning) {
				t.Fatal(err)
			}
			return nil
		}
		return s
	}
	l.Wait("it is ready", ready)
	first := server()

	l.Says(0, []string{"db", "stop"})
	l.Says(0, []string{"db", "start"})
	l.Wait("it is ready after a stop and a start", ready)
	if again := server(); again.URL() != first.URL() {
		t.Error("the server has not come back on its port, which was free")
	}
	old := server().PID()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	l.Wait("another one is there", func() bool {
		s := server()
		return s != nil && s.PID() != old
	})
	l.Wait("it is ready again", ready)
	conn, err := pgx.Connect(t.Context(), server().URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	l.Wait("a tick fires", func() bool {
		var fired bool
		err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM runs WHERE created_at > $1)", killed).Scan(&fired)
		return err == nil && fired
	})
	t.Logf("a tick fired %s after the kill", time.Since(killed))
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-serve.Ended; !serve.ProcessState.Success() {
		t.Errorf("the service ended: %v", serve.ProcessState)
	}
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
