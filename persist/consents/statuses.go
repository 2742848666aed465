package consents

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// FeedAge is how long ago the connection's feed of consent events was read, by the database's clock. One that was never
// read is as old as the oldest consent that is active: before that there was nothing to miss.
func (s *Store) FeedAge(ctx context.Context, connection string) (time.Duration, error) {
	var us int64
	err := s.db.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM clock_timestamp() - coalesce(n.feed_read_at,
			(SELECT min(c.created_at) FROM consents c WHERE c.connection = n.name AND c.status IN ('active', 'suspected')))) * 1000000, 0)::bigint
		FROM connections n WHERE n.name = $1`, connection).Scan(&us)
	if err != nil {
		return 0, fmt.Errorf("find out how old the feed of %s is: %w", connection, err)
	}
	return pg.FromMicros(us), nil
}

// BeginStatuses asks for the right to ask for the status of every active consent of a connection, for d; see
// KeepStatuses. got is false while another has it. A round that was not ended by ApplyConsentEvents goes on: since is
// when it began.
func (s *Store) BeginStatuses(ctx context.Context, connection string, d time.Duration) (since time.Time, got bool, err error) {
	rows, err := s.db.Query(ctx, `UPDATE connections SET statuses_since = coalesce(statuses_since, clock_timestamp()),
			statuses_by = $2, statuses_until = clock_timestamp() + $3 * interval '1 microsecond'
		WHERE name = $1 AND statuses_until <= clock_timestamp() RETURNING statuses_since`, connection, s.db.Worker.ID, pg.Micros(d))
	found, err := pg.AllRows(rows, err, pgx.RowTo[time.Time], "begin to ask for the statuses of "+connection)
	if err != nil || len(found) == 0 {
		return since, false, err
	}
	return found[0], true, nil
}

// KeepStatuses keeps the right for another d from now; a d of zero gives it back.
func (s *Store) KeepStatuses(ctx context.Context, connection string, d time.Duration) error {
	_, err := s.db.Exec(ctx, `UPDATE connections SET statuses_until = clock_timestamp() + $3 * interval '1 microsecond'
		WHERE name = $1 AND statuses_by = $2`, connection, s.db.Worker.ID, pg.Micros(d))
	if err != nil {
		return fmt.Errorf("go on asking for the statuses of %s: %w", connection, err)
	}
	return nil
}

// StatusesDue are consents, active or suspected, that were there at since and whose status was not asked for after it, in the order of
// their ids.
func (s *Store) StatusesDue(ctx context.Context, connection string, since time.Time, limit int) ([]finance.Consent, error) {
	rows, err := s.db.Query(ctx, "SELECT "+Columns+` FROM consents c WHERE c.connection = $1 AND c.status IN ('active', 'suspected')
		AND c.created_at <= $2 AND coalesce(c.status_asked_at, '-infinity') < $2 ORDER BY c.id LIMIT $3`, connection, since, limit)
	return pg.AllRows(rows, err, s.scanConsent, "look whose status of "+connection+" is to be asked for")
}

// StatusesAsked notes that the statuses of consents have just been asked for.
func (s *Store) StatusesAsked(ctx context.Context, consents []int64) error {
	_, err := s.db.Exec(ctx, `UPDATE consents SET status_asked_at = clock_timestamp() WHERE id = ANY($1)`, consents)
	if err != nil {
		return fmt.Errorf("note that %d statuses were asked for: %w", len(consents), err)
	}
	return nil
}
