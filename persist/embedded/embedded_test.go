//go:build linux || darwin || freebsd

package embedded

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// tempDir is a fresh folder that the server's user can enter: t.TempDir() is closed to it.
func tempDir(t *testing.T) string {
	t.Helper()
	base := "/var/tmp"
	dir, err := os.MkdirTemp(base, "syncer-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSmoke(t *testing.T) {
	dir := tempDir(t) + "/pg"
	s, err := Start(t.Context(), Options{Dir: dir, Log: func(m string) { t.Log(m) }, FastAndLoose: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	s2, err := Start(t.Context(), Options{Dir: dir})
	if err != nil || s2.Started() || s2.PID() != s.PID() {
		t.Fatal(err, s2)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}
