package read

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// DayCalls is what counts to the day's quota of a bucket.
type DayCalls struct {
	Bucket     string
	Connection string
	Calls      int
	Ends       time.Time // zero: it is over, and nobody has called since; Calls are those that count to this day, too
}

// DayCalls lists the buckets whose calls of the day are counted, by name. One that nobody has called for a
// day is left out.
func (s *Store) DayCalls(ctx context.Context) ([]DayCalls, error) {
	rows, err := s.db.Query(ctx, `
		SELECT bucket, connection,
			CASE WHEN day_ends > clock_timestamp() THEN day_calls ELSE day_late END,
			CASE WHEN day_ends > clock_timestamp() THEN day_ends END
		FROM gates
		WHERE day_ends > clock_timestamp() - interval '1 day'
		ORDER BY bucket`)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (d DayCalls, err error) {
		var ends *time.Time
		err = row.Scan(&d.Bucket, &d.Connection, &d.Calls, &ends)
		d.Ends = pg.OrZero(ends)
		return d, err
	}, "list the calls of the day")
}

// NamedQuotas are the lowest quotas that living processes name, by connection.
func (s *Store) NamedQuotas(ctx context.Context) (map[string]int, error) {
	rows, err := s.db.Query(ctx, `
		SELECT q.connection, min(q.per_day)
		FROM worker_quotas q
		JOIN workers w ON w.id = q.worker_id
		WHERE w.expires_at > clock_timestamp()
		GROUP BY q.connection`)
	named := map[string]int{}
	var connection string
	var perDay int
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&connection, &perDay}, func() error {
			named[connection] = perDay
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list the quotas that processes name: %w", err)
	}
	return named, nil
}
