package connections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
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

// ByOperator says that an operator has parked the connection as a whole, so that nobody calls at all: no answer of a provider
// parks one with this class.
func (c Connection) ByOperator() bool {
	return c.Parked && c.ParkedFor == "" && c.ParkedClass == string(finance.Refused)
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
			c.Parked = true
			c.ParkedFor = credentials
			c.ParkedAt = p.At
			c.ParkedClass = p.Class
			c.ParkedReason = p.Reason
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
	c.ParkedAt = pg.OrZero(parked)
	c.FeedReadAt = pg.OrZero(read)
	return c, err
}

// Park forbids every further call over the connection until OpenConnection. first is false if it was parked
// already; then the first reason stays, as it is the one to mend.
func (s *Store) Park(ctx context.Context, name string, class finance.Class, reason string) (first bool, err error) {
	if reason == "" {
		reason = string(class)
	}
	tag, err := s.db.Exec(ctx, `UPDATE connections SET state = 'parked', parked_at = clock_timestamp(),
		parked_class = $2, parked_reason = $3 WHERE name = $1 AND state = 'open'`, name, string(class), pg.Clean(reason))
	if err != nil {
		return false, fmt.Errorf("park the connection %s: %w", name, err)
	}
	if tag.RowsAffected() == 1 {
		return true, nil
	}
	_, err = s.ByName(ctx, name)
	return false, err
}

// ParkCredentials forbids every further call over the connection with these credentials, until OpenConnection. Whoever has
// others goes on. first is false if they were parked already; then the first reason stays.
func (s *Store) ParkCredentials(ctx context.Context, name, credentials string, class finance.Class, reason string) (first bool, err error) {
	if reason == "" {
		reason = string(class)
	}
	tag, err := s.db.Exec(ctx, `INSERT INTO credential_parks (connection, credentials, class, reason)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, name, credentials, string(class), pg.Clean(reason))
	if err != nil {
		return false, fmt.Errorf("park the credentials of the connection %s: %w", name, err)
	}
	return tag.RowsAffected() == 1, nil
}

// Open lets a parked connection be used again, with whatever credentials. The batches that were parked with it
// wake at their time. What was refused until now speaks against it no longer.
func (s *Store) Open(ctx context.Context, name string) error {
	tag, err := s.db.Exec(ctx, `WITH opened AS (DELETE FROM credential_parks WHERE connection = $1)
		UPDATE connections SET state = 'open', parked_at = NULL, parked_class = NULL, parked_reason = NULL,
			opened_at = clock_timestamp() WHERE name = $1`, name)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("open the connection %s: %w", name, err)
	}
	return nil
}

// List are all that are known, by name.
func (s *Store) List(ctx context.Context) ([]Connection, error) {
	rows, err := s.db.Query(ctx, "SELECT "+connectionColumns+" FROM connections ORDER BY name")
	return pg.AllRows(rows, err, scanConnection, "list the connections")
}

// ByName is one connection, or ErrNotFound.
func (s *Store) ByName(ctx context.Context, name string) (Connection, error) {
	return Load(ctx, s.db, name)
}

// Load is one connection, or ErrNotFound.
func Load(ctx context.Context, q pg.Querier, name string) (Connection, error) {
	rows, err := q.Query(ctx, "SELECT "+connectionColumns+" FROM connections WHERE name = $1", name)
	return pg.OneRow(rows, err, scanConnection, "load the connection "+name)
}
