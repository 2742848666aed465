package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/rest"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/seal"
	"syncer/persist/write"
)

// benchConsents is how many consents the benchmark has, each with one small answer.
const benchConsents = 10_000

// BenchmarkConsents is a night of many consents with one small answer each: what is counted is the consent and not the row.
//
//	first      nothing is there
//	unchanged  the same again, by its bytes
//
// It has a whole night's books, as BenchmarkPipeline has. Beside it, in the same run and with as many calls in flight, stand a
// plain download, and a reference that keeps the same books with one transaction for the answers that are at hand, or with one
// each. The rate, where there is one, is too high to bind: what it costs is that a slot is reserved.
//
// of-grouped is consents/s over those of the grouped reference; cpu-of-grouped is the CPU time of syncer and Postgres over theirs.
func BenchmarkConsents(b *testing.B) {
	durableServer(b)
	for _, records := range []int{1, 4} {
		for _, flying := range []int{16, 64} {
			l := newLender(b, records, flying)
			b.Run(fmt.Sprintf("records=%d/flying=%d", records, flying), l.compare)
		}
	}
}

// lender is a provider with one small answer for each consent, in a process of its own, and a Postgres with all that makes it
// durable.
type lender struct {
	*meter
	pool    *pgxpool.Pool
	url     string
	records int // in an answer
	flying  int // calls at once
	store   *persist.Store
	sealer  *seal.Sealer
}

func newLender(b *testing.B, records, flying int) *lender {
	l := &lender{pool: persisttest.New(b), records: records, flying: flying}
	var pid int
	l.url, pid = startBeside(b, lenderEnv+"="+strconv.Itoa(records))
	l.meter = newMeter(b, l.pool, pid)
	keys, err := seal.NewKeyset()
	must(b, err)
	l.sealer, err = seal.OpenSealer(keys)
	must(b, err)
	l.store = persist.NewStore(l.pool, l.sealer, pg.Worker{ID: uuid.New(), Host: "benchmark"})
	must(b, l.store.Connections.Use(b.Context(), lenderName, connections.Endpoint{Provider: "rest"}))
	list := make([]consents.Import, benchConsents)
	for i := range list {
		list[i] = consents.Import{ExternalID: fmt.Sprintf("mandate-%05d", i)}
	}
	_, err = l.store.Consents.Import(b.Context(), lenderName, list)
	must(b, err)
	return l
}

