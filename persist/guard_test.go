package persist_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/persist"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/write"
)

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// A server that goes silent without closing its connections ends a statement in time, the connection is closed, those
// of its age are not used again, and the log says why.
func TestSilentDatabaseIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	var log lines
	db := persisttest.NewDatabase(t)
	pool, f := persisttest.Freezable(t, db.URL, pg.Options{StatementTimeout: time.Second, MaxConns: 4, Log: zerolog.New(&log)})
	all := make([]*pgxpool.Conn, 4)
	for i := range all {
		var err error
		all[i], err = pool.Acquire(t.Context())
		must(t, err)
	}
	f.Freeze()
	began := time.Now()
	_, err := all[0].Exec(t.Context(), "SELECT 1")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 15*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if !all[0].Conn().IsClosed() || log.count(`"level":"warn"`) != 1 || log.count("the database is silent") != 1 {
		t.Errorf("closed %v; log %s", all[0].Conn().IsClosed(), &log.buf)
	}
	for _, c := range all {
		c.Release()
	}
	began = time.Now()
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT 1").Scan(&n); err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("the next statement took %v: %v", time.Since(began), err)
	}
}

// A page whose connection goes silent in the middle of its transaction is written over another.
func TestCommitOverASilentConnectionStartsOver(t *testing.T) {
	if testing.Short() {
		t.Skip("waits half a minute for connections that have gone silent")
	}
	t.Parallel()
	for _, step := range []string{"commit.fenced", "commit.cursors", "commit.ready"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			db := persisttest.NewDatabase(t)
			pool, f := persisttest.Freezable(t, db.URL, pg.Options{StatementTimeout: time.Second})
			w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
				if name == step {
					step = ""
					f.Freeze()
				}
			}})
			got := commitAll(t, w, transactionsPage(transactionsStream(7, "acc"), "1", "a", "one"))
			if diff := cmp.Diff([]write.Written{{Inserted: 1}}, got); diff != "" {
				t.Error(diff)
			}
			if n := queryInt(t, db.Pool, "SELECT count(*) FROM calls, transactions, cursors WHERE version = 1"); n != 1 {
				t.Errorf("%d commits are to be seen, want 1", n)
			}
		})
	}
}

// After a failover the connections of the pool lead to a server that has become read-only. The first that says so is
// closed, and so is every other before it is used.
func TestReadOnlyServerIsLeftAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	all := make([]*pgxpool.Conn, 5)
	for i := range all {
		var err error
		all[i], err = h.pool.Acquire(t.Context())
		must(t, err)
		_, err = all[i].Exec(t.Context(), "SET default_transaction_read_only = on")
		must(t, err)
	}
	for _, c := range all {
		c.Release()
	}
	failed := 0
	for range 20 {
		if err := h.Workers.Heartbeat(t.Context(), time.Minute); err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of 20 writes failed, want the first", failed)
	}
}

// The heartbeat has a connection of its own: it neither waits for those of the pool, nor is it lost with them.
func TestHeartbeatsGoOnWhileThePoolIsBusy(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	pool, f := persisttest.Freezable(t, db.URL, pg.Options{MaxConns: 2})
	s := persist.NewStore(pool, nil, pg.Worker{ID: [16]byte{1}, Host: "busy"})
	heartbeats := s.Workers.Heartbeats()
	t.Cleanup(func() { heartbeats.Stop(t.Context()) })
	const lease = 6 * time.Second
	must(t, heartbeats.Beat(t.Context(), lease))
	for range 2 {
		c, err := pool.Acquire(t.Context())
		must(t, err)
		defer c.Release()
	}
	for range 3 {
		must(t, heartbeats.Beat(t.Context(), lease))
	}

	f.Freeze()
	began := time.Now()
	if err := heartbeats.Beat(t.Context(), lease); err == nil || time.Since(began) > lease/2 {
		t.Errorf("the beat over a silent connection took %v: %v", time.Since(began), err)
	}
	must(t, heartbeats.Beat(t.Context(), lease))
	if n := queryInt(t, db.Pool, "SELECT count(*) FROM workers WHERE host = 'busy' AND expires_at > now()"); n != 1 {
		t.Error("the process is taken for dead")
	}
}

// A session that is lost in the middle of a COPY waits for its client's data, and keeps its locks: no timeout of Postgres ends it.
// The next connection does.
func TestASessionThatIsLostInACopyHoldsNothing(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	pool, f := persisttest.Freezable(t, db.URL, pg.Options{StatementTimeout: time.Second})
	if _, err := pool.Exec(t.Context(), "CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	rows := 0
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM held FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	_, err = tx.CopyFrom(t.Context(), pgx.Identifier{"held"}, []string{"id"}, pgx.CopyFromFunc(func() ([]any, error) {
		if rows++; rows == 2 {
			f.Freeze()
		}
		if rows > 2 {
			return nil, nil
		}
		return []any{1 + rows}, nil
	}))
	if err == nil {
		t.Fatal("the copy has ended well over a connection that passes nothing on")
	}
	_ = tx.Rollback(t.Context())
	if _, err := pool.Exec(t.Context(), "UPDATE held SET id = 7 WHERE id = 1"); err != nil {
		t.Errorf("the row is held by a session that nobody has any more: %v", err)
	}
}
