package jobs_test

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/norskgjeld"
	"syncer/fetch/sbanken"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/seal"
	"syncer/persist/write"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// lab is a database, both simulators over HTTP, and any number of engines on them. The sandbox's journal is the
// witness of what really arrived.
type lab struct {
	testing.TB
	kit    *sandbox.Kit
	ng     *ngsim.Simulator
	bank   *banksim.Simulator
	ngURL  string
	bkURL  string
	db     persisttest.Database
	sealer *seal.Sealer
	store  *persist.Store // the test's own

	remarks remarks // of its processes
}

// The two connections of a lab, and the job that each has.
const (
	ng, bank    = "ng", "bank"
	debt, money = "debt", "money"
	moves       = "moves" // transactions alone
)

func newLab(t testing.TB, ngo ngsim.Options, bko banksim.Options) *lab {
	t.Helper()
	l := &lab{TB: t, kit: sandbox.NewKit(sandbox.KitOptions{Seed: 7}), db: persisttest.NewDatabase(t)}
	server, err := sandbox.Start(l.kit)
	l.must(err)
	t.Cleanup(func() { _ = server.Close() })
	ngo.Kit, bko.Kit = l.kit, l.kit
	if ngo.Start.IsZero() {
		ngo.Start = time.Now().Add(-time.Hour)
	}
	if bko.Quota == nil {
		bko.Quota = &sandbox.Quota{}
	}
	l.ng, l.bank = ngsim.New(ngo), banksim.New(bko)
	l.ngURL, err = server.Mount("ng", l.ng.Handler())
	l.must(err)
	l.bkURL, err = server.Mount("bank", l.bank.Handler())
	l.must(err)
	keys, err := seal.NewKeyset()
	l.must(err)
	l.sealer, err = seal.OpenSealer(keys)
	l.must(err)
	l.store = l.newStore()
	l.must(l.store.Connections.Use(t.Context(), ng, connections.Endpoint{Provider: "norskgjeld"}))
	l.must(l.store.Connections.Use(t.Context(), bank, connections.Endpoint{Provider: "sbanken"}))
	return l
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lab) newStore() *persist.Store {
	return persist.NewStore(l.db.Pool, l.sealer, pg.Worker{ID: uuid.New(), Host: "test"})
}

// importNG imports the first n seeded consents of the registry.
func (l *lab) importNG(n int) {
	l.Helper()
	var list []consents.Import
	for i := range n {
		c := l.ng.Consent(i)
		list = append(list, consents.Import{ExternalID: c.ID, NationalID: c.NationalID, Scopes: []string{c.Scope},
			ValidUntil: c.ValidUntil, SingleUse: c.SingleUse})
	}
	_, err := l.store.Consents.Import(l.Context(), ng, list)
	l.must(err)
}

// importBank imports the first n customers of the bank.
func (l *lab) importBank(n int) {
	l.Helper()
	var list []consents.Import
	for i := range n {
		list = append(list, consents.Import{ExternalID: fmt.Sprintf("agreement-%d", i),
			NationalID: l.bank.Customer(i).CustomerID, KeepPlain: true})
	}
	_, err := l.store.Consents.Import(l.Context(), bank, list)
	l.must(err)
}

// node is one process of the lab.
type node struct {
	*jobs.Engine
	id    uuid.UUID // of its row in workers
	store *persist.Store
	stop  func() // as SIGTERM and the end of the process; again: nothing
}

// nodeOptions are what tests change of a process.
type nodeOptions struct {
	secret      string // of the client of the registry; empty: the right one
	batchSize   int
	concurrency int
	batches     int // 0: 2
	maxWait     time.Duration
	timeout     time.Duration
	drain       time.Duration
	idle        bool           // plans and answers no wake-up
	only        bool           // works only the runs that it is told to
	mute        bool           // says only once that it lives; see lapse
	schedule    *jobs.Schedule // of the debt job
	step        func(string)
	wrap        func(fetch.Connector) fetch.Connector // around each connector; nil: nothing
	log         zerolog.Logger
	pool        *pgxpool.Pool // nil: the lab's
	purposes    []string      // of the jobs debt and moves
	sweep       time.Duration // 0: 200 ms
	history     int           // days, of the money job; 0: 400
	inFlight    time.Duration // of unanswered single-use calls; 0: no status is asked for behind them
	more        *aggregator   // a further connection, with a job of the same name; nil: none
}

