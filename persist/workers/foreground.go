package workers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A parked run may wait for days, and cron starts another process for it every night. Each would take
// all the connections of its pool. So one process works a job in the foreground, which a lock of its
// session says, and the others wait.

const lockJob = `SELECT pg_try_advisory_lock(lock_key('run ' || $1))`

// cutSilentRunner ends the session of a process that holds the lock and has not been heard of for its
// lease: it is frozen, and its lock would be held for as long as it sleeps.
const cutSilentRunner = `SELECT count(pg_terminate_backend(a.pid))
	FROM pg_locks l
	JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
	JOIN workers w ON a.application_name = 'syncer/' || w.id AND w.expires_at <= clock_timestamp()
	WHERE l.locktype = 'advisory'
	AND l.granted
	AND l.objsubid = 1
	AND (l.classid::bigint << 32) | l.objid::bigint = lock_key('run ' || $1)`

// JobLock is what came of asking for the lock of a job.
type JobLock struct {
	Mine     bool   // this process works the job in the foreground now
	GiveBack func() // never nil
	Settled  bool   // all runs that were asked about have their verdicts; only told where the lock is another's
}

// settledRuns says whether all of the runs have their verdicts.
const settledRuns = `SELECT count(*) = 0 FROM runs WHERE id = ANY ($1) AND verdict IS NULL`

// LockJob makes this process the one that works a job in the foreground, until it gives the lock back
// or dies. Where another living process is that, it says whether the runs have their verdicts. It takes
// one connection, whatever the pool may have, so it can be asked again and again.
func (s *Store) LockJob(ctx context.Context, job string, runs ...int64) (JobLock, error) {
	lock := JobLock{GiveBack: func() {}}
	conn, err := s.db.Whole.Acquire(ctx)
	if err != nil {
		return lock, fmt.Errorf("ask who works %s: %w", job, err)
	}
	if err = conn.QueryRow(ctx, lockJob, job).Scan(&lock.Mine); err == nil && lock.Mine {
		lock.GiveBack = giveBackOf(ctx, conn.Hijack()) // it is not one of those that the work has
		return lock, nil
	}
	defer conn.Release()
	if err == nil {
		_, err = conn.Exec(ctx, cutSilentRunner, job)
	}
	if err == nil {
		err = conn.QueryRow(ctx, settledRuns, runs).Scan(&lock.Settled)
	}
	if err != nil {
		return lock, fmt.Errorf("ask who works %s: %w", job, err)
	}
	return lock, nil
}

func giveBackOf(ctx context.Context, held *pgx.Conn) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// The end of the session gives the lock back too, a moment later.
		_, _ = held.Exec(ctx, `SELECT pg_advisory_unlock_all()`)
		_ = held.Close(ctx)
	}
}
