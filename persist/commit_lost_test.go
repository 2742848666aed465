package persist_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// cutter is a proxy in front of Postgres that cuts the line at a COPY or a COMMIT, as often as it is armed.
type cutter struct {
	mu              sync.Mutex
	network, target string
	copies          int  // cut before the server hears COPY
	before          int  // cut before the server hears COMMIT
	after           int  // let the server commit, swallow its answer, then cut
	down            bool // no new connection
}

var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

func (c *cutter) armed(n *int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *n == 0 {
		return false
	}
	*n--
	return true
}

func (c *cutter) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go c.proxy(client)
	}
}

func (c *cutter) proxy(client net.Conn) {
	defer client.Close()
	c.mu.Lock()
	network, target := c.network, c.target
	c.mu.Unlock()
	server, err := net.Dial(network, target)
	if err != nil {
		return
	}
	defer server.Close()
	var swallow sync.Mutex // held while the answers are thrown away
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if !swallow.TryLock() {
				client.Close() // the answer to COMMIT has arrived, so the server has committed
				return
			}
			_, _ = client.Write(buf[:n])
			swallow.Unlock()
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.HasPrefix(buf[:n], []byte("Q")) && bytes.Contains(buf[:n], []byte("COPY ")) && c.armed(&c.copies) {
			return
		}
		if bytes.Equal(buf[:n], commitMessage) {
			if c.armed(&c.before) {
				return
			}
			if c.armed(&c.after) {
				swallow.Lock()
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// behind is a pool whose connections go through c.
func behind(t *testing.T, db persisttest.Database, c *cutter) *pgxpool.Pool {
	t.Helper()
	config := db.Pool.Config().Copy()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go c.serve(listener)
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.down {
			return nil, errors.New("the line is down")
		}
		if addr != listener.Addr().String() { // which a cancel request dials
			c.network, c.target = network, addr
		}
		return dial(ctx, "tcp", listener.Addr().String())
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// The connection dies at COMMIT, before or after the server has done it: in either case the page is there once, and
// its counts are those of one commit.
func TestCommitSettlesALostCommit(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]struct{ before, after int }{
		"before the server hears it":  {before: 1},
		"twice":                       {before: 2},
		"after the server did it":     {after: 1},
		"first before and then after": {before: 1, after: 1},
	} {
		t.Run(name, func(t *testing.T) {
			db := persisttest.NewDatabase(t)
			c := &cutter{before: cut.before, after: cut.after}
			w := newWriter(behind(t, db, c))
			s := transactionsStream(7, "acc")
			p := transactionsPage(s, "1", "a", "one")
			p.Task.Batch, p.Task.Fence = newBatch(t, db.Pool, s), 1

			got := commitAll(t, w, p)
			if diff := cmp.Diff([]write.Written{{Inserted: 1}}, got); diff != "" {
				t.Error(diff)
			}
			if c.before+c.after > 0 {
				t.Error("the line was not cut")
			}
			for sql, want := range map[string]int64{
				"SELECT count(*) FROM transactions":         1,
				"SELECT count(*) FROM transactions_history": 0,
				"SELECT count(*) FROM calls":                1,
				"SELECT version FROM cursors":               1,
				"SELECT pages FROM items":                   1,
			} {
				if got := queryInt(t, db.Pool, sql); got != want {
					t.Errorf("%s: got %d, want %d", sql, got, want)
				}
			}
		})
	}
}

// The connection dies while rows are encoded for a COPY: pgx gives it up and leaves what reads the rows behind. The next
// attempt, and the caller, then have the records to themselves. The race detector sees whether they have.
func TestACopyThatIsCutOffReadsNoMore(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	c := &cutter{copies: 3}
	w := newWriter(behind(t, db, c))
	s := transactionsStream(7, "acc")
	var idText []string
	for i := range 3000 { // some ten messages of the COPY
		idText = append(idText, strconv.Itoa(i), "a payment")
	}
	p := transactionsPage(s, "1", idText...)
	got := commitAll(t, w, p)
	if diff := cmp.Diff([]write.Written{{Inserted: 3000}}, got); diff != "" || c.copies > 0 {
		t.Error(diff, c.copies)
	}
	if n := queryInt(t, db.Pool, "SELECT count(*) FROM transactions"); n != 3000 {
		t.Errorf("%d rows", n)
	}
}

// When the database can't be asked any more, the caller hears that nothing is certain.
func TestCommitSaysWhenItDoesNotKnow(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	c := &cutter{after: 1}
	w := write.NewWriter(behind(t, db, c), plainArchive{}, write.WriterOptions{Patience: time.Nanosecond,
		Step: func(name string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.down = name == "commit.ready"
		}})
	p := transactionsPage(transactionsStream(7, "acc"), "1", "a", "one")
	results := w.Commit(t.Context(), []write.PageWrite{p})
	if !errors.Is(results[0].Err, write.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", results[0].Err)
	}
}

// A server process that is killed in the middle takes the page with it; the next attempt writes it.
func TestCommitStartsOverWhenItsServerProcessDies(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"commit.fenced", "commit.cursors", "commit.rows", "commit.items", "commit.ready"} {
		t.Run(step, func(t *testing.T) {
			pool := persisttest.New(t)
			killed := false
			w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
				if name != step || killed {
					return
				}
				killed = true
				queryAll(t, pool, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
					WHERE state = 'idle in transaction' AND datname = current_database()`)
			}})
			got := commitAll(t, w, transactionsPage(transactionsStream(7, "acc"), "1", "a", "one"))
			if diff := cmp.Diff([]write.Written{{Inserted: 1}}, got); diff != "" || !killed {
				t.Error(diff, killed)
			}
			if n := queryInt(t, pool, "SELECT count(*) FROM calls, transactions, cursors WHERE version = 1"); n != 1 {
				t.Errorf("%d commits are to be seen, want 1", n)
			}
		})
	}
}

// A call that was committed before its page proves nothing about the page; there the cursor tells.
func TestCommitSettlesALostCommitOfADurableCall(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	w := newWriter(behind(t, db, &cutter{after: 1}))
	p := transactionsPage(transactionsStream(7, "acc"), "1", "a", "one")
	p.Call.Durable = true
	commitAll(t, w, p)
	if n := queryInt(t, db.Pool, "SELECT version FROM cursors"); n != 1 {
		t.Errorf("the page was committed %d times", n)
	}
}

// Another transaction takes the same rows in the opposite order and Postgres picks us as the victim: once more.
func TestCommitStartsOverAfterADeadlock(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	s := transactionsStream(7, "acc")
	batch := newBatch(t, pool, s)
	rival, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lock := func(sql string) error {
		_, err := rival.Exec(t.Context(), sql)
		return err
	}
	commitAll(t, newWriter(pool), transactionsPage(s, "0", "z", "zero"))
	tries, rivals := 0, make(chan error, 1)
	w := write.NewWriter(pool, plainArchive{}, write.WriterOptions{Step: func(name string) {
		if name != "commit.cursors" {
			return
		}
		if tries++; tries > 1 {
			return
		}
		if err := lock("SET LOCAL deadlock_timeout = '1min'; SET LOCAL lock_timeout = 0; UPDATE items SET attempts = 1"); err != nil {
			t.Error(err)
		}
		go func() {
			err := lock("UPDATE cursors SET version = version + 10")
			rivals <- errors.Join(err, rival.Commit(t.Context()))
		}()
	}})
	p := transactionsPage(s, "1", "a", "one")
	p.Task.Batch, p.Task.Fence = batch, 1
	commitAll(t, w, p)
	if err := <-rivals; err != nil || tries != 2 {
		t.Errorf("%d tries; the rival: %v", tries, err)
	}
	if n := queryInt(t, pool, "SELECT version FROM cursors"); n != 12 {
		t.Errorf("version %d, want 12: the rival's 10 and ours", n)
	}
}
