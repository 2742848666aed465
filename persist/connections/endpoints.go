package connections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"syncer/persist/consents"
	"syncer/persist/pg"
)

// Endpoint is where a connection leads. A member that is empty is not known.
type Endpoint struct {
	Provider    string
	Environment string // as the configuration names it
	Origin      string // scheme, host and port of the API; on loopback without the port
}

// String names the endpoint for people: "vipps (test) at https://api.example".
func (e Endpoint) String() string {
	var s strings.Builder
	s.WriteString(e.Provider)
	if e.Environment != "" {
		s.WriteString(" (" + e.Environment + ")")
	}
	if e.Origin != "" {
		s.WriteString(" at " + e.Origin)
	}
	return s.String()
}

// fits says that a connection known to lead to e still does where a configuration names o.
//
// What is not known yet may become known. A provider and an origin that the configuration does not tell are not held against
// it: secrets may be unreadable just now. An environment that was known and is left out is: several may share one address,
// and nobody could tell whose data comes then.
func (e Endpoint) fits(o Endpoint) bool {
	either := func(a, b string) bool { return a == "" || b == "" || a == b }
	sameEnvironment := e.Environment == "" || e.Environment == o.Environment
	return sameEnvironment && either(e.Provider, o.Provider) && either(e.Origin, o.Origin)
}

// leftOut says that the configuration names no environment, while one was known.
func (e Endpoint) leftOut(o Endpoint) bool { return e.Environment != "" && o.Environment == "" }

// MovedError says that a connection leads elsewhere than it did, so that its rows and consents may belong to other people.
type MovedError struct {
	Connection string
	Known      Endpoint // where it has led
	Configured Endpoint // where it would lead
}

func (e *MovedError) Error() string {
	if e.Known.leftOut(e.Configured) {
		return fmt.Sprintf("connection %s has no environment in the configuration, and its consents and rows are of %s: nothing "+
			"is called. Write `environment: %s` again, or which one it is now, and say with `syncer connections move %[1]s` what "+
			"happens to them", e.Connection, e.Known, e.Known.Environment)
	}
	return fmt.Sprintf("connection %s leads to %s, and its consents and rows are of %s: nothing is called. Give it another "+
		"name in the configuration, or say with `syncer connections move %[1]s` what happens to them",
		e.Connection, e.Configured, e.Known)
}

// Use makes the connection known, open, or adds what was not known of its endpoint. One that leads elsewhere is
// a *[MovedError], and stays as it is. What is parked stays parked.
func (s *Store) Use(ctx context.Context, name string, at Endpoint) error {
	_, err := s.db.Exec(ctx, `INSERT INTO connections (name, provider, environment, origin)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, name, at.Provider, at.Environment, at.Origin)
	if err != nil {
		return fmt.Errorf("make the connection %s known: %w", name, err)
	}
	if err := s.CheckEndpoint(ctx, name, at); err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `UPDATE connections SET
			environment = coalesce(nullif(environment, ''), $2),
			origin = coalesce(nullif(origin, ''), $3)
		WHERE name = $1
			AND (environment = '' AND $2 <> '' OR origin = '' AND $3 <> '')`, name, at.Environment, at.Origin)
	if err != nil {
		return fmt.Errorf("note where the connection %s leads: %w", name, err)
	}
	return nil
}

// CheckEndpoint is a *[MovedError] if the connection is known to lead elsewhere.
func (s *Store) CheckEndpoint(ctx context.Context, name string, at Endpoint) error {
	known, err := s.endpoint(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look where the connection %s leads: %w", name, err)
	}
	if !known.fits(at) {
		return &MovedError{Connection: name, Known: known, Configured: at}
	}
	return nil
}

func (s *Store) endpoint(ctx context.Context, name string) (e Endpoint, err error) {
	err = s.db.QueryRow(ctx, `SELECT provider, environment, origin
		FROM connections
		WHERE name = $1`, name).Scan(&e.Provider, &e.Environment, &e.Origin)
	return e, err
}

// ErrNoEnvironment says that a connection is to lead to an environment that is not named, while its present one is: every
// one would pass for it later.
var ErrNoEnvironment = errors.New("the environment is left out")

// ErrNotMoved says that a connection leads where it did, so that there is nothing to move.
var ErrNotMoved = errors.New("it leads where it did")

// Moved is what the move of a connection has changed.
type Moved struct {
	From    Endpoint
	Ended   int // consents
	Kept    int // active consents that go on at the new endpoint
	Batches int // that were being worked: their workers send nothing more
}

// Move says that a connection leads elsewhere from now on. It holds at once: whoever works one of its batches
// loses it, and only a process that leads there too claims it. With end, its consents end, since they are of another
// environment, and the position of its feed is forgotten; without it, they, their rows and positions go on.
func (s *Store) Move(ctx context.Context, name string, to Endpoint, end bool, reason string) (Moved, error) {
	var m Moved
	err := s.db.InTx(ctx, "move the connection "+name, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT provider, environment, origin
			FROM connections
			WHERE name = $1
			FOR UPDATE`, name).Scan(&m.From.Provider, &m.From.Environment, &m.From.Origin)
		if errors.Is(err, pgx.ErrNoRows) {
			return pg.ErrNotFound
		}
		if err != nil {
			return err
		}
		if m.From == to {
			return ErrNotMoved
		}
		if m.From.leftOut(to) {
			return ErrNoEnvironment
		}
		_, err = tx.Exec(ctx, `UPDATE connections SET
				provider = $2,
				environment = $3,
				origin = $4,
				feed_position = CASE WHEN $5 THEN '' ELSE feed_position END,
				feed_read_at = CASE WHEN $5 THEN NULL ELSE feed_read_at END
			WHERE name = $1`, name, to.Provider, to.Environment, to.Origin, end)
		if err != nil {
			return err
		}
		if m.Batches, err = takeFromWorkers(ctx, tx, name); err != nil {
			return err
		}
		if end {
			if m.Ended, err = consents.EndAll(ctx, tx, name, reason); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT count(*)
			FROM consents
			WHERE connection = $1 AND status IN ('active', 'suspected')`, name).Scan(&m.Kept)
	})
	return m, err
}

// takeFromWorkers takes the batches of a connection from those who work them: their fence lets no further call pass.
func takeFromWorkers(ctx context.Context, tx pgx.Tx, connection string) (int, error) {
	tag, err := tx.Exec(ctx, `UPDATE batches b SET
			fence = b.fence + 1,
			state = 'pending',
			holder = NULL,
			wake_at = clock_timestamp()
		FROM runs r
		WHERE r.id = b.run_id
			AND r.connection = $1
			AND b.state = 'working'`, connection)
	return int(tag.RowsAffected()), err
}
