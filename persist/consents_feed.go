package persist

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/finance"
)

// ConsentEvent is one thing that a provider's feed said of a consent.
type ConsentEvent struct {
	ExternalID string
	Status     finance.ConsentStatus // what the consent is after the event
	ValidUntil time.Time             // zero: not told
	Reason     string
	Call       finance.CallID
}

const moveFeed = `UPDATE connections SET feed_position = $2, feed_read_at = clock_timestamp() WHERE name = $1`

// An event changes what it can: a consumed consent stays consumed, whatever the feed says later, because it can't be
// called for again; every other state is the provider's to set, back to active too.
const applyEvent = `WITH was AS (
	SELECT id, status FROM consents WHERE connection = $1 AND external_id = $2
	AND status NOT IN ('consumed', 'consumed_unknown') FOR UPDATE
), changed AS (
	UPDATE consents c SET status = $3, valid_until = coalesce($4, c.valid_until),
		ended_at = CASE WHEN $3 <> 'active' THEN coalesce(c.ended_at, clock_timestamp()) END,
		ended_reason = CASE WHEN $3 <> 'active' THEN $5::text END
	FROM was WHERE c.id = was.id
	AND (c.status <> $3 OR ($4::timestamptz IS NOT NULL AND $4 IS DISTINCT FROM c.valid_until))
	AND coalesce($4, c.valid_until, 'infinity') > c.valid_from
	RETURNING c.id, was.status AS was
)
INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
SELECT id, clock_timestamp(), 'feed', was, $3, $5, $6::uuid FROM changed`

// ApplyConsentEvents does what a page of the connection's feed says, in its order, and moves the feed's position, in
// one transaction. It gives how many events changed a consent; events of consents that are not ours, and those that
// say what is known, change nothing.
func (s *Store) ApplyConsentEvents(ctx context.Context, connection, position string, events []ConsentEvent) (changed int, err error) {
	err = s.inTx(ctx, "apply the events of "+connection, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for _, e := range events {
			b.Queue(applyEvent, connection, clean(e.ExternalID), string(e.Status), nullTime(e.ValidUntil), clean(e.Reason),
				nullID(e.Call)).Exec(func(tag pgconn.CommandTag) error {
				changed += int(tag.RowsAffected())
				return nil
			})
		}
		b.Queue(moveFeed, connection, position).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				return ErrNotFound
			}
			return nil
		})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return 0, err
	}
	return changed, nil
}
