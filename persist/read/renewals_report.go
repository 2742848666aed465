package read

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// renewedLately is how long after a renewal new accounts are counted as its own.
const renewedLately = "7 days"

// countNewAccounts counts the accounts of renewed consents that run $1 has shown first while others, known before the
// renewal, are not listed any more: their ids have changed, most likely, and everything of them was loaded once more.
const countNewAccounts = `SELECT count(*)
	FROM runs r
	JOIN consents c ON c.connection = r.connection
		AND c.renewed_at > r.created_at - interval '` + renewedLately + `'
		AND c.renewed_at <= coalesce(r.settled_at, now())
	JOIN accounts a ON a.consent_id = c.id
		AND a.first_seen_at >= greatest(c.renewed_at, r.created_at)
		AND a.first_seen_at <= coalesce(r.settled_at, now())
		AND a.removed_at IS NULL
	WHERE r.id = $1
	AND r.datasets && ARRAY['accounts', 'transactions']
	AND EXISTS (
		SELECT FROM accounts o
		LEFT JOIN absences n ON n.consent_id = o.consent_id AND n.kind = 'accounts' AND n.account_id = ''
			AND n.record_id = o.account_id
		WHERE o.consent_id = c.id
		AND o.first_seen_at < c.renewed_at
		AND (n.record_id IS NOT NULL OR o.removed_at >= c.renewed_at)
	)`

func reportNewAccounts(ctx context.Context, tx pgx.Tx, r *Report) error {
	var any bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM consents WHERE renewed_at IS NOT NULL)").Scan(&any)
	if err != nil || !any {
		return err
	}
	return tx.QueryRow(ctx, countNewAccounts, r.Run.ID).Scan(&r.NewAccounts)
}
