package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/finance"
	"syncer/persist/pg"
)

// What an item's cause is, a program says ([finance.Fingerprint]); a statement that decides items can't. So
// causes are named when a batch is through, and wherever a run is settled, whoever has decided its items.

// unnamed are items of some batches that have a reason and no name of its cause yet, behind an item.
const unnamed = `SELECT i.batch_id, i.consent_id, i.dataset, r.connection, coalesce(i.class, ''), coalesce(i.reason, ''),
		coalesce(i.correlation_id, ''), i.call_id
	FROM batches b
	JOIN runs r ON r.id = b.run_id
	JOIN items i ON i.batch_id = b.id
	WHERE %s
	AND i.outcome IN ('partial', 'excused', 'failed')
	AND i.cause IS NULL
	AND (i.batch_id, i.consent_id, i.dataset) > ($2, $3, $4)
	ORDER BY i.batch_id, i.consent_id, i.dataset
	LIMIT $5`

// An item that has got another reason meanwhile waits for its next naming.
const nameCauses = `UPDATE items i
	SET cause = u.cause
	FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::int8[]) AS u (batch, consent, dataset, reason, cause)
	WHERE i.batch_id = u.batch
	AND i.consent_id = u.consent
	AND i.dataset = u.dataset
	AND coalesce(i.reason, '') = u.reason`

// namedAtOnce bounds a statement that names causes.
const namedAtOnce = 5000

// NameCauses names why the items of a batch are not whole.
func (s *Store) NameCauses(ctx context.Context, batch int64) error {
	return nameCausesOf(ctx, s.db, "b.id = $1", batch)
}

// asker is a database or a transaction.
type asker interface {
	pg.Querier
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// nameCausesOf names why items are not whole, of the batches that a condition on $1 tells.
func nameCausesOf(ctx context.Context, db asker, batches string, id int64) error {
	var last unnamedItem
	for {
		rows, err := db.Query(ctx, fmt.Sprintf(unnamed, batches), id, last.Batch, last.Consent, last.Dataset, namedAtOnce)
		items, err := pg.AllRows(rows, err, pgx.RowToStructByPos[unnamedItem], "read why items are not whole")
		if err != nil || len(items) == 0 {
			return err
		}
		var batch, consent, causes []int64
		var datasets, reasons []string
		for _, i := range items {
			batch = append(batch, i.Batch)
			consent = append(consent, i.Consent)
			datasets = append(datasets, i.Dataset)
			reasons = append(reasons, i.Reason)
			causes = append(causes, i.cause())
		}
		if _, err := db.Exec(ctx, nameCauses, batch, consent, datasets, reasons, causes); err != nil {
			return fmt.Errorf("name why items are not whole: %w", err)
		}
		last = items[len(items)-1]
	}
}

type unnamedItem struct {
	Batch, Consent      int64
	Dataset, Connection string
	Class               finance.Class
	Reason, Correlation string
	Call                *[16]byte
}

func (i *unnamedItem) cause() int64 {
	kind := finance.KindOf(i.Reason, i.Correlation, finance.CallID(pg.OrZero(i.Call)).String())
	return finance.Fingerprint(i.Connection, i.Class, kind)
}
