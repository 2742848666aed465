package consents

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// RenewalAnswered ends the trial of a consent: the provider has answered a call under this id. The one before is not
// called any more. Where there is no trial of it nothing happens.
func (s *Store) RenewalAnswered(ctx context.Context, consent int64, externalID string, call finance.CallID) error {
	return s.db.InTx(ctx, fmt.Sprintf("end the trial of consent %d, which was answered", consent), func(tx pgx.Tx) error {
		// Another process may have put the old id back meanwhile, because it was refused under this one.
		if _, err := takeUp(ctx, tx, ofAnswered, pgx.NamedArgs{"consent": consent, "id": externalID}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `WITH known AS (
				UPDATE consents SET on_trial = false
				WHERE id = $1 AND on_trial AND external_id = $2
				RETURNING id, status
			), done AS (
				UPDATE renewals r SET state = 'done', settled_at = clock_timestamp(), reason = ''
				FROM known k
				WHERE r.consent_id = k.id AND r.state = 'trial'
				RETURNING k.id, k.status, r.old_id
			)
			INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
			SELECT id, clock_timestamp(), 'renewal', status, status,
				'answered under its new id; ' || old_id || ' is not called any more', $3
			FROM done`, consent, externalID, pg.NullID(call))
		return pg.Describe(err)
	})
}

// TrialEnd is why the id of a renewal is not called any more.
type TrialEnd struct {
	Consent    int64
	ExternalID string // that was refused
	Reason     string
	// Named says that the provider has said so of the consent itself: then it is not tried again. After a refusal by a
	// status alone it is, after RenewalRefusedFor.
	Named bool
	Call  finance.CallID
}

// RenewalRefused ends the trial of a consent: it goes on under the id that it had. back is false, and nothing
// happens, where this id is on trial no more.
func (s *Store) RenewalRefused(ctx context.Context, e TrialEnd) (back bool, err error) {
	what := fmt.Sprintf("put the old id of consent %d back", e.Consent)
	err = s.db.InTx(ctx, what, func(tx pgx.Tx) error {
		back, err = putBack(ctx, tx, e, "")
		return err
	})
	return back && err == nil, err
}

// putBack gives a consent on trial the id and the terms that it had. The state of the renewal is chosen by the
// refusal, unless it is said.
func putBack(ctx context.Context, tx pgx.Tx, e TrialEnd, state string) (back bool, err error) {
	if state == "" {
		state = "waiting"
		if e.Named {
			state = "refused"
		}
	}
	var unbound bool // its reads on trial were not written down
	err = tx.QueryRow(ctx, `SELECT coalesce(bool_and(reads_per_day IS NULL), false) FROM consents WHERE id = $1`,
		e.Consent).Scan(&unbound)
	if err != nil {
		return false, pg.Describe(err)
	}
	tag, err := tx.Exec(ctx, `WITH trial AS (
			SELECT r.id, r.consent_id, r.old_id, r.new_id, r.terms, c.status,
				`+termsInForce()+` AS had
			FROM renewals r
			JOIN consents c ON c.id = r.consent_id
			WHERE r.state = 'trial'
			AND c.id = $1
			AND c.on_trial
			AND c.external_id = $2
			AND c.status IN ('active', 'suspected')
			FOR UPDATE OF c, r
		), put AS (
			UPDATE consents c SET external_id = t.old_id,
				on_trial = false,
				renewed_at = clock_timestamp(),
				renewals = c.renewals + 1,
				`+putTerms("t.terms")+`
			FROM trial t
			WHERE c.id = t.consent_id
			RETURNING c.id, c.status
		), emptied AS (
			DELETE FROM inbox i USING trial t WHERE i.consent_id = t.consent_id
		), noted AS (
			UPDATE renewals r SET state = $3,
				terms = t.had,
				reason = $4,
				not_before = clock_timestamp() + $5 * interval '1 microsecond',
				settled_at = CASE WHEN $3 <> 'waiting' THEN clock_timestamp() END
			FROM trial t
			WHERE r.id = t.id
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
		SELECT t.consent_id, clock_timestamp(), 'renewal', t.status, p.status,
			'goes on under ' || t.old_id || ', since ' || t.new_id || ' was refused: ' || $4, $6
		FROM trial t
		JOIN put p ON p.id = t.consent_id`,
		e.Consent, e.ExternalID, state, pg.Clean(e.Reason), pg.Micros(RenewalRefusedFor), pg.NullID(e.Call))
	back = tag.RowsAffected() == 1
	if err != nil || !back || !unbound {
		return back, pg.Describe(err)
	}
	return true, countReads(ctx, tx, []int64{e.Consent})
}

// endTrial is the end of a consent that the provider tells while its id is on trial.
func endTrial(ctx context.Context, tx pgx.Tx, e End) (back bool, err error) {
	var external string
	err = tx.QueryRow(ctx, "SELECT coalesce((SELECT external_id FROM consents WHERE id = $1 AND on_trial), '')",
		e.Consent).Scan(&external)
	ofAnother := e.Of != "" && e.Of != external
	if err != nil || external == "" || ofAnother {
		return false, err
	}
	if e.Status == finance.ConsentConsumed || e.Status == finance.ConsentConsumedUnknown {
		return false, nil // it was used, so it was good
	}
	return putBack(ctx, tx, TrialEnd{Consent: e.Consent, ExternalID: external, Reason: e.Reason, Named: true,
		Call: e.Call}, "")
}
