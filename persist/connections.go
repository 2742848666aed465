package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Connection is what the database knows of a configured connection: whether it may be used.
type Connection struct {
	Name         string
	Provider     string
	Parked       bool
	ParkedAt     time.Time
	ParkedClass  string
	ParkedReason string
	FeedPosition string
	FeedReadAt   time.Time // zero: the feed was never read
	// ParkedFor says for which credentials alone it is parked; empty: for all. See For.
	ParkedFor string
	// Refused are the credentials that are parked by themselves, the latest first. See For.
	Refused []CredentialPark
}

// CredentialPark says that no call is made with certain credentials, because the provider has refused them.
type CredentialPark struct {
	Credentials string    `json:"credentials"` // their fingerprint
	At          time.Time `json:"at"`
	Class       string    `json:"class"`
	Reason      string    `json:"reason"`
}

// For is the connection as it is for who has these credentials: parked as a whole, or for them alone.
func (c Connection) For(credentials string) Connection {
	for _, p := range c.Refused {
		if p.Credentials == credentials && !c.Parked {
			c.Parked, c.ParkedFor = true, credentials
			c.ParkedAt, c.ParkedClass, c.ParkedReason = p.At, p.Class, p.Reason
		}
	}
	return c
}

const connectionColumns = `name, provider, state = 'parked', parked_at, coalesce(parked_class, ''),
	coalesce(parked_reason, ''), feed_position, feed_read_at, (SELECT coalesce(json_agg(json_build_object(
		'credentials', p.credentials, 'at', p.parked_at, 'class', p.class, 'reason', p.reason) ORDER BY p.parked_at DESC), '[]')
		FROM credential_parks p WHERE p.connection = name)`

func scanConnection(row pgx.CollectableRow) (c Connection, err error) {
	var parked, read *time.Time
	err = row.Scan(&c.Name, &c.Provider, &c.Parked, &parked, &c.ParkedClass, &c.ParkedReason, &c.FeedPosition, &read, &c.Refused)
	c.ParkedAt, c.FeedReadAt = orZero(parked), orZero(read)
	return c, err
}

// UpsertConnection makes the connection known, open, or notes that its provider has another name now. What is parked
// stays parked.
func (s *Store) UpsertConnection(ctx context.Context, name, provider string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO connections AS c (name, provider) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET provider = excluded.provider WHERE c.provider <> excluded.provider`, name, provider)
	if err != nil {
		return fmt.Errorf("make the connection %s known: %w", name, err)
	}
	return nil
}

// ParkConnection forbids every further call over the connection until OpenConnection. first is false if it was parked
// already; then the first reason stays, as it is the one to mend.
func (s *Store) ParkConnection(ctx context.Context, name string, class finance.Class, reason string) (first bool, err error) {
	if reason == "" {
		reason = string(class)
	}
	tag, err := s.pool.Exec(ctx, `UPDATE connections SET state = 'parked', parked_at = clock_timestamp(),
		parked_class = $2, parked_reason = $3 WHERE name = $1 AND state = 'open'`, name, string(class), clean(reason))
	if err != nil {
		return false, fmt.Errorf("park the connection %s: %w", name, err)
	}
	if tag.RowsAffected() == 1 {
		return true, nil
	}
	_, err = s.ConnectionByName(ctx, name)
	return false, err
}

// ParkCredentials forbids every further call over the connection with these credentials, until OpenConnection. Whoever has
// others goes on. first is false if they were parked already; then the first reason stays.
func (s *Store) ParkCredentials(ctx context.Context, name, credentials string, class finance.Class, reason string) (first bool, err error) {
	if reason == "" {
		reason = string(class)
	}
	tag, err := s.pool.Exec(ctx, `INSERT INTO credential_parks (connection, credentials, class, reason)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, name, credentials, string(class), clean(reason))
	if err != nil {
		return false, fmt.Errorf("park the credentials of the connection %s: %w", name, err)
	}
	return tag.RowsAffected() == 1, nil
}

// OpenConnection lets a parked connection be used again, with whatever credentials. The batches that were parked with it
// wake at their time.
func (s *Store) OpenConnection(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, `WITH opened AS (DELETE FROM credential_parks WHERE connection = $1)
		UPDATE connections SET state = 'open', parked_at = NULL, parked_class = NULL, parked_reason = NULL WHERE name = $1`, name)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("open the connection %s: %w", name, err)
	}
	return nil
}

// Connections are all that are known, by name.
func (s *Store) Connections(ctx context.Context) ([]Connection, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+connectionColumns+" FROM connections ORDER BY name")
	return allRows(rows, err, scanConnection, "list the connections")
}

// ConnectionByName is one connection, or ErrNotFound.
func (s *Store) ConnectionByName(ctx context.Context, name string) (Connection, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+connectionColumns+" FROM connections WHERE name = $1", name)
	return oneRow(rows, err, scanConnection, "load the connection "+name)
}
