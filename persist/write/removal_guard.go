package write

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// RemovalsWithheld is why an item is partial whose rows a closed guard keeps.
const RemovalsWithheld = "removals withheld: rows are missing here, and at so many other consents that all of them stay"

// What no night explains: more than a fifth of what there was, unless it is next to nothing; and on a connection of a
// handful of consents, all of them.
const (
	lossPercent    = 20
	lossConsents   = 5  // consents that lost all, or that the lost records are of
	lossRecords    = 20 // records
	handful        = 25 // consents with records: with fewer, losing all of the first
	handfulAllLost = 3  // so many is enough
)

// removalGuard is what a run and its reruns have removed of a dataset, as the attempt that has locked it sees it.
type removalGuard struct {
	root     int64
	dataset  finance.Dataset
	began    time.Time // when the root run was planned: what came later was not there before
	planned  int64     // consents of the root run, about
	consents int64     // that lost records
	lost     int64     // of those: that have none left
	records  int64
	asked    *int64 // consents that had records before the run; nil: not known yet
	existed  *int64 // records before the run; nil: not known yet
	closed   bool
	reason   string
	toTell   bool // it is closed, and the log has not been told
	changed  bool
}

// guardName is a guard as pages name it: the run may be a rerun.
type guardName struct {
	run     int64
	dataset finance.Dataset
}

// withhold decides whether rows that are known to be gone must stay all the same, and gives the run whose guard keeps
// them; 0 if they may be removed, which is counted then.
func (a *attempt) withhold(ctx context.Context, p *page, table string, known []missingRow) (by int64, err error) {
	if p.Task.Batch == 0 {
		return 0, nil
	}
	counted := 0
	for _, m := range known {
		if !m.Pending && table != balanceKind.table {
			counted++
		}
	}
	if counted == 0 && a.guards == nil { // nothing to count, so nobody need wait for us
		return a.lookAtGuard(ctx, p)
	}
	if err := a.lockGuards(ctx); err != nil {
		return 0, err
	}
	g := a.guards[guardName{p.Task.Run, p.Stream.Dataset}]
	switch {
	case g == nil:
		return 0, fmt.Errorf("%w: count removals of run %d, which is not there", errInternal, p.Task.Run)
	case g.closed:
		return g.root, nil
	case counted == 0:
		return 0, nil
	}
	if err := a.countRemoval(ctx, g, p, int64(counted)); err != nil {
		return 0, err
	}
	if g.closed {
		return g.root, nil
	}
	return 0, nil
}

const lookAtGuard = `SELECT g.run_id
FROM runs r
JOIN removal_guards g ON g.run_id = coalesce(r.of_run, r.id)
WHERE r.id = $1
AND g.dataset = $2
AND g.closed_at IS NOT NULL`

// lookAtGuard gives the run whose guard keeps what the page lacks, without a lock.
func (a *attempt) lookAtGuard(ctx context.Context, p *page) (by int64, err error) {
	err = a.tx.QueryRow(ctx, lookAtGuard, p.Task.Run, string(p.Stream.Dataset)).Scan(&by)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("look at the guard of removals: %w", pg.Describe(err))
	}
	return by, nil
}

// lockGuards locks the guards of all sets of the attempt, by key, the first time that one of them counts.
const lockGuards = `WITH named AS (
	SELECT u.run, coalesce(r.of_run, r.id) AS root, u.dataset
	FROM unnest($1::int8[], $2::text[]) AS u(run, dataset)
	JOIN runs r ON r.id = u.run
), locked AS (
	INSERT INTO removal_guards AS g (run_id, dataset)
	SELECT DISTINCT root, dataset
	FROM named
	ORDER BY root, dataset
	ON CONFLICT (run_id, dataset) DO UPDATE SET lost = g.lost
	RETURNING g.*
)
SELECT n.run, g.run_id, g.dataset, r.created_at, r.expected / cardinality(r.datasets), g.consents, g.lost, g.records,
	g.asked, g.asked_records, g.closed_at IS NOT NULL, coalesce(g.reason, ''),
	g.closed_at IS NOT NULL AND g.told_at IS NULL
FROM named n
JOIN locked g ON g.run_id = n.root AND g.dataset = n.dataset
JOIN runs r ON r.id = g.run_id`

