// Package write commits what was fetched: pages of records with their calls, answers and cursors, in one transaction for many
// streams; and replaces the rows of keys that are made in another way.
package write

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// PageWrite is one page to be committed. The strings and slices are read until its commit has ended.
type PageWrite struct {
	Task      calls.Task // Batch and Fence are checked; Batch 0: outside a batch, no fence and no item
	Stream    finance.Stream
	Key       finance.PageKey
	Call      calls.Call // inserted unless Call.Durable
	Body      []byte
	Hash      finance.Hash   // of Body
	Unchanged bool           // the bytes are those of the kept page: nothing but the call and the cursor is written
	KeptCall  finance.CallID // the call whose answer has these bytes, when Unchanged
	Records   finance.Records
	Rejects   []finance.Reject
	Position  string // where the stream stands once the page is committed
	MidPass   bool   // the pass goes on from Position
	// Since is the oldest day that the pass, now at its end, was to read. Of several passes the first one's is kept. Zero:
	// the stream is not asked for by days, or its day is known.
	Since finance.Date
	// Reported is when the stream's records were made, with those of this page. Nil: nothing has become known of that.
	Reported finance.Reported
	// Covers says of the page that ends a pass that it has read all there is, from the beginning and in one go: what is in
	// quarantine and was not met has gone.
	Covers bool
	// Isolated says that records of the stream are in quarantine, or were put there by the pass: what the page resolves of them
	// is looked at.
	Isolated bool
	Facts    finance.Facts
	Remember bool // keep Hash and Facts, so that the same bytes may be skipped next time
	// Forget are pages of the stream that must not be skipped any more: a pass that has ended has not asked for them.
	Forget  []finance.PageKey
	Whole   *finance.Whole
	Partial string        // what the provider said is missing
	Keep    time.Duration // how long the answer is kept if it brings anything new; 0: not at all
	// SameAs is set on a list of accounts that is the first one since its consent was renewed: where in a row stands what
	// stays of an account. See OtherAccountError.
	SameAs []string
	// Opens says that a pass from the stream's beginning starts with the page. A list of accounts is looked at then: see
	// SwappedError.
	Opens bool
	// Staged is set where the rows of the stream have keys that are made in another way; see Staging.
	Staged    *Staging
	NewStream bool // a hint: the stream has never been committed, so all its keys are expected to be new
	// Settled is called once the page is committed or has failed, and nothing of it is held any more. Nil: nobody waits for that.
	Settled func()
}

// Written is what one page did to the record tables. Inserted + Updated + Unchanged + Clashes are the records of the
// page; Removed, Noted and Withheld are rows that were not in it.
type Written struct {
	Inserted  int
	Updated   int // a new version of a row, or a row that came back after it was removed
	Removed   int
	Noted     int // rows that stay although the set lacks them, until another pass lacks them too
	Withheld  int // rows that are known to be gone, and stay because too many others have gone in the same run
	Unchanged int
	Clashes   int // records that a later one of the same page, with the same key and other content, has replaced
	Contested int // of Clashes and Updated: both contents are the provider's word of now, so one is in quarantine
	Aside     int // records that Postgres refuses, and that are in quarantine instead
}

func (w *Written) add(o Written) {
	w.Inserted += o.Inserted
	w.Updated += o.Updated
	w.Removed += o.Removed
	w.Noted += o.Noted
	w.Withheld += o.Withheld
	w.Unchanged += o.Unchanged
	w.Clashes += o.Clashes
	w.Contested += o.Contested
	w.Aside += o.Aside
}

// Result is how one page ended. With Err nothing of the page was written, unless Err is an ErrUncertain.
type Result struct {
	Written Written
	Err     error
}

// ErrUncertain says that the connection was lost during COMMIT and the database could not be asked since. The page
// is in the tables whole or not at all; the stream's cursor tells which.
var ErrUncertain = errors.New("whether the page was committed is not known")

// Archive compresses and seals an answer's body for keeping.
type Archive interface {
	// SealBody seals body so that it can be opened only as the answer of that call.
	SealBody(body []byte, id finance.CallID) ([]byte, error)
}

