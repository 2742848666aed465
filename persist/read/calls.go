package read

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// CallRecord is a call as the tables have it.
type CallRecord struct {
	Call calls.Call // Scope names run, batch and dataset; its Consent is nil
	// Consent is ours of the consent it was made for; 0: none.
	Consent int64
	// Kept says that the sealed answer is there; KeptAs is the call beside which it lies, this one or an earlier one
	// whose answer had the same bytes. KeptUntil is when it goes, or went; zero: it was never kept.
	Kept      bool
	KeptAs    finance.CallID
	KeptUntil time.Time
}

const selectCalls = `
	SELECT c.id, c.connection, c.bucket, c.purpose, coalesce(c.run_id, 0), coalesce(c.batch_id, 0),
	       coalesce(c.consent_id, 0), coalesce(c.dataset, ''), c.method, c.path, c.attempt, c.sent_at, c.waited_us,
	       c.duration_us, coalesce(c.status, 0), c.bytes, coalesce(c.correlation_id, ''), c.class,
	       coalesce(c.reason, ''), coalesce(c.retry_after_us, 0), coalesce(c.answer_id, c.id),
	       a.body IS NOT NULL, a.keep_until
	FROM calls c LEFT JOIN answers a ON a.call_id = coalesce(c.answer_id, c.id) `

// CallByID finds a call by its id, which is the request id that the provider saw. It is ErrNotFound if there is none.
func (s *Store) CallByID(ctx context.Context, id finance.CallID) (CallRecord, error) {
	rows, err := s.db.Query(ctx, selectCalls+"WHERE c.id = $1", [16]byte(id))
	if err != nil {
		return CallRecord{}, fmt.Errorf("find call %s: %w", id, err)
	}
	record, err := pgx.CollectExactlyOneRow(rows, scanCall)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	if err != nil {
		return CallRecord{}, fmt.Errorf("find call %s: %w", id, err)
	}
	return record, nil
}

// CallsByCorrelation finds the calls to which the provider gave an id of its own, which may be several: at most a
// hundred, the newest first.
func (s *Store) CallsByCorrelation(ctx context.Context, correlation string) ([]CallRecord, error) {
	rows, err := s.db.Query(ctx, selectCalls+`
		WHERE c.correlation_id = $1
		ORDER BY c.sent_at DESC, c.id DESC
		LIMIT 100`, pg.Clean(correlation))
	if err != nil {
		return nil, fmt.Errorf("find calls by the provider's id: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanCall)
	if err != nil {
		return nil, fmt.Errorf("find calls by the provider's id: %w", err)
	}
	return list, nil
}

func scanCall(row pgx.CollectableRow) (CallRecord, error) {
	var r CallRecord
	var waited, duration, retryAfter int64
	var keptUntil *time.Time
	c := &r.Call
	err := row.Scan((*[16]byte)(&c.ID), &c.Connection, &c.Bucket, &c.Purpose, &c.Task.Run, &c.Task.Batch, &r.Consent,
		&c.Task.Dataset, &c.Method, &c.Path, &c.Attempt, &c.SentAt, &waited, &duration, &c.Status, &c.Bytes,
		&c.Correlation, &c.Class, &c.Reason, &retryAfter, (*[16]byte)(&r.KeptAs), &r.Kept, &keptUntil)
	r.KeptUntil = pg.OrZero(keptUntil)
	c.Waited = pg.FromMicros(waited)
	c.Duration = pg.FromMicros(duration)
	c.RetryAfter = pg.FromMicros(retryAfter)
	return r, err
}
