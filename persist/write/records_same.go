package write

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Some providers give the accounts of a renewed consent other ids. Where a description names what stays the same, such
// as the IBAN, an account goes on under its new id with all that it had.

// accountMove is an account that is shown under another id.
type accountMove struct{ Old, New string }

// findMoved pairs accounts of a consent that a whole list (@shown) does not name with those that it does and that are new.
// What stays the same stands in the column number, or in extra at the path @path. It must be one account's on either side,
// and nothing may have been read of the new one; but a list that was not whole may have shown it since the renewal.
const findMoved = `WITH known AS (
	SELECT t.account_id,
		CASE WHEN @path::text[] IS NULL THEN t.number ELSE t.extra #>> @path END AS same,
		t.account_id = ANY (@shown::text[]) AS shown,
		coalesce(t.first_seen_at >= c.renewed_at, false) AS since
	FROM accounts t
	JOIN consents c ON c.id = t.consent_id
	WHERE t.consent_id = @consent
	AND (t.removed_at IS NULL OR t.removed_at >= c.renewed_at)  -- an empty list may have come before
	AND starts_with(t.account_id, @prefix)
), alone AS (
	SELECT same, shown, min(account_id) AS account_id, bool_and(since) AS since
	FROM known
	WHERE same <> ''
	GROUP BY same, shown
	HAVING count(*) = 1
)
SELECT o.account_id, n.account_id
FROM alone o
JOIN alone n ON n.same = o.same AND n.shown
WHERE NOT o.shown
AND NOT EXISTS (SELECT FROM cursors c WHERE c.consent_id = @consent AND c.account_id = n.account_id)
AND NOT EXISTS (SELECT FROM transactions x WHERE x.consent_id = @consent AND x.account_id = n.account_id)
AND (n.since OR NOT EXISTS (
	SELECT FROM accounts_history h WHERE h.consent_id = @consent AND h.account_id = n.account_id
))
ORDER BY 1`

// pathOf is the path in extra; nil: it is the column number.
func pathOf(sameAs []string) []string {
	if sameAs[0] == "extra" {
		return sameAs[1:]
	}
	return nil
}

// OtherAccountError says that the first list after a renewal gives known ids to other accounts: what stays of an account is
// another one there. Two accounts' transactions would be mixed, so nothing of the list was stored.
type OtherAccountError struct {
	Connection string
	Consent    int64
	Accounts   []string // their ids, fit to be shown
}

// Error is one line, and says what to do where they are the same accounts after all.
func (e *OtherAccountError) Error() string {
	return fmt.Sprintf("since the renewal of consent %d ids of it are another account's now: %s; nothing was stored and no "+
		"account is asked for. Ask the provider; if they are the same accounts, and what same_as names has changed: "+
		"syncer streams reset --connection %s --consent %[1]d --dataset accounts --yes",
		e.Consent, strings.Join(e.Accounts, ", "), e.Connection)
}

// givenAway finds the accounts of consent $1 whose row the call $2 has replaced by one of another account.
const givenAway = `WITH same AS (
	SELECT t.account_id,
		CASE WHEN $3::text[] IS NULL THEN t.number ELSE t.extra #>> $3 END AS now,
		CASE WHEN $3::text[] IS NULL THEN h.number ELSE h.extra #>> $3 END AS before
	FROM accounts t
	JOIN accounts_history h ON h.consent_id = t.consent_id AND h.account_id = t.account_id
	WHERE t.consent_id = $1
	AND h.replaced_by = $2
)
SELECT c.connection, array_agg(s.account_id ORDER BY s.account_id)
FROM same s
JOIN consents c ON c.id = $1
WHERE s.now <> ''
AND s.before <> ''
AND s.now <> s.before
GROUP BY c.connection`

