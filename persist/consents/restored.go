package consents

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// A restored database knows nothing of the calls that were made since it was dumped. What a consent has only one or a few
// of is taken for spent, unless its provider tells.

// mayBeSpent are the single-use consents that would be called for. One with a row in the inbox is not: what became of its
// call is known, or is asked for.
const mayBeSpent = `c.single_use
	AND c.status IN ('active', 'suspected')
	AND NOT EXISTS (SELECT FROM inbox i WHERE i.consent_id = c.id)`

// MayBeSpent are single-use consents of a connection, in the order of their ids, that may have been called for since the
// database was dumped.
func (s *Store) MayBeSpent(ctx context.Context, connection string, after int64, limit int) ([]finance.Consent, error) {
	rows, err := s.db.Query(ctx, "SELECT "+Columns+` FROM consents c
		WHERE c.connection = @connection
		AND c.id > @after
		AND `+mayBeSpent+`
		ORDER BY c.id
		LIMIT @limit`, pgx.NamedArgs{"connection": connection, "after": after, "limit": limit})
	return pg.AllRows(rows, err, s.scanConsent, "look which single-use consents of "+connection+" may be spent")
}

// ConnectionsMayBeSpent are the connections that have such consents.
func (s *Store) ConnectionsMayBeSpent(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, "SELECT DISTINCT c.connection FROM consents c WHERE "+mayBeSpent+" ORDER BY 1")
	return pg.AllRows(rows, err, pgx.RowTo[string], "look which connections have single-use consents that may be spent")
}

// AskAgain has the status of a single-use consent asked for once more before it is called for: a call that was sent before
// the moment may still arrive.
func (s *Store) AskAgain(ctx context.Context, consent int64, since time.Time) error {
	_, err := s.db.Exec(ctx, `INSERT INTO inbox (consent_id, call_id, intended_at)
		VALUES (@consent, gen_random_uuid(), @since)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"consent": consent, "since": since})
	if err != nil {
		return fmt.Errorf("have the status of consent %d asked for again: %w", consent, err)
	}
	return nil
}

// Spent is what was taken for spent in a restored database.
type Spent struct {
	SingleUse int // consents
	Days      int // consents that have no read of the day left
}

const endMayBeSpent = `WITH was AS (
		SELECT c.id, c.status
		FROM consents c
		WHERE ` + mayBeSpent + `
		AND c.connection <> ALL (@but::text[])
		ORDER BY c.id
		FOR NO KEY UPDATE
	), ended AS (
		UPDATE consents c SET
			status = 'consumed_unknown',
			ended_at = clock_timestamp(),
			ended_reason = @reason,
			` + endSuspicion + `
		FROM was
		WHERE c.id = was.id
		RETURNING c.id, was.status AS was
	)
	INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
	SELECT id, clock_timestamp(), @source, was, 'consumed_unknown', @reason
	FROM ended`

// spendDays writes the reads of a day that a consent has left. They are locked as admit_calls_v4 locks them.
const spendDays = `WITH locked AS MATERIALIZED (
		SELECT c.id, c.reads_per_day
		FROM consents c
		WHERE c.reads_per_day IS NOT NULL
		AND c.status IN ('active', 'suspected')
		ORDER BY c.id
		FOR NO KEY UPDATE
	), remaining AS (
		SELECT l.id, l.reads_per_day - (
			SELECT count(*)
			FROM consent_reads r
			WHERE r.consent_id = l.id
			AND r.at > clock_timestamp() - interval '24 hours'
		) AS reads
		FROM locked l
	), spent AS (
		INSERT INTO consent_reads (consent_id, at)
		SELECT m.id, clock_timestamp()
		FROM remaining m, generate_series(1, m.reads)
		RETURNING consent_id
	)
	SELECT count(DISTINCT consent_id) FROM spent`

// Spend takes for spent what nobody can tell: the single-use consents that may have been called for, but for those of some
// connections, and the day's reads of all consents that have a number of them.
func (s *Store) Spend(ctx context.Context, but []string) (spent Spent, err error) {
	err = s.db.InTx(ctx, "take for spent what may have been called for since the dump", func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, endMayBeSpent, pgx.NamedArgs{
			"but":    pg.NotNull(but),
			"source": string(FromOperator),
			"reason": "it may have been called for after the dump from which the database was restored",
		})
		if err != nil {
			return err
		}
		spent.SingleUse = int(tag.RowsAffected())
		return tx.QueryRow(ctx, spendDays).Scan(&spent.Days)
	})
	return spent, err
}
