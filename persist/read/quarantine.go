package read

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// QuarantineFilter chooses records in quarantine; zero fields choose all that are open.
type QuarantineFilter struct {
	Connection string
	Consent    int64
	Dataset    finance.Dataset
	Resolved   bool  // those that are resolved too
	After      int64 // only ids that are larger: the next page
	Limit      int   // 0: 100
}

// QuarantinedRecord is a record in quarantine, as a person asks for it.
type QuarantinedRecord struct {
	ID         int64
	Connection string
	Consent    int64
	External   string // the provider's id of the consent
	Dataset    finance.Dataset
	Account    string
	Key        string // the provider's; empty: it could not be read
	Call       finance.CallID
	Place      int32
	Reason     string
	Times      int
	Held       bool  // the stream's position waits for it
	LastRun    int64 // that has met it; 0: before runs were noted
	FirstAt    time.Time
	LastAt     time.Time
	ResolvedAt time.Time // zero: it is open
	ResolvedAs string
	Note       string
}

// Quarantine lists records in quarantine by their ids.
func (s *Store) Quarantine(ctx context.Context, f QuarantineFilter) ([]QuarantinedRecord, error) {
	rows, err := s.db.Query(ctx, quarantined+`
		WHERE ($1 = '' OR n.connection = $1)
		AND ($2 = 0 OR q.consent_id = $2)
		AND ($3 = '' OR q.dataset = $3)
		AND ($4 OR q.resolved_at IS NULL)
		AND q.id > $5
		ORDER BY q.id
		LIMIT $6`, f.Connection, f.Consent, string(f.Dataset), f.Resolved, f.After, cmp.Or(max(f.Limit, 0), 100))
	return pg.AllRows(rows, err, scanQuarantined, "list the quarantine")
}

const quarantined = `SELECT q.id, n.connection, q.consent_id, n.external_id, q.dataset, q.account_id,
	coalesce(q.record_id, ''), q.call_id, q.place, q.reason, q.times, q.held, coalesce(q.last_run, 0), q.at, q.last_at,
	q.resolved_at, coalesce(q.resolved_as, ''), coalesce(q.note, '')
	FROM quarantine q
	JOIN consents n ON n.id = q.consent_id`

func scanQuarantined(row pgx.CollectableRow) (r QuarantinedRecord, err error) {
	var resolved *time.Time
	err = row.Scan(&r.ID, &r.Connection, &r.Consent, &r.External, &r.Dataset, &r.Account,
		&r.Key, &r.Call, &r.Place, &r.Reason, &r.Times, &r.Held, &r.LastRun, &r.FirstAt, &r.LastAt,
		&resolved, &r.ResolvedAs, &r.Note)
	r.ResolvedAt = pg.OrZero(resolved)
	return r, err
}

// QuarantinedRecord is the record in quarantine of that id, or ErrNotFound.
func (s *Store) QuarantinedRecord(ctx context.Context, id int64) (QuarantinedRecord, error) {
	rows, err := s.db.Query(ctx, quarantined+` WHERE q.id = $1`, id)
	return pg.OneRow(rows, err, scanQuarantined, fmt.Sprintf("load record %d in quarantine", id))
}

// runToRetry is the newest run of the job that has met record $1 in quarantine, reruns and backfills aside, which has an item
// of its stream: that is partial for the record. Items are found by their batches, since there may be many millions.
const runToRetry = `SELECT ` + queue.RunColumns + `
	FROM quarantine q
	JOIN runs met ON met.id = q.last_run
	JOIN runs r ON r.job = met.job
	WHERE q.id = $1
	AND r.kind NOT IN ('rerun', 'backfill')
	AND EXISTS (
		SELECT FROM batches b
		JOIN items i ON i.batch_id = b.id
		WHERE b.run_id = r.id
		AND i.consent_id = q.consent_id
		AND i.dataset = q.dataset
	)
	ORDER BY r.id DESC
	LIMIT 1`

// RunToRetry is the run whose rerun reads the stream of a record in quarantine again, or ErrNotFound.
func (s *Store) RunToRetry(ctx context.Context, record int64) (queue.Run, error) {
	rows, err := s.db.Query(ctx, runToRetry, record)
	return pg.OneRow(rows, err, queue.ScanRun, fmt.Sprintf("find the run that reads record %d in quarantine", record))
}

// QuarantineCause is why records could not be read or stored.
type QuarantineCause struct {
	Dataset  finance.Dataset
	Reason   string
	Records  int
	ID       int64 // of the first of them
	Consent  int64 // of that one
	External string
}

// QuarantineCauses are the records that are in quarantine and open, by their reasons.
type QuarantineCauses struct {
	List []QuarantineCause // at most ListedCauses, those with the most records
	More int               // records of reasons that are not listed
}

// openQuarantine are the open records for which items of a run are partial. Of a backfill only those count that it has met.
const openQuarantine = `WITH reasons AS (
		SELECT q.dataset, q.reason, count(*) AS records, min(q.id) AS first
		FROM reported_items(@run, @own) i
		JOIN quarantine q ON q.consent_id = i.consent_id AND q.dataset = i.dataset
		WHERE i.outcome IN ('partial', 'failed')
		AND q.resolved_at IS NULL
		AND (NOT @window OR q.last_run = @run)
		GROUP BY q.dataset, q.reason
	)
	SELECT s.dataset, s.reason, s.records, s.first, q.consent_id, n.external_id
	FROM reasons s
	JOIN quarantine q ON q.id = s.first
	JOIN consents n ON n.id = q.consent_id
	ORDER BY s.records DESC, s.first`

func reportQuarantine(ctx context.Context, tx pgx.Tx, r *Report) error {
	args, err := reportedArgs(ctx, tx, r.Run)
	if err != nil {
		return err
	}
	args["window"] = !r.Run.WindowFrom.IsZero()
	rows, err := tx.Query(ctx, openQuarantine, args)
	if err != nil {
		return err
	}
	var c QuarantineCause
	_, err = pgx.ForEachRow(rows, []any{&c.Dataset, &c.Reason, &c.Records, &c.ID, &c.Consent, &c.External}, func() error {
		if len(r.Quarantine.List) < ListedCauses {
			r.Quarantine.List = append(r.Quarantine.List, c)
		} else {
			r.Quarantine.More += c.Records
		}
		return nil
	})
	return err
}
