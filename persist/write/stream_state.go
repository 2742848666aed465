package write

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// StreamState is where a stream stands.
type StreamState struct {
	Position string
	MidPass  bool  // the last pass has not come to its end
	Run      int64 // the run that moved it last
	PassRun  int64 // the run that began the pass that is going on, or the last one
	Found    bool  // false: the stream was never committed
	// Missing is what the pass that is going on, or the last one, has not got: records that could not be read, or what the
	// provider left out. Empty: nothing.
	Missing string
	// Reported is when the stream's records were made, as the last answers said it. Nil: they don't tell.
	Reported finance.Reported
	Moved    time.Time    // when it was moved last
	Since    finance.Date // the oldest day that was asked for; zero: not known, or the stream is not asked for by days
}

// StreamState loads where a stream stands. Callers that ask at the same time share a round trip.
func (w *Writer) StreamState(ctx context.Context, s finance.Stream) (StreamState, error) {
	at, err := w.streamStates.Ask(ctx, s)
	if err != nil {
		return StreamState{}, fmt.Errorf("load the cursor of %s: %w", streamName(s), err)
	}
	return at, nil
}

// loadStreamStates looks each stream up by its key: see probeSQL for the LATERAL with its LIMIT.
const loadStreamStates = `SELECT u.place, c.position, c.mid_pass, coalesce(c.run_id, 0), coalesce(c.pass_run, 0), coalesce(c.lacks, ''), c.since,
	c.reported, c.moved_at
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS u(consent_id, dataset, account_id, span, place)
JOIN LATERAL (SELECT * FROM cursors c WHERE c.consent_id = u.consent_id AND c.dataset = u.dataset
	AND c.account_id = u.account_id AND c.span = u.span LIMIT 1) c ON true`

func (w *Writer) loadStreamStates(ctx context.Context, streams []finance.Stream) ([]StreamState, error) {
	var keys streamMoves
	for _, s := range streams {
		keys.consent = append(keys.consent, s.Consent)
		keys.dataset = append(keys.dataset, string(s.Dataset))
		keys.account = append(keys.account, s.Account)
		keys.span = append(keys.span, s.Span)
	}
	rows, err := w.pool.Query(ctx, loadStreamStates, keys.keys()...)
	if err != nil {
		return nil, err
	}
	found := make([]StreamState, len(streams))
	var place int
	at := StreamState{Found: true}
	var since *time.Time
	var reported []byte
	_, err = pgx.ForEachRow(rows, []any{&place, &at.Position, &at.MidPass, &at.Run, &at.PassRun, &at.Missing, &since,
		&reported, &at.Moved}, func() (err error) {
		at.Since = pg.ToDate(since)
		at.Reported = nil
		if len(reported) > 0 {
			at.Reported, err = finance.ParseReported(reported)
		}
		found[place-1] = at
		return err
	})
	return found, err
}
