package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// Filter chooses streams; zero fields choose all.
type Filter struct {
	Connection string
	Consent    int64
	Dataset    finance.Dataset
	Account    string
	After      int64 // only consents with a larger number: the next page; of Streams only
	Limit      int   // 0: 100; of Streams only
}

// ChosenStreams are the cursors c, with their consents n, that a Filter chooses. Its parameters are those of Filter.Args.
const ChosenStreams = `FROM cursors c
	JOIN consents n ON n.id = c.consent_id
	WHERE (@connection = '' OR n.connection = @connection)
	AND (@consent = 0 OR c.consent_id = @consent)
	AND (@dataset = '' OR c.dataset = @dataset)
	AND (@account = '' OR c.account_id = @account)`

// Args are the parameters of a statement about what the Filter chooses.
func (f Filter) Args() pgx.NamedArgs {
	return pgx.NamedArgs{
		"connection": f.Connection,
		"consent":    f.Consent,
		"dataset":    string(f.Dataset),
		"account":    f.Account,
	}
}

// ResetCost is what forgetting where streams stand takes and brings about.
type ResetCost struct {
	Streams  int
	Consents int
	Calls    int // of the next run at least: one for each stream of an active consent, backfills left out
	Budgeted int // of the consents: those with a number of reads a day, which the next run spends one of
	Ended    int // of the consents: those that are not active, so that nothing is read for them
	// SingleUse are those of Ended that were for a single use: their one call is made, and nothing can be read again.
	SingleUse int
	Pages     int // remembered pages that are forgotten; only told by ResetStreams
}

const resetCost = `SELECT count(*),
	count(DISTINCT n.id),
	count(*) FILTER (WHERE n.status = 'active' AND c.span = ''),
	count(DISTINCT n.id) FILTER (WHERE n.status = 'active' AND n.reads_per_day IS NOT NULL),
	count(DISTINCT n.id) FILTER (WHERE n.status <> 'active'),
	count(DISTINCT n.id) FILTER (WHERE n.status <> 'active' AND n.single_use)
	` + ChosenStreams

// ResetCost says what ResetStreams would do. It writes nothing.
func (s *Store) ResetCost(ctx context.Context, f Filter) (ResetCost, error) {
	c, err := f.cost(ctx, s.db)
	if err != nil {
		return c, fmt.Errorf("reckon a reset of streams: %w", err)
	}
	return c, nil
}

func (f Filter) cost(ctx context.Context, q pg.Querier) (c ResetCost, err error) {
	rows, err := q.Query(ctx, resetCost, f.Args())
	if err != nil {
		return c, err
	}
	return pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (c ResetCost, err error) {
		err = row.Scan(&c.Streams, &c.Consents, &c.Calls, &c.Budgeted, &c.Ended, &c.SingleUse)
		return c, err
	})
}

// StreamsBusyError says that a run is reading a stream that was to be reset.
type StreamsBusyError struct{ Run int64 }

// Error is one line.
func (e *StreamsBusyError) Error() string {
	return fmt.Sprintf("run %d is reading these streams just now", e.Run)
}

// readsChosen is the condition that batch b has an open item that reads one of the chosen streams. Items of
// transactions read the list of accounts, too.
const readsChosen = `b.state = 'working'
	AND r.connection = @connection
	AND EXISTS (
		SELECT FROM items i
		WHERE i.batch_id = b.id
		AND i.outcome IS NULL
		AND (@consent = 0 OR i.consent_id = @consent)
		AND (@dataset = '' OR i.dataset = @dataset OR 'debt' NOT IN (i.dataset, @dataset))
	)`

// fenceDeadReader takes such a batch from a holder whose lease has ended, who could wake up and write.
const fenceDeadReader = `UPDATE batches b SET
		fence = b.fence + 1,
		state = 'pending',
		holder = NULL,
		wake_at = clock_timestamp(),
		lost = CASE WHEN ` + queue.Progress + ` THEN 0 ELSE b.lost + 1 END
	FROM runs r
	WHERE r.id = b.run_id
	AND ` + readsChosen + `
	AND ` + queue.Free

// busyReader is the run of such a batch with a living holder.
const busyReader = `SELECT b.run_id
	FROM batches b
	JOIN runs r ON r.id = b.run_id
	WHERE ` + readsChosen + `
	LIMIT 1`

// What is left of an earlier pass may be of days whose keys are replaced already, so all days count again.
const allDaysAgain = `UPDATE key_changes c SET days = '{(,)}'
	FROM consents n
	WHERE n.id = c.consent_id
	AND n.connection = @connection
	AND (@consent = 0 OR c.consent_id = @consent)
	AND (@dataset = '' OR c.dataset = @dataset)
	AND (@account = '' OR c.account_id IN ('', @account))`

const forgetCursors = `DELETE FROM cursors k
	USING (
		SELECT c.consent_id, c.dataset, c.account_id, c.span
		` + ChosenStreams + `
	) x
	WHERE k.consent_id = x.consent_id
	AND k.dataset = x.dataset
	AND k.account_id = x.account_id
	AND k.span = x.span`

const forgetPages = `DELETE FROM pages c
	USING consents n
	WHERE n.id = c.consent_id
	AND n.connection = @connection
	AND (@consent = 0 OR c.consent_id = @consent)
	AND (@dataset = '' OR c.dataset = @dataset)
	AND (@account = '' OR c.account_id = @account)`

// ResetStreams forgets where streams of one connection stand, and their remembered pages: the next run reads them
// from the beginning. Rows stay as they are. While a run reads one of the streams nothing is changed, and the error
// is a *StreamsBusyError: that run would write its position over ours.
func (s *Store) ResetStreams(ctx context.Context, f Filter) (did ResetCost, err error) {
	if f.Connection == "" {
		return did, errors.New("reset streams: name a connection")
	}
	err = s.db.InTx(ctx, "reset streams of "+f.Connection, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		if err := f.claimNone(ctx, tx); err != nil {
			return err
		}
		did, err = f.forget(ctx, tx)
		return err
	})
	return did, err
}

// forget forgets where the streams stand. What they read from now on may be of days that an earlier pass has replaced the
// keys of already, so where rows with old keys are left, all days count again.
func (f Filter) forget(ctx context.Context, tx pgx.Tx) (did ResetCost, err error) {
	if did, err = f.cost(ctx, tx); err != nil {
		return did, err
	}
	if _, err = tx.Exec(ctx, allDaysAgain, f.Args()); err != nil {
		return did, err
	}
	if _, err = tx.Exec(ctx, forgetCursors, f.Args()); err != nil {
		return did, err
	}
	tag, err := tx.Exec(ctx, forgetPages, f.Args())
	did.Pages = int(tag.RowsAffected())
	return did, err
}

// claimNone sees to it that nobody reads the streams, or begins to, until the transaction ends: claims over the connection
// wait until then.
func (f Filter) claimNone(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(lock_key('claim ' || $1))`, f.Connection)
	if err != nil {
		return err
	}
	return f.notRead(ctx, tx)
}

// notRead sees to it that nobody reads the streams: a dead reader is fenced off, a living one is an error.
func (f Filter) notRead(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, fenceDeadReader, f.Args()); err != nil {
		return err
	}
	runs, err := pg.IDs(ctx, tx, busyReader, f.Args())
	if err != nil {
		return err
	}
	if len(runs) > 0 {
		return &StreamsBusyError{Run: runs[0]}
	}
	return nil
}
