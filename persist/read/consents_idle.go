package read

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// IdleReason is why so many consents are not read.
type IdleReason struct {
	Reason   string // in words: revoked, not valid yet
	Consents int
}

const idleConsents = `WITH each AS (
	SELECT c.status,
		consent_refusal(
			status => c.status,
			suspected_until => c.suspected_until,
			valid_from => c.valid_from,
			valid_until => c.valid_until,
			purpose => c.purpose,
			purposes => r.purposes,
			moment => now()) AS refusal
	FROM runs r
	JOIN consents c ON c.connection = r.connection
	WHERE r.id = $1
)
SELECT CASE refusal
		WHEN 'expired' THEN 'expired'
		WHEN 'not_yet' THEN 'not valid yet'
		WHEN 'purpose' THEN 'given for another purpose'
		ELSE replace(status, '_', ' ')
	END,
	count(*)
FROM each
WHERE refusal IS NOT NULL
GROUP BY 1
ORDER BY 2 DESC, 1`

// IdleConsents counts the consents of a run's connection that a run like it would not read now, by the
// first reason that holds, the most frequent first.
func (s *Store) IdleConsents(ctx context.Context, run int64) ([]IdleReason, error) {
	rows, err := s.db.Query(ctx, idleConsents, run)
	return pg.AllRows(rows, err, pgx.RowToStructByPos[IdleReason],
		fmt.Sprintf("count who was not read by run %d", run))
}