// compare measures all of them, one after the other.
func (l *lender) compare(b *testing.B) {
	download := l.measure(b, func() int { return l.download(b) })
	b.Logf("download            %s", consentsLine(download))
	single := l.reference(b, benchConsents/10, 1)
	b.Logf("reference, single   %s", consentsLine(single.unchanged))
	grouped := l.reference(b, benchConsents, 0)
	for _, rate := range []float64{0, 1e6} {
		name := "free"
		if rate > 0 {
			name = "paced"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got := l.nights(b, rate)
				for _, c := range []struct {
					load      string
					got, than cost
				}{{"first", got.first, grouped.first}, {"unchanged", got.unchanged, grouped.unchanged}} {
					b.Logf("%-9s reference %s", c.load, consentsLine(c.than))
					b.Logf("%-9s syncer    %s", c.load, consentsLine(c.got))
					b.ReportMetric(c.got.rate(), c.load+"-consents/s")
					b.ReportMetric(c.got.rate()/c.than.rate(), c.load+"-of-grouped")
					b.ReportMetric(c.got.cpu()/c.than.cpu(), c.load+"-cpu-of-grouped")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func consentsLine(c cost) string {
	return fmt.Sprintf("%6.0f consents/s; µs a consent: client %4.0f, Postgres %4.0f, provider %3.0f; WAL %5.0f B",
		c.rate(), c.aRow(c.client), c.aRow(c.postgres), c.aRow(c.bank), float64(c.wal)/float64(c.rows))
}

// twice is a first load and the same again.
type twice struct{ first, unchanged cost }

// nights works all consents three times: the second time their pages are remembered, and the third is measured as unchanged.
func (l *lender) nights(b *testing.B, rate float64) (got twice) {
	l.exec(b, `TRUNCATE debts, debts_history, cursors, pages, calls, answers, items, batches, runs CASCADE`)
	life, end := context.WithCancel(context.WithoutCancel(b.Context()))
	engine, stop := l.start(b, life, rate)
	l.exec(b, "CHECKPOINT")
	got.first = l.measure(b, func() int { return l.night(b, engine) })
	l.night(b, engine)
	l.exec(b, "CHECKPOINT")
	got.unchanged = l.measure(b, func() int { return l.night(b, engine) })
	must(b, engine.Stop(life))
	end()
	stop()
	return got
}

func (l *lender) exec(b *testing.B, sql string) {
	b.Helper()
	_, err := l.pool.Exec(b.Context(), sql)
	must(b, err)
}

const lenderName, claims = "lender", "claims"

// start starts an engine over the lender, as the program would with its defaults.
func (l *lender) start(b *testing.B, life context.Context, rate float64) (engine *jobs.Engine, stop func()) {
	driver, conn := l.open(b)
	driver.Rate = rate
	client, err := fetch.NewClient(fetch.Options{Connection: conn, Driver: driver, Concurrency: l.flying, AllowPrivate: true,
		Calls: l.store.Admit, Tokens: l.store.Tokens, Log: zerolog.Nop()})
	must(b, err)
	writer := write.NewWriter(l.pool, l.sealer, write.WriterOptions{})
	committer := write.StartCommitter(life, writer, 0)
	engine, err = jobs.New(jobs.Options{
		Store: l.store, Pages: writer, Committer: committer, Pool: l.pool, Log: zerolog.Nop(), Serve: []string{claims},
		Connections: []*jobs.Connection{{Name: lenderName, Endpoint: connections.Endpoint{Provider: "rest"},
			Connector: client.Connector(), Concurrency: l.flying, Keep: 30 * 24 * time.Hour}},
		Jobs: []jobs.Job{{Name: claims, Connection: lenderName, Datasets: []finance.Dataset{finance.Debts},
			Zone: time.UTC, BatchSize: 500}},
		Batches: 2, Lease: 10 * time.Second, Heartbeat: time.Second, Sweep: time.Second, Drain: time.Second,
	})
	must(b, err)
	go l.store.Admit.Listen(life)
	must(b, engine.Start(life))
	return engine, func() {
		committer.Wait()
		client.CloseIdle()
	}
}

// lenderAPI describes the lender.
const lenderAPI = `
title: Lender
base_url: https://lender.example
token: { url: "https://lender.example/token", dialect: in_params }
check: { path: ping }
datasets:
  debt:
    request: { path: "mandates/{consent}/claims" }
    records: claims
    whole: true
    fields:
      id: claim_id
      creditor: creditor
      kind: kind
      balance: owed
      original_balance: lent
      reported_at: as_of
`

func (l *lender) open(b *testing.B) (fetch.Driver, fetch.Connection) {
	dir := b.TempDir()
	must(b, os.WriteFile(filepath.Join(dir, "lender.yaml"), []byte(lenderAPI), 0o600))
	provider := rest.Provider()
	conn := fetch.Connection{Name: lenderName, Provider: provider.Name, Environment: "prod", BaseURL: l.url, AuthURL: l.url + "/token",
		Dir: dir, Settings: &rest.Settings{Description: "lender.yaml"},
		Credentials: map[string]fetch.Secret{
			"client_id":     fetch.NewSecret("the-client"),
			"client_secret": fetch.NewSecret("the-secret-of-it")}}
	driver, err := provider.Open(conn)
	must(b, err)
	return driver, conn
}

// night fires the job and waits for its verdict.
func (l *lender) night(b *testing.B, engine *jobs.Engine) int {
	job, err := engine.Job(claims)
	must(b, err)
	run, _, err := engine.Fire(b.Context(), job, queue.Manual, time.Now())
	must(b, err)
	verdict := verdictOf(b, l.pool, run)
	var items, records int
	must(b, l.pool.QueryRow(b.Context(), `SELECT count(*), sum(i.records)
		FROM items i
		JOIN batches b ON b.id = i.batch_id
		WHERE b.run_id = $1`, run.ID).Scan(&items, &records))
	if verdict != string(queue.VerdictComplete) || records != benchConsents*l.records {
		b.Fatalf("%d items with %d records, verdict %q", items, records, verdict)
	}
	return items
}

// lenderEnv makes the test binary a lender whose answers have so many records.
const lenderEnv = "SYNCER_BENCH_LENDER"

// serveLender serves the lender until its stdin is closed. Its address is the first line of stdout.
func serveLender(records string) error {
	n, err := strconv.Atoi(records)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"a-token-of-the-lender","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("GET /mandates/{mandate}/claims", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", r.PathValue("mandate"))
		_, _ = io.WriteString(w, claimsOf(r.PathValue("mandate"), n))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = listener.Close()
	}()
	if err := http.Serve(listener, mux); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// claimsOf is the answer for a mandate.
func claimsOf(mandate string, records int) string {
	var list []string
	for i := range records {
		list = append(list, fmt.Sprintf(`{"claim_id":"%s-%d","creditor":"Sparebanken Sogn","kind":"consumer_loan","owed":"%d.50","lent":"%d.00",`+
			`"as_of":"2026-10-01T06:00:00Z"}`, mandate, i, 1000+i, 20000+i))
	}
	return `{"claims":[` + strings.Join(list, ",") + `]}`
}
