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
	At         time.Time             // when it happened; zero: not told
	Status     finance.ConsentStatus // what the consent is after the event
	ValidUntil time.Time             // zero: not told
	Reason     string
	Call       finance.CallID
}

const moveFeed = `UPDATE connections SET feed_position = $2, feed_read_at = clock_timestamp(), statuses_since = NULL WHERE name = $1`

// An event changes what it can: a consumed consent stays consumed, whatever the feed says later, because it can't be
// called for again. Back to active it is set only by an event that came after its end: in the feed's own order, or by
// the time it happened at. The news that a consent was given is old news when we have learnt of its end by a call, by
// its status or from an operator, and must not undo that.
const applyEvent = `WITH was AS (
	SELECT id, status FROM consents c WHERE connection = $1 AND external_id = $2
	AND status NOT IN ('consumed', 'consumed_unknown')
	AND ($3 <> 'active' OR c.status = 'active' OR $7::timestamptz > c.ended_at OR (SELECT e.source FROM consent_events e
		WHERE e.consent_id = c.id AND e.to_status = c.status ORDER BY e.id DESC LIMIT 1) IN ('feed', 'clock'))
	FOR UPDATE
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
//
// However many consents a page ends, it is believed, unlike a mass of refusals: an event names a consent of this client
// that the provider knows and the moment it ended, which neither a broken token nor the wrong environment can bring about.
func (s *Store) ApplyConsentEvents(ctx context.Context, connection, position string, events []ConsentEvent) (changed int, err error) {
	err = s.inTx(ctx, "apply the events of "+connection, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for _, e := range events {
			b.Queue(applyEvent, connection, clean(e.ExternalID), string(e.Status), nullTime(e.ValidUntil), clean(e.Reason),
				nullID(e.Call), nullTime(e.At)).Exec(func(tag pgconn.CommandTag) error {
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
