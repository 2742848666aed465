package streams

import (
	"context"
	"fmt"
)

// dropEnded drops bodies whose time has ended, the oldest first. Rows that another process is at are left to it. The
// array keeps the planner from reading the whole table to find a thousand rows by their keys.
const dropEnded = `UPDATE answers SET body = NULL, body_hash = '' WHERE call_id = ANY (ARRAY(
	SELECT call_id FROM answers WHERE body IS NOT NULL AND keep_until <= now() ORDER BY keep_until LIMIT $1
	FOR NO KEY UPDATE SKIP LOCKED))`

// DropAnswers drops what the provider said where the time to keep it has ended, at most so many answers, and gives how
// many it has dropped. With nothing to drop it reads a few pages of an index.
//
// The row stays, without the body, so that a person who asks for the call is told until when its answer was kept. A
// page that is remembered by its hash stays remembered, too: its records are in the tables, and to forget it would
// bring the same body back for another term as soon as the provider repeats it.
func (s *Store) DropAnswers(ctx context.Context, most int) (int, error) {
	tag, err := s.db.Exec(ctx, dropEnded, most)
	if err != nil {
		return 0, fmt.Errorf("drop answers that need not be kept any longer: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
