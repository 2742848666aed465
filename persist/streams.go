package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// StreamFilter chooses streams; zero fields choose all.
type StreamFilter struct {
	Connection string
	Consent    int64
	Dataset    finance.Dataset
	Account    string
	After      int64 // only consents with a larger number: the next page; of Streams only
	Limit      int   // 0: 100; of Streams only
}

// StreamState is where one stream stands, as a person asks for it.
type StreamState struct {
	Connection string
	finance.Stream
	Standing
	MovedAt time.Time
}

// chosenStreams are the cursors c, with their consents n, that a StreamFilter chooses.
const chosenStreams = `FROM cursors c JOIN consents n ON n.id = c.consent_id
	WHERE ($1 = '' OR n.connection = $1)
	AND ($2 = 0 OR c.consent_id = $2)
	AND ($3 = '' OR c.dataset = $3)
	AND ($4 = '' OR c.account_id = $4)`

func (f StreamFilter) args() []any {
	return []any{f.Connection, f.Consent, string(f.Dataset), f.Account}
}

// Streams lists streams that were committed at least once, by consent, dataset, account and span.
func (s *Store) Streams(ctx context.Context, f StreamFilter) ([]StreamState, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := s.pool.Query(ctx, `SELECT n.connection, c.consent_id, c.dataset, c.account_id, c.span,
			c.position, c.mid_pass, coalesce(c.run_id, 0), coalesce(c.pass_run, 0), coalesce(c.lacks, ''), c.moved_at
		`+chosenStreams+`
		AND c.consent_id > $5
		ORDER BY c.consent_id, c.dataset, c.account_id, c.span
		LIMIT $6`, append(f.args(), f.After, limit)...)
	return allRows(rows, err, func(row pgx.CollectableRow) (s StreamState, err error) {
		s.Found = true
		err = row.Scan(&s.Connection, &s.Consent, &s.Dataset, &s.Account, &s.Span,
			&s.Position, &s.MidPass, &s.Run, &s.PassRun, &s.Lacks, &s.MovedAt)
		return s, err
	}, "list the streams")
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

const resetCost = `SELECT count(*), count(DISTINCT n.id),
	count(*) FILTER (WHERE n.status = 'active' AND c.span = ''),
	count(DISTINCT n.id) FILTER (WHERE n.status = 'active' AND n.reads_per_day IS NOT NULL),
	count(DISTINCT n.id) FILTER (WHERE n.status <> 'active'),
	count(DISTINCT n.id) FILTER (WHERE n.status <> 'active' AND n.single_use) ` + chosenStreams

// ResetCost says what ResetStreams would do. It writes nothing.
func (s *Store) ResetCost(ctx context.Context, f StreamFilter) (ResetCost, error) {
	c, err := f.cost(ctx, s.pool)
	if err != nil {
		return c, fmt.Errorf("reckon a reset of streams: %w", err)
	}
	return c, nil
}

func (f StreamFilter) cost(ctx context.Context, q asker) (c ResetCost, err error) {
	rows, err := q.Query(ctx, resetCost, f.args()...)
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
const readsChosen = `b.state = 'working' AND r.connection = $1 AND EXISTS (
	SELECT FROM items i WHERE i.batch_id = b.id AND i.outcome IS NULL
	AND ($2 = 0 OR i.consent_id = $2)
	AND ($3 = '' OR i.dataset = $3 OR 'debt' NOT IN (i.dataset, $3)))`

// fenceDeadReader takes such a batch from a holder whose lease has ended, who could wake up and write.
const fenceDeadReader = `UPDATE batches b SET fence = b.fence + 1, state = 'pending', holder = NULL,
	wake_at = clock_timestamp(), lost = CASE WHEN ` + progress + ` THEN 0 ELSE b.lost + 1 END
	FROM runs r WHERE r.id = b.run_id AND ` + readsChosen + ` AND ` + free

// busyReader is the run of such a batch with a living holder.
const busyReader = `SELECT b.run_id FROM batches b JOIN runs r ON r.id = b.run_id WHERE ` + readsChosen + ` LIMIT 1`

// ResetStreams forgets where streams of one connection stand, and their remembered pages: the next run reads them
// from the beginning. Rows stay as they are. While a run reads one of the streams nothing is changed, and the error
// is a *StreamsBusyError: that run would write its position over ours.
func (s *Store) ResetStreams(ctx context.Context, f StreamFilter) (did ResetCost, err error) {
	if f.Connection == "" {
		return did, errors.New("reset streams: name a connection")
	}
	err = s.inTx(ctx, "reset streams of "+f.Connection, func(tx pgx.Tx) error {
		if err := longStatement(ctx, tx); err != nil {
			return err
		}
		// Claims over the connection wait until we are done, so that none begins between the look and the change.
		_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('claim ' || $1, 0))`, f.Connection)
		if err != nil {
			return err
		}
		if err := f.notRead(ctx, tx); err != nil {
			return err
		}
		if did, err = f.cost(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM cursors USING (SELECT c.consent_id, c.dataset, c.account_id, c.span `+
			chosenStreams+`) x WHERE `+sameStream("cursors", "x"), f.args()...)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM pages c USING consents n WHERE n.id = c.consent_id
			AND n.connection = $1
			AND ($2 = 0 OR c.consent_id = $2)
			AND ($3 = '' OR c.dataset = $3)
			AND ($4 = '' OR c.account_id = $4)`, f.args()...)
		did.Pages = int(tag.RowsAffected())
		return err
	})
	return did, err
}

// notRead sees to it that nobody reads the streams: a dead reader is fenced off, a living one is an error.
func (f StreamFilter) notRead(ctx context.Context, tx pgx.Tx) error {
	which := f.args()[:3]
	if _, err := tx.Exec(ctx, fenceDeadReader, which...); err != nil {
		return err
	}
	runs, err := collectIDs(ctx, tx, busyReader, which...)
	if err != nil {
		return err
	}
	if len(runs) > 0 {
		return &StreamsBusyError{Run: runs[0]}
	}
	return nil
}

func sameStream(a, b string) string {
	same := ""
	for i, c := range []string{"consent_id", "dataset", "account_id", "span"} {
		if i > 0 {
			same += " AND "
		}
		same += a + "." + c + " = " + b + "." + c
	}
	return same
}

// ResetFeed forgets where the connection's feed of consent events was read to. The next reading begins with the oldest
// event that the provider keeps, and asks for the status of every active consent if there are older ones than that.
func (s *Store) ResetFeed(ctx context.Context, connection string) error {
	tag, err := s.pool.Exec(ctx, `UPDATE connections SET feed_position = '', feed_read_at = NULL WHERE name = $1`, connection)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reset the feed of %s: %w", connection, err)
	}
	return nil
}
