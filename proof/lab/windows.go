package lab

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// Windows is how hard [BackfillWindows] tries.
type Windows struct {
	Each  int           // windows of each of the three jobs
	Ticks int           // of a minutely job that must have fired; those before the first process came are caught up
	Kill  time.Duration // a process is killed about so often
}

// windowJobs are the jobs that are backfilled, each with days of its own, since what one job has read
// of a window of a consent is read for all.
var windowJobs = []string{"alpha", "beta", "gamma"}

const (
	windowDays = 7
	consents   = 3
	windowSQL  = `SELECT count(*) FROM (
		SELECT r.job, r.window_from, i.consent_id
		FROM runs r
		JOIN batches b ON b.run_id = r.id
		JOIN items i ON i.batch_id = b.id
		WHERE r.kind = 'backfill' AND i.outcome IN ('rows', 'empty')
		GROUP BY 1, 2, 3
		HAVING count(*) = 1) x`
)

// BackfillWindows backfills three jobs of one connection, beside two processes that serve a minutely
// job, and kills all of them again and again. Every window is read for every consent once, and every
// tick has fired once.
func BackfillWindows(t testing.TB, o Windows) {
	t.Helper()
	l := New(t, Options{Bank: sbanken.Options{Customers: consents, Transactions: 40, Days: 200}, Log: "error", Lease: "1s"})
	l.Rule(sandbox.Rule{Provider: sbanken.Name, Only: "api", Every: 3,
		Action: sandbox.Action{Kind: sandbox.SlowHeader, DelayMS: 50}})
	l.ImportBank("bank1", 0, consents)
	began := l.windowJobs(o)
	var wg sync.WaitGroup
	var kills atomic.Int64
	over := make(chan struct{})
	for _, step := range []string{"kill tick.fired 2", ""} {
		wg.Go(func() { l.serveAndKill(o, step, &kills, over) })
	}
	var backfills sync.WaitGroup
	for i, job := range windowJobs {
		backfills.Go(func() { l.backfillAndKill(o, job, i, &kills) })
	}
	backfills.Wait()
	l.Wait("every tick has fired", func() bool {
		return l.Number("SELECT count(*) FROM runs WHERE kind = 'scheduled' AND verdict IS NOT NULL") >= o.Ticks
	})
	close(over)
	wg.Wait()
	if n := kills.Load(); n < 4 {
		l.Errorf("only %d processes were killed", n)
	}
	l.Logf("%d kills", kills.Load())
	l.windowsProof(o, began)
}

// windowJobs configures the jobs, and leaves the minutely one as if the processes had been away for all
// of its ticks but the last. It gives the nominal time before the first.
func (l *Lab) windowJobs(o Windows) time.Time {
	l.Helper()
	began := time.Now().UTC().Truncate(time.Minute).Add(-time.Duration(min(o.Ticks, 3)) * time.Minute)
	config, err := os.OpenFile(l.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		l.Fatal(err)
	}
	defer config.Close()
	var text strings.Builder
	for _, job := range windowJobs {
		fmt.Fprintf(&text, "  %s: { connection: bank1, datasets: [transactions], history: 30d, batch_size: 10 }\n", job)
	}
	text.WriteString("  minutely: { connection: bank1, datasets: [accounts], schedule: \"* * * * *\", time_zone: UTC, " +
		"catch_up: all }\n")
	if _, err := config.WriteString(text.String()); err != nil {
		l.Fatal(err)
	}
	const insert = `INSERT INTO schedules (job, considered) VALUES ('minutely', $1)`
	if _, err := l.DB.Pool.Exec(l.Context(), insert, began); err != nil {
		l.Fatal(err)
	}
	return began
}

// serveAndKill serves until it is over. A process that is killed is followed by another; the last one
// leaves in peace. The first may kill itself at a step.
func (l *Lab) serveAndKill(o Windows, step string, kills *atomic.Int64, over <-chan struct{}) {
	for ; ; step = "" {
		p := l.Start([]string{"SYNCER_SERVER_LISTEN=127.0.0.1:0", StepEnv + "=" + step}, "serve")
		l.atWork(p)
		select {
		case <-over:
			_ = p.Process.Signal(os.Interrupt)
			<-p.Ended
			return
		case <-p.Ended:
			if step == "" {
				l.Errorf("a process that serves has ended by itself\n%s", p.Said())
				return
			}
		case <-time.After(2*o.Kill + rand.N(o.Kill)):
			p.Kill()
		}
		kills.Add(1)
	}
}

