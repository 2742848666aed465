package read

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// KeysLeft is how many consents have rows with old keys.
type KeysLeft struct {
	Dataset  finance.Dataset
	Consents int // whose rows a run will replace
	// Older are those whose nightly streams are replaced, but not their rows of days that no night reads any more.
	Older    int
	From, To finance.Date // these days, of all such consents together
}

// KeysLeft counts the consents of a connection whose rows have old keys still. Those that nothing is read for any more, since
// they have ended or their account has gone, are not counted.
func (s *Store) KeysLeft(ctx context.Context, connection string) ([]KeysLeft, error) {
	rows, err := s.db.Query(ctx, `SELECT k.dataset,
			count(DISTINCT k.consent_id) FILTER (WHERE nightly),
			count(DISTINCT k.consent_id) FILTER (WHERE NOT nightly),
			min(t.first) FILTER (WHERE NOT nightly),
			max(t.last) FILTER (WHERE NOT nightly)
		FROM key_changes k
		JOIN consents n ON n.id = k.consent_id
		CROSS JOIN LATERAL (SELECT upper_inf(k.days) AS nightly) w
		CROSS JOIN LATERAL (
			SELECT NULL::date AS first, NULL::date AS last
			WHERE k.dataset = 'accounts'
				AND EXISTS (SELECT FROM accounts t WHERE t.consent_id = k.consent_id AND t.removed_at IS NULL)
			UNION ALL
			SELECT NULL, NULL
			WHERE k.dataset = 'debt'
				AND EXISTS (SELECT FROM debts t WHERE t.consent_id = k.consent_id AND t.removed_at IS NULL)
			UNION ALL
			SELECT min(t.booked_on), max(t.booked_on)
			FROM transactions t
			WHERE k.dataset = 'transactions'
				AND t.consent_id = k.consent_id
				AND k.account_id IN ('', t.account_id)
				AND t.removed_at IS NULL
				AND t.first_seen_at < k.since
				AND (nightly OR daterange(t.booked_on - k.moved, t.booked_on + k.moved, '[]') && k.days)
			HAVING count(*) > 0
		) t
		WHERE n.connection = $1
			AND n.status = 'active'
			AND (k.account_id = '' OR EXISTS (
				SELECT FROM accounts a
				WHERE a.consent_id = k.consent_id
					AND a.account_id = k.account_id
					AND a.removed_at IS NULL
			))
		GROUP BY k.dataset
		ORDER BY k.dataset`, connection)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (l KeysLeft, err error) {
		var from, to *time.Time
		err = row.Scan(&l.Dataset, &l.Consents, &l.Older, &from, &to)
		l.From = pg.ToDate(from)
		l.To = pg.ToDate(to)
		return l, err
	}, "count the rows with old keys of "+connection)
}
