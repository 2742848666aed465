package write

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// beginCommit opens a transaction that writes pages. The planner must not join a whole record table with the few
// keys it is given, which it does when a table was empty at planning time or has no statistics yet; so every plan is
// a generic one by index. The time limits bound what a stuck writer can hold up.
const beginCommit = `BEGIN;
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off;
SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '10s'`

// commitStatement is the statement_timeout of beginCommit.
const commitStatement = 30 * time.Second

// attempt is one transaction over a group's pages, in this order:
//
//	commit.fenced   BEGIN; the fences of the batches, by id, locked against a claim until the commit. Pages whose batch
//	                has been taken over are left out.
//	commit.cursors  the streams' cursors are moved, by key. This is also the lock that makes us the only writer of
//	                these streams' records, which is why it comes first: inside one transaction nobody can see the
//	                order, and locking a row before moving it would cost a record of WAL for each stream.
//	commit.rows     calls, records with their history, removals, answers, quarantine. The guards of removals are
//	                locked on the way, all that the attempt may need at once, by key, and only if it removes something.
//	commit.pages    the remembered pages
//	commit.items    the counters of the items, by key
//	commit.ready    all is said, COMMIT is not sent
//	commit.done     COMMIT was answered
//
// Every transaction takes its locks in this order, so that two of them wait for each other but do not deadlock.
type attempt struct {
	*Writer
	group *group
	probe bool // trust no page to be a stream's first

	tx         pgx.Tx
	live       []*page // those not fenced
	streams    streamMoves
	noted      map[int64]bool              // the consents that have notes in absences
	guards     map[guardName]*removalGuard // locked; nil: not needed so far
	scratch    []byte
	committing bool // COMMIT was sent: an error is no longer proof of a rollback
}

// run makes the attempt. A page's counts are in page.written afterwards.
func (a *attempt) run(ctx context.Context) (err error) {
	tx, err := a.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginCommit})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	a.tx = tx
	a.guard.LimitAtMost(tx.Conn(), commitStatement) // there must be time for another attempt
	defer func() {
		if err != nil {
			err = a.abandon(ctx, err)
		}
	}()
	a.step("commit.fenced")
	if err := a.checkFences(ctx); err != nil {
		return err
	}
	if len(a.live) == 0 {
		return tx.Rollback(ctx)
	}
	if err := a.moveCursors(ctx); err != nil {
		return err
	}
	a.step("commit.cursors")
	if err := a.writeContent(ctx); err != nil {
		return err
	}
	if a.group.trial {
		return tx.Rollback(ctx)
	}
	a.step("commit.rows")
	if err := a.rememberPages(ctx); err != nil {
		return err
	}
	if err := a.forgetOthers(ctx); err != nil {
		return err
	}
	a.step("commit.pages")
	if err := a.countItems(ctx); err != nil {
		return err
	}
	a.step("commit.items")
	a.step("commit.ready")
	if err := a.commit(ctx); err != nil {
		return err
	}
	a.step("commit.done")
	return nil
}

// commitPatience bounds the wait for COMMIT's answer. A COMMIT is not cut short when the worker is told to leave:
// that would make a sure thing uncertain.
const commitPatience = 15 * time.Second

func (a *attempt) commit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
	defer cancel()
	a.committing = true
	if err := a.tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", pg.Describe(err))
	}
	return nil
}

// abandon rolls back after an error. An error that is neither Postgres' nor came with a closed connection is our
// own, and no other connection would help.
func (a *attempt) abandon(ctx context.Context, err error) error {
	alive := !a.tx.Conn().IsClosed()
	if classify(err) == lost {
		if alive && !isPostgres(err) && !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", errInternal, err)
		} else { // such as a server that became read-only: its connection must not go back to the pool
			_ = a.tx.Conn().Close(context.WithoutCancel(ctx))
		}
	}
	_ = a.tx.Rollback(context.WithoutCancel(ctx))
	return err
}

// report hands the results of a committed attempt to the pages.
func (a *attempt) report(ctx context.Context) error {
	a.tellClosed(ctx)
	for _, p := range a.group.pages {
		if p.fenced {
			p.result.Err = fmt.Errorf("commit a page of %s, batch %d with fence %d: %w", streamName(p.Stream),
				p.Task.Batch, p.Task.Fence, pg.ErrFenced)
			continue
		}
		p.result.Written = p.written
	}
	return nil
}

const checkFences = `SELECT b.id, b.fence FROM unnest($1::int8[], $2::int8[]) AS u(id, fence)
JOIN batches b ON b.id = u.id AND b.fence = u.fence WHERE b.state = 'working' ORDER BY b.id FOR SHARE OF b`

