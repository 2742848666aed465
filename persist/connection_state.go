package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// UpsertConnection makes a configured connection known. What is known of it already stays.
func (s *Store) UpsertConnection(ctx context.Context, name, provider string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO connections AS c (name, provider) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET provider = excluded.provider WHERE c.provider <> excluded.provider`, name, provider)
	if err != nil {
		return fmt.Errorf("make connection %s known: %w", name, err)
	}
	return nil
}

// ParkConnection stops every further call over a connection. first is false when it was parked before: its first
// reason stays, because what came later follows from it.
func (s *Store) ParkConnection(ctx context.Context, name string, class finance.Class, reason string) (first bool, err error) {
	tag, err := s.pool.Exec(ctx, `UPDATE connections SET state = 'parked', parked_at = clock_timestamp(), parked_class = $2,
		parked_reason = $3 WHERE name = $1 AND state = 'open'`, name, class, clean(reason))
	if err != nil {
		return false, fmt.Errorf("park connection %s: %w", name, err)
	}
	return tag.RowsAffected() > 0, nil
}

// OpenConnection lets calls over a parked connection be made again. ErrNotFound: there is no such connection.
func (s *Store) OpenConnection(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, `UPDATE connections SET state = 'open', parked_at = NULL, parked_class = NULL,
		parked_reason = NULL WHERE name = $1`, name)
	if err != nil {
		return fmt.Errorf("open connection %s: %w", name, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("open connection %s: %w", name, ErrNotFound)
	}
	return nil
}

const selectConnections = `SELECT name, provider, state = 'parked', parked_at, coalesce(parked_class, ''),
	coalesce(parked_reason, ''), feed_position, feed_read_at FROM connections`

func scanConnection(row pgx.CollectableRow) (c Connection, err error) {
	var parked, read *time.Time
	err = row.Scan(&c.Name, &c.Provider, &c.Parked, &parked, &c.ParkedClass, &c.ParkedReason, &c.FeedPosition, &read)
	if parked != nil {
		c.ParkedAt = *parked
	}
	if read != nil {
		c.FeedReadAt = *read
	}
	return c, err
}

// Connections lists what is known of all connections, by name.
func (s *Store) Connections(ctx context.Context) ([]Connection, error) {
	rows, err := s.pool.Query(ctx, selectConnections+` ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanConnection)
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	return all, nil
}

// ConnectionByName is one connection, or ErrNotFound.
func (s *Store) ConnectionByName(ctx context.Context, name string) (Connection, error) {
	rows, err := s.pool.Query(ctx, selectConnections+` WHERE name = $1`, name)
	if err != nil {
		return Connection{}, fmt.Errorf("load connection %s: %w", name, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConnection)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("load connection %s: %w", name, err)
	}
	return c, nil
}
