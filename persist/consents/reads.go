package consents

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// boundReads gives a number of reads a day to the consents of a connection that have the connection's, because they name
// none, and returns those that had none before. They are locked by id, as admit_calls_v4 locks them: two that lock in
// other orders wait for each other.
const boundReads = `WITH locked AS MATERIALIZED (
	SELECT c.id
	FROM consents c
	WHERE c.connection = @connection
	AND (c.reads_of_connection OR c.reads_per_day IS NULL)
	ORDER BY c.id
	FOR NO KEY UPDATE
), changed AS (
	UPDATE consents c SET
		reads_per_day = @reads,
		reads_of_connection = @reads::integer IS NOT NULL
	FROM locked l
	JOIN consents was ON was.id = l.id
	WHERE c.id = l.id
	AND c.reads_per_day IS DISTINCT FROM @reads
	RETURNING c.id, was.reads_per_day IS NULL AS first
)
SELECT id
FROM changed
WHERE first`

// BoundReads says how often a day the consents of a connection may be read that name no number
// themselves; 0: there is no bound. It holds at once, for those that are there already too, and costs
// one look where it is known already. Reads made before there was a bound are counted.
func (s *Store) BoundReads(ctx context.Context, connection string, reads int) error {
	var same bool
	err := s.db.QueryRow(ctx, `SELECT reads_per_day IS NOT DISTINCT FROM $2 FROM connections
		WHERE name = $1`, connection, pg.NullInt32(reads)).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("look up the reads a day of %s: %w", connection, err)
	}
	if same {
		return nil
	}
	return s.db.InTx(ctx, "set the reads a day of "+connection, func(tx pgx.Tx) error {
		if err := pg.TakeTurn(ctx, tx, listTurn(connection)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE connections SET reads_per_day = $2 WHERE name = $1",
			connection, pg.NullInt32(reads))
		if err != nil {
			return err
		}
		bound, err := pg.IDs(ctx, tx, boundReads, pgx.NamedArgs{
			"connection": connection,
			"reads":      pg.NullInt32(reads),
		})
		if err != nil {
			return err
		}
		return countReads(ctx, tx, bound)
	})
}

// countReads writes down the reads that consents have had in the last day, before they had a bound:
// without a bound none are written. A read is the first call of an item in a batch. A repetition counts
// in any case, since calls do not tell whether it was that of a first call: rather a read too many than
// one too few. Of those before, as many as the bound are enough to know when the next one may be.
func countReads(ctx context.Context, tx pgx.Tx, consents []int64) error {
	if len(consents) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO consent_reads (consent_id, at, call_id)
		SELECT x.consent_id, x.sent_at, x.id FROM (
			SELECT k.*, row_number() OVER (PARTITION BY k.consent_id ORDER BY k.sent_at DESC) AS newest FROM (
				SELECT id, consent_id, sent_at, attempt,
					row_number() OVER (PARTITION BY consent_id, batch_id, dataset ORDER BY id) AS place
				FROM calls
				WHERE sent_at > clock_timestamp() - interval '24 hours 10 seconds'
				AND purpose = 'data'
				AND consent_id = ANY ($1)
			) k
			WHERE k.place = 1 OR k.attempt > 1
		) x
		JOIN consents c ON c.id = x.consent_id
		WHERE x.newest <= c.reads_per_day
		AND NOT EXISTS (
			SELECT FROM consent_reads r WHERE r.consent_id = x.consent_id AND r.call_id = x.id
		)`, consents)
	return pg.Describe(err)
}
