package write

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// SwappedError says that a list of accounts is another consent's: those of it that are known belong to one
// other consent of another subject and none to this one, which had others. Two answers were mixed up, by a
// cache say.
// Nothing of it was stored.
type SwappedError struct {
	Connection string
	Consent    int64
	Other      int64 // whose accounts they are
}

// Error is one line, and says what to do where the list is right after all.
func (e *SwappedError) Error() string {
	return fmt.Sprintf("the answer lists the accounts of consent %d, which is another subject's, "+
		"and none that this consent had: two answers were mixed up, so nothing of it was stored or removed; "+
		"if they are this one's now: "+
		"`syncer streams reset --connection %s --consent %d --dataset accounts --yes`",
		e.Other, e.Connection, e.Consent)
}

// ofWholeList says that an error is about a list as a whole, so that no record of it is to be stored.
func ofWholeList(err error) bool {
	_, swapped := errors.AsType[*SwappedError](err)
	_, given := errors.AsType[*OtherAccountError](err)
	return swapped || given
}

// mostHolders bounds how many consents are looked at that have an account of the same id. Where there are
// so many, the ids are numbers within a consent, and say nothing.
const mostHolders = 100

// swappedWith finds the consent that accounts $2 of consent $1 belong to, if the answer is that one's. What
// counts is what was known before run $3: so neither these accounts count, which have been written already,
// nor does it matter whose list the run reads first.
//
// Ids need not be unique beyond a consent, and an account may be held by two people. So all of the
// accounts that are known belong to one other subject alone, and this consent never had one in common
// with that one. An account that nobody has is no sign: it may be new. A consent whose subject is not
// known, such as that before a renewal, is another subject's only as long as it is active.
const swappedWith = `WITH me AS (
	SELECT c.id, c.connection, c.subject_hmac, run.began
	FROM consents c
	CROSS JOIN (SELECT coalesce((SELECT created_at FROM runs WHERE id = $3), now()) AS began) run
	WHERE c.id = $1
	AND EXISTS (
		SELECT FROM accounts t WHERE t.consent_id = c.id AND t.first_seen_at < run.began
	)
), held AS (
	SELECT u.account_id, o.id, o.status, o.subject_hmac
	FROM me
	CROSS JOIN unnest($2::text[]) AS u(account_id)
	CROSS JOIN LATERAL (
		SELECT t.consent_id
		FROM accounts t
		WHERE t.account_id = u.account_id
		AND t.consent_id <> me.id
		AND t.first_seen_at < me.began
		AND (t.removed_at IS NULL OR t.removed_at >= me.began)
		LIMIT $4
	) h
	JOIN consents o ON o.id = h.consent_id AND o.connection = me.connection
), holders AS (
	SELECT id, status, subject_hmac
	FROM held
	GROUP BY id, status, subject_hmac
	HAVING count(DISTINCT account_id) = (SELECT count(DISTINCT account_id) FROM held)
)
SELECT me.connection, (array_agg(o.id ORDER BY o.status <> 'active', o.id DESC))[1]
FROM me CROSS JOIN holders o
WHERE NOT EXISTS (
	SELECT FROM held h WHERE coalesce(h.subject_hmac = me.subject_hmac, h.status <> 'active')
)
GROUP BY me.id, me.connection, me.began
HAVING count(DISTINCT coalesce(encode(o.subject_hmac, 'hex'), o.id::text)) = 1
AND NOT bool_or(EXISTS (
	SELECT FROM accounts a
	JOIN accounts b ON b.consent_id = o.id AND b.account_id = a.account_id
	WHERE a.consent_id = me.id
	AND a.first_seen_at < me.began
	AND b.first_seen_at < me.began
	AND (b.removed_at IS NULL OR b.removed_at >= me.began)
))`

// refuseSwapped looks at lists of accounts that have just been written, of which their consents knew
// none. That is seldom the case, so it costs nothing in most nights.
func (a *attempt) refuseSwapped(ctx context.Context, pages []*page) error {
	for _, p := range pages {
		w := &p.written
		allNew := w.Inserted > 0 && w.Updated == 0 && w.Unchanged == 0
		firstOfKnown := p.Opens && !p.NewStream
		if p.Stream.Dataset != finance.Accounts || !firstOfKnown || !allNew {
			continue
		}
		ids := make([]string, len(p.Records.Accounts))
		for i := range p.Records.Accounts {
			ids[i] = p.Records.Accounts[i].ID
		}
		e := &SwappedError{Consent: p.Stream.Consent}
		row := a.tx.QueryRow(ctx, swappedWith, p.Stream.Consent, ids, p.Task.Run, mostHolders)
		err := row.Scan(&e.Connection, &e.Other)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look whose accounts these are: %w", pg.Describe(err))
		}
		return &dataError{err: e}
	}
	return nil
}