type fence struct{ Batch, Fence int64 }

// checkFences locks the batches against being claimed and leaves out the pages of those that were.
func (a *attempt) checkFences(ctx context.Context) error {
	var batches, fences []int64
	held := map[fence]bool{}
	for _, p := range a.group.pages {
		f := fence{p.Task.Batch, p.Task.Fence}
		if _, asked := held[f]; f.Batch != 0 && !asked {
			held[f] = false
			batches = append(batches, f.Batch)
			fences = append(fences, f.Fence)
		}
	}
	if len(batches) > 0 {
		rows, err := a.tx.Query(ctx, checkFences, batches, fences)
		if err != nil {
			return fmt.Errorf("check the fences: %w", pg.Describe(err))
		}
		working, err := pgx.CollectRows(rows, pgx.RowToStructByPos[fence])
		if err != nil {
			return fmt.Errorf("check the fences: %w", pg.Describe(err))
		}
		for _, f := range working {
			held[f] = true
		}
	}
	for _, p := range a.group.pages {
		p.fenced = p.Task.Batch != 0 && !held[fence{p.Task.Batch, p.Task.Fence}]
		if !p.fenced {
			a.live = append(a.live, p)
		}
	}
	return nil
}

// writeContent writes what the pages brought.
func (a *attempt) writeContent(ctx context.Context) error {
	if err := a.copyCalls(ctx); err != nil {
		return err
	}
	if err := a.writeRecords(ctx); err != nil {
		return err
	}
	if err := a.copyAnswers(ctx); err != nil {
		return err
	}
	if err := a.resolveRead(ctx); err != nil {
		return err
	}
	if err := a.quarantineRejects(ctx); err != nil {
		return err
	}
	return a.resolveGone(ctx)
}

func (a *attempt) writeRecords(ctx context.Context) error {
	pl := a.group.rounds
	if len(a.live) < len(a.group.pages) {
		pl = roundsOf(a.live)
	}
	for _, p := range a.live {
		p.written = p.planned
		p.figures = Written{}
		p.contested = nil
		p.compared = false
		p.written.Aside = p.aside
		if p.Unchanged {
			p.written.Unchanged = p.Facts.Records
		}
	}
	for round, whole := range pl.pages {
		if err := a.writeRound(ctx, pl, round); err != nil {
			return err
		}
		for _, p := range pl.shown[round] {
			if err := a.showRecords(ctx, p); err != nil {
				return err
			}
		}
		for _, p := range whole {
			if err := a.remove(ctx, p); err != nil {
				return err
			}
			p.compared = true
		}
	}
	if err := a.stage(ctx); err != nil {
		return err
	}
	return a.saveGuards(ctx)
}

func (a *attempt) writeRound(ctx context.Context, pl *rounds, round int) error {
	if err := pl.accounts.write(ctx, a, round); err != nil {
		return err
	}
	if err := a.refuseOtherAccounts(ctx, pl.shown[round]); err != nil {
		return err
	}
	if err := a.refuseSwapped(ctx, pl.shown[round]); err != nil {
		return err
	}
	if err := pl.balances.write(ctx, a, round); err != nil {
		return err
	}
	if err := pl.transactions.write(ctx, a, round); err != nil {
		return err
	}
	return pl.debts.write(ctx, a, round)
}

// news says whether the page brought anything that was not there. An answer without news is not kept: no row refers
// to it. One without records is news, since it proves an emptiness.
func (p *page) news() bool {
	w := p.written
	changed := w.Unchanged == 0 || w.Unchanged+w.Clashes < p.records() || w.Removed > 0
	newReject := func(r finance.Reject) bool { return !r.Known }
	unread := len(p.replaced) > 0 || slices.ContainsFunc(p.Rejects, newReject)
	incomplete := p.keepsRows() || p.Partial != ""
	return changed || unread || incomplete
}

// lacking says that rows stay in the tables which the page's set does not have. The same bytes must be read again when
// they come again: passed over, they would say nothing of those rows.
func (p *page) keepsRows() bool { return p.written.Noted+p.written.Withheld > 0 }

// records is how many records a page holds, also when it was not decoded.
func (p *page) records() int {
	if p.Unchanged {
		return p.Facts.Records
	}
	return p.Records.Len()
}

// figuresRead is how many of its records are balances of accounts.
func (p *page) figuresRead() int {
	if p.Unchanged {
		return p.Facts.Figures
	}
	return len(p.Records.Balances)
}

// item is what the counters are kept by.
type item struct {
	batch, consent int64
	dataset        finance.Dataset
}
