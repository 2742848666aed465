package read

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/admit"
	"syncer/persist/connections"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// Counts are the items of one dataset by how they ended. Expected is always the sum of the others.
type Counts struct {
	Dataset  finance.Dataset
	Expected int
	Rows     int
	Empty    int
	Partial  int
	Excused  int
	Failed   int
	Missing  int // not decided
	Rejected int // quarantined records
	Records  Records
	Figures  Records // balances of accounts, which are none of Records
}

// Records are records that a run and its reruns have read, and what became of them.
type Records struct {
	Read     int
	Inserted int
	Updated  int
	Removed  int // none of Read
}

// Unchanged are those that were in the table as they are.
func (r Records) Unchanged() int { return max(r.Read-r.Inserted-r.Updated, 0) }

// ClassCount is how many calls of a run had one class.
type ClassCount struct {
	Class finance.Class
	Calls int
}

// SlowItem is one of the items that took longest.
type SlowItem struct {
	Batch    int64
	Consent  int64
	External string // the provider's id of the consent
	Dataset  finance.Dataset
	Took     time.Duration
	Pages    int
}

// OpenItem is an item that is not proven complete.
type OpenItem struct {
	Run         int64 // the attempt that decided it
	Batch       int64
	Consent     int64
	External    string // the provider's id of the consent
	Dataset     finance.Dataset
	Outcome     finance.Outcome // empty: not decided
	Class       finance.Class
	Reason      string
	Correlation string
	Call        finance.CallID
	At          time.Time // when it was decided; zero: it is not
}

// BatchCounts are the batches of a run by state.
type BatchCounts struct {
	Pending, Working, Parked, Done int
}

// Report is what is known of a run. For a root run the counts are those of the effective outcomes: the latest
// decision of each item over the run and its reruns.
type Report struct {
	Run            queue.Run
	Reruns         []int64
	Counts         []Counts // one for each dataset
	Calls          int      // the run's own
	ByClass        []ClassCount
	Pauses         int           // that the provider has announced to the run's calls
	Paused         time.Duration // all of them, overlaps included
	LeftAlone      int           // how often the provider was left alone because it failed all the time
	FailedWith     string        // what it failed with the last time; empty: it was not left alone
	Slowest        []SlowItem    // at most 10
	NotComplete    []OpenItem    // at most reportedItems: failed, partial, excused and undecided
	Withheld       []OpenItem    // at most reportedItems: proven, but for accounts that the provider withholds
	Causes         Causes        // of all that are not complete
	WithheldCauses Causes        // of all that are proven, but for withheld accounts
	Wall           time.Duration // from planning to settling, or to now
	Quarantine     QuarantineCauses
	Guards         []RemovalGuard // of the root run, those that have closed
	Drifts         []Drift        // of the run itself
	NewAccounts    int            // of renewed consents, while others of them are not listed any more
	Batches        BatchCounts
	Running        bool
	Over           connections.Connection // the run's connection as it stands now, which may have been parked by a later run
	Gates          []admit.ClosedGate     // of the run's connection, those that are closed now; none of a settled run
	ParkedUntil    time.Time              // zero: nothing is parked; else when the first parked batch wakes, which is never in the past
	ParkReason     string
	Unworked       bool // no living process works the open run

	// NotConfigured says, for people, why whoever asks could not work the open run. The caller fills it in.
	NotConfigured string
}

// Report is what is known of a run; see Report.
func (s *Store) Report(ctx context.Context, run int64) (Report, error) {
	return s.report(ctx, run, reportConnection, reportCounts, reportCalls, reportPauses, reportItems, reportBatches, reportUnworked,
		reportQuarantine, reportGuards, reportDrifts, reportNewAccounts)
}

func (s *Store) report(ctx context.Context, run int64, parts ...func(context.Context, pgx.Tx, *Report) error) (Report, error) {
	var r Report
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.db.Whole, snapshot, func(tx pgx.Tx) (err error) {
		if r.Run, err = queue.LoadRun(ctx, tx, run); errors.Is(err, pg.ErrNotFound) {
			return pg.ErrNotFound
		}
		for _, part := range parts {
			if err == nil {
				err = part(ctx, tx, &r)
			}
		}
		return err
	})
	if err != nil {
		return r, fmt.Errorf("report on run %d: %w", run, err)
	}
	return r, nil
}

func reportConnection(ctx context.Context, tx pgx.Tx, r *Report) (err error) {
	r.Over, err = connections.Load(ctx, tx, r.Run.Connection)
	return err
}

func reportCalls(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, `SELECT class, count(*) FROM calls WHERE run_id = $1 GROUP BY class ORDER BY 2 DESC, 1`, r.Run.ID)
	if err != nil {
		return err
	}
	if r.ByClass, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ClassCount]); err != nil {
		return err
	}
	r.sumCalls()
	return nil
}

func (r *Report) sumCalls() {
	for _, c := range r.ByClass {
		r.Calls += c.Calls
	}
}

func reportPauses(ctx context.Context, tx pgx.Tx, r *Report) error {
	var paused float64
	var failed string
	err := tx.QueryRow(ctx, runPauses, r.Run.ID, calls.PauseByBreaker).
		Scan(&r.Pauses, &paused, &r.LeftAlone, &failed)
	r.Paused = time.Duration(paused * float64(time.Second))
	r.FailedWith = strings.TrimPrefix(failed, calls.PauseByBreaker+": ")
	return err
}

// runPauses tells what the provider has announced to run $1 from what it was spared because it failed, $2.
const runPauses = `
	SELECT count(*) FILTER (WHERE NOT spared),
		coalesce(sum(extract(epoch FROM until - announced_at)) FILTER (WHERE NOT spared), 0),
		count(*) FILTER (WHERE spared),
		coalesce((array_agg(reason ORDER BY id DESC) FILTER (WHERE spared))[1], '')
	FROM (
		SELECT id, reason, announced_at, starts_with(reason, $2) AS spared,
			least(not_before, ended_at, announced_at + interval '10 years') AS until
		FROM pauses WHERE run_id = $1
	) AS told`
