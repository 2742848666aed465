package write

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// The sizes of the samples from which it is estimated what there was before a run. Up to these it is counted.
const (
	sampledConsents  = 20_000
	sampledForRows   = 1_000
	countedOfConsent = 10_000 // records of one consent
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

// RecordsOf is the table whose rows are counted for a dataset, and which of its rows t are. A balance follows its
// account, and a reservation that goes was booked or has expired.
func RecordsOf(d finance.Dataset) (table, counts, ofStream string) {
	switch d {
	case finance.Accounts:
		return accountKind.table, "true", "true"
	case finance.Transactions:
		return transactionKind.table, "t.status <> 'pending'", "c.account_id IN ('', t.account_id)"
	}
	return debtKind.table, "true", "true"
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

const lookAtGuard = `SELECT g.run_id FROM runs r JOIN removal_guards g ON g.run_id = coalesce(r.of_run, r.id)
WHERE r.id = $1 AND g.dataset = $2 AND g.closed_at IS NOT NULL`

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
	FROM unnest($1::int8[], $2::text[]) AS u(run, dataset) JOIN runs r ON r.id = u.run
), locked AS (
	INSERT INTO removal_guards AS g (run_id, dataset) SELECT DISTINCT root, dataset FROM named ORDER BY root, dataset
	ON CONFLICT (run_id, dataset) DO UPDATE SET lost = g.lost RETURNING g.*
)
SELECT n.run, g.run_id, g.dataset, r.created_at, r.expected / cardinality(r.datasets), g.consents, g.lost, g.records,
	g.asked, g.asked_records, g.closed_at IS NOT NULL, coalesce(g.reason, ''),
	g.closed_at IS NOT NULL AND g.told_at IS NULL
FROM named n JOIN locked g ON g.run_id = n.root AND g.dataset = n.dataset JOIN runs r ON r.id = g.run_id`

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
	err = a.tx.QueryRow(ctx, `SELECT r.lost IS NOT NULL, coalesce(r.lost, false), (SELECT count(*) FROM (
			SELECT FROM `+table+` t WHERE t.consent_id = $3 AND t.removed_at IS NULL AND `+counts+` LIMIT $4) x)
		FROM (SELECT) one LEFT JOIN removals r ON r.run_id = $1 AND r.dataset = $2 AND r.consent_id = $3`,
		g.root, string(g.dataset), p.Stream.Consent, enough+1).Scan(&r.found, &r.lost, &left)
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

// consentsOf selects the consents of root run $1, one in $2 of them, chosen by their hash.
const consentsOf = `SELECT DISTINCT i.consent_id AS id FROM batches b JOIN items i ON i.batch_id = b.id
	WHERE b.run_id = $1 AND abs(hashint8(i.consent_id)::int8) % $2 = 0`

// consentsBefore is how many consents of the run had records before it: those that have some of that time still, and
// those that have lost all. Of a large run it is estimated: the run's items are read once, and sampledConsents are
// looked up.
func (a *attempt) consentsBefore(ctx context.Context, g *removalGuard) (int64, error) {
	table, counts, _ := RecordsOf(g.dataset)
	step := max(1, g.planned/sampledConsents)
	var have int64
	err := a.tx.QueryRow(ctx, `SELECT count(*) FROM (`+consentsOf+`) s WHERE EXISTS (SELECT FROM `+table+` t
		WHERE t.consent_id = s.id AND t.removed_at IS NULL AND t.first_seen_at < $3 AND `+counts+`)`,
		g.root, step, g.began).Scan(&have)
	if err != nil {
		return 0, fmt.Errorf("count the consents that had records: %w", pg.Describe(err))
	}
	return have*step + g.lost, nil
}

// recordsBefore is how many records the consents of the run had before it, like consentsBefore.
func (a *attempt) recordsBefore(ctx context.Context, g *removalGuard) (int64, error) {
	table, counts, _ := RecordsOf(g.dataset)
	step := max(1, g.planned/sampledForRows)
	var have int64
	err := a.tx.QueryRow(ctx, `SELECT coalesce(sum(x.n), 0)::int8 FROM (`+consentsOf+`) s CROSS JOIN LATERAL (
			SELECT count(*) AS n FROM (SELECT FROM `+table+` t WHERE t.consent_id = s.id AND t.removed_at IS NULL
				AND t.first_seen_at < $3 AND `+counts+` LIMIT $4) y) x`,
		g.root, step, g.began, countedOfConsent).Scan(&have)
	if err != nil {
		return 0, fmt.Errorf("count the records before the run: %w", pg.Describe(err))
	}
	return have*step + g.records, nil
}

// anyKept says whether a consent that was answered in this run has kept records of before it. Those that pages of this
// attempt are still to be looked at for don't tell. Only a handful of consents has records when this is asked.
func (a *attempt) anyKept(ctx context.Context, g *removalGuard, p *page) (kept bool, err error) {
	table, counts, ofStream := RecordsOf(g.dataset)
	open := []int64{p.Stream.Consent}
	for _, q := range a.live {
		if q.Whole != nil && !q.Unchanged && !q.compared && q.Stream.Dataset == g.dataset {
			open = append(open, q.Stream.Consent)
		}
	}
	err = a.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM batches b JOIN items i ON i.batch_id = b.id
			JOIN cursors c ON c.consent_id = i.consent_id AND c.dataset = $2 AND NOT c.mid_pass
			JOIN runs r ON r.id = c.run_id AND coalesce(r.of_run, r.id) = $1
			WHERE b.run_id = $1 AND i.consent_id <> ALL ($3::int8[])
			AND EXISTS (SELECT FROM `+table+` t WHERE t.consent_id = i.consent_id AND t.removed_at IS NULL
				AND t.first_seen_at < $4 AND `+counts+` AND `+ofStream+`))`,
		g.root, string(g.dataset), open, g.began).Scan(&kept)
	if err != nil {
		return false, fmt.Errorf("look for consents that have kept records: %w", pg.Describe(err))
	}
	return kept, nil
}

