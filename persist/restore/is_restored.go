package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncer/persist/pg"
)

// State says of a database whether it is a restored copy.
type State struct {
	Restored bool
	Since    time.Time // when that was noticed
	Why      string
	News     bool // it was noticed by this look
}

// facts are what a database remembers and what it is.
type facts struct {
	System, Database, Table *int64 // remembered; nil: not known
	LastXID                 int64  // remembered
	RestoredAt              *time.Time
	Reason                  *string
	IsDatabase, IsTable     int64
	NextXID                 int64 // all that are below have begun
	Beaten                  int64 // the newest heartbeat of any process
	Mine                    int64 // that of this process
	MayAsk                  bool  // for the system's identifier
	Stale                   bool  // what is remembered is an hour old
	Standby                 bool  // nothing can be noted here
	isSystem                int64 // 0: it may not be asked for
}

// lookAt needs no right but to read the tables. Which transactions have begun is told by a snapshot, without beginning one.
const lookAt = `SELECT i.system_id,
		i.database_id,
		i.table_id,
		i.last_xid,
		i.restored_at,
		i.restored_reason,
		(SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database()),
		i.tableoid::bigint,
		pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		coalesce((SELECT max(w.seen_xid) FROM workers w), 0),
		coalesce((SELECT w.seen_xid FROM workers w WHERE w.id = @worker), 0),
		coalesce(has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE'), false),
		i.known_at < clock_timestamp() - interval '1 hour',
		pg_is_in_recovery()
	FROM identity i`

// Look finds out whether the database is still the one that its processes have worked on, and notes it where it is not.
// The first who looks notes which one it is. Nothing is noted by a role that may not write.
//
// A later timeline of Postgres alone says nothing: after a failover all that was committed is there. That it is not is
// told by a heartbeat of this process that the database had, and has no more.
func (s *Store) Look(ctx context.Context) (State, error) {
	s.mu.Lock() // a look that overtook another would find a newer heartbeat than that
	defer s.mu.Unlock()
	f, err := s.facts(ctx)
	if told, ok := errors.AsType[*pgconn.PgError](err); ok && told.Code == "42P01" {
		return State{}, nil // whoever only looks may do so into a database of an older version, which has no such table
	}
	if err != nil {
		return State{}, fmt.Errorf("look whether the database is a restored copy: %w", err)
	}
	if f.RestoredAt != nil {
		s.seen = 0
		return State{Restored: true, Since: *f.RestoredAt, Why: pg.OrZero(f.Reason)}, nil
	}
	s.seen = max(s.seen, f.Mine)
	why := f.restored(s.seen)
	switch {
	case why != "":
		if err := s.note(ctx, f, why); err != nil {
			return State{}, err // what this process has seen stays, so the next look finds it again
		}
		s.seen = 0
		return State{Restored: true, Since: time.Now(), Why: why, News: true}, nil
	case f.Standby:
		return State{}, nil
	case f.Database == nil, f.Stale, f.System == nil && f.isSystem != 0:
		return State{}, notAllowed(s.learn(ctx, f))
	}
	return State{}, nil
}

func (s *Store) facts(ctx context.Context) (facts, error) {
	rows, err := s.db.Query(ctx, lookAt, pgx.NamedArgs{"worker": s.db.Worker.ID})
	var f facts
	if err == nil {
		f, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (f facts, err error) {
			err = row.Scan(&f.System, &f.Database, &f.Table, &f.LastXID, &f.RestoredAt, &f.Reason, &f.IsDatabase, &f.IsTable,
				&f.NextXID, &f.Beaten, &f.Mine, &f.MayAsk, &f.Stale, &f.Standby)
			return f, err
		})
	}
	if err != nil || !f.MayAsk {
		return f, err
	}
	err = s.db.QueryRow(ctx, "SELECT system_identifier FROM pg_control_system()").Scan(&f.isSystem)
	return f, err
}

// restored says why the database is taken for a restored copy; empty: it is not. seen is the newest heartbeat of this
// process that was found in it.
func (f facts) restored(seen int64) string {
	switch {
	case f.System != nil && f.isSystem != 0 && *f.System != f.isSystem:
		return "it is in another cluster of Postgres than before"
	case f.Database != nil && *f.Database != f.IsDatabase:
		return "it is another database than before"
	case f.Table != nil && *f.Table != f.IsTable:
		return "its tables were made anew"
	case max(f.LastXID, f.Beaten, seen) >= f.NextXID:
		return "it has come to fewer transactions than before"
	case f.Mine != 0 && f.Mine < seen:
		return "what a process had committed is not there any more"
	}
	return ""
}

// note writes down that the database is a restored copy, and has every call that is about to be sent asked for again. Who only
// looks need not be able to. A process that works must be, since nothing stops the calls otherwise.
func (s *Store) note(ctx context.Context, f facts, why string) error {
	works := f.Mine != 0 || s.seen != 0
	if f.Standby && !works {
		return nil
	}
	_, err := s.db.Exec(ctx, `WITH noted AS (
			UPDATE identity
			SET restored_at = clock_timestamp(), restored_reason = @why
			WHERE restored_at IS NULL
			RETURNING only_row
		)
		SELECT pg_notify('syncer_changes', c.name)
		FROM noted, connections c`, pgx.NamedArgs{"why": why})
	if !works {
		err = notAllowed(err)
	}
	if err != nil {
		return fmt.Errorf("note in the table identity that the database is a restored copy (%s): %w", why, err)
	}
	return nil
}

// know is what a database is, as it remembers it from now on.
const know = `UPDATE identity i
	SET system_id = coalesce(@system, CASE WHEN @same THEN i.system_id END),
		database_id = @database,
		table_id = i.tableoid::bigint,
		last_xid = @xid,
		known_at = clock_timestamp()`

func (f facts) args() pgx.NamedArgs {
	return pgx.NamedArgs{"system": pg.NullInt(f.isSystem), "database": f.IsDatabase, "xid": f.NextXID - 1}
}

// learn notes which database this is, unless it is noted meanwhile that it is a copy.
func (s *Store) learn(ctx context.Context, f facts) error {
	args := f.args()
	args["xid"] = max(f.Beaten, f.LastXID)
	args["same"] = true
	if _, err := s.db.Exec(ctx, know+" WHERE i.restored_at IS NULL", args); err != nil {
		return fmt.Errorf("note which database this is: %w", err)
	}
	return nil
}

// Accept ends the time in which the database is taken for a restored copy. What had to be done for that has been done.
func (s *Store) Accept(ctx context.Context) error {
	f, err := s.facts(ctx)
	if err != nil {
		return fmt.Errorf("accept the restored database: %w", err)
	}
	args := f.args()
	args["xid"] = 0 // what is remembered is of another database, and so is its cluster
	args["same"] = false
	return s.db.InTx(ctx, "accept the restored database", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, know+", restored_at = NULL, restored_reason = NULL", args); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE workers SET seen_xid = NULL WHERE seen_xid >= @next", pgx.NamedArgs{"next": f.NextXID})
		return err
	})
}

// notAllowed drops the errors of who may only look.
func notAllowed(err error) error {
	told, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (told.Code == "42501" || told.Code == "25006") {
		return nil
	}
	return err
}