// WriterOptions adjusts a Writer. The zero value is right for production.
type WriterOptions struct {
	// Patience is how long a commit keeps trying to reach a database that does not answer. 0: 45 s, enough for a
	// restart or a failover.
	Patience time.Duration
	// Step is called at the named steps of every commit, for tests that stop or kill there. See attempt.
	Step func(name string)
}

// Writer commits pages. It is safe for concurrent use; two commits that share a stream wait for each other.
type Writer struct {
	pool     *pgxpool.Pool
	guard    *pg.Guard
	archive  Archive
	patience time.Duration
	step     func(string)

	streams *pg.Combiner[streamQuestion, streamAnswer]
}

// NewWriter makes a Writer over a migrated database.
func NewWriter(pool *pgxpool.Pool, archive Archive, o WriterOptions) *Writer {
	w := &Writer{pool: pool, guard: pg.GuardOf(pool), archive: archive, patience: o.Patience, step: o.Step}
	w.streams = pg.NewCombiner(w.loadStreams)
	if w.patience == 0 {
		w.patience = 45 * time.Second
	}
	if w.step == nil {
		w.step = func(string) {}
	}
	return w
}

// Commit writes the pages, in their order, in one transaction. Each page has its own result: a page whose batch has
// been taken over gets ErrFenced, one that Postgres can't store an *UnstorableError. Such pages
// do not hold the others up, but the pages behind a failed one of the same stream fail with it, because the cursor
// must not pass what is missing. A record that Postgres refuses is set aside, into quarantine, and costs its page nothing
// else: see commitAlone.
func (w *Writer) Commit(ctx context.Context, pages []PageWrite) []Result {
	results := make([]Result, len(pages))
	g := prepare(pages, results)
	err := w.commitGroup(ctx, g)
	if err != nil && classify(err) == data {
		w.commitSingly(ctx, g)
		return results
	}
	if err != nil {
		g.fail(err)
	}
	return results
}

// commitSingly finds the page with what Postgres refuses by giving each a transaction of its own.
func (w *Writer) commitSingly(ctx context.Context, g *group) {
	broken := map[finance.Stream]bool{}
	for _, p := range g.pages {
		if broken[p.Stream] {
			p.result.Err = errBehind(p.Stream)
			continue
		}
		if err := w.commitAlone(ctx, p); err != nil {
			p.refuse(err)
		}
		broken[p.Stream] = p.result.Err != nil
	}
}

func errBehind(s finance.Stream) error {
	return fmt.Errorf("commit a page of %s: not written, because an earlier page of the stream failed", streamName(s))
}

func streamName(s finance.Stream) string {
	return fmt.Sprintf("consent %d %s %q", s.Consent, s.Dataset, s.Account)
}

// keepFor is how long a page is kept in memory that can't be written for now, because a migration holds a lock or the
// disk is full: to fetch it again would cost a call. Every attempt looks at the fence first, so one whose batch is
// another's ends at once. It counts from the first of such attempts.
const keepFor = 2 * time.Minute

// conflictTries bounds the attempts that lost against another transaction.
const conflictTries = 5

// commitGroup repeats the transaction until it is decided: committed, refused by the data, or out of patience.
func (w *Writer) commitGroup(ctx context.Context, g *group) error {
	if len(g.pages) == 0 {
		return nil
	}
	g.rounds = roundsOf(g.pages)
	r := &repeated{Writer: w, group: g, deadline: time.Now().Add(w.patience)}
	committed := false
	defer func() { r.room.end(w, committed) }()
	for try := 0; ; try++ {
		a := &attempt{Writer: w, group: g, probe: r.probe || g.trial}
		err := a.run(ctx)
		if err == nil && g.trial {
			committed = true
			return nil
		}
		landed := err == nil
		if err != nil {
			landed, err = r.failed(ctx, a, err, try)
		}
		if err != nil {
			return err
		}
		if landed {
			committed = true
			return a.report(ctx)
		}
	}
}

