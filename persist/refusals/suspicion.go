package refusals

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
)

// suspicion is how a consent stands when it is refused.
type suspicion struct {
	status   finance.ConsentStatus
	external string // the id in force
	due      bool   // it is suspected, and may be asked again
	times    int    // refusals before this one
	held     bool
	answered bool // others were answered well since it is suspected
}

// Answers are looked for only where they count: of a consent that is suspected and was to be asked again.
const selectSuspicion = `SELECT c.status,
	c.external_id,
	coalesce(c.suspected_until <= clock_timestamp(), false),
	c.suspected_times,
	c.held_at IS NOT NULL,
	c.suspected_until <= clock_timestamp() AND EXISTS (
		SELECT FROM calls k
		WHERE k.connection = $1
		AND k.purpose = 'data'
		AND k.class = 'ok'
		AND k.consent_id <> c.id
		AND k.sent_at > c.suspected_at)
	FROM consents c WHERE c.id = $2 FOR NO KEY UPDATE`

func loadSuspicion(ctx context.Context, tx pgx.Tx, connection string, consent int64) (s suspicion, err error) {
	var answered *bool
	err = tx.QueryRow(ctx, selectSuspicion, connection, consent).
		Scan(&s.status, &s.external, &s.due, &s.times, &s.held, &answered)
	s.answered = answered != nil && *answered
	return s, err
}

// belief is what a refusal means for its consent.
type belief int

const (
	over          belief = iota // it has ended before
	believed                    // it ends now
	suspectedAnew               // it is suspected, and this refusal counts
	suspectedYet                // it is suspected, and this refusal tells nothing new
	unchecked                   // that depends on the connection's check
)

func (s suspicion) judge(r Refusal) belief {
	switch {
	case s.status == finance.ConsentActive && r.Named:
		return believed
	case s.status == finance.ConsentActive:
		return suspectedAnew
	case s.status != finance.ConsentSuspected:
		return over
	case s.held && s.due:
		return suspectedAnew
	case s.held:
		return suspectedYet
	case r.Named:
		return believed
	case !s.due: // the call was on its way when another one was refused
		return suspectedYet
	case s.answered:
		return believed
	case s.times+1 < refusalsEnough || r.CheckFailed:
		return suspectedAnew
	case r.Checked:
		return believed
	}
	return unchecked
}

// suspect notes a refusal. Whose end is held is asked again after a longer time with each of them, up
// to a week: a person is to decide.
func suspect(ctx context.Context, tx pgx.Tx, r Refusal, was suspicion) error {
	wait := consents.SuspectedFor
	if was.held {
		wait <<= min(was.times, 3)
	}
	_, err := tx.Exec(ctx, `WITH refused AS (
			UPDATE consents SET status = 'suspected',
				suspected_at = coalesce(suspected_at, clock_timestamp()),
				suspected_until = clock_timestamp() + $2 * interval '1 microsecond',
				suspected_as = $3,
				suspected_reason = $4,
				suspected_dataset = $7,
				suspected_times = suspected_times + 1
			WHERE id = $1 RETURNING id
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
		SELECT id, clock_timestamp(), 'answer', $5, 'suspected', $4, $6 FROM refused`,
		r.Item.Consent, pg.Micros(wait), string(r.Status), pg.Clean(r.Reason), string(was.status), pg.NullID(r.Item.Call),
		r.Item.Dataset)
	return err
}

// suspectedItem is how the item of a suspected consent ends. Settling the run excuses it, if others
// were answered.
func suspectedItem(ctx context.Context, tx pgx.Tx, r Refusal) (queue.Decided, error) {
	item := r.Item
	var until time.Time
	err := tx.QueryRow(ctx, "SELECT suspected_until FROM consents WHERE id = $1", item.Consent).Scan(&until)
	item.Outcome = finance.Failed
	item.Class = finance.ConsentOver
	item.Reason = fmt.Sprintf("consent suspected to be %s, and not called before %s: %s",
		r.Status, until.UTC().Format("2006-01-02 15:04 UTC"), r.Reason)
	return item, err
}
