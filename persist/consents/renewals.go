package consents

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// A consent that is renewed goes on under another id of its provider and keeps its number, so that its rows and
// positions are its own still. See migrations/00023 for how that is kept, and docs/consents.md for what it promises.

// RenewalRefusedFor is how long a renewal that was refused by a status alone is not tried again.
const RenewalRefusedFor = SuspectedFor

// takeUpSQL puts the renewals that wait, and that the condition names, in force. One of a consent that has ended is
// final. One of a consent that is still good is on trial: what was in force is kept in its row.
//
// What became of a single-use call was of the id before. A send whose fate is not known yet is waited for.
func takeUpSQL(which string) string {
	return `WITH due AS (
		SELECT r.id, r.consent_id, r.new_id, r.terms, c.external_id, c.status, c.reads_per_day,
			c.status IN ('active', 'suspected') AS alive,
			` + termsInForce() + ` AS had
		FROM renewals r
		JOIN consents c ON c.id = r.consent_id
		WHERE r.state = 'waiting'
		AND ` + which + `
		AND coalesce((r.terms->>'valid_until')::timestamptz > clock_timestamp(), true)
		AND NOT (c.status IN ('active', 'suspected') AND EXISTS (
			SELECT FROM inbox i WHERE i.consent_id = c.id AND i.settled_at IS NULL
		))
		ORDER BY c.id
		FOR UPDATE OF c, r
	), put AS (
		UPDATE consents c SET external_id = d.new_id,
			on_trial = d.alive,
			renewed_at = clock_timestamp(),
			renewals = c.renewals + 1,
			` + putTerms("d.terms") + `
		FROM due d
		WHERE c.id = d.consent_id
		RETURNING c.id, d.alive, d.reads_per_day IS NULL AND c.reads_per_day IS NOT NULL AS bound
	), emptied AS (
		DELETE FROM inbox i USING due d WHERE i.consent_id = d.consent_id
	), noted AS (
		UPDATE renewals r SET state = CASE WHEN d.alive THEN 'trial' ELSE 'done' END,
			old_id = d.external_id,
			terms = d.had,
			settled_at = CASE WHEN NOT d.alive THEN clock_timestamp() END
		FROM due d
		WHERE r.id = d.id
	), history AS (
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT d.consent_id, clock_timestamp(), 'renewal', d.status, 'active',
			CASE WHEN d.alive THEN 'called under its new id ' || d.new_id || '; ' || d.external_id
					|| ' is kept until there is an answer'
				ELSE 'goes on under ' || d.new_id || '; it was ' || d.external_id END
		FROM due d
	)
	SELECT id, alive, bound FROM put`
}

// Conditions of takeUpSQL. After a refusal a renewal is not tried again before its time, while there is another id to call.
const (
	timeHasCome = `(r.terms->>'valid_from')::timestamptz <= clock_timestamp()
		AND (r.not_before <= clock_timestamp() OR c.status NOT IN ('active', 'suspected'))`
	ofConsent = timeHasCome + `
		AND c.id = @consent`
	ofBatch = timeHasCome + `
		AND EXISTS (
			SELECT FROM items t
			WHERE t.batch_id = @batch
			AND t.consent_id = c.id
			AND t.outcome IS NULL
		)`
	ofEnded = timeHasCome + `
		AND c.status NOT IN ('active', 'suspected')`
	// The provider has answered under this id, whatever another process was told.
	ofAnswered = `c.id = @consent AND r.new_id = @id`
)

// takeUp puts renewals in force, and gives the consents that go on under another id now.
func takeUp(ctx context.Context, tx pgx.Tx, which string, args pgx.NamedArgs) ([]int64, error) {
	rows, err := tx.Query(ctx, takeUpSQL(which), args)
	if err != nil {
		return nil, pg.Describe(err)
	}
	var all, bounded []int64
	var id int64
	var alive, bound bool
	_, err = pgx.ForEachRow(rows, []any{&id, &alive, &bound}, func() error {
		all = append(all, id)
		if bound {
			bounded = append(bounded, id)
		}
		return nil
	})
	if err != nil {
		return nil, pg.Describe(err)
	}
	return all, countReads(ctx, tx, bounded)
}

// TakeUpRenewals puts the renewals in force whose time has come, of the consents of a batch that has work left for
// them. A consent that is still good is on trial then (finance.Consent.OnTrial). It gives their number.
func (s *Store) TakeUpRenewals(ctx context.Context, batch int64) (int, error) {
	return s.takeUp(ctx, fmt.Sprintf("take up the renewals of batch %d", batch), ofBatch,
		pgx.NamedArgs{"batch": batch})
}

