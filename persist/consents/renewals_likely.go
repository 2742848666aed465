package consents

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Unread says of a consent n that nothing was read of it, or is being read.
const Unread = `NOT EXISTS (SELECT FROM cursors k WHERE k.consent_id = n.id)
	AND NOT EXISTS (SELECT FROM inbox k WHERE k.consent_id = n.id)
	AND NOT EXISTS (SELECT FROM consent_ids k WHERE k.consent_id = n.id)
	AND NOT EXISTS (SELECT FROM grants k WHERE k.consent_id = n.id)
	AND NOT EXISTS (
		SELECT FROM items k JOIN batches b ON b.id = k.batch_id
		WHERE k.consent_id = n.id AND k.started_at IS NOT NULL AND b.state <> 'done'
	)`

// giveUpID takes its id from a consent of which nothing was read, because it is the renewal of another one. It ends by
// that, and its row tells whose it is. taken is false, and nothing happens, where something was read.
func giveUpID(ctx context.Context, tx pgx.Tx, consent, renews int64) (taken bool, err error) {
	tag, err := tx.Exec(ctx, `WITH was AS (
			SELECT n.id, n.status FROM consents n WHERE n.id = $1 AND `+Unread+`
		), ended AS (
			UPDATE consents c SET external_id = left(c.external_id, 400) || ' (now of consent ' || $2::bigint || ')',
				status = 'revoked',
				ended_at = coalesce(c.ended_at, clock_timestamp()),
				ended_reason = $3, `+endSuspicion+`
			FROM was
			WHERE c.id = was.id
			RETURNING c.id, was.status
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT id, clock_timestamp(), 'renewal', status, 'revoked', $3 FROM ended`,
		consent, renews, fmt.Sprintf("it is the renewal of consent %d, which goes on under its id", renews))
	return tag.RowsAffected() == 1, pg.Describe(err)
}
