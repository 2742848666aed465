package consents

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/finance"
	"syncer/persist/pg"
)

// Event is one thing that a provider's feed said of a consent.
type Event struct {
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
// its status or from an operator, and must not undo that, nor clear a suspicion.
//
// An end that was known from elsewhere is written down as the feed's too: what the feed has told is never undone.
const applyEvent = `WITH was AS (
	SELECT id, status FROM consents c WHERE connection = $1 AND external_id = $2
	AND status NOT IN ('consumed', 'consumed_unknown')
	AND ($3 <> 'active' OR c.status = 'active' OR $7::timestamptz > coalesce(c.ended_at, c.suspected_at) OR (SELECT e.source FROM consent_events e
		WHERE e.consent_id = c.id AND e.to_status = c.status ORDER BY e.id DESC LIMIT 1) IN ('feed', 'clock'))
	FOR UPDATE
), changed AS (
	UPDATE consents c SET status = $3, valid_until = coalesce($4, c.valid_until),
		listed_until = CASE WHEN coalesce($4::timestamptz, c.valid_until) IS DISTINCT FROM c.valid_until
			THEN coalesce(c.listed_until, c.valid_until, 'infinity') ELSE c.listed_until END,
		ended_at = CASE WHEN $3 <> 'active' THEN coalesce(c.ended_at, clock_timestamp()) END,
		ended_reason = CASE WHEN $3 <> 'active' THEN $5::text END, ` + ForgetSuspicion + `
	FROM was WHERE c.id = was.id
	AND (c.status <> $3 OR ($4::timestamptz IS NOT NULL AND $4 IS DISTINCT FROM c.valid_until))
	AND coalesce($4, c.valid_until, 'infinity') > c.valid_from
	RETURNING c.id, was.status AS was
), confirmed AS (
	INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
	SELECT w.id, clock_timestamp(), 'feed', $3, $3, $5, $6::uuid FROM was w
	WHERE w.status = $3
	AND $3 <> 'active'
	AND NOT EXISTS (SELECT FROM consent_events e WHERE e.consent_id = w.id AND e.source = 'feed' AND e.to_status = $3)
)
INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
SELECT id, clock_timestamp(), 'feed', was, $3, $5, $6::uuid FROM changed`

// plannedOnce has the statement for an event planned once, and by keys. Left to choose, the planner often plans it anew for
// each event, which takes longer than all the rest: a hundred thousand events took 20 s instead of 4.
const plannedOnce = `SELECT set_config(name, value, true)
	FROM (VALUES
		('plan_cache_mode', 'force_generic_plan'),
		('enable_seqscan', 'off'),
		('enable_hashjoin', 'off'),
		('enable_mergejoin', 'off')
	) AS s (name, value)`

// ApplyEvents does what a page of the connection's feed says, in its order, and moves the feed's position, in
// one transaction. It gives how many events changed a consent; events of consents that are not ours, and those that
// say what is known, change nothing.
//
// An event of an id that a consent had before changes nothing. One of an id that waits or is on trial, and one of the id
// that is kept during a trial, is of that id alone.
//
// However many consents a page ends, it is believed, unlike a mass of refusals: an event names a consent of this client
// that the provider knows and the moment it ended, which neither a broken token nor the wrong environment can bring about.
func (s *Store) ApplyEvents(ctx context.Context, connection, position string, events []Event) (changed int, err error) {
	err = s.db.InTx(ctx, "apply the events of "+connection, func(tx pgx.Tx) error {
		events, err = onRenewals(ctx, tx, connection, events)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(plannedOnce)
		for _, e := range events {
			b.Queue(applyEvent, connection, pg.Clean(e.ExternalID), string(e.Status), pg.NullTime(e.ValidUntil), pg.Clean(e.Reason),
				pg.NullID(e.Call), pg.NullTime(e.At)).Exec(func(tag pgconn.CommandTag) error {
				changed += int(tag.RowsAffected())
				return nil
			})
		}
		b.Queue(moveFeed, connection, position).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				return pg.ErrNotFound
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

// ResetFeed forgets where the connection's feed of consent events was read to. The next reading begins with the oldest
// event that the provider keeps, and asks for the status of every active consent if there are older ones than that.
func (s *Store) ResetFeed(ctx context.Context, connection string) error {
	tag, err := s.db.Exec(ctx, `UPDATE connections SET feed_position = '', feed_read_at = NULL WHERE name = $1`, connection)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reset the feed of %s: %w", connection, err)
	}
	return nil
}
