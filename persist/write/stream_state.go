package write

import (
	"cmp"
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

// streamQuestion asks where a stream stands, and what is remembered of its pages.
type streamQuestion struct {
	finance.Stream
	pages bool // false: they are not asked for
}

type streamAnswer struct {
	state StreamState
	kept  map[finance.PageKey]finance.Kept
	err   error // what stands there of the stream can't be read: no matter of the others who asked
}

// StreamState loads where a stream stands. Callers that ask at the same time share a round trip.
func (w *Writer) StreamState(ctx context.Context, s finance.Stream) (StreamState, error) {
	at, err := w.streams.Ask(ctx, streamQuestion{Stream: s})
	if err := cmp.Or(err, at.err); err != nil {
		return StreamState{}, fmt.Errorf("load the cursor of %s: %w", streamName(s), err)
	}
	return at.state, nil
}

// StateAndKept is StreamState with what is remembered of the stream's pages: one whose answer has the same bytes needs no decoding.
func (w *Writer) StateAndKept(ctx context.Context, s finance.Stream) (StreamState, map[finance.PageKey]finance.Kept, error) {
	at, err := w.streams.Ask(ctx, streamQuestion{Stream: s, pages: true})
	if err := cmp.Or(err, at.err); err != nil {
		return StreamState{}, nil, fmt.Errorf("load the cursor and the remembered pages of %s: %w", streamName(s), err)
	}
	return at.state, at.kept, nil
}

// loadStates looks each stream up by its key: see probeSQL for the LATERAL with its LIMIT.
const loadStates = `SELECT u.place,
		c.position,
		c.mid_pass,
		coalesce(c.run_id, 0),
		coalesce(c.pass_run, 0),
		coalesce(c.lacks, ''),
		c.since,
		c.reported,
		c.moved_at
	FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS u(consent_id, dataset, account_id, span, place)
	JOIN LATERAL (
		SELECT *
		FROM cursors c
		WHERE c.consent_id = u.consent_id
		AND c.dataset = u.dataset
		AND c.account_id = u.account_id
		AND c.span = u.span
		LIMIT 1
	) c ON true`

// loadStreams answers all questions in one round trip.
func (w *Writer) loadStreams(ctx context.Context, asked []streamQuestion) ([]streamAnswer, error) {
	var all, remembered streamKeys
	var of []int // where in asked those of remembered stand
	for i, q := range asked {
		all.add(q.Stream)
		if q.pages {
			remembered.add(q.Stream)
			of = append(of, i)
		}
	}
	answers := make([]streamAnswer, len(asked))
	b := &pgx.Batch{}
	b.Queue(pg.ByIndex)
	b.Queue(loadStates, all.args()...).Query(func(rows pgx.Rows) error { return readStates(rows, answers) })
	if len(of) > 0 {
		b.Queue(loadKept, remembered.args()...).Query(func(rows pgx.Rows) error {
			return readKept(rows, func(place int) *streamAnswer { return &answers[of[place-1]] })
		})
	}
	return answers, w.pool.SendBatch(ctx, b).Close()
}

func readStates(rows pgx.Rows, answers []streamAnswer) error {
	var place int
	at := StreamState{Found: true}
	var since *time.Time
	var reported []byte
	fields := []any{&place, &at.Position, &at.MidPass, &at.Run, &at.PassRun, &at.Missing, &since, &reported, &at.Moved}
	_, err := pgx.ForEachRow(rows, fields, func() error {
		a := &answers[place-1]
		at.Since = pg.ToDate(since)
		at.Reported = nil
		if len(reported) > 0 {
			at.Reported, a.err = finance.ParseReported(reported)
		}
		a.state = at
		return nil
	})
	return err
}
