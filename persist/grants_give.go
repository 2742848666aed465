package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// FromGrant is the source of what happened to a consent in the browser, or to the grant that it was given with.
const FromGrant EventSource = "grant"

var (
	// ErrOtherSubject says that a known consent was given again by somebody else. Nothing is stored: their data would
	// end up beside another person's.
	ErrOtherSubject = errors.New("the consent is known as another person's")
	// ErrUsedUp says that a consent which is good for one answer has had it.
	ErrUsedUp = errors.New("the consent is good for one answer and was used already")
)

// GivenConsent is a consent that a person has given in the browser.
type GivenConsent struct {
	ConsentImport
	Refresh    finance.Secret // zero: the consent is read without one
	Holder     string         // of Refresh: the client that it was given to and the server that gave it, as a fingerprint
	UsualReads int            // reads per day of a consent that neither was given nor has a number of its own; 0: unlimited
}

// Gift is what became of a given consent.
type Gift struct {
	ID  int64
	Was finance.ConsentStatus // before; empty: the consent is new
}

// GiveConsent stores a consent that a person has given, together with its sealed refresh token, in one transaction. One
// that is known, by the provider's id of it, keeps its id and its rows and is active again, whatever had ended it; what
// is kept of an earlier grant of it is replaced. It fails with ErrOtherSubject or ErrUsedUp and then stores nothing.
func (s *Store) GiveConsent(ctx context.Context, connection string, g GivenConsent) (gift Gift, err error) {
	what := "keep a consent over " + connection
	if err := checkImport([]ConsentImport{g.ConsentImport}); err != nil {
		return gift, fmt.Errorf("%s: %w", what, err)
	}
	if !g.ValidUntil.IsZero() && !g.ValidUntil.After(time.Now()) {
		return gift, fmt.Errorf("%s: it has ended already", what)
	}
	mac, sealed, err := s.sealSubject(&g.ConsentImport)
	if err != nil {
		return gift, fmt.Errorf("%s: %w", what, err)
	}
	err = s.inTx(ctx, what, func(tx pgx.Tx) error {
		gift, err = settleGift(ctx, tx, connection, g.ExternalID, mac)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, giveConsent, gift.ID, mac, sealed, clean(g.Purpose), notNull(g.Scopes), nullTime(g.ValidUntil),
			g.SingleUse, nullInt32(g.ReadsPerDay), string(gift.Was), nullInt32(g.UsualReads)); err != nil {
			return describe(err)
		}
		return s.giveGrant(ctx, tx, connection, gift.ID, g.Refresh, g.Holder)
	})
	if err != nil {
		return Gift{}, err
	}
	return gift, nil
}

// settleGift finds the consent, or makes one, and locks its row.
func settleGift(ctx context.Context, tx pgx.Tx, connection, externalID string, mac []byte) (Gift, error) {
	var g Gift
	err := tx.QueryRow(ctx, `INSERT INTO consents (connection, external_id) VALUES ($1, $2)
		ON CONFLICT (connection, external_id) DO NOTHING RETURNING id`, connection, externalID).Scan(&g.ID)
	if !errors.Is(err, pgx.ErrNoRows) {
		return g, err
	}
	var same bool
	err = tx.QueryRow(ctx, `SELECT id, status, coalesce(subject_hmac = $3, true) FROM consents
		WHERE connection = $1 AND external_id = $2 FOR UPDATE`, connection, externalID, mac).Scan(&g.ID, &g.Was, &same)
	switch {
	case err != nil:
		return g, err
	case !same:
		return g, ErrOtherSubject
	case g.Was == finance.ConsentConsumed || g.Was == finance.ConsentConsumedUnknown:
		return g, ErrUsedUp
	}
	return g, nil
}

// giveConsent keeps a subject, an end that lies ahead and a budget of reads that are known and were not told again: what
// was agreed elsewhere holds although the provider's answer is silent on it. valid_from stays, unless it lies ahead.
const giveConsent = `WITH given AS (
	UPDATE consents SET status = 'active', ended_at = NULL, ended_reason = NULL,
		subject_hmac = coalesce($2, subject_hmac), subject_sealed = coalesce($3, subject_sealed),
		purpose = coalesce(nullif($4, ''), purpose), scopes = $5, valid_from = least(valid_from, clock_timestamp()),
		valid_until = coalesce($6, CASE WHEN valid_until > clock_timestamp() THEN valid_until END), single_use = $7,
		reads_per_day = coalesce($8, reads_per_day, $10)
	WHERE id = $1 RETURNING id
)
INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
SELECT id, clock_timestamp(), 'grant', nullif($9, ''), 'active',
	CASE $9 WHEN '' THEN 'given in the browser' ELSE 'given again in the browser' END FROM given`

// giveGrant replaces what is kept of an earlier grant. The access tokens that came by it are forgotten in every process
// that has not read them yet; where one is in use it works until it ends or is refused.
func (s *Store) giveGrant(ctx context.Context, tx pgx.Tx, connection string, consent int64, refresh finance.Secret, holder string) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET sealed = NULL, expires_at = NULL, updated_at = now()
		WHERE starts_with(key, $1 || E'\n') AND right(key, length($2)) = $2`, connection, fmt.Sprintf("\nconsent %d", consent))
	if err != nil {
		return err
	}
	if refresh.IsZero() {
		_, err = tx.Exec(ctx, "DELETE FROM grants WHERE consent_id = $1", consent)
		return err
	}
	sealed, err := s.vault.Seal([]byte(refresh.Reveal()), grantAAD(consent))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO grants (consent_id, sealed, holder) VALUES ($1, $2, nullif($3, '')) ON CONFLICT (consent_id) DO UPDATE
		SET sealed = $2, holder = excluded.holder, granted_at = clock_timestamp(), rotated_at = NULL, refused_at = NULL`, consent, sealed, holder)
	return err
}
