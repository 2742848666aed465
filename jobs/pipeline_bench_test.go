package jobs_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/sbanken"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/embedded"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/seal"
	"syncer/persist/write"
	"syncer/sandbox"
	banksim "syncer/sandbox/sbanken"
)

// BenchmarkPipeline is the whole way of a transaction, from the sandbox over HTTP to its committed row, with
// everything that a night has but a rate: claims, fences, admission, recorded calls, tokens, answers sealed and kept,
// lineage and history. Beside it, in the same run, stand a plain COPY of the same typed rows into the same table over
// one connection, and a plain download of the same pages; docs/decisions/007-write-path.md has figures of a quiet
// machine.
//
//	first      nothing is there
//	repeat     the same again, and no page is remembered: every row is decoded and looked up
//	unchanged  the same again, by its bytes
//	million    first, beside a million rows of other consents
//
// of-COPY is rows/s over those of the COPY. of-floor is the CPU time of syncer and Postgres over theirs in download
// and COPY. of-empty is the time a row of million over that of first.
func BenchmarkPipeline(b *testing.B) {
	p := newPipeline(b)
	var empty float64
	for _, c := range []struct {
		name    string
		beside  int
		passes  int // before those that are measured
		prepare string
	}{
		{name: "first", prepare: forget},
		{name: "repeat", passes: 1, prepare: "TRUNCATE pages"},
		{name: "unchanged", passes: 2, prepare: "SELECT"},
		{name: "million", beside: 1_000_000, prepare: forget},
	} {
		b.Run(c.name, func(b *testing.B) {
			p.clear(b, c.beside)
			copied := p.copy(b)
			floor := p.download(b)
			for range c.passes {
				p.pass(b)
			}
			var passes []cost
			for b.Loop() {
				p.exec(b, c.prepare, "CHECKPOINT")
				passes = append(passes, p.measure(b, func() int { return p.pass(b) }))
			}
			got := median(passes)
			if c.name == "first" {
				empty = 1 / got.rate()
			}
			b.Logf("COPY      %v", copied)
			b.Logf("download  %v", floor)
			b.Logf("pipeline  %v", got)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(got.rate(), "rows/s")
			b.ReportMetric(got.rate()/copied.rate(), "of-COPY")
			b.ReportMetric(got.cpu()/(floor.cpu()+copied.cpu()), "of-floor")
			b.ReportMetric(got.aRow(got.client), "client-µs/row")
			b.ReportMetric(got.aRow(got.postgres), "pg-µs/row")
			b.ReportMetric(got.aRow(got.bank), "bank-µs/row")
			b.ReportMetric(float64(got.wal)/float64(got.rows), "WAL-B/row")
			if c.beside > 0 && empty > 0 {
				b.ReportMetric(1/got.rate()/empty, "of-empty")
			}
		})
	}
}

// median is the cost whose rate is in the middle.
func median(all []cost) cost {
	slices.SortFunc(all, func(x, y cost) int { return cmp.Compare(x.rate(), y.rate()) })
	return all[len(all)/2]
}

// benchWorld has few accounts with many transactions, so that it is pages that count. Its transactions end two months
// ago: the bank's list of recent ones, which repeats what the archive has, is empty then.
func benchWorld() banksim.Options {
	return banksim.Options{
		Seed: 7, Customers: 12, Transactions: 15_000, Days: 240, Reservations: -1, Today: time.Now().AddDate(0, -2, 0),
		PageCache: 512 << 20,
	}
}

const (
	pageRows    = 100 // transactions a page
	benchBeside = 1_000_000_000
)

// pipeline is a bank in another process, a Postgres of its own with everything that makes it durable, and an engine.
type pipeline struct {
	*meter
	url    string
	pool   *pgxpool.Pool
	store  *persist.Store
	engine *jobs.Engine
	asked  []string // the pages, for the download: customer, space, URL
	rows   int
}

func newPipeline(b *testing.B) *pipeline {
	durableServer(b)
	p := &pipeline{pool: persisttest.New(b)}
	var pid int
	p.url, pid = startBank(b, benchWorld())
	p.meter = newMeter(b, p.pool, pid)
	p.start(b)
	return p
}

// durableServer starts a Postgres with everything that makes it durable, for the databases of a benchmark.
func durableServer(b *testing.B) {
	dir, err := embedded.DefaultDir()
	must(b, err)
	server, err := embedded.Start(b.Context(), embedded.Options{Dir: dir + "-bench"})
	must(b, err)
	b.Cleanup(func() { must(b, server.Stop(context.WithoutCancel(b.Context()))) })
	b.Setenv("SYNCER_TEST_DATABASE_URL", server.URL())
}

