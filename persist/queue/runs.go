package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// RunKind is why a run exists.
type RunKind string

// The kinds of runs.
const (
	Scheduled RunKind = "scheduled"
	Manual    RunKind = "manual"
	Rerun     RunKind = "rerun"
	Backfill  RunKind = "backfill"
	Final     RunKind = "final" // the last pull of consents that end before their job fires again
)

// Verdict is how a run ended, computed from its items and never set by hand. The empty Verdict is a run that is not
// settled.
type Verdict string

// The verdicts; see Settle for the rule.
const (
	VerdictComplete Verdict = "complete"
	VerdictPartial  Verdict = "partial"
	VerdictFailed   Verdict = "failed"
)

// Run is one firing of a job.
type Run struct {
	ID           int64
	Job          string
	Connection   string
	Kind         RunKind
	ScheduledFor time.Time // the nominal time, unique within the job
	OfRun        int64     // a rerun's root run; 0: none
	Datasets     []finance.Dataset
	WindowFrom   finance.Date // a backfill's window; zero: none
	WindowTo     finance.Date
	Expected     int // items that planning wrote
	Skipped      int // consents of the connection that planning left out: not active, outside their window, or given for another purpose
	Overlapped   int // items that planning left to earlier runs of the job, which had not decided them yet
	Verdict      Verdict
	CreatedAt    time.Time
	SettledAt    time.Time // zero: not settled

	LeavesReads int // of a backfill, see RunSpec; lockRoot alone loads it
}

// RunColumns are the columns of run r that scanRun reads.
const RunColumns = `r.id, r.job, r.connection, r.kind, r.scheduled_for, coalesce(r.of_run, 0), r.datasets, r.window_from,
	r.window_to, r.expected, r.skipped, r.overlapped,
	coalesce(r.verdict, ''), r.created_at, r.settled_at`

// ScanRun reads a row of runColumns.
func ScanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	var datasets []string
	var from, to, settled *time.Time
	err := row.Scan(&r.ID, &r.Job, &r.Connection, &r.Kind, &r.ScheduledFor, &r.OfRun, &datasets, &from, &to, &r.Expected,
		&r.Skipped, &r.Overlapped, &r.Verdict, &r.CreatedAt, &settled)
	r.Datasets = pg.ToDatasets(datasets)
	r.WindowFrom = pg.ToDate(from)
	r.WindowTo = pg.ToDate(to)
	if settled != nil {
		r.SettledAt = *settled
	}
	return r, err
}

// LoadRun is the run of that id, or ErrNotFound.
func LoadRun(ctx context.Context, q pg.Querier, id int64) (Run, error) {
	rows, err := q.Query(ctx, `SELECT `+RunColumns+` FROM runs r WHERE r.id = $1`, id)
	return pg.OneRow(rows, err, ScanRun, fmt.Sprintf("run %d", id))
}

// RunByID is the run of that id, or ErrNotFound.
func (s *Store) RunByID(ctx context.Context, id int64) (Run, error) { return LoadRun(ctx, s.db, id) }

// ManualRunOf is the run of a job that was made by hand for a time, to the microsecond, or ErrNotFound.
func (s *Store) ManualRunOf(ctx context.Context, job string, at time.Time) (Run, error) {
	rows, err := s.db.Query(ctx, `SELECT `+RunColumns+` FROM runs r
		WHERE r.job = $1
		AND r.scheduled_for = $2
		AND r.kind = 'manual'`, job, at.Truncate(time.Microsecond))
	return pg.OneRow(rows, err, ScanRun, "look for the run of "+job)
}

// OpenRuns are the runs of a job that have no verdict yet, oldest first; of these kinds only, unless
// none is named.
func (s *Store) OpenRuns(ctx context.Context, job string, kinds ...RunKind) ([]Run, error) {
	var only any
	if len(kinds) > 0 {
		only = kinds
	}
	rows, err := s.db.Query(ctx, `SELECT `+RunColumns+` FROM runs r
		WHERE r.job = $1
		AND r.verdict IS NULL
		AND ($2::text[] IS NULL OR r.kind = ANY ($2))
		ORDER BY r.id`, job, only)
	return pg.AllRows(rows, err, ScanRun, "look for open runs of "+job)
}
