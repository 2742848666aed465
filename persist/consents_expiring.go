package persist

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// ExpiringConsent is a consent that ends soon.
type ExpiringConsent struct {
	finance.Consent
	LastRead time.Time // when all that is read of it was last read to its end; zero: never
}

// Expiring lists the active consents that end within so long by the database's clock, the first to end first, over one
// connection or, if it is empty, over all.
func (s *Store) Expiring(ctx context.Context, connection string, within time.Duration, limit int) ([]ExpiringConsent, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+consentColumns+`, k.at FROM consents c
		LEFT JOIN LATERAL (SELECT CASE WHEN NOT bool_or(mid_pass) THEN min(moved_at) END AS at FROM cursors
			WHERE consent_id = c.id AND span = '') AS k ON true
		WHERE c.status = 'active' AND ($1 = '' OR c.connection = $1) AND c.valid_until > clock_timestamp()
		AND c.valid_until <= clock_timestamp() + $2 * interval '1 microsecond' ORDER BY c.valid_until, c.id LIMIT $3`,
		connection, micros(within), limit)
	return allRows(rows, err, func(row pgx.CollectableRow) (e ExpiringConsent, err error) {
		var c consentScan
		var read *time.Time
		if err := row.Scan(append(c.fields(), &read)...); err != nil {
			return e, err
		}
		e.Consent, err = s.open(c)
		e.LastRead = orZero(read)
		return e, err
	}, "list the consents that end soon")
}