// verdictOf waits for a run's verdict. It is cheaper than Engine.Follow, which would be measured too.
func verdictOf(b *testing.B, pool *pgxpool.Pool, run queue.Run) (verdict string) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for ; verdict == ""; <-ticker.C {
		must(b, pool.QueryRow(b.Context(), "SELECT coalesce(verdict, '') FROM runs WHERE id = $1", run.ID).Scan(&verdict))
	}
	return verdict
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start imports the consents and starts the engine.
func (p *pipeline) start(b *testing.B) {
	keys, err := seal.NewKeyset()
	must(b, err)
	sealer, err := seal.OpenSealer(keys)
	must(b, err)
	p.store = persist.NewStore(p.pool, sealer, pg.Worker{ID: uuid.New(), Host: "benchmark"})
	must(b, p.store.Connections.Use(b.Context(), bank, connections.Endpoint{Provider: "sbanken"}))
	var list []consents.Import
	world := banksim.New(withKit(benchWorld()))
	for i := range world.Len() {
		list = append(list, consents.Import{ExternalID: fmt.Sprintf("agreement-%d", i),
			NationalID: world.Customer(i).CustomerID, KeepPlain: true})
	}
	_, err = p.store.Consents.Import(b.Context(), bank, list)
	must(b, err)
	life, end := context.WithCancel(context.WithoutCancel(b.Context()))
	writer := write.NewWriter(p.pool, sealer, write.WriterOptions{})
	committer := write.StartCommitter(life, writer, 0)
	p.engine, err = jobs.New(jobs.Options{
		Store: p.store, Pages: writer, Committer: committer, Pool: p.pool, Log: zerolog.Nop(), Serve: []string{money},
		Connections: []*jobs.Connection{{Name: bank, Endpoint: connections.Endpoint{Provider: "sbanken"}, Connector: p.client(b, p.store.Admit).Connector(),
			Concurrency: 8, Keep: 30 * 24 * time.Hour}},
		Jobs: []jobs.Job{{Name: money, Connection: bank, Datasets: []finance.Dataset{finance.Accounts, finance.Transactions},
			Zone: time.UTC, BatchSize: 6, History: history, Lookback: history}},
		Batches: 2, Lease: 10 * time.Second, Heartbeat: time.Second, Sweep: time.Second, Drain: time.Second,
	})
	must(b, err)
	must(b, p.engine.Start(life))
	b.Cleanup(func() {
		must(b, p.engine.Stop(life))
		end()
		committer.Wait()
	})
}

// history is how far back every pass reads, also one that follows another.
const history = 330

func (p *pipeline) client(b *testing.B, store fetch.CallStore) *fetch.Client {
	provider, creds := sbanken.Provider(), banksim.DefaultClient()
	c := fetch.Connection{Name: bank, Provider: provider.Name, Environment: "prod", BaseURL: p.url, AuthURL: p.url,
		Settings: &sbanken.Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: pageRows},
		Credentials: map[string]fetch.Secret{
			"client_id": fetch.NewSecret(creds.ID), "client_secret": fetch.NewSecret(creds.Secret)}}
	driver, err := provider.Open(c)
	must(b, err)
	driver.Rate = 0
	client, err := fetch.NewClient(fetch.Options{Connection: c, Driver: driver, Concurrency: 8, AllowPrivate: true,
		Calls: store, Tokens: p.store.Tokens, Log: zerolog.Nop()})
	must(b, err)
	b.Cleanup(client.CloseIdle)
	return client
}

