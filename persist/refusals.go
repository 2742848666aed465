package persist

import (
	"context"
	"fmt"
	"time"
)

const restoreRefused = `WITH wrong AS (
	SELECT DISTINCT e.consent_id FROM consent_events e JOIN consents c ON c.id = e.consent_id
	WHERE c.connection = $1 AND c.status <> 'active' AND e.source = 'answer' AND e.to_status = c.status
	AND e.at > clock_timestamp() - $2 * interval '1 microsecond'
	AND e.to_status IN ('revoked', 'expired')
), restored AS (
	UPDATE consents c SET status = 'active', ended_at = NULL, ended_reason = NULL
	FROM wrong w, consents was WHERE c.id = w.consent_id AND was.id = c.id RETURNING c.id, was.status AS was
)
INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
SELECT id, 'answer', was, 'active', $3 FROM restored`

// RestoreRefused makes those consents of a connection active again which answers have ended within the window,
// because together they were too many to be true. It gives their number.
func (s *Store) RestoreRefused(ctx context.Context, connection string, window time.Duration, reason string) (int, error) {
	tag, err := s.pool.Exec(ctx, restoreRefused, connection, micros(window), reason)
	if err != nil {
		return 0, fmt.Errorf("restore the refused consents of %s: %w", connection, err)
	}
	return int(tag.RowsAffected()), nil
}
