package read

import (
	"context"
	"fmt"
	"time"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/plan"
)

// HistoryGap is what a job's history, as it is today, asks for and the first load did not.
type HistoryGap struct {
	Streams  int          // that were first read from a later day; 0: there is no gap, and the rest says nothing
	From, To finance.Date // the days that none of some of them was asked for
}

// Calls is what a backfill of the gap costs at least: one call for each stream and window.
func (g HistoryGap) Calls() int {
	days := int(g.To-g.From) + 1
	windows := (days + plan.BackfillWindow - 1) / plan.BackfillWindow
	return windows * g.Streams
}

// historyGap counts the streams of connection $1 that were first read from a later day than $2, with a day of grace for
// calendars, unless backfills have read what lies between. Only consents that runs for purposes $3 use count.
const historyGap = `SELECT count(*), max(c.since)
FROM cursors c
JOIN consents n ON n.id = c.consent_id
WHERE c.span = ''
AND c.since > $2::date + 1
AND c.dataset = 'transactions'
AND n.connection = $1
AND n.status = 'active'
AND serves(n.purpose, $3::text[])
AND NOT coalesce((
	SELECT range_agg(daterange(split_part(s.span, '..', 1)::date, split_part(s.span, '..', 2)::date, '[]'))
	FROM cursors s
	WHERE s.consent_id = c.consent_id
	AND s.dataset = c.dataset
	AND s.account_id = c.account_id
	AND s.span <> ''
	AND NOT s.mid_pass
) @> daterange($2::date, c.since), false)`

// HistoryGap says what of a history that begins with since the streams of a connection have never been asked for. It
// is for transactions, the only dataset that lies in days.
func (s *Store) HistoryGap(ctx context.Context, connection string, since finance.Date, purposes []string) (HistoryGap, error) {
	var g HistoryGap
	var first *time.Time
	err := s.db.QueryRow(ctx, historyGap, connection, since.Time(), pg.NotNull(purposes)).Scan(&g.Streams, &first)
	if err != nil {
		return g, fmt.Errorf("compare the history of %s with its first load: %w", connection, err)
	}
	g.From = since
	g.To = pg.ToDate(first) - 1
	return g, nil
}
