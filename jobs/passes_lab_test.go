package jobs_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/rest"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/admit"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/seal"
	"syncer/persist/write"
)

// shared is what all providers of the model share: a database, and one process that works.
type shared struct {
	testing.TB
	pool      *pgxpool.Pool
	sealer    *seal.Sealer
	store     *persist.Store
	writer    *write.Writer
	committer *write.Committer
	step      func(string)
	providers int
}

// newShared opens it inside of a bubble, whose clock its connections must survive.
func newShared(t testing.TB, config *pgxpool.Config) (*shared, func()) {
	h := &shared{TB: t, step: func(string) {}}
	const ever = 1_000_000 * time.Hour
	config.MaxConnLifetime, config.MaxConnIdleTime, config.HealthCheckPeriod = ever, ever, ever
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	h.must(err)
	h.pool = pool
	keys, err := seal.NewKeyset()
	h.must(err)
	h.sealer, err = seal.OpenSealer(keys)
	h.must(err)
	h.store = persist.NewStore(pool, h.sealer, pg.Worker{ID: uuid.New(), Host: "test"})
	h.must(h.store.Workers.Heartbeat(t.Context(), 1000*time.Hour))
	h.writer = write.NewWriter(pool, h.sealer, write.WriterOptions{Step: func(s string) { h.step(s) }})
	life, end := context.WithCancel(t.Context())
	h.committer = write.StartCommitter(life, h.writer, 0)
	return h, func() {
		end()
		h.committer.Wait()
		pool.Close()
	}
}

// must ends the check: a Fatal would end a goroutine that others wait for.
func (h *shared) must(err error) {
	if err != nil {
		panic(err)
	}
}

// quickPauses is the store, whose pauses are over by the database's clock at once: the process waits for them by its own.
type quickPauses struct {
	*admit.Store
	pool *pgxpool.Pool
}

func (l quickPauses) Pause(ctx context.Context, p calls.Pause) (time.Duration, error) {
	closed, err := l.Store.Pause(ctx, p)
	if err != nil {
		return 0, err
	}
	_, err = l.pool.Exec(ctx, `UPDATE gates SET not_before = now(), next_slot = now()
		WHERE bucket = $1`, p.Bucket)
	return closed, err
}

// reader is the process that reads one provider of the model, night after night.
type reader struct {
	*shared
	book    *bookkeeper
	engine  *jobs.Engine
	name    string
	consent int64
	kill    *killPoint
	killed  bool
	before  int // pages of the run that were committed before the present claim
	pages   int // decoded by it
	run     int64
	batch   int64
	began   int      // the provider's time when the pass that goes on, or the last one, began
	earlier int      // the same of the pass before
	passes  [][2]int // from the beginning of each pass to where the next one begins
	oneGo   bool     // the last reading began at the beginning of a pass
	stop    func()
}

// killPoint is where a worker dies: before it hands in the nth page, or before it decides an item.
type killPoint struct {
	step string
	nth  int
	days int // that pass before another one takes the batch
}

func (h *shared) read(book *bookkeeper) *reader {
	h.providers++
	r := &reader{shared: h, book: book, name: fmt.Sprintf("model%d", h.providers)}
	h.must(h.store.Connections.Use(h.Context(), r.name, connections.Endpoint{Provider: "rest"}))
	_, err := h.store.Consents.Import(h.Context(), r.name, []consents.Import{{ExternalID: "c"}})
	h.must(err)
	consent, err := h.store.Consents.ByExternalID(h.Context(), r.name, "c")
	h.must(err)
	r.consent = consent.ID

	pipe := fetchtest.NewPipe()
	server := &http.Server{Handler: book}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(pipe)
	}()
	dir := h.TempDir()
	h.must(os.WriteFile(filepath.Join(dir, "model.yaml"), []byte(book.description()), 0o600))
	provider := rest.Provider()
	c := fetch.Connection{Name: r.name, Provider: provider.Name, BaseURL: "http://api.example/v1", Dir: dir,
		Settings: &rest.Settings{Description: "model.yaml"}}
	driver, err := provider.Open(c)
	h.must(err)
	l := quickPauses{h.store.Admit, h.pool}
	client, err := fetch.NewClient(fetch.Options{
		Connection: c, Driver: driver, Concurrency: 1, AllowPrivate: true,
		Timeout: 10 * time.Second, MaxWait: 20 * time.Second,
		Retry: fetch.Retry{Attempts: 2, Base: time.Millisecond, Cap: 5 * time.Millisecond, Budget: time.Minute},
		Calls: l, Once: h.store.Admit, Tokens: h.store.Tokens, Log: zerolog.Nop(), Dial: pipe.Dial,
	})
	h.must(err)
	r.stop = func() {
		client.CloseIdle()
		_ = server.Close()
		<-served
	}
	dataset := finance.Debts
	if book.dated {
		dataset = finance.Transactions
	}
	r.engine, err = jobs.New(jobs.Options{
		Store: h.store, Pages: h.writer, Committer: h.committer, Pool: h.pool, Log: zerolog.Nop(), Step: r.step,
		Connections: []*jobs.Connection{{
			Name: r.name, Endpoint: connections.Endpoint{Provider: provider.Name}, Connector: &onlooker{client.Connector(), r}, Concurrency: 1, Keep: time.Hour,
		}},
		Jobs: []jobs.Job{{
			Name: r.name, Connection: r.name, Datasets: []finance.Dataset{dataset}, Zone: time.UTC, BatchSize: 1,
			History: historyDays, Lookback: lookbackDays,
		}},
	})
	h.must(err)
	return r
}

