package persist

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Standing is where a stream stands.
type Standing struct {
	Position string
	MidPass  bool  // the last pass has not come to its end
	Run      int64 // the run that moved it last
	Found    bool  // false: the stream was never committed
}

// Standing loads where a stream stands.
func (w *Writer) Standing(ctx context.Context, s finance.Stream) (Standing, error) {
	at := Standing{Found: true}
	err := w.pool.QueryRow(ctx, `SELECT position, mid_pass, coalesce(run_id, 0) FROM cursors
		WHERE consent_id = $1 AND dataset = $2 AND account_id = $3 AND span = $4`, s.Consent, s.Dataset, s.Account,
		s.Span).Scan(&at.Position, &at.MidPass, &at.Run)
	if errors.Is(err, pgx.ErrNoRows) {
		return Standing{}, nil
	}
	if err != nil {
		return Standing{}, fmt.Errorf("load the cursor of %s: %w", streamName(s), err)
	}
	return at, nil
}
