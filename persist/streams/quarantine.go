package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// ErrResolved says that a record in quarantine is resolved already.
var ErrResolved = errors.New("it is resolved already")

// AcceptQuarantined resolves a record in quarantine because somebody has decided to do without it: while it
// comes with the same bytes no item is partial for it any more. A record with other bytes is another one.
func (s *Store) AcceptQuarantined(ctx context.Context, id int64, note string) error {
	tag, err := s.db.Exec(ctx, `UPDATE quarantine
		SET resolved_at = now(), resolved_as = 'accepted', held = false, note = $2
		WHERE id = $1 AND resolved_at IS NULL`, id, pg.Clean(note))
	if err != nil {
		return fmt.Errorf("accept record %d in quarantine: %w", id, pg.Describe(err))
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	var there bool
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM quarantine WHERE id = $1)`, id).Scan(&there)
	if err != nil {
		return fmt.Errorf("accept record %d in quarantine: %w", id, pg.Describe(err))
	}
	if !there {
		return pg.ErrNotFound
	}
	return ErrResolved
}

// Isolated are those consents of a batch of which records are in quarantine and not resolved. It is asked once a batch:
// asked for each stream it would cost as much as where the stream stands.
func (s *Store) Isolated(ctx context.Context, batch int64) (map[int64]bool, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT i.consent_id
		FROM items i
		JOIN quarantine q ON q.consent_id = i.consent_id
		WHERE i.batch_id = $1
		AND q.resolved_at IS NULL`, batch)
	consents, err := pg.AllRows(rows, err, pgx.RowTo[int64], fmt.Sprintf("look into the quarantine of batch %d", batch))
	if err != nil {
		return nil, err
	}
	isolated := map[int64]bool{}
	for _, consent := range consents {
		isolated[consent] = true
	}
	return isolated, nil
}