// start brings a process up. It ends with the test, or by stop.
func (l *lab) start(o nodeOptions) *node {
	l.Helper()
	o.settle()
	pool := cmp.Or(o.pool, l.db.Pool)
	id := uuid.New()
	store := persist.NewStore(pool, l.sealer, pg.Worker{ID: id, Host: "test"})
	conns := []*jobs.Connection{l.connection(store, ng, o), l.connection(store, bank, o)}
	writer := write.NewWriter(pool, l.sealer, write.WriterOptions{Step: o.step})
	life, end := context.WithCancel(context.WithoutCancel(l.Context()))
	committer := write.StartCommitter(life, writer, 0)
	options := jobs.Options{
		Store: store, Pages: writer, Committer: committer, Pool: pool, Connections: conns, Log: l.logOf(o),
		Jobs: []jobs.Job{
			{Name: debt, Connection: ng, Datasets: []finance.Dataset{finance.Debts}, Zone: time.UTC, BatchSize: o.batchSize,
				Schedule: o.schedule, Purposes: o.purposes},
			{Name: money, Connection: bank, Datasets: []finance.Dataset{finance.Accounts, finance.Transactions},
				Zone: time.UTC, BatchSize: o.batchSize, History: cmp.Or(o.history, 400), Lookback: 10},
			{Name: moves, Connection: bank, Datasets: []finance.Dataset{finance.Transactions}, Purposes: o.purposes,
				Zone: time.UTC, BatchSize: o.batchSize, History: cmp.Or(o.history, 400), Lookback: 10},
		},
		// A process that a busy machine keeps from its heartbeat would lose its batches, and what it has in hand.
		Batches: cmp.Or(o.batches, 2), Lease: time.Minute, Heartbeat: 300 * time.Millisecond, Sweep: cmp.Or(o.sweep, 200*time.Millisecond),
		Drain: o.drain, Step: o.step,
	}
	if o.more != nil {
		options.Connections = append(options.Connections, o.more.connection(store, o))
		options.Jobs = append(options.Jobs, o.more.job(o))
	}
	if o.mute {
		options.Lease, options.Heartbeat = 3*time.Hour, time.Hour
	}
	options.Only = o.only
	if !o.idle {
		options.Serve = []string{debt, money, moves}
		if o.more != nil {
			options.Serve = append(options.Serve, o.more.name)
		}
	}
	engine, err := jobs.New(options)
	l.must(err)
	l.must(engine.Start(life))
	var once sync.Once
	n := &node{Engine: engine, id: id, store: store}
	n.stop = func() {
		once.Do(func() {
			if err := engine.Stop(life); err != nil {
				l.Errorf("stop: %v", err)
			}
			end()
			committer.Wait()
		})
	}
	l.Cleanup(n.stop)
	return n
}

// lapse ends the leases of all processes that have said so far that they live.
func (l *lab) lapse() {
	l.Helper()
	_, err := l.db.Pool.Exec(l.Context(), "UPDATE workers SET expires_at = clock_timestamp()")
	l.must(err)
}

func (o *nodeOptions) settle() {
	if o.batchSize == 0 {
		o.batchSize = 5
	}
	if o.concurrency == 0 {
		o.concurrency = 4
	}
	if o.maxWait == 0 {
		o.maxWait = 20 * time.Second
	}
	if o.timeout == 0 {
		o.timeout = 10 * time.Second
	}
	if o.wrap == nil {
		o.wrap = func(c fetch.Connector) fetch.Connector { return c }
	}
	if o.drain == 0 {
		o.drain = 10 * time.Second
	}
}

func (l *lab) connection(store *persist.Store, name string, o nodeOptions) *jobs.Connection {
	l.Helper()
	provider, c := norskgjeld.Provider(), fetch.Connection{Name: name, Environment: "preprod", BaseURL: l.ngURL, AuthURL: l.ngURL}
	id, secret := ngsim.DefaultClient().ID, ngsim.DefaultClient().Secret
	if o.secret != "" {
		secret = o.secret
	}
	if name == bank {
		provider, c = sbanken.Provider(), fetch.Connection{Name: name, Environment: "prod", BaseURL: l.bkURL, AuthURL: l.bkURL}
		id, secret = banksim.DefaultClient().ID, banksim.DefaultClient().Secret
	}
	c.Provider, c.Settings = provider.Name, provider.Settings()
	c.Credentials = map[string]fetch.Secret{"client_id": fetch.NewSecret(id), "client_secret": fetch.NewSecret(secret)}
	driver, err := provider.Open(c)
	l.must(err)
	driver.Rate = 0
	zone, err := provider.ZoneOf(c)
	l.must(err)
	client, err := fetch.NewClient(fetch.Options{
		Connection: c, Driver: driver, Concurrency: o.concurrency, Timeout: o.timeout, MaxWait: o.maxWait, AllowPrivate: true,
		Retry: fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: 5 * time.Millisecond, Budget: 10 * time.Second},
		Calls: store.Admit, Once: store.Admit, Tokens: store.Tokens, Fingerprint: l.sealer.Fingerprint, Log: zerolog.Nop(),
	})
	l.must(err)
	l.Cleanup(client.CloseIdle)
	return &jobs.Connection{Name: name, Endpoint: connections.Endpoint{Provider: provider.Name}, Connector: o.wrap(client.Connector()), Credentials: client.Credentials,
		Zone: zone, Concurrency: o.concurrency, Keep: time.Hour, InFlight: o.inFlight}
}

