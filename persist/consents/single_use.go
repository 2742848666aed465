package consents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Consume ends a single-use consent whose answer is committed as a page: its stored body is dropped and the
// consent is consumed. Doing it again does nothing. A consent without a stored answer is left as it is.
func (s *Store) Consume(ctx context.Context, consent int64) error {
	return s.db.InTx(ctx, fmt.Sprintf("consume consent %d", consent), func(tx pgx.Tx) error {
		var call finance.CallID
		err := tx.QueryRow(ctx, `UPDATE inbox SET settled_at = clock_timestamp(), body = NULL
			WHERE consent_id = $1 AND answered_at IS NOT NULL AND settled_at IS NULL RETURNING call_id`,
			consent).Scan((*[16]byte)(&call))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = EndWithin(ctx, tx, End{Consent: consent, Status: finance.ConsentConsumed,
			Reason: "used by its one call", Source: FromAnswer, Call: call})
		return err
	})
}

// ConsumeRead does what Consume does for all consents whose items the run has proven or excused. A process that died
// between a decision and that has left theirs: nobody comes back to a decided item, and the consent would stay active although
// it is spent.
func ConsumeRead(ctx context.Context, tx pgx.Tx, run int64) error {
	rows, err := tx.Query(ctx, `UPDATE inbox i SET
			settled_at = clock_timestamp(),
			body = NULL
		FROM batches b
		JOIN items t ON t.batch_id = b.id
		WHERE b.run_id = $1
			AND t.consent_id = i.consent_id
			AND t.outcome <> 'failed'
			AND i.answered_at IS NOT NULL
			AND i.settled_at IS NULL
		RETURNING i.consent_id, i.call_id`, run)
	if err != nil {
		return err
	}
	type used struct {
		Consent int64
		Call    [16]byte
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[used])
	if err != nil {
		return err
	}
	for _, u := range all {
		end := End{Consent: u.Consent, Status: finance.ConsentConsumed, Reason: "used by its one call",
			Source: FromAnswer, Call: u.Call}
		if _, err := EndWithin(ctx, tx, end); err != nil {
			return err
		}
	}
	return nil
}

// UnansweredConsent ends a single-use consent whose one call was sent and never answered. Whether it was spent is the
// provider's secret, so it is never sent again. A consent whose answer is stored after all is left as it is.
func (s *Store) UnansweredConsent(ctx context.Context, consent int64, call finance.CallID) error {
	return s.endUnanswered(ctx, End{
		Consent: consent,
		Status:  finance.ConsentConsumedUnknown,
		Reason:  "its one call was sent and not answered",
		Source:  FromAnswer,
		Call:    call,
	})
}

// EndUnanswered does the same where the provider has told since what the consent is.
func (s *Store) EndUnanswered(ctx context.Context, consent int64, call finance.CallID, status finance.ConsentStatus,
	reason string) error {
	return s.endUnanswered(ctx, End{
		Consent: consent, Status: status, Reason: reason, Source: FromStatus, Call: call,
	})
}

func (s *Store) endUnanswered(ctx context.Context, e End) error {
	return s.db.InTx(ctx, fmt.Sprintf("end the unanswered consent %d", e.Consent), func(tx pgx.Tx) error {
		var answered bool
		err := tx.QueryRow(ctx, "SELECT answered_at IS NOT NULL FROM inbox WHERE consent_id = $1 FOR UPDATE",
			e.Consent).Scan(&answered)
		if errors.Is(err, pgx.ErrNoRows) { // a renewal has taken it away: the call was made under another id
			err = tx.QueryRow(ctx, "SELECT renewed_at IS NOT NULL FROM consents WHERE id = $1", e.Consent).Scan(&answered)
		}
		if err != nil || answered {
			return err
		}
		_, err = EndWithin(ctx, tx, e)
		return err
	})
}

// OpenIntent is a single-use call that was about to be sent, and of which no answer is stored.
type OpenIntent struct {
	Call finance.CallID
	Age  time.Duration // since it was about to be sent, by the database's clock
}

// OpenIntent finds the call of a single-use consent that has no answer; found is false where there is none.
func (s *Store) OpenIntent(ctx context.Context, consent int64) (open OpenIntent, found bool, err error) {
	var age int64
	err = s.db.QueryRow(ctx, `SELECT call_id, (extract(epoch FROM clock_timestamp() - intended_at) * 1000000)::bigint
		FROM inbox WHERE consent_id = $1 AND answered_at IS NULL`, consent).Scan((*[16]byte)(&open.Call), &age)
	if errors.Is(err, pgx.ErrNoRows) {
		return open, false, nil
	}
	if err != nil {
		return open, false, fmt.Errorf("look for an unanswered call of consent %d: %w", consent, err)
	}
	open.Age = pg.FromMicros(age)
	return open, true, nil
}

// unspent takes an intent back and writes down, in the same statement, that the provider has told so: two calls of a
// single-use consent are right only with that between them.
const unspent = `WITH back AS (
		DELETE FROM inbox
		WHERE consent_id = $1
		AND call_id = $2
		AND answered_at IS NULL
		AND intended_at <= clock_timestamp() - $3 * interval '1 microsecond'
		RETURNING consent_id
	)
	INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
	SELECT c.id, clock_timestamp(), $4, c.status, c.status, $5, $2
	FROM back JOIN consents c ON c.id = back.consent_id`

// Unspent takes back the intent of a call that has not arrived, as the provider says, so that the consent may be called for
// again. back is false where it is answered, is another call's by now, or is younger than inFlight: such a call may still
// arrive.
func (s *Store) Unspent(ctx context.Context, consent int64, call finance.CallID, inFlight time.Duration) (back bool, err error) {
	tag, err := s.db.Exec(ctx, unspent, consent, [16]byte(call), pg.Micros(inFlight), string(FromStatus),
		"its one call was not answered, and the provider says that it is unused")
	if err != nil {
		return false, fmt.Errorf("take the unanswered call of consent %d back: %w", consent, err)
	}
	return tag.RowsAffected() == 1, nil
}
