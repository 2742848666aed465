package read

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
)

// ExpiringConsent is a consent that ends soon.
type ExpiringConsent struct {
	finance.Consent
	LastRead time.Time // when all that is read of it was last read to its end; zero: never
}

// Expiring lists the active consents that end within so long by the database's clock, the first to end first, over one
// connection or, if it is empty, over all. One of which a renewal waits, that nobody has refused, is no news.
func (s *Store) Expiring(ctx context.Context, connection string, within time.Duration, limit int) ([]ExpiringConsent, error) {
	rows, err := s.db.Query(ctx, "SELECT "+consents.Columns+`, k.at FROM consents c
		LEFT JOIN LATERAL (SELECT CASE WHEN NOT bool_or(mid_pass) THEN min(moved_at) END AS at FROM cursors
			WHERE consent_id = c.id AND span = '') AS k ON true
		WHERE c.status = 'active' AND ($1 = '' OR c.connection = $1) AND c.valid_until > clock_timestamp()
		AND c.valid_until <= clock_timestamp() + $2 * interval '1 microsecond'
		AND NOT EXISTS (SELECT FROM renewals r WHERE r.consent_id = c.id AND r.state = 'waiting' AND r.reason = '')
		ORDER BY c.valid_until, c.id LIMIT $3`,
		connection, pg.Micros(within), limit)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (e ExpiringConsent, err error) {
		var c consents.Row
		var read *time.Time
		if err := row.Scan(append(c.Fields(), &read)...); err != nil {
			return e, err
		}
		e.Consent = c.Open(s.keys)
		e.LastRead = pg.OrZero(read)
		return e, nil
	}, "list the consents that end soon")
}