const (
	historyDays  = 30
	lookbackDays = 5
)

// step kills the worker where it is to die: another one takes the batch, and nothing more of it is written. All pages
// before are committed by then, or the model would not know which.
func (r *reader) step(name string) {
	n := 0
	switch name {
	case "page.decoded":
		r.pages++
		n = r.pages
	case "item.deciding":
		n = 1
	default:
		return
	}
	if k := r.kill; k == nil || k.step != name || k.nth != n {
		return
	}
	if name == "page.decoded" {
		r.wait(r.before + r.pages - 1)
	}
	r.killed = true
	_, err := r.pool.Exec(r.Context(), `UPDATE batches SET fence = fence + 1, state = 'pending', holder = NULL,
		wake_at = clock_timestamp() WHERE id = $1`, r.batch)
	r.must(err)
}

// wait waits until so many pages of the run are committed.
func (r *reader) wait(pages int) {
	r.Helper()
	for range 10_000 {
		if len(r.committed()) >= pages {
			return
		}
		time.Sleep(time.Millisecond)
	}
	r.must(fmt.Errorf("%d pages of run %d are committed, and %d were handed in", len(r.committed()), r.run, pages))
}

// committed are the calls of the run whose pages are stored.
func (r *reader) committed() []string {
	r.Helper()
	rows, err := r.pool.Query(r.Context(), "SELECT id::text FROM calls WHERE run_id = $1 AND class = 'ok'", r.run)
	r.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	r.must(err)
	return ids
}

// onlooker is the connector, with the model looking on: when does a pass begin?
type onlooker struct {
	fetch.Connector
	r *reader
}

func (w *onlooker) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	w.r.book.mu.Lock() // an answer that nobody waited for may still be on its way out
	defer w.r.book.mu.Unlock()
	if !strings.Contains(from, `"pass"`) {
		w.r.earlier = w.r.began
		w.r.began = w.r.book.now
		w.r.passes = append(w.r.passes, [2]int{w.r.began, w.r.began})
		w.r.oneGo = true
	} else {
		w.r.oneGo = false
	}
	return w.Connector.Pages(ctx, s, from)
}

// night is one run of the model's job, from its planning to its verdict.
type night struct {
	between []change // before it
	script  []callTurn
	kills   []killPoint
}

// outcome is what came of a night.
type outcome struct {
	verdict queue.Verdict
	reasons []string
	midPass bool // at its end
	stale   bool // it went on with the pass of an earlier run
	broken  bool // its worker was killed, or it was parked
	oneGo   bool // its pass was read in one go
	quiet   bool // nothing was amiss in it
	began   int  // the provider's time when it began
	ended   int
	passed  int // the provider's time when the pass that it ended had begun
	looked  int // the same of the pass before that one
}

