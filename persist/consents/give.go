package consents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/tokens"
)

// FromGrant is the source of what happened to a consent in the browser, or to the grant that it was given with.
const FromGrant EventSource = "grant"

var (
	// ErrOtherSubject says that a known consent was given again by somebody else. Nothing is stored: their data would
	// end up beside another person's.
	ErrOtherSubject = errors.New("the consent is known as another person's")
	// ErrOtherConsent says that the id which a renewal brings is another consent's, with rows of its own.
	ErrOtherConsent = errors.New("its id is another consent's")
	// ErrUsedUp says that a consent which is good for one answer has had it.
	ErrUsedUp = errors.New("the consent is good for one answer and was used already")
)

// Given is a consent that a person has given in the browser.
type Given struct {
	Import
	Refresh finance.Secret // zero: the consent is read without one
	Holder  string         // of Refresh: a fingerprint of the client that it was given to, and the server
	Renews  int64          // the number of the consent that goes on by this one; 0: it is found by its id, or new
}

// GiveResult is what became of a given consent.
type GiveResult struct {
	ID  int64
	Was finance.ConsentStatus // before; empty: the consent is new
}

// Give stores a consent that a person has given, together with its sealed refresh token, in one transaction. One
// that is known, by the provider's id of it, keeps its id and its rows and is active again, whatever had ended it; what
// is kept of an earlier grant of it is replaced. It fails with ErrOtherSubject or ErrUsedUp and then stores nothing.
//
// One that renews another goes on by that one's number, under its own id, from now on: the provider has answered for it by
// the code's exchange, so there is no trial. It fails with ErrOtherConsent if its id is known as a third one's.
func (s *Store) Give(ctx context.Context, connection string, g Given) (did GiveResult, err error) {
	what := "keep a consent over " + connection
	if err := checkImport([]Import{g.Import}); err != nil {
		return did, fmt.Errorf("%s: %w", what, err)
	}
	if !g.ValidUntil.IsZero() && !g.ValidUntil.After(time.Now()) {
		return did, fmt.Errorf("%s: it has ended already", what)
	}
	mac, sealed, err := s.sealSubject(&g.Import)
	if err != nil {
		return did, fmt.Errorf("%s: %w", what, err)
	}
	err = s.db.InTx(ctx, what, func(tx pgx.Tx) error {
		if err := pg.TakeTurn(ctx, tx, listTurn(connection)); err != nil {
			return err
		}
		var bounded bool
		renews, err := renewedByGiven(ctx, tx, connection, g)
		if err != nil {
			return err
		}
		if renews != 0 {
			if err := renewByGiven(ctx, tx, connection, renews, g.ExternalID); err != nil {
				return err
			}
		}
		did, bounded, err = findGiven(ctx, tx, connection, g.ExternalID, mac)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, giveConsent, did.ID, mac, sealed, pg.Clean(g.Purpose), pg.NotNull(g.Scopes), pg.NullTime(g.ValidUntil),
			g.SingleUse, pg.NullInt32(g.ReadsPerDay), string(did.Was)); err != nil {
			return pg.Describe(err)
		}
		if !bounded {
			if err := countReads(ctx, tx, []int64{did.ID}); err != nil {
				return err
			}
		}
		return tokens.GiveGrant(ctx, tx, s.keys, connection, did.ID, g.Refresh, g.Holder)
	})
	if err != nil {
		return GiveResult{}, err
	}
	return did, nil
}

// findGiven finds the consent, or makes one, and locks its row. It says whether its reads a day have a
// bound.
func findGiven(ctx context.Context, tx pgx.Tx, connection, externalID string, mac []byte) (g GiveResult,
	bounded bool, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO consents (connection, external_id)
		SELECT $1, $2
		WHERE NOT EXISTS (SELECT FROM consent_ids k WHERE k.connection = $1 AND k.external_id = $2)
		ON CONFLICT (connection, external_id) DO NOTHING RETURNING id`, connection, externalID).Scan(&g.ID)
	if !errors.Is(err, pgx.ErrNoRows) {
		return g, false, err
	}
	var same bool
	err = tx.QueryRow(ctx, `SELECT id, status, coalesce(subject_hmac = $3, true), reads_per_day IS NOT NULL
		FROM consents
		WHERE connection = $1 AND external_id = $2
		FOR UPDATE`, connection, externalID, mac).Scan(&g.ID, &g.Was, &same, &bounded)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return g, false, fmt.Errorf("%w: a consent had it before, and goes by another one now; name that one by --renews",
			ErrOtherConsent)
	case err != nil:
		return g, false, err
	case !same:
		return g, false, ErrOtherSubject
	case g.Was == finance.ConsentConsumed || g.Was == finance.ConsentConsumedUnknown:
		return g, false, ErrUsedUp
	}
	return g, bounded, nil
}

// giveConsent keeps a subject, an end that lies ahead and a budget of reads that are known and were not told again: what
// was agreed elsewhere holds although the provider's answer is silent on it. valid_from stays, unless it lies ahead.
const giveConsent = `WITH told AS (
	SELECT id, coalesce($6, CASE WHEN valid_until > clock_timestamp() THEN valid_until END) AS until
	FROM consents WHERE id = $1
), given AS (
	UPDATE consents c SET status = 'active', ended_at = NULL, ended_reason = NULL,
		` + ForgetSuspicion + `,
		subject_hmac = coalesce($2, subject_hmac), subject_sealed = coalesce($3, subject_sealed),
		purpose = coalesce(nullif($4, ''), purpose), scopes = $5, valid_from = least(valid_from, clock_timestamp()),
		valid_until = told.until, single_use = $7,
		listed_until = CASE WHEN told.until IS DISTINCT FROM c.valid_until
			THEN coalesce(listed_until, valid_until, 'infinity') ELSE listed_until END,
		reads_per_day = coalesce($8, c.reads_per_day, n.reads_per_day),
		reads_of_connection = $8 IS NULL AND n.reads_per_day IS NOT NULL
			AND (c.reads_of_connection OR c.reads_per_day IS NULL)
	FROM told, connections n
	WHERE c.id = told.id AND n.name = c.connection
	RETURNING c.id
)
INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
SELECT id, clock_timestamp(), 'grant', nullif($9, ''), 'active',
	CASE $9 WHEN '' THEN 'given in the browser' ELSE 'given again in the browser' END FROM given`
