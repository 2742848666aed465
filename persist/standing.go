package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Standing is where a stream stands.
type Standing struct {
	Position string
	MidPass  bool  // the last pass has not come to its end
	Run      int64 // the run that moved it last
	PassRun  int64 // the run that began the pass that is going on, or the last one
	Found    bool  // false: the stream was never committed
	// Lacks is what the pass that is going on, or the last one, has not got: records that could not be read, or what the
	// provider left out. Empty: nothing.
	Lacks string
	Since finance.Date // the oldest day that was asked for; zero: not known, or the stream is not asked for by days
}

// Standing loads where a stream stands. Callers that ask at the same time share a round trip.
func (w *Writer) Standing(ctx context.Context, s finance.Stream) (Standing, error) {
	at, err := w.standings.ask(ctx, s)
	if err != nil {
		return Standing{}, fmt.Errorf("load the cursor of %s: %w", streamName(s), err)
	}
	return at, nil
}

// loadStandings looks each stream up by its key: see probeSQL for the LATERAL with its LIMIT.
const loadStandings = `SELECT u.place, c.position, c.mid_pass, coalesce(c.run_id, 0), coalesce(c.pass_run, 0), coalesce(c.lacks, ''), c.since
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS u(consent_id, dataset, account_id, span, place)
JOIN LATERAL (SELECT * FROM cursors c WHERE c.consent_id = u.consent_id AND c.dataset = u.dataset
	AND c.account_id = u.account_id AND c.span = u.span LIMIT 1) c ON true`

func (w *Writer) loadStandings(ctx context.Context, streams []finance.Stream) ([]Standing, error) {
	var keys streamMoves
	for _, s := range streams {
		keys.consent = append(keys.consent, s.Consent)
		keys.dataset = append(keys.dataset, string(s.Dataset))
		keys.account = append(keys.account, s.Account)
		keys.span = append(keys.span, s.Span)
	}
	rows, err := w.pool.Query(ctx, loadStandings, keys.keys()...)
	if err != nil {
		return nil, err
	}
	found := make([]Standing, len(streams))
	var place int
	at := Standing{Found: true}
	var since *time.Time
	_, err = pgx.ForEachRow(rows, []any{&place, &at.Position, &at.MidPass, &at.Run, &at.PassRun, &at.Lacks, &since}, func() error {
		at.Since = toDate(since)
		found[place-1] = at
		return nil
	})
	return found, err
}
