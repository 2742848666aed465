package consents

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// renewedByGift is the consent that a given one renews: the one that is named, or that a renewal by this id waits for; 0:
// none.
func renewedByGiven(ctx context.Context, tx pgx.Tx, connection string, g Given) (consent int64, err error) {
	if g.Renews != 0 {
		return g.Renews, nil
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(max(r.consent_id), 0)
		FROM consent_ids k
		JOIN renewals r ON r.consent_id = k.consent_id
		WHERE k.connection = $1
		AND k.external_id = $2
		AND r.new_id = $2
		AND r.state IN ('waiting', 'refused', 'withdrawn')
		AND r.id = (SELECT max(l.id) FROM renewals l WHERE l.consent_id = k.consent_id)`,
		connection, g.ExternalID).Scan(&consent)
	return consent, pg.Describe(err)
}

// renewByGift puts an id in force under which a person has given a consent again. What else was open of its renewals
// is over by that.
func renewByGiven(ctx context.Context, tx pgx.Tx, connection string, consent int64, externalID string) error {
	var old, status string
	err := tx.QueryRow(ctx, `SELECT external_id, status FROM consents WHERE id = $1 AND connection = $2 FOR UPDATE`,
		consent, connection).Scan(&old, &status)
	if err != nil {
		return fmt.Errorf("find consent %d over %s: %w", consent, connection, err)
	}
	if old == externalID {
		return nil // given again under the same id
	}
	var others bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM consent_by_any_id($1, $2) k WHERE k.id <> $3)`,
		connection, externalID, consent).Scan(&others)
	if err != nil {
		return pg.Describe(err)
	}
	if others {
		return ErrOtherConsent
	}
	_, err = tx.Exec(ctx, `WITH ids AS (
			INSERT INTO consent_ids (connection, external_id, consent_id)
			VALUES ($2, $4, $1), ($2, $3, $1)
			ON CONFLICT DO NOTHING
		), over AS (
			UPDATE renewals SET state = 'replaced', old_id = coalesce(old_id, $4), settled_at = clock_timestamp()
			WHERE consent_id = $1 AND state IN ('waiting', 'trial')
		), emptied AS (
			DELETE FROM inbox WHERE consent_id = $1
		), noted AS (
			INSERT INTO renewals (consent_id, new_id, old_id, state, terms, settled_at)
			VALUES ($1, $3, $4, 'done', '{}', clock_timestamp())
		), put AS (
			UPDATE consents SET external_id = $3,
				on_trial = false,
				renewed_at = clock_timestamp(),
				renewals = renewals + 1,
				valid_from = least(valid_from, clock_timestamp()),
				valid_until = NULL,
				listed_until = NULL,
				status = 'active',
				ended_at = NULL,
				ended_reason = NULL,
				`+ForgetSuspicion+`
			WHERE id = $1
			RETURNING id
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT id, clock_timestamp(), 'renewal', $5, 'active', 'goes on under ' || $3 || '; it was ' || $4
		FROM put`, consent, connection, externalID, old, status)
	return pg.Describe(err)
}
