package persist_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// heldCommitter has one writer, which waits in every transaction until it is released.
func heldCommitter(t *testing.T, pool *pgxpool.Pool) (c *write.Committer, holding <-chan bool, release chan bool) {
	held, release := make(chan bool, 100), make(chan bool)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name == "commit.fenced" {
			held <- true
			<-release
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return write.StartCommitter(ctx, w, 1), held, release
}

// Pages are handed in while the first is being written; they share the next transaction, in their order.
func TestLineRunsAheadOfItsCommits(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	c, holding, release := heldCommitter(t, pool)
	s, line := transactionsStream(1, "acc"), c.Line(1<<20)
	for n := range 5 {
		p := transactionsPage(s, fmt.Sprint(n), "same", fmt.Sprint("text ", n), fmt.Sprint("own", n), "x")
		if err := line.Hand(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-holding
		}
	}
	close(release)
	if err := line.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"SELECT position, version FROM cursors":                                "4 2",
		"SELECT text FROM transactions WHERE transaction_id = 'same'":          "text 4",
		"SELECT count(*) FROM transactions_history":                            "4",
		"SELECT count(*), count(DISTINCT changed_xid) FROM transactions":       "6 2",
		"SELECT count(*) FROM calls c JOIN transactions t ON t.call_id = c.id": "6",
	} {
		if diff := cmp.Diff([]string{want}, queryAll(t, pool, sql)); diff != "" {
			t.Error(sql, diff)
		}
	}
}

// A line without room waits for each page.
func TestLineWaitsWhenItIsFull(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	line := write.StartCommitter(ctx, newWriter(pool), 1).Line(0)
	for n := range 3 {
		p := transactionsPage(transactionsStream(1, "acc"), fmt.Sprint(n), "a", fmt.Sprint(n))
		p.Body = []byte("body")
		if err := line.Hand(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{fmt.Sprint(n)}, queryAll(t, pool, "SELECT position FROM cursors")); diff != "" {
			t.Error(diff)
		}
	}
}

// The cursor must not pass a page that failed: neither one that waits behind it nor one that comes later is written.
func TestLineEndsAtAFailedPage(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	c, holding, release := heldCommitter(t, pool)
	s, line := transactionsStream(1, "acc"), c.Line(1<<20)
	bad := refusedPage(t, pool, s)
	if err := line.Hand(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	<-holding
	if err := line.Hand(t.Context(), transactionsPage(s, "2", "b", "x")); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := line.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "table cursors") {
		t.Errorf("the first failure is to be told, got %v", err)
	}
	if err := line.Hand(t.Context(), transactionsPage(s, "3", "c", "x")); err == nil {
		t.Error("a page behind a failed one was taken")
	}
	if err := line.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "table cursors") {
		t.Errorf("the first failure is to be told again, got %v", err)
	}
	if diff := cmp.Diff([]string{"0"}, queryAll(t, pool, "SELECT count(*) FROM cursors")); diff != "" {
		t.Error(diff)
	}
}

// The page that is refused was handed in behind one that waited behind the one that failed. Only that one knows why.
func TestLineTellsTheFirstFailure(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	c, holding, release := heldCommitter(t, pool)
	s, line := transactionsStream(1, "acc"), c.Line(1<<20)
	bad := refusedPage(t, pool, s)
	must(t, line.Hand(t.Context(), bad))
	<-holding
	must(t, line.Hand(t.Context(), transactionsPage(s, "2", "b", "x")))
	close(release)
	for c.Waiting() > 0 {
		oneTurn(t, pool)
	}
	handed := line.Hand(t.Context(), transactionsPage(s, "3", "c", "x"))
	for _, err := range []error{handed, line.Drain(t.Context())} {
		if _, ok := errors.AsType[*write.UnstorableError](err); !ok {
			t.Errorf("the first failure is to be told, got %v", err)
		}
	}
}

// A caller that leaves takes back what waits; what is being written is waited for.
func TestLineTakesBackWhatWaits(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	c, holding, release := heldCommitter(t, pool)
	s, line := transactionsStream(1, "acc"), c.Line(1<<20)
	for n := range 3 {
		if err := line.Hand(t.Context(), transactionsPage(s, fmt.Sprint(n), fmt.Sprint("row", n), "x")); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-holding
		}
	}
	leaving, leave := context.WithCancel(t.Context())
	leave()
	drained := make(chan error)
	go func() { drained <- line.Drain(leaving) }()
	for c.Waiting() > 0 {
		oneTurn(t, pool)
	}
	close(release)
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"row0"}, queryAll(t, pool, "SELECT transaction_id FROM transactions")); diff != "" {
		t.Error(diff)
	}
}

// Pages that are drained in company wait for each other, and one that somebody else waits for takes them along.
func TestPagesThatAreInNoHurryShareATransaction(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	commits := 0
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name == "commit.done" {
			commits++
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := write.StartCommitter(ctx, w, 1)
	var drained errgroup.Group
	for n := range 20 {
		line := c.Line(1 << 20)
		if err := line.Hand(t.Context(), transactionsPage(transactionsStream(int64(n+1), "acc"), "1", "a", "x")); err != nil {
			t.Fatal(err)
		}
		drained.Go(func() error { return line.DrainInCompany(t.Context()) })
	}
	if err := drained.Wait(); err != nil {
		t.Error(err)
	}
	if n := queryInt(t, pool, "SELECT count(*) FROM transactions"); n != 20 {
		t.Errorf("%d rows", n)
	}
	if commits > 5 { // on a machine that stands still they may be more than one
		t.Errorf("%d transactions for 20 pages", commits)
	}
}
