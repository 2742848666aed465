package jobs_test

import (
	"bytes"
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// remarks are what the processes of a lab have said, the newest of it.
type remarks struct {
	mu    sync.Mutex
	lines [][]byte
}

// mostRemarks is how many lines of it are kept.
const mostRemarks = 100

func (r *remarks) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, bytes.Clone(line))
	if len(r.lines) > mostRemarks {
		r.lines = r.lines[1:]
	}
	return len(line), nil
}

func (r *remarks) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(bytes.Join(r.lines, nil))
}

// logOf is the log of a process: its own, or else the lab's.
func (l *lab) logOf(o nodeOptions) zerolog.Logger {
	if !reflect.ValueOf(o.log).IsZero() {
		return o.log
	}
	return zerolog.New(&l.remarks).With().Timestamp().Logger()
}

// states are the tables that tell why a run goes on or does not.
var states = map[string]string{
	"sessions": `SELECT concat_ws(' ', a.pid, a.application_name, a.state, a.wait_event, 'in a transaction for', now() - a.xact_start,
			'blocked by', pg_blocking_pids(a.pid)::text, left(a.query, 120))
		FROM pg_stat_activity a
		WHERE a.datname = current_database()
		ORDER BY a.pid`,
	"batches": `SELECT concat_ws(' ', b.id, 'of run', b.run_id, b.state, 'fence', b.fence, 'held by', b.holder, 'wakes in', b.wake_at - now(),
			b.park_reason)
		FROM batches b
		ORDER BY b.id DESC
		LIMIT 20`,
	"workers": `SELECT concat_ws(' ', w.id, 'expires in', w.expires_at - now()) FROM workers w`,
	"wake-ups": `SELECT concat_ws(' ', j.id, j.kind, j.state, j.queue, 'in', j.scheduled_at - now(), j.args)
		FROM river_job j
		ORDER BY j.id DESC
		LIMIT 20`,
}

// tellState logs what the processes have said, and how the tables stand.
func (l *lab) tellState() {
	l.Helper()
	l.Logf("the processes have said:\n%s", &l.remarks)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.Context()), 10*time.Second)
	defer cancel()
	for what, sql := range states {
		rows, err := l.db.Pool.Query(ctx, sql)
		if err != nil {
			l.Logf("%s: %v", what, err)
			continue
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				l.Logf("%s: %v", what, err)
			}
			l.Logf("%s: %s", what, line)
		}
		if err := rows.Err(); err != nil {
			l.Logf("%s: %v", what, err)
		}
	}
}
