package read

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
)

// RenewalsWithin is how soon a consent must end for a new one of the same person to be taken for its renewal.
const RenewalsWithin = 30 * 24 * time.Hour

// LikelyRenewal is a consent that has not been read yet, and one of the same person over the same connection that has
// ended or ends soon: it may be that one's renewal.
type LikelyRenewal struct {
	Connection string
	Old        int64
	OldID      string // the provider's
	OldStatus  finance.ConsentStatus
	OldUntil   time.Time // zero: open-ended
	New        int64
	NewID      string
}

// likelyRenewals goes through the consents of each person once, in the order of their numbers. As a join of the consents
// with themselves it took minutes behind an import of a hundred thousand, of which Postgres had no statistics yet.
const likelyRenewals = `WITH persons AS MATERIALIZED (
		SELECT c.id, c.connection, c.external_id, c.status,
			max(c.id) FILTER (WHERE c.over AND EXISTS (SELECT FROM cursors k WHERE k.consent_id = c.id))
				OVER before AS old
		FROM (
			SELECT id, connection, external_id, status, subject_hmac,
				status IN ('expired', 'revoked', 'reauth_required')
					OR status IN ('active', 'suspected')
						AND coalesce(valid_until <= clock_timestamp() + $3 * interval '1 microsecond', false) AS over
			FROM consents
			WHERE subject_hmac IS NOT NULL
			AND ($1 = '' OR connection = $1)
		) AS c
		WINDOW before AS (
			PARTITION BY c.connection, c.subject_hmac
			ORDER BY c.id
			ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
		)
	), pairs AS MATERIALIZED ( -- few: what comes now is asked of each
		SELECT * FROM persons WHERE status = 'active' AND old IS NOT NULL
	)
	SELECT n.connection, o.id, o.external_id, o.status, o.valid_until, n.id, n.external_id
	FROM pairs n
	JOIN consents o ON o.id = n.old
	WHERE ` + consents.Unread + `
	AND NOT EXISTS (SELECT FROM renewals r WHERE r.consent_id = o.id AND r.state IN ('waiting', 'trial'))
	ORDER BY n.id
	LIMIT $2`

// LikelyRenewals lists pairs of consents of a connection, or of all, that look like renewals which nobody has told.
// Nothing is done with them.
func (s *Store) LikelyRenewals(ctx context.Context, connection string, limit int) ([]LikelyRenewal, error) {
	var list []LikelyRenewal
	err := s.db.InTx(ctx, "look for renewals", func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, likelyRenewals, connection, limit, pg.Micros(RenewalsWithin))
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LikelyRenewal, err error) {
			var until *time.Time
			err = row.Scan(&l.Connection, &l.Old, &l.OldID, &l.OldStatus, &until, &l.New, &l.NewID)
			l.OldUntil = pg.OrZero(until)
			return l, err
		})
		return err
	})
	return list, err
}
