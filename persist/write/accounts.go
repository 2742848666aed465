package write

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// Accounts are the ids of a consent's accounts that have not been removed, in order; at most so many, 0 is no bound.
func (w *Writer) Accounts(ctx context.Context, consent int64, most int) ([]string, error) {
	rows, err := w.pool.Query(ctx, `SELECT account_id FROM accounts
		WHERE consent_id = $1 AND removed_at IS NULL
		ORDER BY account_id LIMIT $2`, consent, pg.NullInt(int64(most)))
	if err != nil {
		return nil, fmt.Errorf("load the accounts of consent %d: %w", consent, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("load the accounts of consent %d: %w", consent, err)
	}
	return ids, nil
}

// AccountsInTurn are as many of a consent's accounts as one run reads: those whose stream like s the run has read from
// already, and then those that were read longest ago. One that was never read counts as if that were up to a month ago,
// in each run another time: if such accounts always came first, those that are refused every night would keep all places
// for ever. They are in the order of their ids.
func (w *Writer) AccountsInTurn(ctx context.Context, s finance.Stream, run int64, most int) ([]string, error) {
	rows, err := w.pool.Query(ctx, `SELECT account_id FROM (
			SELECT a.account_id FROM accounts a
			LEFT JOIN cursors c ON c.consent_id = a.consent_id AND c.dataset = $2 AND c.account_id = a.account_id AND c.span = $3
			WHERE a.consent_id = $1 AND a.removed_at IS NULL
			ORDER BY c.run_id IS NOT DISTINCT FROM $4::int8 DESC,
				coalesce(c.moved_at, now() - make_interval(secs => abs(hashtextextended(a.account_id, $4::int8) % 2592000))),
				a.account_id
			LIMIT $5
		) x ORDER BY account_id`, s.Consent, s.Dataset, s.Span, run, most)
	if err != nil {
		return nil, fmt.Errorf("choose the accounts of consent %d: %w", s.Consent, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("choose the accounts of consent %d: %w", s.Consent, err)
	}
	return ids, nil
}

// AccountsUnmatched are the accounts of a renewed consent that may be known ones under other ids: they are new since the
// renewal, nothing was read of them, and the newest list was not whole, so that nothing tells.
func (w *Writer) AccountsUnmatched(ctx context.Context, consent int64) ([]string, error) {
	rows, err := w.pool.Query(ctx, `SELECT a.account_id
		FROM consents c
		JOIN accounts a ON a.consent_id = c.id AND a.first_seen_at >= c.renewed_at AND a.removed_at IS NULL
		WHERE c.id = $1
		AND EXISTS (
			SELECT FROM cursors l
			WHERE l.consent_id = c.id AND l.dataset = 'accounts' AND l.account_id = '' AND l.span = ''
			AND (l.lacks IS NOT NULL OR l.mid_pass)
		)
		AND EXISTS (
			SELECT FROM accounts o
			WHERE o.consent_id = c.id AND o.first_seen_at < c.renewed_at AND o.removed_at IS NULL
		)
		AND NOT EXISTS (SELECT FROM cursors r WHERE r.consent_id = c.id AND r.account_id = a.account_id)
		ORDER BY a.account_id`, consent)
	if err != nil {
		return nil, fmt.Errorf("load the new accounts of consent %d: %w", consent, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("load the new accounts of consent %d: %w", consent, err)
	}
	return ids, nil
}

// AccountsUnread counts a consent's accounts, and those of them whose stream like s none of the runs has read to its
// end.
func (w *Writer) AccountsUnread(ctx context.Context, s finance.Stream, runs []int64) (unread, all int, err error) {
	err = w.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE c.consent_id IS NULL), count(*) FROM accounts a
		LEFT JOIN cursors c ON c.consent_id = a.consent_id AND c.dataset = $2 AND c.account_id = a.account_id AND c.span = $3
			AND c.run_id = ANY($4) AND NOT c.mid_pass
		WHERE a.consent_id = $1 AND a.removed_at IS NULL`, s.Consent, s.Dataset, s.Span, runs).Scan(&unread, &all)
	if err != nil {
		return 0, 0, fmt.Errorf("count the unread accounts of consent %d: %w", s.Consent, err)
	}
	return unread, all, nil
}
