package read

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// ActiveConsents is how many active consents a connection has.
type ActiveConsents struct {
	Connection string
	Consents   int
}

// ActiveByConnection counts the active consents of each connection that has some, by name.
func (s *Store) ActiveByConnection(ctx context.Context) ([]ActiveConsents, error) {
	rows, err := s.db.Query(ctx, `SELECT connection, count(*)
		FROM consents
		WHERE status IN ('active', 'suspected')
		GROUP BY connection
		ORDER BY connection`)
	return pg.AllRows(rows, err, pgx.RowToStructByPos[ActiveConsents], "count the active consents")
}
