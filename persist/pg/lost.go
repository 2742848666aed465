package pg

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// lost are the sessions of connections that went silent, by the ids of their server processes. The server may know nothing of the
// silence. One that it took in the middle of a COPY waits for its client's data and keeps its locks, since no timeout of Postgres
// ends that: whoever writes the same rows again would wait until the kernel gives the connection up, for two hours by default.
type lost struct {
	mu   sync.Mutex
	pids []uint32
}

func (l *lost) add(pids ...uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pids = append(l.pids, pids...)
}

// take gives them all, and has none then.
func (l *lost) take() []uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	pids := l.pids
	l.pids = nil
	return pids
}

// terminateLost ends sessions of our own. An id may be another one's by now, if that has our name: it loses a connection then, and
// begins its statement anew.
const terminateLost = `SELECT count(pg_catalog.pg_terminate_backend(a.pid))
	FROM pg_catalog.pg_stat_activity a
	WHERE a.pid = ANY ($1::pg_catalog.int4[])
	AND a.pid <> pg_catalog.pg_backend_pid()
	AND a.usename = current_user
	AND a.application_name = pg_catalog.current_setting('application_name')`

// endLost has the first connection that works again end the sessions of those that did not. What they had not committed is rolled
// back. Where that fails the next connection tries.
func (g *Guard) endLost(ctx context.Context, c *pgx.Conn) {
	pids := g.lost.take()
	if len(pids) == 0 {
		return
	}
	// Not with the caller's limit: he does not ask for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingLimit)
	defer cancel()
	list := make([]int32, len(pids))
	for i, pid := range pids {
		list[i] = int32(pid)
	}
	if _, err := c.Exec(ctx, terminateLost, list); err != nil {
		g.Log.Warn().Err(err).Msg("sessions of connections that went silent could not be ended; it is tried again")
		g.lost.add(pids...)
	}
}
