package read

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/plan"
	"syncer/persist/queue"
)

// Cost is what a rerun would take, as far as the attempts so far tell.
type Cost struct {
	Consents int
	Items    int
	Calls    int // what the same items took last time, at least one an item
	Budgeted int // consents among them with a daily budget
	Spent    int // of those, how many have no read left in the last 24 hours: they will be refused for now
	Ended    int // consents among them that may not be called, because they have ended or are suspected: their items are left out
}

// rerunCost reckons a rerun of root run @root. Beside the list of accounts, a rerun asks again for those account by
// account streams alone that no attempt at the root has read to the end.
const rerunCost = `WITH chosen AS (
	SELECT * FROM unproven_items(@root, @failed, @partial, @classes, @consents)
), last AS (
	SELECT ch.consent_id, ch.dataset,
		CASE WHEN s.streams > 0 THEN 1 + s.unread ELSE greatest(1, e.pages) END AS pages
	FROM chosen ch
	JOIN effective_items e ON e.root_run = @root
		AND e.consent_id = ch.consent_id
		AND e.dataset = ch.dataset
	CROSS JOIN LATERAL (
		SELECT count(c.consent_id) AS streams,
			count(*) FILTER (
				WHERE c.consent_id IS NULL
				OR c.mid_pass
				OR c.lacks IS NOT NULL
				OR NOT EXISTS (
					SELECT FROM runs r
					WHERE r.id = c.run_id
					AND (r.id = @root OR r.of_run = @root)
				)
			) AS unread
		FROM accounts a
		LEFT JOIN cursors c ON c.consent_id = a.consent_id
			AND c.dataset = ch.dataset
			AND c.account_id = a.account_id
			AND c.span = coalesce((
				SELECT to_char(r.window_from, 'YYYY-MM-DD') || '..' || to_char(r.window_to, 'YYYY-MM-DD')
				FROM runs r
				WHERE r.id = @root
			), '')
		WHERE a.consent_id = ch.consent_id
		AND a.removed_at IS NULL
		AND ch.dataset = 'transactions'
	) s
)
SELECT count(DISTINCT consent_id),
	count(*),
	coalesce(sum(pages), 0),
	count(DISTINCT consent_id) FILTER (WHERE c.reads_per_day IS NOT NULL),
	count(DISTINCT consent_id) FILTER (WHERE c.reads_per_day <= (
		SELECT count(*)
		FROM consent_reads r
		WHERE r.consent_id = c.id
		AND r.at > now() - interval '24 hours 10 seconds'
	))
FROM last
JOIN consents c ON c.id = last.consent_id`

// rerunEnded counts the consents whose items unproven_items leaves out.
const rerunEnded = `SELECT count(DISTINCT e.consent_id)
FROM effective_items e
JOIN consents c ON c.id = e.consent_id
WHERE e.root_run = @root
AND coalesce(e.outcome, '') NOT IN ('rows', 'empty')
AND consent_refusal(
	status => c.status,
	suspected_until => c.suspected_until,
	moment => now()) IN ('ended', 'suspected')`

// RerunCost says what a rerun of a run would take, as far as the attempts so far tell. It writes nothing.
func (s *Store) RerunCost(ctx context.Context, run int64, sel plan.Selection) (Cost, error) {
	root, err := queue.LoadRun(ctx, s.db, run)
	if err != nil {
		return Cost{}, err
	}
	if root.OfRun != 0 {
		run = root.OfRun
	}
	var c Cost
	err = s.db.QueryRow(ctx, rerunCost, sel.Args(run)).
		Scan(&c.Consents, &c.Items, &c.Calls, &c.Budgeted, &c.Spent)
	if err != nil {
		return c, fmt.Errorf("reckon a rerun of run %d: %w", run, err)
	}
	err = s.db.QueryRow(ctx, rerunEnded, pgx.NamedArgs{"root": run}).Scan(&c.Ended)
	if err != nil {
		return c, fmt.Errorf("reckon a rerun of run %d: %w", run, err)
	}
	return c, nil
}