// fire plans a run of a job by hand.
func (l *lab) fire(n *node, job string) queue.Run {
	l.Helper()
	j, err := n.Job(job)
	l.must(err)
	run, created, err := n.Fire(l.Context(), j, queue.Manual, time.Now())
	l.must(err)
	if !created {
		l.Fatalf("run %d of %s was there already", run.ID, job)
	}
	return run
}

// settled waits for a run's verdict.
func (l *lab) settled(n *node, run queue.Run) read.Report {
	l.Helper()
	l.eventually(fmt.Sprintf("run %d has its verdict", run.ID), func() bool {
		return l.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict IS NOT NULL", run.ID) == 1
	})
	report, err := n.store.Read.Report(l.Context(), run.ID)
	l.must(err)
	return report
}

// run fires a job and waits for its verdict.
func (l *lab) run(n *node, job string) read.Report {
	l.Helper()
	return l.settled(n, l.fire(n, job))
}

// rerun reruns a settled run and waits for the rerun's verdict. It gives the root run's report too.
func (l *lab) rerun(n *node, run queue.Run, s plan.Selection) (rerun, root read.Report) {
	l.Helper()
	again, created, err := n.Rerun(l.Context(), run, s)
	l.must(err)
	if !created {
		l.Fatalf("a rerun of run %d is going already", run.ID)
	}
	rerun = l.settled(n, again)
	root, err = n.store.Read.Report(l.Context(), run.ID)
	l.must(err)
	return rerun, root
}

// fault adds a rule to the sandbox and takes it away by the function given.
func (l *lab) fault(r sandbox.Rule) (clear func()) {
	l.Helper()
	id, err := l.kit.Faults.Add(r)
	l.must(err)
	return func() { l.kit.Faults.Remove(id) }
}

// consent is our consent for the seeded consent i of the registry.
func (l *lab) consent(i int) finance.Consent {
	l.Helper()
	c, err := l.store.Consents.ByExternalID(l.Context(), ng, l.ng.Consent(i).ID)
	l.must(err)
	return c
}

// calls is how many data calls for the seeded consent i have arrived at the registry.
func (l *lab) calls(i int) int { return l.kit.Journal.CountSubject(ngsim.Name, l.ng.Consent(i).ID) }

// number runs a query that gives one number.
func (l *lab) number(sql string, args ...any) int {
	l.Helper()
	var n int
	if err := l.db.Pool.QueryRow(l.Context(), sql, args...).Scan(&n); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
	return n
}

// kept fails the test if the tables break a promise.
func (l *lab) kept() {
	l.Helper()
	broken, err := l.store.Read.Verify(l.Context())
	l.must(err)
	for _, b := range broken {
		l.Errorf("%s (%d): %s", b.Rule, b.Count, b.What)
	}
	const unnamed = `SELECT count(*)
		FROM items i
		JOIN batches b ON b.id = i.batch_id
		JOIN runs r ON r.id = b.run_id
		WHERE r.verdict IS NOT NULL
		AND i.outcome IN ('partial', 'excused', 'failed')
		AND i.cause IS NULL`
	if n := l.number(unnamed); n > 0 {
		l.Errorf("%d items of settled runs are not whole, and have no cause", n)
	}
}

// eventually waits until ok, looking often.
func (l *lab) eventually(what string, ok func() bool) {
	l.Helper()
	// A batch that a busy machine has interrupted a few times rests for up to a minute.
	l.eventuallyWithin(2*time.Minute, what, ok)
}

func (l *lab) eventuallyWithin(most time.Duration, what string, ok func() bool) {
	l.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(most)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			l.tellState()
			l.Fatalf("it did not come to this: %s", what)
		}
	}
}
