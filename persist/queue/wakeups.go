package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// dropVain takes wake-ups out of River's queue that nobody has taken yet, of batches that are done or that there are not.
const dropVain = `DELETE FROM %s j
	WHERE j.kind = 'batch'
	AND j.queue = ANY ($1)
	AND j.state IN ('available', 'pending', 'scheduled', 'retryable')
	AND NOT EXISTS (
		SELECT FROM batches b
		WHERE b.state <> 'done'
		AND b.id = CASE WHEN j.args ->> 'batch' ~ '^[0-9]{1,18}$' THEN (j.args ->> 'batch')::bigint END
	)`

// DropVain takes wake-ups of these jobs out of the queue that can't lead to work, and counts them: each would cost a turn of
// River's and a look at a batch. river is the schema of River's tables.
func (s *Store) DropVain(ctx context.Context, river string, jobs []string) (int, error) {
	table := pgx.Identifier{river, "river_job"}.Sanitize()
	tag, err := s.db.Exec(ctx, fmt.Sprintf(dropVain, table), pg.NotNull(jobs))
	if err != nil {
		return 0, fmt.Errorf("drop wake-ups of batches that are done: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
