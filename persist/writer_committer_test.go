package persist_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// Pages that wait while another group is written share the next transaction, and nothing waits without need.
func TestCommitterGroupsWhatIsWaiting(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	holding, release := make(chan bool, 100), make(chan bool)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name == "commit.ready" {
			holding <- true
			<-release
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	c := write.StartCommitter(ctx, w, 1)
	var submits sync.WaitGroup
	submit := func(consent int64, position string) {
		submits.Go(func() {
			p := transactionsPage(transactionsStream(consent, "acc"), position, position, "text")
			if err := c.Line(0).Hand(t.Context(), p); err != nil {
				t.Errorf("page %s of %d: %v", position, consent, err)
			}
		})
	}
	submit(1, "first") // alone: it does not wait for company
	<-holding
	for n := range 20 {
		submit(int64(2+n%5), fmt.Sprint(n))
	}
	for c.Waiting() < 20 {
		oneTurn(t, pool)
	}
	close(release)
	submits.Wait()
	if n := queryInt(t, pool, "SELECT count(DISTINCT changed_xid) FROM transactions"); n != 2 {
		t.Errorf("%d transactions, want 2", n)
	}
	cancel()
	c.Wait()
	if err := c.Line(0).Hand(t.Context(), newPage(transactionsStream(1, "acc"), "")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// oneTurn gives the submitting goroutines a turn: one round trip to the database.
func oneTurn(t *testing.T, q querier) { queryAll(t, q, "SELECT 1") }

// Two committers, as of two processes, on batches and streams that overlap: every page once, in order, no deadlock.
func TestCommittersSideBySide(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const streams, pages = 12, 15
	var all []finance.Stream
	for i := range streams {
		all = append(all, transactionsStream(int64(1+i/3), fmt.Sprintf("acc%d", i)))
	}
	batches := []int64{newBatch(t, pool, all...), newBatch(t, pool, all...)}
	var submits sync.WaitGroup
	for n, batch := range batches {
		c := write.StartCommitter(ctx, newWriter(pool), 2)
		for _, s := range all {
			submits.Go(func() {
				for i := range pages {
					p := transactionsPage(s, fmt.Sprint(i), "shared", fmt.Sprint("by ", n, " in ", i), fmt.Sprint("own", n, "-", i), "x")
					p.Task.Batch, p.Task.Fence = batch, 1
					if err := c.Line(0).Hand(t.Context(), p); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	submits.Wait()
	for sql, want := range map[string]int64{
		"SELECT count(*) FROM transactions":                                    streams * (2*pages + 1),
		"SELECT count(*) FROM transactions_history":                            streams * (2*pages - 1),
		"SELECT count(*) FROM calls":                                           streams * pages * 2,
		"SELECT count(*) FROM cursors WHERE position = '14'":                   streams,
		"SELECT sum(pages) FROM items":                                         streams * pages * 2,
		"SELECT sum(inserted + updated) FROM items":                            streams * pages * 4,
		"SELECT count(*) FROM transactions t JOIN calls c ON c.id = t.call_id": streams * (2*pages + 1),
	} {
		if got := queryInt(t, pool, sql); got != want {
			t.Errorf("%s: got %d, want %d", sql, got, want)
		}
	}
}

// What waits behind a failed page of its stream fails with it: its cursor would pass what is missing.
func TestCommitterFailsWhatIsBehindAFailedPage(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	holding, release := make(chan bool, 100), make(chan bool)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name == "commit.fenced" {
			holding <- true
			<-release
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := write.StartCommitter(ctx, w, 2)
	s, errs := transactionsStream(1, "acc"), make(chan error, 2)
	bad := refusedPage(t, pool, s)
	go func() { errs <- c.Line(0).Hand(t.Context(), bad) }()
	<-holding
	go func() { errs <- c.Line(0).Hand(t.Context(), transactionsPage(s, "2", "b", "x")) }()
	for c.Waiting() < 1 {
		oneTurn(t, pool)
	}
	close(release)
	var all []string
	for range 2 {
		if err := <-errs; err != nil {
			all = append(all, err.Error())
		}
	}
	got := strings.Join(all, "\n")
	if !strings.Contains(got, "table cursors") || !strings.Contains(got, "earlier page of the stream failed") {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff([]string{"0"}, queryAll(t, pool, "SELECT count(*) FROM cursors")); diff != "" {
		t.Error(diff)
	}
}

// A caller that leaves takes its waiting page with it; one whose page is being written hears what became of it.
func TestCommitterTakesBackAWaitingPage(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	holding, release := make(chan bool, 100), make(chan bool)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name == "commit.fenced" {
			holding <- true
			<-release
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := write.StartCommitter(ctx, w, 1)
	leaving, leave := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() {
		err := c.Line(0).Hand(leaving, transactionsPage(transactionsStream(1, "acc"), "1", "a", "x"))
		errs <- err
	}()
	<-holding
	leave()
	if err := c.Line(0).Hand(leaving, transactionsPage(transactionsStream(2, "acc"), "1", "b", "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting page: %v", err)
	}
	close(release)
	if err := <-errs; err != nil {
		t.Errorf("the page in hand: %v", err)
	}
	if diff := cmp.Diff([]string{"a"}, queryAll(t, pool, "SELECT transaction_id FROM transactions")); diff != "" {
		t.Error(diff)
	}
}