func (a *attempt) lockGuards(ctx context.Context) error {
	if a.guards != nil {
		return nil
	}
	names := map[guardName]bool{}
	for _, p := range a.live {
		if p.Whole != nil && !p.Unchanged && p.Task.Batch != 0 {
			names[guardName{p.Task.Run, p.Stream.Dataset}] = true
		}
	}
	var runs []int64
	var datasets []string
	for n := range names {
		runs = append(runs, n.run)
		datasets = append(datasets, string(n.dataset))
	}
	rows, err := a.tx.Query(ctx, lockGuards, runs, datasets)
	if err != nil {
		return fmt.Errorf("lock the guards of removals: %w", pg.Describe(err))
	}
	guards := map[guardName]*removalGuard{}
	var run int64
	var g removalGuard
	_, err = pgx.ForEachRow(rows, []any{&run, &g.root, &g.dataset, &g.began, &g.planned, &g.consents, &g.lost, &g.records,
		&g.asked, &g.existed, &g.closed, &g.reason, &g.toTell}, func() error {
		name := guardName{g.root, g.dataset}
		if guards[name] == nil {
			locked := g
			guards[name] = &locked
		}
		guards[guardName{run, g.dataset}] = guards[name]
		return nil
	})
	if err != nil {
		return fmt.Errorf("lock the guards of removals: %w", pg.Describe(err))
	}
	a.guards = guards
	return nil
}

// countRemoval counts records that are about to be removed from a consent, or closes the guard.
func (a *attempt) countRemoval(ctx context.Context, g *removalGuard, p *page, records int64) error {
	before, left, err := a.removalOf(ctx, g, p, records)
	if err != nil {
		return err
	}
	lost := left <= records
	next := *g
	next.records += records
	if !before.found {
		next.consents++
	}
	if lost && !before.lost {
		next.lost++
	}
	why, err := a.tooMuch(ctx, g, &next, p)
	if err != nil {
		return err
	}
	g.changed = true
	g.asked = next.asked
	g.existed = next.existed
	if why != "" {
		g.closed = true
		g.toTell = true
		g.reason = why
		return nil
	}
	g.consents = next.consents
	g.lost = next.lost
	g.records = next.records
	_, err = a.tx.Exec(ctx, `INSERT INTO removals AS r (run_id, dataset, consent_id, records, lost)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (run_id, dataset, consent_id)
		DO UPDATE SET records = r.records + excluded.records, lost = r.lost OR excluded.lost`,
		g.root, string(g.dataset), p.Stream.Consent, records, lost)
	if err != nil {
		return fmt.Errorf("count a removal: %w", pg.Describe(err))
	}
	return nil
}

// removal is what is counted of a consent already.
type removal struct{ found, lost bool }

// removalOf gives what is counted of the page's consent, and how many records it has, at most one more than enough.
func (a *attempt) removalOf(ctx context.Context, g *removalGuard, p *page, enough int64) (
	r removal, left int64, err error) {
	table, counts, _ := RecordsOf(g.dataset)
	err = a.tx.QueryRow(ctx, `SELECT r.lost IS NOT NULL, coalesce(r.lost, false), (
			SELECT count(*)
			FROM (
				SELECT FROM `+table+` t
				WHERE t.consent_id = @consent
				AND t.removed_at IS NULL
				AND `+counts+`
				LIMIT @most
			) x
		)
		FROM (SELECT) one
		LEFT JOIN removals r ON r.run_id = @root AND r.dataset = @dataset AND r.consent_id = @consent`, pgx.NamedArgs{
		"consent": p.Stream.Consent,
		"root":    g.root,
		"dataset": string(g.dataset),
		"most":    enough + 1,
	}).Scan(&r.found, &r.lost, &left)
	if err != nil {
		return r, 0, fmt.Errorf("count what a removal leaves: %w", pg.Describe(err))
	}
	return r, left, nil
}

// tooMuch says why what has been removed, with what is about to be, is more than a night explains; empty if it is
// not. What there was before is found out when it matters.
func (a *attempt) tooMuch(ctx context.Context, g, next *removalGuard, p *page) (string, error) {
	some := next.lost >= handfulAllLost
	many := next.consents >= lossConsents && next.records >= lossRecords
	if some && next.asked == nil {
		n, err := a.consentsBefore(ctx, g)
		if err != nil {
			return "", err
		}
		next.asked = &n
	}
	if next.lost >= lossConsents && next.lost*100 > *next.asked*lossPercent {
		return fmt.Sprintf("%d of %d consents that had records have none left", next.lost, *next.asked), nil
	}
	if some && *next.asked < handful {
		kept, err := a.anyKept(ctx, g, p)
		if err != nil {
			return "", err
		}
		if !kept {
			return fmt.Sprintf("all %d consents that were answered so far have no records left", next.lost), nil
		}
	}
	if !many {
		return "", nil
	}
	if next.existed == nil {
		n, err := a.recordsBefore(ctx, g)
		if err != nil {
			return "", err
		}
		next.existed = &n
	}
	if next.records*100 > *next.existed*lossPercent {
		return fmt.Sprintf("%d of %d records are missing, from %d consents", next.records, *next.existed, next.consents), nil
	}
	return "", nil
}
