package persist

import (
	"context"
	"fmt"
	"time"
)

// refusedAlone counts the other consents whose token was refused again since the last good answer to one of
// them, and how many others there are. A first refusal says nothing: the token has ended, and the next one is
// good. Where the API takes no token there is no next one. The ids of calls sort by time, so that the newest
// are quick to find.
const refusedAlone = `WITH newest AS (
	SELECT consent_id, purpose, class, attempt, sent_at FROM (SELECT * FROM calls ORDER BY id DESC LIMIT 5000) c
	WHERE connection = $1 AND sent_at > clock_timestamp() - $3 * interval '1 microsecond'
), others AS (
	SELECT * FROM newest WHERE purpose = 'data' AND consent_id <> $2
)
SELECT (
	SELECT count(DISTINCT o.consent_id) FROM others o
	WHERE o.class = 'token'
	AND (o.attempt > 1 OR NOT EXISTS (SELECT FROM newest n WHERE n.purpose = 'token'))
	AND o.sent_at > coalesce((SELECT max(g.sent_at) FROM others g WHERE g.class = 'ok'), '-infinity')
), (
	SELECT count(*) FROM (SELECT FROM consents WHERE connection = $1 AND id <> $2 AND status = 'active' LIMIT $4) x
)`

// RefusedAlone says whether a token that was refused again for a consent may still be good for others: fewer
// than so many of them were refused too since the last good answer to one, and there are others that were
// not.
func (s *Store) RefusedAlone(ctx context.Context, connection string, consent int64, most int, within time.Duration) (bool, error) {
	var refused, others int
	err := s.pool.QueryRow(ctx, refusedAlone, connection, consent, micros(within), most).Scan(&refused, &others)
	if err != nil {
		return false, fmt.Errorf("look for whom the token of %s was refused: %w", connection, err)
	}
	return refused < min(most, others), nil
}
