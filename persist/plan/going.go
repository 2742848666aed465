package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
	"syncer/persist/queue"
)

// Going is what came of asking for a run by hand.
type Going struct {
	Open    []queue.Run // runs of the job to go on with, oldest first; one may be settled since it was asked
	Run     queue.Run   // the new one, if Created
	Created bool        // false: the open ones keep everything
}

// keepingRuns are the runs that keep items from one to come: all open ones of the job, and those that are named.
const keepingRuns = `SELECT id
	FROM runs
	WHERE job = @job
	AND window_from IS NULL
	AND (verdict IS NULL OR id = ANY (@seen::int8[]))`

// goingRuns are the runs of a job that whoever asks for one by hand goes on with. One that was settled after he asked was open
// then, and is what he asked for.
const goingRuns = `SELECT ` + queue.RunColumns + `
	FROM runs r
	WHERE r.job = @job
	AND r.connection = @connection
	AND r.kind IN ('manual', 'scheduled')
	AND (r.verdict IS NULL OR r.settled_at > clock_timestamp() - @asked * interval '1 microsecond')
	ORDER BY r.id`

// RunOrGoOn looks for the runs of a job that are going, and plans a run by hand of what these leave: all, where none is. It
// looks and plans in one turn of the job, so of several who come at once one makes a run, and the others go on with it. The
// going ones keep what they have not decided and what they have decided since spec.Beside. asked is how long ago the run was
// asked for.
func (s *Store) RunOrGoOn(ctx context.Context, spec RunSpec, asked time.Duration, enqueue Enqueue) (g Going, err error) {
	if err := spec.check(); err != nil {
		return g, err
	}
	var id int64
	err = s.db.InTx(ctx, "plan a run of "+spec.Job, func(tx pgx.Tx) (err error) {
		if err := pg.TakeTurn(ctx, tx, planTurn(spec.Job)); err != nil {
			return err
		}
		if g.Open, err = goingOf(ctx, tx, spec, asked); err != nil {
			return err
		}
		if len(g.Open) == 0 {
			spec.Beside = time.Time{}
		}
		for _, run := range g.Open {
			spec.seen = append(spec.seen, run.ID)
		}
		if id, g.Created, err = insertPlanned(ctx, tx, spec); err != nil {
			return err
		}
		return fillRun(ctx, tx, id, spec, enqueue)
	})
	if errors.Is(err, errNothingBeside) {
		g.Created = false
		return g, nil
	}
	if err != nil {
		return Going{}, err
	}
	g.Run, err = queue.LoadRun(ctx, s.db, id)
	return g, err
}

func goingOf(ctx context.Context, tx pgx.Tx, spec RunSpec, asked time.Duration) ([]queue.Run, error) {
	rows, err := tx.Query(ctx, goingRuns, pgx.NamedArgs{
		"job":        spec.Job,
		"connection": spec.Connection,
		"asked":      pg.Micros(asked),
	})
	return pg.AllRows(rows, err, queue.ScanRun, "look for runs of "+spec.Job+" that are going")
}

// planTurn is the turn that whoever plans beside open runs of a job waits for.
func planTurn(job string) string { return "plan " + job }

// check refuses a run that can't be planned.
func (spec *RunSpec) check() error {
	if spec.BatchSize < 1 {
		return fmt.Errorf("plan a run of %s: a batch needs at least one consent", spec.Job)
	}
	return nil
}
