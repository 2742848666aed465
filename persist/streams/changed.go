package streams

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
	"syncer/persist/write"
)

// KeyChanges are those that concern a batch. It is asked once a batch, since there are none on most nights.
func (s *Store) KeyChanges(ctx context.Context, batch int64) ([]write.KeyChange, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT k.consent_id, k.dataset, k.account_id,
			CASE WHEN r.window_from IS NULL AND NOT upper_inf(k.days) THEN upper(k.days) - 1 END
		FROM items i
		JOIN batches b ON b.id = i.batch_id
		JOIN runs r ON r.id = b.run_id
		JOIN key_changes k ON k.consent_id = i.consent_id
		WHERE i.batch_id = $1
			AND (r.window_from IS NULL OR k.days && daterange(r.window_from, r.window_to, '[]'))`, batch)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (c write.KeyChange, err error) {
		var until *time.Time
		err = row.Scan(&c.Consent, &c.Dataset, &c.Account, &until)
		c.Until = pg.ToDate(until)
		return c, err
	}, fmt.Sprintf("look for changed keys in batch %d", batch))
}
