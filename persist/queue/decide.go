package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"syncer/finance"
	"syncer/persist/pg"
)

// itemName is an item in the hands of a process. It has it once: in a crowd no item stands twice.
type itemName struct {
	batch, fence, consent int64
	dataset               finance.Dataset
}

// itemDecided is an item and its decision.
type itemDecided struct {
	itemName
	Decision
}

// itemNames are items, one column a slice: the first four parameters of a statement about many.
type itemNames struct {
	batch, fence, consent []int64
	dataset               []string
}

func (n *itemNames) add(i itemName) {
	n.batch = append(n.batch, i.batch)
	n.fence = append(n.fence, i.fence)
	n.consent = append(n.consent, i.consent)
	n.dataset = append(n.dataset, string(i.dataset))
}

func (n *itemNames) args() []any { return []any{n.batch, n.fence, n.consent, n.dataset} }

// unflushed has a transaction not wait until it lies on the disk. Whatever is committed after it lies behind it there: a page,
// or the end of a batch, which are waited for. So nothing that a crash of Postgres leaves was built on what it takes back: an
// attempt that did not get to a page is not counted, and an item whose pages are there is decided anew, without a call. One that
// was decided without pages would be asked for again, so that decision is waited for. What a worker believes is another matter: see
// ErrUndecided.
const unflushed = `SELECT set_config('synchronous_commit', 'off', true)`

// writeItems makes concurrent writes to items in one round trip and one transaction: a worker with many small items
// would otherwise spend more on beginning and committing than on all else. It says which of the n items were changed. What
// it sets holds for the whole transaction, so it is not for one that does other things too.
func (s *Store) writeItems(ctx context.Context, n int, flush bool, sql string, args []any) ([]bool, error) {
	b := &pgx.Batch{}
	b.Queue(pg.ByIndex)
	if !flush {
		b.Queue(unflushed)
	}
	changed := make([]bool, n)
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		var place int
		_, err := pgx.ForEachRow(rows, []any{&place}, func() error {
			changed[place-1] = true
			return nil
		})
		return err
	})
	return changed, s.db.SendBatch(ctx, b).Close()
}

// askTogether asks together with others. In the company of one that can't be stored all fail; alone it gets an answer of its own.
func askTogether[Q any](ctx context.Context, c *pg.Combiner[Q, bool], alone func(context.Context, []Q) ([]bool, error), q Q) (bool, error) {
	changed, err := c.Ask(ctx, q)
	if err == nil || ctx.Err() != nil {
		return changed, err
	}
	answer, err := alone(ctx, []Q{q})
	return err == nil && answer[0], err
}

// heldItems are the items of a statement about many whose batches are in the hands of who names them.
const heldItems = `JOIN batches b ON b.id = u.batch AND b.fence = u.fence AND b.state = 'working'
		FOR SHARE OF b`

const startItems = `UPDATE items i
	SET attempts = attempts + 1,
		started_at = coalesce(started_at, clock_timestamp())
	FROM (
		SELECT u.*
		FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[]) WITH ORDINALITY AS u(batch, fence, consent, dataset, place)
		` + heldItems + `
	) u
	WHERE i.batch_id = u.batch
	AND i.consent_id = u.consent
	AND i.dataset = u.dataset
	AND i.outcome IS NULL
	RETURNING u.place`

func (s *Store) startItems(ctx context.Context, items []itemName) ([]bool, error) {
	var names itemNames
	for _, i := range items {
		names.add(i)
	}
	const flush = false
	return s.writeItems(ctx, len(items), flush, startItems, names.args())
}

// StartItem counts an attempt at an item. It fails with ErrFenced when the batch is another's. Callers that start
// items at the same time share a round trip.
func (s *Store) StartItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset) error {
	changed, err := askTogether(ctx, s.starts, s.startItems, itemName{batch, fence, consent, dataset})
	if err != nil {
		return fmt.Errorf("start %s of consent %d: %w", dataset, consent, err)
	}
	if !changed {
		return fmt.Errorf("start %s of consent %d in batch %d with fence %d: %w", dataset, consent, batch, fence, pg.ErrFenced)
	}
	return nil
}