// repeated is a transaction that is tried until it is decided.
type repeated struct {
	*Writer
	group     *group
	deadline  time.Time // until when a database that does not answer is tried
	probe     bool      // rows were there although a stream was taken for new, so they are asked for first
	conflicts int       // attempts that lost against other transactions
	room      room
}

// failed says what follows an attempt that has failed: it was committed after all (landed), there is an error to end
// with, or else another attempt, for which it has waited.
func (r *repeated) failed(ctx context.Context, a *attempt, cause error, try int) (landed bool, err error) {
	switch kind := classify(cause); {
	case ctx.Err() != nil && !a.committing:
		err = r.ended(context.Cause(ctx))
	case a.committing && kind == lost:
		landed, err = r.resolveLost(ctx, a, r.deadline)
	case kind == duplicate && !r.probe:
		r.probe = true
		return false, nil // at once
	case kind == conflict || kind == duplicate:
		err = r.lostAgainst(kind, cause)
	case kind == waiting:
		err = r.waited(cause)
	case kind == lost:
		err = r.unreached(cause)
	default:
		err = cause
	}
	if landed || err != nil {
		return landed, err
	}
	if err := pause(ctx, try); err != nil {
		return false, r.ended(err)
	}
	return false, nil
}

// lostAgainst counts an attempt that lost against another transaction.
func (r *repeated) lostAgainst(kind failure, cause error) error {
	r.conflicts++
	switch {
	case r.conflicts < conflictTries:
		return nil
	case kind == duplicate:
		return &dataError{err: cause} // no other writer, but something about the rows themselves
	}
	return r.ended(fmt.Errorf("gave up after %d attempts that lost against other transactions: %w", r.conflicts, cause))
}

// waited is for an attempt that had to wait for a lock or for room. The patience with the database begins anew.
func (r *repeated) waited(cause error) error {
	if err := r.room.wait(r.Writer, cause); err != nil {
		return r.ended(err)
	}
	r.deadline = time.Now().Add(r.patience)
	return nil
}

// unreached is for an attempt that did not reach the database.
func (r *repeated) unreached(cause error) error {
	if time.Now().Before(r.deadline) {
		return nil
	}
	return r.ended(fmt.Errorf("the database could not be reached for %v: %w", r.patience, cause))
}

// ended is the error with which the pages are given up.
func (r *repeated) ended(cause error) error {
	return fmt.Errorf("commit %d pages: %w", len(r.group.pages), cause)
}

// room is what is known of a group that waits for a lock or for room on the disk.
type room struct {
	since time.Time // of the first attempt that had to wait; zero: none had
	full  bool      // it is the disk
}

// wait notes that an attempt had to, and fails when it has been so for too long.
func (r *room) wait(w *Writer, err error) error {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	refused, told := errors.AsType[*pgconn.PgError](err)
	if !r.full && told && pg.Full(refused.Code) {
		r.full = true
		w.guard.Hold()
	}
	if waited := time.Since(r.since); waited > keepFor {
		return fmt.Errorf("gave up after %v: %w", waited.Round(time.Second), err)
	}
	return nil
}

func (r *room) end(w *Writer, written bool) {
	if r.full {
		w.guard.Release(written)
	}
}

// resolveLost asks until the database answers what became of a COMMIT whose answer was lost.
func (w *Writer) resolveLost(ctx context.Context, a *attempt, deadline time.Time) (bool, error) {
	for try := 0; ; try++ {
		done, err := a.landed(ctx)
		if err == nil {
			return done, nil
		}
		kind := classify(err)
		lasting := kind == other || kind == data
		tooLate := ctx.Err() != nil || time.Now().After(deadline)
		if lasting || tooLate {
			return false, fmt.Errorf("commit %d pages: %w: %w", len(a.group.pages), ErrUncertain, err)
		}
		if err := pause(ctx, try); err != nil {
			return false, fmt.Errorf("commit %d pages: %w: %w", len(a.group.pages), ErrUncertain, err)
		}
	}
}

// pause waits before another attempt: full jitter under 50 ms doubled for every try, at most 2 s.
func pause(ctx context.Context, try int) error {
	limit := min(50*time.Millisecond<<min(try, 6), 2*time.Second)
	t := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