const withholdRows = `INSERT INTO absences (consent_id, kind, account_id, record_id, call_id, run_id, withheld_by,
	withheld_call) SELECT $1, $2, u.account_id, u.record_id, $3, $4, $5, $3
FROM unnest($6::text[], $7::text[]) AS u(account_id, record_id)
ON CONFLICT (consent_id, kind, account_id, record_id)
DO UPDATE SET withheld_by = excluded.withheld_by, withheld_call = excluded.withheld_call`

// withholdFrom writes down rows that stay although they are known to be gone.
func withholdFrom[T any](ctx context.Context, a *attempt, p *page, k *kind[T], list []missingRow, by int64) error {
	accounts, records := missingKeys(list)
	_, err := a.tx.Exec(ctx, withholdRows, p.Stream.Consent, k.table, [16]byte(p.Call.ID), pg.NullInt(p.Task.Run), by,
		accounts, records)
	if err != nil {
		return fmt.Errorf("withhold removals from %s: %w", k.table, pg.Describe(err))
	}
	p.written.Withheld += len(list)
	a.noted[p.Stream.Consent] = true
	return nil
}

const saveGuard = `UPDATE removal_guards SET consents = $3, lost = $4, records = $5, asked = $6, asked_records = $7,
closed_at = CASE WHEN $8 THEN coalesce(closed_at, clock_timestamp()) END, reason = CASE WHEN $8 THEN $9 END
WHERE run_id = $1 AND dataset = $2`

// saveGuards writes what was counted, and on the cursors what the streams lack.
func (a *attempt) saveGuards(ctx context.Context) error {
	saved := map[*removalGuard]bool{}
	for g := range maps.Values(a.guards) {
		if !g.changed || saved[g] {
			continue
		}
		saved[g] = true
		_, err := a.tx.Exec(ctx, saveGuard, g.root, string(g.dataset), g.consents, g.lost, g.records, g.asked, g.existed,
			g.closed, g.reason)
		if err != nil {
			return fmt.Errorf("save the guard of removals: %w", pg.Describe(err))
		}
	}
	return a.noteWithheld(ctx)
}

const noteWithheld = `UPDATE cursors c SET lacks = CASE WHEN strpos(c.lacks, $5) > 0 THEN c.lacks
	ELSE concat_ws('; ', c.lacks, $5::text) END
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) AS u(consent_id, dataset, account_id, span)
WHERE c.consent_id = u.consent_id AND c.dataset = u.dataset AND c.account_id = u.account_id AND c.span = u.span`

// noteWithheld notes on the cursors, which are ours, that the streams lack the truth: who goes on with the item after a
// kill must not call it proven.
func (a *attempt) noteWithheld(ctx context.Context) error {
	var m streamMoves
	for _, p := range a.live {
		if p.written.Withheld == 0 {
			continue
		}
		m.consent = append(m.consent, p.Stream.Consent)
		m.dataset = append(m.dataset, string(p.Stream.Dataset))
		m.account = append(m.account, p.Stream.Account)
		m.span = append(m.span, p.Stream.Span)
	}
	if len(m.consent) == 0 {
		return nil
	}
	if _, err := a.tx.Exec(ctx, noteWithheld, append(m.keys(), RemovalsWithheld)...); err != nil {
		return fmt.Errorf("note on the cursors what is withheld: %w", pg.Describe(err))
	}
	return nil
}

// tellClosed tells the log of guards that are closed, once for each whoever closed it: a process that was killed behind
// its COMMIT could not.
func (a *attempt) tellClosed(ctx context.Context) {
	if len(a.guards) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
	defer cancel()
	guards := slices.Collect(maps.Values(a.guards))
	slices.SortFunc(guards, func(x, y *removalGuard) int { return cmp.Compare(x.dataset, y.dataset) })
	for _, g := range guards {
		if !g.toTell {
			continue
		}
		g.toTell = false
		tag, err := a.pool.Exec(ctx, `UPDATE removal_guards SET told_at = clock_timestamp()
			WHERE run_id = $1 AND dataset = $2 AND told_at IS NULL`, g.root, string(g.dataset))
		if err == nil && tag.RowsAffected() == 0 {
			continue
		}
		a.guard.Log.Error().Int64("run", g.root).Str("dataset", string(g.dataset)).Str("reason", g.reason).
			Msgf("removals withheld: more has gone than one night explains, so nothing more is removed in this run; "+
				"ask the provider, then `syncer removals accept %d` or `syncer removals undo %d`", g.root, g.root)
	}
}
