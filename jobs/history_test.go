package jobs_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// lines is a log of several goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with are the lines that hold a text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// A history that is raised after the first load reads nothing older by itself. That is said once a run, with the backfill
// and its price, until a backfill has read those days.
func TestARaisedHistoryIsSaid(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 2, Transactions: 40})
	l.importBank(2)
	const said = "history was raised"
	night := func(history int) (*node, *lines) {
		t.Helper()
		log := &lines{}
		n := l.start(nodeOptions{history: history, log: zerolog.New(log)})
		if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
		}
		return n, log
	}
	settled := func(log *lines) {
		t.Helper()
		l.eventually("the run is told settled, and what follows", func() bool { return len(log.with("run settled")) > 0 })
	}
	n, log := night(30)
	settled(log)
	n.stop()
	streams := l.number("SELECT count(*) FROM cursors WHERE dataset = 'transactions' AND since IS NOT NULL")
	if streams != l.number("SELECT count(*) FROM accounts") {
		t.Errorf("the first day of %d streams is known", streams)
	}
	if found := log.with(said); len(found) > 0 {
		t.Errorf("the history is as it was, and yet: %s", found)
	}

	n, log = night(200)
	n.stop() // whatever is said has been said
	today := finance.DateOf(l.kit.Clock.Now())
	from, to := today.AddDays(-200), today.AddDays(-31)
	want := fmt.Sprintf("%d streams were never asked for days from %s to %s; `syncer backfill %s --from %s --to %s` "+
		"reads them with at least %d calls", streams, from, to, money, from, to, 2*streams)
	if found := log.with(said); len(found) != 1 || !strings.Contains(found[0], want) || !strings.Contains(found[0], `"level":"warn"`) {
		t.Errorf("want %q, got %s", want, found)
	}

	n = l.start(nodeOptions{history: 200})
	job, err := n.Job(money)
	l.must(err)
	gap, err := job.HistoryGap(t.Context(), n.store, nil)
	l.must(err)
	if gap.Streams != streams {
		t.Errorf("before the backfill: %+v", gap)
	}
	plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: jobs.Windows(from, to, 90)})
	runs := plan.Runs
	l.must(err)
	for _, run := range runs {
		if r := l.settled(n, run); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("backfill: %s: %+v", r.Run.Verdict, r.NotComplete)
		}
	}
	n.stop()
	n, log = night(200)
	n.stop()
	if found := log.with(said); len(found) > 0 {
		t.Errorf("those days have been read, and yet: %s", found)
	}
}