// refuseOtherAccounts looks at the first lists after a renewal, which have just been written.
func (a *attempt) refuseOtherAccounts(ctx context.Context, pages []*page) error {
	for _, p := range pages {
		if len(p.SameAs) == 0 || p.Unchanged {
			continue
		}
		e := &OtherAccountError{Consent: p.Stream.Consent}
		row := a.tx.QueryRow(ctx, givenAway, p.Stream.Consent, [16]byte(p.Call.ID), pathOf(p.SameAs))
		err := row.Scan(&e.Connection, &e.Accounts)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return accountKind.failed("look whose ids have been given away in", err)
		}
		for i, id := range e.Accounts {
			if finance.HoldsNationalID(id) {
				e.Accounts[i] = "one whose id is a national id"
			}
		}
		return &dataError{err: e}
	}
	return nil
}

// moveAccounts lets accounts go on under their new ids. The new rows have been written already.
func moveAccounts(ctx context.Context, a *attempt, p *page, shown []string) error {
	if len(p.Whole.SameAs) == 0 {
		return nil
	}
	rows, err := a.tx.Query(ctx, findMoved, pgx.NamedArgs{
		"consent": p.Stream.Consent,
		"shown":   shown,
		"prefix":  p.Whole.Prefix,
		"path":    pathOf(p.Whole.SameAs),
	})
	if err != nil {
		return accountKind.failed("look which ids have changed in", err)
	}
	moves, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accountMove])
	if err != nil {
		return accountKind.failed("look which ids have changed in", err)
	}
	for _, m := range moves {
		if err := moveAccount(ctx, a, p, m); err != nil {
			return err
		}
	}
	return nil
}

// moveAccount gives all that is kept of an account its new id. Its old version goes to the history, as with any change.
func moveAccount(ctx context.Context, a *attempt, p *page, m accountMove) error {
	args := pgx.NamedArgs{
		"consent": p.Stream.Consent,
		"old":     m.Old,
		"new":     m.New,
		"call":    [16]byte(p.Call.ID),
	}
	for _, sql := range []string{
		replaceMoved(accountKind.table, accountKind.all(), ""),
		replaceMoved(balanceKind.table, balanceKind.all(), " AND o.kind = n.kind AND o.currency = n.currency"),
		moved("balances", "changed_xid = pg_current_xact_id()"),
		moved("accounts_history", ""),
		moved("balances_history", ""),
		moved("transactions", "changed_xid = pg_current_xact_id()"),
		moved("transactions_history", ""),
		moved("cursors", ""),
		moved("quarantine", ""),
		moved("absences", ""),
		`DELETE FROM absences WHERE consent_id = @consent AND kind = 'accounts' AND record_id = @old`,
		// A page is known by what was asked for, which names the account.
		`DELETE FROM pages WHERE consent_id = @consent AND account_id = @old`,
		`INSERT INTO account_moves (consent_id, old_id, new_id, call_id) VALUES (@consent, @old, @new, @call)`,
	} {
		if _, err := a.tx.Exec(ctx, sql, args); err != nil {
			return fmt.Errorf("move an account of consent %d to its new id: %w", p.Stream.Consent, pg.Describe(err))
		}
	}
	return nil
}

// moved is SQL that gives the rows of a table the new id of their account.
func moved(table, besides string) string {
	set := "account_id = @new"
	if besides != "" {
		set += ", " + besides
	}
	return "UPDATE " + table + " SET " + set + " WHERE consent_id = @consent AND account_id = @old"
}

// replaceMoved is SQL that makes the row of the old id the version before the row of the new one.
func replaceMoved(table, columns, match string) string {
	return `WITH old AS (
			DELETE FROM ` + table + ` o
			USING ` + table + ` n
			WHERE o.consent_id = @consent
			AND o.account_id = @old
			AND n.consent_id = @consent
			AND n.account_id = @new` + match + `
			RETURNING o.*, n.call_id AS by_call
		), kept AS (
			INSERT INTO ` + table + `_history (` + columns + `, replaced_by)
			SELECT ` + qualify("o", columns) + `, o.by_call
			FROM old o
		)
		UPDATE ` + table + ` n
		SET first_seen_at = o.first_seen_at,
			changed_xid = pg_current_xact_id()
		FROM old o
		WHERE n.consent_id = @consent
		AND n.account_id = @new` + match
}
