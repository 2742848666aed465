package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"syncer/persist/embedded"
	"syncer/persist/persisttest"
	"syncer/proof/lab"
)

// TestDemoKeepsToItself runs the demo as somebody has it who has set syncer up already: the environment names a database,
// and the simulated night must not get there. Every night of it ends well enough, and a second demo is told to wait.
func TestDemoKeepsToItself(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	d := demoPlace(t)
	first := d.command()
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	text := d.readUntil(out, "consents imported")
	if told, err := d.command().CombinedOutput(); err == nil || !strings.Contains(string(told), "one is running on this machine") {
		t.Errorf("a second demo: %v\n%s", err, told)
	}
	text += d.readUntil(out, "")
	if err := first.Wait(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	heads := regexp.MustCompile(`(?m)^Run \d+ \S+  (\w+)$`).FindAllStringSubmatch(text, -1)
	if len(heads) != 7 {
		t.Errorf("%d reports", len(heads))
	}
	for _, h := range heads {
		if verdict := h[1]; verdict != "complete" && verdict != "partial" {
			t.Errorf("%s", h[0])
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	var tables int
	if err := d.real.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil || tables > 0 {
		t.Errorf("the database of the environment has %d tables, %v", tables, err)
	}
}

// demoHome is a machine on which demos run: a folder to work in, a Postgres for demos, and a database that is not theirs.
type demoHome struct {
	testing.TB
	folder, state string
	real          persisttest.Database
}

func demoPlace(t testing.TB) *demoHome {
	t.Helper()
	state, err := os.MkdirTemp("/var/tmp", "syncer-demo-") // t.TempDir() is closed to the user that runs Postgres
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := embedded.Stop(context.WithoutCancel(t.Context()), filepath.Join(state, "postgres")); err != nil && !errors.Is(err, embedded.ErrNotRunning) {
			t.Error(err)
		}
		_ = os.RemoveAll(state)
	})
	if err := os.Chmod(state, 0o755); err != nil {
		t.Fatal(err)
	}
	return &demoHome{t, t.TempDir(), state, persisttest.Empty(t)}
}

func (d *demoHome) command() *exec.Cmd {
	cmd := exec.CommandContext(d.Context(), "syncer", "demo", "--keep=false")
	cmd.Dir = d.folder
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "SYNCER_STATE_DIR="+d.state, "SYNCER_DATABASE_URL="+d.real.URL, "SYNCER_WORKER_BATCHES=1")
	return cmd
}

// readUntil reads what a demo prints up to a line with these words, or to its end.
func (d *demoHome) readUntil(from io.Reader, words string) string {
	d.Helper()
	var text strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := from.Read(buf)
		text.Write(buf[:n])
		if err != nil || words != "" && strings.Contains(text.String(), words) {
			return text.String()
		}
	}
}
