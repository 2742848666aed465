// Package crash proves that a crash of Postgres in the middle of a night costs nothing: no row, no call and no verdict.
package crash

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"syncer/persist/embedded"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/schema"
	"syncer/proof/lab"
)

// TestMain builds the program that loses its database here.
func TestMain(m *testing.M) { lab.Main(m) }

// mortal is a Postgres server of a test's own that can crash. It comes back on another port, so the test's processes reach
// it through a relay, whose address stays.
type mortal struct {
	testing.TB
	dir    string
	relay  *persisttest.Freezer
	db     persisttest.Database
	server *embedded.Server
}

func newMortal(t testing.TB) *mortal {
	t.Helper()
	parent, err := os.MkdirTemp("/var/tmp", "syncer-mortal-") // t.TempDir() is closed to the server's user
	must(t, err)
	must(t, os.Chmod(parent, 0o755))
	m := &mortal{TB: t, dir: filepath.Join(parent, "postgres"), relay: persisttest.NewFreezer(t)}
	t.Cleanup(func() {
		if err := embedded.Stop(context.WithoutCancel(t.Context()), m.dir); err != nil && !errors.Is(err, embedded.ErrNotRunning) {
			t.Error(err)
		}
		_ = os.RemoveAll(parent)
	})
	m.rise()
	at, err := url.Parse(m.server.URL())
	must(t, err)
	at.Host = m.relay.Addr()
	m.db.URL = at.String()
	m.db.Pool, err = pg.Open(t.Context(), m.db.URL, pg.Options{MaxConns: 4})
	must(t, err)
	t.Cleanup(m.db.Pool.Close)
	must(t, schema.Migrate(t.Context(), m.db.Pool, zerolog.Nop()))
	return m
}

// rise starts the server. What a crash has left is recovered from its log, so nothing that was committed may be missing.
func (m *mortal) rise() {
	m.Helper()
	server, err := embedded.Start(m.Context(), embedded.Options{Dir: m.dir})
	must(m, err)
	at, err := url.Parse(server.URL())
	must(m, err)
	m.server = server
	m.relay.Aim("tcp", at.Host)
}

// crash ends the server as pg_ctl stop -m immediate does, in the middle of everything and without a checkpoint, and waits
// until all of it is gone.
func (m *mortal) crash() {
	m.Helper()
	must(m, syscall.Kill(m.server.PID(), syscall.SIGQUIT))
	if err := embedded.Stop(m.Context(), m.dir); err != nil && !errors.Is(err, embedded.ErrNotRunning) {
		m.Fatal(err)
	}
}

// TestPostgresCrashes ends the database in the middle of a night, four times, while two processes work. Without a database
// no call is made. When it is back they go on by themselves, nothing that was committed is missing, and in the end the
// tables are those of an undisturbed run.
func TestPostgresCrashes(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	want := lab.Undisturbed(t)
	m := newMortal(t)
	l := lab.SmallOn(t, m.db)
	helper := l.Start(nil, "work")
	var down time.Duration
	for _, job := range []string{"debt1", "money1"} {
		runner := l.Start(nil, "run", job)
		// The first time not at once: a run that has just been planned is not followed yet, and its command would end.
		for _, calls := range []int{25, 10} {
			arrive(l, calls)
			m.crash()
			crashed := time.Now()
			complain(l, runner)
			complain(l, helper)
			for _, e := range l.Kit.Journal.Entries() {
				if e.Wall.After(crashed.Add(time.Second)) { // no permission given before is older when it is used
					t.Errorf("a call without a database: %+v", e)
				}
			}
			down += time.Since(crashed)
			m.rise()
		}
		<-runner.Ended
		if code := runner.ProcessState.ExitCode(); code != 0 {
			report, _ := l.Syncer("runs", "show", fmt.Sprint(l.Number("SELECT max(id) FROM runs WHERE job = $1", job)))
			t.Errorf("the run of %s ended with exit code %d\n%s\n%s", job, code, report, runner.Said())
		}
	}
	if diff := cmp.Diff(want, lab.Content(t, l.DB)); diff != "" {
		t.Errorf("the tables differ from an undisturbed run (-undisturbed +crashed):\n%.4000s", diff)
	}
	l.Verify()
	t.Logf("four crashes, %s without a database; %d calls arrived and %d are on record", down, l.Kit.Journal.Arrivals(), l.Number("SELECT count(*) FROM calls"))
}

// arrive waits until so many more calls have arrived at the sandbox.
func arrive(l *lab.Lab, more int) {
	l.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(lab.Patient)
	for until := l.Kit.Journal.Arrivals() + more; l.Kit.Journal.Arrivals() < until; {
		select {
		case <-ticker.C:
		case <-late:
			l.Fatalf("there were no %d more calls", more)
		}
	}
}

// complain waits until a process has said often enough that the database is gone to have been without it for seconds.
func complain(l *lab.Lab, p *lab.Process) {
	l.Helper()
	for len(p.Lines) > 0 { // of the last time
		<-p.Lines
	}
	late := time.After(lab.Patient)
	for range 20 {
		select {
		case _, ok := <-p.Lines:
			if !ok {
				l.Fatalf("a process has ended without its database: exit code %d", p.ProcessState.ExitCode())
			}
		case <-late:
			l.Fatal("a process does not complain of a database that is gone")
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