// spend makes a night's run.
func (r *reader) spend(n night) outcome {
	r.Helper()
	ctx := r.Context()
	b := r.book
	r.tomorrow()
	b.mu.Lock()
	for _, c := range n.between {
		b.change(c)
	}
	b.script = n.script
	b.faults = 0
	out := outcome{began: b.now}
	b.mu.Unlock()
	out.stale = r.midPass()

	job, err := r.engine.Job(r.name)
	r.must(err)
	run, _, err := r.engine.Fire(ctx, job, queue.Manual, time.Now())
	r.must(err)
	r.run = run.ID
	r.must(r.pool.QueryRow(ctx, "SELECT id FROM batches WHERE run_id = $1", r.run).Scan(&r.batch))
	kills := n.kills
	for claims := 0; ; claims++ {
		if claims > 60 {
			r.must(fmt.Errorf("run %d has no end", r.run))
		}
		r.before, r.pages, r.kill, r.killed = len(r.committed()), 0, nil, false
		if len(kills) > 0 {
			r.kill = &kills[0]
		}
		b.mu.Lock()
		b.claim++
		b.mu.Unlock()
		r.must(r.engine.Work(ctx, r.batch))
		if r.killed {
			for range r.kill.days {
				r.tomorrow()
			}
			kills = kills[1:]
			out.broken = true
		}
		if r.rest() {
			break
		}
		out.broken = out.broken || !r.killed
	}
	r.must(r.pool.QueryRow(ctx, "SELECT verdict FROM runs WHERE id = $1", r.run).Scan(&out.verdict))
	rows, err := r.pool.Query(ctx, `SELECT i.outcome || ' ' || coalesce(i.class, '') || ' ' || coalesce(i.reason, '')
		FROM batches b JOIN items i ON i.batch_id = b.id WHERE b.run_id = $1`, r.run)
	r.must(err)
	out.reasons, err = pgx.CollectRows(rows, pgx.RowTo[string])
	r.must(err)
	out.midPass = r.midPass()
	stored := map[string]bool{}
	for _, id := range r.committed() {
		stored[id] = true
	}
	b.mu.Lock() // an answer that nobody waited for may still be on its way out
	defer b.mu.Unlock()
	for i := range b.shown {
		if stored[b.shown[i].call] {
			b.shown[i].stored = true
		}
	}
	b.now++
	out.ended = b.now
	out.passed = r.began
	out.looked = r.earlier
	if len(r.passes) > 0 {
		r.passes[len(r.passes)-1][1] = b.now
	}
	out.oneGo = r.oneGo && !out.broken
	out.quiet = !out.stale && !out.broken && b.faults == 0 && !between(b.moves, out.began, out.ended)
	return out
}

// tomorrow lets the night pass.
func (r *reader) tomorrow() {
	time.Sleep(24 * time.Hour)
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	r.book.night++
	r.book.today = finance.DateOf(time.Now().UTC())
}

// rest waits until the batch may be claimed again; true: it is done.
func (r *reader) rest() bool {
	r.Helper()
	var state string
	var wait float64
	r.must(r.pool.QueryRow(r.Context(), `SELECT state, extract(epoch FROM wake_at - clock_timestamp())::float8
		FROM batches WHERE id = $1`, r.batch).Scan(&state, &wait))
	if state == "done" {
		return true
	}
	if wait > 0 {
		time.Sleep(time.Duration(wait * float64(time.Second)))
	}
	_, err := r.pool.Exec(r.Context(), "UPDATE batches SET wake_at = clock_timestamp() WHERE id = $1", r.batch)
	r.must(err)
	return false
}

// midPass says whether the stream's last pass has not come to its end.
func (r *reader) midPass() (mid bool) {
	r.Helper()
	const sql = "SELECT coalesce(bool_or(mid_pass), false) FROM cursors WHERE consent_id = $1"
	r.must(r.pool.QueryRow(r.Context(), sql, r.consent).Scan(&mid))
	return mid
}

// row is what the tables hold of a record.
type row struct {
	id, group string
	amount    int
	removed   bool
}

// rows are those of the provider.
func (r *reader) rows() (rows []row) {
	r.Helper()
	sql := `SELECT debt_id, creditor || ' ', balance::int, removed_at IS NOT NULL
		FROM debts WHERE consent_id = $1`
	if r.book.dated {
		sql = `SELECT transaction_id, text || ' ' || booked_on, amount::int, removed_at IS NOT NULL
			FROM transactions WHERE consent_id = $1`
	}
	got, err := r.pool.Query(r.Context(), sql, r.consent)
	r.must(err)
	var one row
	_, err = pgx.ForEachRow(got, []any{&one.id, &one.group, &one.amount, &one.removed}, func() error {
		rows = append(rows, one)
		return nil
	})
	r.must(err)
	return rows
}
