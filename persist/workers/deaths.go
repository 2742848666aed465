package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Deaths finds the processes that have died before their leases end: the kernel closes the database sessions
// of one that is killed, while one that is frozen, or cut off, keeps them. It belongs to one goroutine.
type Deaths struct {
	store   *Store
	without map[[16]byte]time.Time // who had no session at the last look, and the end of the lease then
}

// Deaths makes one, which has not looked yet.
func (s *Store) Deaths() *Deaths { return &Deaths{store: s, without: map[[16]byte]time.Time{}} }

// Dead is a process whose lease has been ended.
type Dead struct {
	Host string
	PID  int
}

// Of a process whose sessions do not bear its name, such as behind a pooler that gives them another, nothing
// is concluded.
const withoutSession = `SELECT w.id, w.expires_at
	FROM workers w
	WHERE w.expires_at > clock_timestamp()
	AND w.sessions_named
	AND w.id <> $1
	AND NOT EXISTS (
		SELECT FROM pg_stat_activity a
		WHERE a.datname = current_database()
		AND a.application_name = 'syncer/' || w.id
	)`

// Whoever was heard of in between has another end of the lease.
const endLease = `UPDATE workers w
	SET expires_at = clock_timestamp()
	FROM unnest($1::uuid[], $2::timestamptz[]) AS dead (id, expires_at)
	WHERE w.id = dead.id
	AND w.expires_at = dead.expires_at
	RETURNING w.host, w.pid`

// Look ends the lease of every process that had no session at the last look, has none now, and was not heard
// of in between: its batches are free then. Looks have to be some seconds apart. After a restart of Postgres
// nobody has a session for a moment.
//
// One that lives all the same has lost its batches, as after a heartbeat that came too late: what it writes is
// fenced off.
func (d *Deaths) Look(ctx context.Context) ([]Dead, error) {
	rows, err := d.store.db.Query(ctx, withoutSession, d.store.db.Worker.ID)
	var id [16]byte
	var until time.Time
	now := map[[16]byte]time.Time{}
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&id, &until}, func() error {
			now[id] = until
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look for processes that have died: %w", err)
	}
	var ids [][16]byte
	var leases []time.Time
	for id, until := range now {
		if was, missing := d.without[id]; missing && was.Equal(until) {
			ids = append(ids, id)
			leases = append(leases, until)
		}
	}
	d.without = now
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err = d.store.db.Query(ctx, endLease, ids, leases)
	return pg.AllRows(rows, err, pgx.RowToStructByPos[Dead], "end the leases of processes that have died")
}
