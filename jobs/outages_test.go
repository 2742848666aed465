package jobs_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// wire leads to the database, and may be cut: what is open breaks, and nothing new is let through.
type wire struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

// wired is a pool over a wire of its own.
func (l *lab) wired() (*pgxpool.Pool, *wire) {
	l.Helper()
	w := &wire{conns: map[net.Conn]bool{}}
	config := l.db.Pool.Config().Copy()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.down {
			_ = conn.Close()
			return nil, errors.New("the wire is cut")
		}
		w.conns[conn] = true
		return conn, nil
	}
	pool, err := pgxpool.NewWithConfig(l.Context(), config)
	l.must(err)
	l.Cleanup(pool.Close)
	return pool, w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = map[net.Conn]bool{}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

// lapseOf ends the lease of one process.
func (l *lab) lapseOf(n *node) {
	l.Helper()
	_, err := l.db.Pool.Exec(l.Context(), "UPDATE workers SET expires_at = clock_timestamp() WHERE id = $1", n.id)
	l.must(err)
}

// A process that can reach the provider and not the database sends nothing more than what it had been allowed, for as long as
// that lasts; another one takes over what it had and works on, three runs long. When the first one is back it writes nothing of
// what it had, and both go on.
func TestAProcessWithoutItsDatabaseCallsNobody(t *testing.T) {
	t.Parallel()
	const consents, side = 20, 2
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
	l.importNG(consents)
	pool, w := l.wired()
	begun := make(chan struct{})
	var times sync.Once
	waits := make(chan struct{})
	alone := l.start(nodeOptions{pool: pool, batchSize: 10, concurrency: side, step: func(at string) {
		if at == "page.decoded" {
			times.Do(func() {
				close(begun)
				<-waits
			})
		}
	}})
	first := l.fire(alone, debt)
	<-begun
	w.cut()
	close(waits) // it goes on without the database
	l.lapseOf(alone)
	other := l.start(nodeOptions{batchSize: 10, concurrency: side})
	l.settled(other, first)
	for i := range consents {
		if calls := l.calls(i); calls > 2 {
			t.Errorf("consent %d was called for %d times", i, calls)
		}
	}
	if sent := l.dataCalls(consents); sent > consents+2*2*side { // two batches at once, and as much on the wire as in hand
		t.Errorf("%d calls for %d consents", sent, consents)
	}
	for range 3 {
		l.lapseOf(alone)
		before := l.dataCalls(consents)
		if r := l.run(other, debt); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("the other's run: %s %+v", r.Run.Verdict, r.NotComplete)
		}
		if sent := l.dataCalls(consents) - before; sent != consents {
			t.Errorf("%d calls for %d consents while one process has no database", sent, consents)
		}
	}
	rows := l.versions()
	w.mend()
	l.eventually("the process is back", func() bool {
		return l.number("SELECT count(*) FROM workers WHERE expires_at > now()") == 2
	})
	other.stop()
	if now := l.versions(); len(now) != len(rows) {
		t.Errorf("%d versions, and %d after it was back", len(rows), len(now))
	}
	if r := l.run(alone, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("after it was back: %s %+v", r.Run.Verdict, r.NotComplete)
	}
	l.kept()
}

// The providers, the token endpoint and Postgres fail one after the other, in any order, while runs are worked. Nobody's
// consent ends of that, no connection is parked, every run has its verdict, and the first one behind it all is complete.
func TestOutagesInAnyOrder(t *testing.T) {
	t.Parallel()
	const consents = 6
	l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{Customers: 2, Transactions: 20})
	l.importNG(consents)
	l.importBank(2)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	pool, w := l.wired()
	n := l.start(nodeOptions{pool: pool, timeout: time.Second})
	faults := []func() (over func()){
		func() func() {
			return l.fault(sandbox.Rule{Only: "api", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500, Body: "{}"}})
		},
		func() func() { return l.fault(sandbox.Rule{Only: "api", Action: sandbox.Action{Kind: sandbox.Hang}}) },
		func() func() {
			_, err := l.db.Pool.Exec(l.Context(), "DELETE FROM tokens") // a new one has to be asked for
			l.must(err)
			return l.fault(sandbox.Rule{Only: "token", Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 503, Body: "down"}})
		},
		func() func() {
			w.cut()
			return w.mend
		},
		func() func() {
			_, err := l.db.Pool.Exec(l.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			l.must(err)
			return func() {}
		},
	}
	for _, i := range random.Perm(len(faults)) {
		runs := []queue.Run{l.fire(n, debt), l.fire(n, money)}
		over := faults[i]()
		<-time.After(time.Duration(100+random.IntN(300)) * time.Millisecond)
		over()
		for _, run := range runs {
			l.settled(n, run)
		}
	}
	for _, job := range []string{debt, money} {
		if r := l.run(n, job); r.Run.Verdict != queue.VerdictComplete {
			t.Errorf("%s, when all is over: %s %+v", job, r.Run.Verdict, r.NotComplete)
		}
	}
	if ended := l.number("SELECT count(*) FROM consents WHERE status <> 'active'"); ended != 0 {
		t.Errorf("%d consents have ended", ended)
	}
	if parked := l.number("SELECT count(*) FROM connections WHERE state <> 'open'"); parked != 0 {
		t.Errorf("%d connections are parked", parked)
	}
	l.kept()
}
