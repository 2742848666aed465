package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Drift is a member that most records of a job's last runs had, and none of a run's.
type Drift struct {
	Run        int64
	Job        string
	Connection string
	Kind       string // of records
	Member     string
	Records    int64 // of the run
	Consents   int64
	Held       int64 // of the runs before it: the records that had the member
	Before     int64 // of so many
	Runs       int
	At         time.Time
}

// String is one line.
func (d Drift) String() string {
	before := "the run before"
	if d.Runs > 1 {
		before = fmt.Sprintf("the %d runs before", d.Runs)
	}
	return fmt.Sprintf("%s.%s: in %d of %d records of %s, in none of %d records of %d consents",
		d.Kind, d.Member, d.Held, d.Before, before, d.Records, d.Consents)
}

const driftShown = 7 * 24 * time.Hour

const drifts = `SELECT d.run_id, r.job, r.connection, d.kind, d.member,
	d.records, d.consents, d.held, d.before, d.runs, d.at
FROM drifts d
JOIN runs r ON r.id = d.run_id
WHERE `

func scanDrift(row pgx.CollectableRow) (d Drift, err error) {
	err = row.Scan(&d.Run, &d.Job, &d.Connection, &d.Kind, &d.Member, &d.Records, &d.Consents, &d.Held, &d.Before,
		&d.Runs, &d.At)
	return d, err
}

const driftsOfRun = drifts + `d.run_id = $1 ORDER BY d.kind, d.member`

// DriftsOf lists the members that a settled run has missed.
func (s *Store) DriftsOf(ctx context.Context, run int64) ([]Drift, error) {
	rows, err := s.db.Query(ctx, driftsOfRun, run)
	return pg.AllRows(rows, err, scanDrift, fmt.Sprintf("list the drifts of run %d", run))
}

const openDrifts = `SELECT x.* FROM (
	SELECT DISTINCT ON (connection, job, kind, member) *
	FROM (` + drifts + `d.ended_by IS NULL AND d.at > now() - $1::interval) d
	ORDER BY connection, job, kind, member, run_id DESC
) x
ORDER BY run_id DESC, kind, member`

// Drifts lists the members that runs of the last week have missed, and that none of their job has read
// since, each once, by its newest run.
func (s *Store) Drifts(ctx context.Context) ([]Drift, error) {
	rows, err := s.db.Query(ctx, openDrifts, driftShown)
	return pg.AllRows(rows, err, scanDrift, "list the drifts")
}

func reportDrifts(ctx context.Context, tx pgx.Tx, r *Report) error {
	rows, err := tx.Query(ctx, driftsOfRun, r.Run.ID)
	if err != nil {
		return err
	}
	r.Drifts, err = pgx.CollectRows(rows, scanDrift)
	return err
}