const decideItems = `UPDATE items i
	SET outcome = u.outcome,
		class = nullif(u.class, ''),
		reason = nullif(u.reason, ''),
		correlation_id = nullif(u.correlation, ''),
		call_id = u.call,
		finished_at = clock_timestamp()
	FROM (
		SELECT u.*
		FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[])
			WITH ORDINALITY AS u(batch, fence, consent, dataset, outcome, class, reason, correlation, call, place)
		` + heldItems + `
	) u
	WHERE i.batch_id = u.batch
	AND i.consent_id = u.consent
	AND i.dataset = u.dataset
	AND i.outcome IS NULL
	RETURNING u.place`

// ofPages says that a decision follows from pages that are committed, and from nothing else: not from an account that was refused.
func (d *Decision) ofPages() bool {
	proven := d.Outcome == finance.Rows || d.Outcome == finance.Empty
	return proven && d.Class == ""
}

func (s *Store) decideItems(ctx context.Context, items []itemDecided) ([]bool, error) {
	var names itemNames
	var outcomes, classes, reasons, correlations []string // empty: nothing
	var calls []pgtype.UUID
	flush := false
	for _, i := range items {
		names.add(i.itemName)
		outcomes = append(outcomes, string(i.Outcome))
		classes = append(classes, string(i.Class))
		reasons = append(reasons, pg.Clean(i.Reason))
		correlations = append(correlations, pg.Clean(i.Correlation))
		calls = append(calls, pgtype.UUID{Bytes: i.Call, Valid: !i.Call.IsZero()})
		flush = flush || !i.ofPages()
	}
	args := append(names.args(), outcomes, classes, reasons, correlations, calls)
	return s.writeItems(ctx, len(items), flush, decideItems, args)
}

// DecideItem writes how an item ended. It fails with ErrFenced when the batch is another's. A decided item keeps its
// first decision. Callers that decide items at the same time share a transaction.
func (s *Store) DecideItem(ctx context.Context, batch, fence, consent int64, dataset finance.Dataset, d Decision) error {
	item := itemDecided{itemName{batch, fence, consent, dataset}, d}
	changed, err := askTogether(ctx, s.decisions, s.decideItems, item)
	if err != nil {
		return fmt.Errorf("decide %s of consent %d: %w", dataset, consent, err)
	}
	if changed {
		return nil
	}
	// Decided before or fenced off: this finds out.
	return s.DecideItems(ctx, batch, fence, []Decided{{Consent: consent, Dataset: dataset, Decision: d}})
}

// DecideItems is DecideItem for many items of one batch, all or none.
func (s *Store) DecideItems(ctx context.Context, batch, fence int64, decided []Decided) error {
	return s.db.InTx(ctx, fmt.Sprintf("decide %d items of batch %d", len(decided), batch), func(tx pgx.Tx) error {
		return DecideWithin(ctx, tx, batch, fence, decided)
	})
}

// DecideWithin is DecideItems within a transaction.
func DecideWithin(ctx context.Context, tx pgx.Tx, batch, fence int64, decided []Decided) error {
	var id int64
	err := tx.QueryRow(ctx, `SELECT id FROM batches WHERE `+mine+` FOR SHARE`,
		pgx.NamedArgs{"batch": batch, "fence": fence}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("with fence %d: %w", fence, pg.ErrFenced)
	}
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, d := range decided {
		b.Queue(`UPDATE items
			SET outcome = $4,
				class = $5,
				reason = $6,
				correlation_id = $7,
				call_id = $8,
				finished_at = clock_timestamp()
			WHERE batch_id = $1
			AND consent_id = $2
			AND dataset = $3
			AND outcome IS NULL`,
			batch, d.Consent, d.Dataset, string(d.Outcome), pg.NullText(string(d.Class)), pg.NullText(d.Reason),
			pg.NullText(d.Correlation), pg.NullID(d.Call))
	}
	return tx.SendBatch(ctx, b).Close()
}
