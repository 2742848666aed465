package read

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// StreamState is where one stream stands, as a person asks for it.
type StreamState struct {
	Connection string
	finance.Stream
	write.StreamState
	MovedAt time.Time
}

// Streams lists streams that were committed at least once, by consent, dataset, account and span.
func (s *Store) Streams(ctx context.Context, f streams.Filter) ([]StreamState, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	args := f.Args()
	args["after"], args["limit"] = f.After, limit
	rows, err := s.db.Query(ctx, `SELECT n.connection, c.consent_id, c.dataset, c.account_id, c.span,
			c.position, c.mid_pass, coalesce(c.run_id, 0), coalesce(c.pass_run, 0), coalesce(c.lacks, ''), c.moved_at
		`+streams.ChosenStreams+`
		AND c.consent_id > @after
		ORDER BY c.consent_id, c.dataset, c.account_id, c.span
		LIMIT @limit`, args)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (s StreamState, err error) {
		s.Found = true
		err = row.Scan(&s.Connection, &s.Consent, &s.Dataset, &s.Account, &s.Span,
			&s.Position, &s.MidPass, &s.Run, &s.PassRun, &s.Missing, &s.MovedAt)
		return s, err
	}, "list the streams")
}