// know reads every page once, so that the bank has rendered it, and gives its typed rows for the COPY. They are not
// kept: millions of values on the heap would make each of syncer's collections dear.
func (p *pipeline) know(b *testing.B) (groups [][][]any) {
	connector := p.client(b, fetchtest.NewCallStore()).Connector()
	world := banksim.New(withKit(benchWorld()))
	var pages []persisttest.CopyPage
	today := finance.DateOf(time.Now())
	p.rows, p.asked = 0, nil
	for i := range world.Len() {
		consent, err := p.store.Consents.ByExternalID(b.Context(), bank, fmt.Sprintf("agreement-%d", i))
		must(b, err)
		for _, account := range world.Customer(i).Accounts {
			s := finance.Stream{Consent: consent.ID, Dataset: finance.Transactions, Account: account.AccountID}
			q := fetch.Stream{Stream: s, Task: calls.Task{Dataset: s.Dataset, Consent: &consent}, Today: today, Since: today.AddDays(-history)}
			for page, err := range connector.Pages(b.Context(), q, "") {
				must(b, err)
				pages = append(pages, persisttest.CopyPage{Consent: s.Consent, Call: page.Answer.Call.ID, Transactions: page.Records.Transactions})
				p.rows += len(page.Records.Transactions)
			}
			for at := 0; at < benchWorld().Transactions; at += pageRows {
				p.asked = append(p.asked, fmt.Sprintf("%s %s%s/Transactions/archive/%s?startDate=%s&index=%d&length=%d",
					world.Customer(i).CustomerID, p.url, banksim.V2, s.Account, q.Since, at, pageRows))
			}
		}
	}
	return persisttest.CopyRows(pages, 25)
}

// download is what it costs to get the pages and throw them away.
func (p *pipeline) download(b *testing.B) cost {
	token := p.token(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func(asked string) error {
		customer, page, _ := strings.Cut(asked, " ")
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, page, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("customerId", customer)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || n < 30_000 {
			return fmt.Errorf("status %d, %d bytes: %w", resp.StatusCode, n, err)
		}
		return nil
	}
	var passes []cost
	for range 4 { // the first one renders, for these pages are cut otherwise than the connector's
		passes = append(passes, p.measure(b, func() int {
			var g errgroup.Group
			g.SetLimit(8)
			for _, asked := range p.asked {
				g.Go(func() error { return get(asked) })
			}
			must(b, g.Wait())
			return p.rows
		}))
	}
	return median(passes[1:])
}

func (p *pipeline) token(b *testing.B) string {
	c := banksim.DefaultClient()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, p.url+banksim.TokenPath, strings.NewReader("grant_type=client_credentials"))
	must(b, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	client := &http.Client{}
	resp, err := client.Do(req)
	must(b, err)
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	must(b, json.NewDecoder(resp.Body).Decode(&answer))
	return answer.Token
}

// copy is what the plain COPY costs, beside the rows that are there. It leaves nothing behind.
func (p *pipeline) copy(b *testing.B) cost {
	var passes []cost
	groups := p.know(b)
	for range 3 {
		p.exec(b, forget, "CHECKPOINT")
		passes = append(passes, p.measure(b, func() int {
			rows, _ := persisttest.Copy(b, p.pool, groups)
			return rows
		}))
	}
	p.exec(b, forget)
	return median(passes)
}

// pass fires the job and waits for its verdict.
func (p *pipeline) pass(b *testing.B) int {
	job, err := p.engine.Job(money)
	must(b, err)
	run, _, err := p.engine.Fire(b.Context(), job, queue.Manual, time.Now())
	must(b, err)
	verdict := verdictOf(b, p.pool, run)
	var n int
	must(b, p.pool.QueryRow(b.Context(), `SELECT sum(i.records) FROM items i JOIN batches b ON b.id = i.batch_id
		WHERE b.run_id = $1 AND i.dataset = 'transactions'`, run.ID).Scan(&n))
	if verdict != string(queue.VerdictComplete) || n != p.rows {
		b.Fatalf("%d of %d rows, verdict %q", n, p.rows, verdict)
	}
	return n
}

// forget makes the tables as they were before the first load. The rows of other consents stay.
const forget = `DELETE FROM transactions WHERE consent_id < 1000000000;
	TRUNCATE transactions_history, accounts, balances, cursors, pages, calls, answers`

// clear empties the tables, and puts the rows of other consents beside what comes.
func (p *pipeline) clear(b *testing.B, beside int) {
	p.exec(b, "TRUNCATE transactions", forget)
	if beside > 0 {
		persisttest.Beside(b, p.pool, benchBeside, beside)
	}
	p.exec(b, "VACUUM ANALYZE transactions")
}

func (p *pipeline) exec(b *testing.B, statements ...string) {
	for _, sql := range statements {
		_, err := p.pool.Exec(b.Context(), sql)
		must(b, err)
	}
	if strings.HasPrefix(statements[0], "DELETE") {
		_, err := p.pool.Exec(b.Context(), "VACUUM transactions")
		must(b, err)
	}
}

func withKit(o banksim.Options) banksim.Options {
	o.Kit = sandbox.NewKit(sandbox.KitOptions{Seed: o.Seed})
	return o
}