// atWork waits until a process has its place among the workers, or has ended. Killed before, on a slow machine, it would do nothing
// for its batch but lose it, and a batch that is lost again and again is given up.
func (l *Lab) atWork(p *Process) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	patience := time.After(Patient)
	for l.Number("SELECT count(*) FROM workers WHERE pid = $1", p.Process.Pid) == 0 {
		select {
		case <-p.Ended:
			return
		case <-patience:
			l.Errorf("a process has not come to its work\n%s", p.Said())
			return
		case <-ticker.C:
		}
	}
}

// backfillAndKill gives the command again and again until it says that nothing is left, and kills it in
// between. The first kills itself with an answer in its hands.
func (l *Lab) backfillAndKill(o Windows, job string, place int, kills *atomic.Int64) {
	first := time.Date(2020+place, 1, 1, 0, 0, 0, 0, time.UTC)
	args := []string{"backfill", job, "--days", fmt.Sprint(windowDays), "--from", first.Format(time.DateOnly),
		"--to", first.AddDate(0, 0, windowDays*o.Each-1).Format(time.DateOnly)}
	step := "kill page.decoded 3"
	for kill := o.Kill; ; kill += o.Kill / 4 {
		p := l.Start([]string{StepEnv + "=" + step}, args...)
		l.atWork(p)
		select {
		case <-p.Ended:
			code := p.ProcessState.ExitCode()
			if code == 0 {
				return
			}
			if step == "" || code > 0 {
				l.Errorf("backfill %s: exit code %d\n%s", job, code, p.Said())
				return
			}
		case <-time.After(kill/2 + rand.N(kill)):
			p.Kill()
		}
		kills.Add(1)
		step = ""
	}
}

// windowsProof counts what was read and what has fired.
func (l *Lab) windowsProof(o Windows, began time.Time) {
	l.Helper()
	windows := len(windowJobs) * o.Each
	for what, c := range map[string]struct {
		want  int
		query string
	}{
		"windows with one run": {windows, `SELECT count(*) FROM (
			SELECT FROM runs WHERE kind = 'backfill' GROUP BY job, window_from HAVING count(*) = 1) x`},
		"backfills": {windows, `SELECT count(*) FROM runs WHERE kind = 'backfill' AND verdict = 'complete'`},
		"runs of another kind or without end": {0, `SELECT count(*) FROM runs
			WHERE kind NOT IN ('backfill', 'scheduled') OR verdict IS NULL AND kind = 'backfill'`},
		"windows and consents read once": {windows * consents, windowSQL},
		"passes that broke off":          {0, `SELECT count(*) FROM cursors WHERE span <> '' AND mid_pass`},
		"backfills at the time of a tick": {0, `SELECT count(*) FROM runs
			WHERE kind = 'backfill' AND scheduled_for = date_trunc('second', scheduled_for)`},
	} {
		if n := l.Number(c.query); n != c.want {
			l.Errorf("%s: %d, want %d", what, n, c.want)
		}
	}
	const ticks = `SELECT count(*) FROM runs WHERE kind = 'scheduled'`
	var considered time.Time
	l.Scan(&considered, "SELECT considered FROM schedules WHERE job = 'minutely'")
	want := int(considered.Sub(began) / time.Minute)
	if n := l.Number(ticks+" AND scheduled_for <= $1", considered); n != want || want < o.Ticks {
		l.Errorf("%d ticks have fired in %d minutes, of which at least %d are wanted", n, want, o.Ticks)
	}
	// A tick is noted as considered after its run is there: the last process may have left in between.
	if n := l.Number(ticks+" AND scheduled_for > $1", considered); n > 1 {
		l.Errorf("%d ticks have fired after the last that was considered, want one at most", n)
	}
	if n := l.Number(ticks + ` AND scheduled_for <> date_trunc('minute', scheduled_for)`); n > 0 {
		l.Errorf("%d ticks have fired beside their time", n)
	}
	l.Logf("%d windows, %d ticks, %d workers, %d claims of %d batches", windows, want,
		l.Number("SELECT count(*) FROM workers"), l.Number("SELECT sum(claims)::int FROM batches"), l.Number("SELECT count(*) FROM batches"))
	l.Verify()
}
