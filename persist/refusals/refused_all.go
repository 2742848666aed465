package refusals

import (
	"context"
	"fmt"
	"time"

	"syncer/persist/pg"
)

// RefusedWithin is how long ago a refusal may be that still speaks against the token or the provider.
const RefusedWithin = time.Hour

// Streak is who was refused over a connection since the last good answer to anybody.
type Streak struct {
	Refused int       // consents, each of which was refused last
	Since   time.Time // when the first of these calls was sent
	Others  bool      // there are consents that may be called and were not refused
	// Bound is how far back refusals and good answers count, and Answered that somebody was answered well since.
	Bound    time.Time
	Answered bool
}

// refusedAll looks at the newest calls: their ids sort by time, so that they are quick to find. What
// was refused before the connection was opened, or before other credentials were parked, is no sign
// against what is used now.
//
// A first refusal of a token says nothing: it has ended, and the next one is good. What counts is a
// refusal since the next one was got: of a call that was made a second time, or one of this process
// ($3), which sends no other any more. Where the API takes no token there is no next one. Nor is it a
// sign against the token when a consent is refused that was suspected before, or of which the provider
// itself tells that it has ended.
const refusedAll = `WITH bound AS (
	SELECT greatest(
		clock_timestamp() - $2 * interval '1 microsecond',
		n.opened_at,
		(SELECT max(p.parked_at) FROM credential_parks p WHERE p.connection = n.name)) AS at
	FROM connections n WHERE n.name = $1
), newest AS MATERIALIZED (
	SELECT c.consent_id, c.batch_id, c.purpose, c.class, c.attempt, c.sent_at, c.duration_us
	FROM (SELECT * FROM calls ORDER BY id DESC LIMIT 5000) c, bound b
	WHERE c.connection = $1 AND c.sent_at > b.at
), unanswered AS MATERIALIZED (
	SELECT * FROM newest n
	WHERE n.sent_at > coalesce(
		(SELECT max(g.sent_at) FROM newest g WHERE g.purpose = 'data' AND g.class = 'ok'),
		'-infinity')
), renewed AS (
	SELECT min(t.sent_at + t.duration_us * interval '1 microsecond') AS at FROM unanswered t
	WHERE t.purpose = 'token'
	AND t.class = 'ok'
	AND t.consent_id IS NULL
	AND t.sent_at > (SELECT min(n.sent_at) FROM unanswered n WHERE n.purpose = 'data' AND n.class = 'token')
), refused AS MATERIALIZED (
	SELECT n.consent_id, min(n.sent_at) AS since FROM unanswered n JOIN consents k ON k.id = n.consent_id, bound b
	WHERE (n.purpose = 'data' OR n.purpose = 'token' AND n.class = 'consent') -- the token of its own grant
	AND n.class IN ('token', 'fatal', 'consent')
	AND (n.class <> 'token'
		OR n.attempt > 1
		OR NOT EXISTS (SELECT FROM newest t WHERE t.purpose = 'token')
		OR n.sent_at > (SELECT at FROM renewed)
			AND EXISTS (SELECT FROM batches o WHERE o.id = n.batch_id AND o.holder = $3))
	AND (k.suspected_at IS NULL OR k.suspected_at > b.at)
	AND NOT EXISTS (SELECT FROM consent_events e
		WHERE e.consent_id = k.id
		AND e.source IN ('feed', 'status')
		AND e.to_status = k.status
		AND k.status <> 'active')
	GROUP BY n.consent_id
)
SELECT (SELECT count(*) FROM refused),
	coalesce((SELECT min(since) FROM refused), clock_timestamp()),
	EXISTS (
		SELECT FROM consents c
		WHERE c.connection = $1
		AND c.status = 'active'
		AND consent_usable(c, now())
		AND c.id NOT IN (SELECT consent_id FROM refused)),
	(SELECT at FROM bound),
	EXISTS (SELECT FROM newest g WHERE g.purpose = 'data' AND g.class = 'ok')`

// RefusedAll says who was refused over a connection since the last good answer to anybody, within
// RefusedWithin.
func (s *Store) RefusedAll(ctx context.Context, connection string) (Streak, error) {
	var k Streak
	err := s.db.QueryRow(ctx, refusedAll, connection, pg.Micros(RefusedWithin), s.db.Worker.ID).
		Scan(&k.Refused, &k.Since, &k.Others, &k.Bound, &k.Answered)
	if err != nil {
		return k, fmt.Errorf("look for whom calls over %s are refused: %w", connection, err)
	}
	return k, nil
}