// TakeUpRenewal is [Store.TakeUpRenewals] for one consent, of which a call was refused. taken says that it goes on
// under another id.
func (s *Store) TakeUpRenewal(ctx context.Context, consent int64) (taken bool, err error) {
	n, err := s.takeUp(ctx, fmt.Sprintf("take up the renewal of consent %d", consent), ofConsent,
		pgx.NamedArgs{"consent": consent})
	return n > 0, err
}

func (s *Store) takeUp(ctx context.Context, what, which string, args pgx.NamedArgs) (n int, err error) {
	var waits bool // mostly nothing does, and that is told without a transaction
	err = s.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM renewals WHERE state = 'waiting')").Scan(&waits)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if !waits {
		return 0, nil
	}
	err = s.db.InTx(ctx, what, func(tx pgx.Tx) error {
		taken, err := takeUp(ctx, tx, which, args)
		n = len(taken)
		return err
	})
	return n, err
}

// withdrawRenewals ends what may bring consents back that a person has ended: what they wait for, and what was refused
// and would be tried again when a list tells other terms of it.
func withdrawRenewals(ctx context.Context, tx pgx.Tx, reason string, consents ...int64) error {
	_, err := tx.Exec(ctx, `UPDATE renewals r SET state = 'withdrawn',
			old_id = coalesce(r.old_id, c.external_id),
			reason = CASE WHEN r.state = 'waiting' THEN $2 ELSE r.reason END,
			settled_at = coalesce(r.settled_at, clock_timestamp())
		FROM consents c
		WHERE c.id = r.consent_id
		AND r.consent_id = ANY ($1)
		AND r.state IN ('waiting', 'refused')
		AND r.id = (SELECT max(l.id) FROM renewals l WHERE l.consent_id = r.consent_id)`, consents, pg.Clean(reason))
	return pg.Describe(err)
}

// bringBackWithdrawn is for a consent whose end was a mistake: what it waited for waits again. What the provider had
// refused before that end stays refused.
func bringBackWithdrawn(ctx context.Context, tx pgx.Tx, consent int64, ended *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE renewals r SET
			state = CASE WHEN r.settled_at >= $2 THEN 'waiting' ELSE 'refused' END,
			reason = CASE WHEN r.settled_at >= $2 THEN '' ELSE r.reason END,
			settled_at = CASE WHEN r.settled_at >= $2 THEN NULL ELSE r.settled_at END
		WHERE r.consent_id = $1
		AND r.state = 'withdrawn'
		AND r.id = (SELECT max(l.id) FROM renewals l WHERE l.consent_id = $1)`, consent, ended)
	return pg.Describe(err)
}

// giveUpWaiting ends the renewal that a consent waits for, because the provider or its list has told that it is over.
func giveUpWaiting(ctx context.Context, tx pgx.Tx, reason string, consents ...int64) error {
	_, err := tx.Exec(ctx, `UPDATE renewals r SET state = 'refused',
			old_id = coalesce(r.old_id, c.external_id),
			reason = $2,
			settled_at = clock_timestamp()
		FROM consents c
		WHERE c.id = r.consent_id AND r.consent_id = ANY ($1) AND r.state = 'waiting'`, consents, pg.Clean(reason))
	return pg.Describe(err)
}

// takeUpEnded takes up what waits for consents that have ended, and ends the trials of those that have ended on trial.
func takeUpEnded(ctx context.Context, tx pgx.Tx) error {
	var open bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM renewals WHERE state IN ('waiting', 'trial')
		)`).Scan(&open)
	if err != nil || !open {
		return err
	}
	_, err = tx.Exec(ctx, `WITH over AS (
			UPDATE consents SET on_trial = false
			WHERE id IN (SELECT consent_id FROM renewals WHERE state = 'trial')
			AND status NOT IN ('active', 'suspected')
			RETURNING id, ended_reason
		)
		UPDATE renewals r SET state = 'done', settled_at = clock_timestamp(), reason = coalesce(o.ended_reason, '')
		FROM over o
		WHERE r.consent_id = o.id AND r.state = 'trial'`)
	if err != nil {
		return pg.Describe(err)
	}
	_, err = takeUp(ctx, tx, ofEnded, nil)
	return err
}
