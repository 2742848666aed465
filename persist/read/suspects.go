package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Suspicion is what is known of a suspected consent.
type Suspicion struct {
	Since  time.Time
	Until  time.Time             // it is not called before
	As     finance.ConsentStatus // what it is if the refusals are true
	Reason string
	Times  int  // refusals on different nights
	Held   bool // its end was told together with too many others
}

// Suspicion is why a consent is suspected, or ErrNotFound.
func (s *Store) Suspicion(ctx context.Context, consent int64) (Suspicion, error) {
	rows, err := s.db.Query(ctx, `SELECT suspected_at, suspected_until, suspected_as, coalesce(suspected_reason, ''),
		suspected_times, held_at IS NOT NULL FROM consents WHERE id = $1 AND status = 'suspected'`, consent)
	return pg.OneRow(rows, err, pgx.RowToStructByPos[Suspicion], fmt.Sprintf("load why consent %d is suspected", consent))
}

// Suspects counts the suspected consents of a connection.
type Suspects struct {
	Connection string
	Consents   int
	Held       int       // of them, whose ends wait for an operator
	Next       time.Time // when the first of them may be asked again
	Reason     string    // of the newest
}

// Suspects counts the suspected consents, by connection.
func (s *Store) Suspects(ctx context.Context) ([]Suspects, error) {
	rows, err := s.db.Query(ctx, `SELECT connection, count(*), count(held_at), min(suspected_until),
		(array_agg(coalesce(suspected_reason, '') ORDER BY suspected_at DESC))[1]
		FROM consents WHERE status = 'suspected' GROUP BY connection ORDER BY connection`)
	return pg.AllRows(rows, err, pgx.RowToStructByPos[Suspects], "count the suspected consents")
}
