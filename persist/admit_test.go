package persist_test

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/pg"
)

// ask is a question for a call of bank that should pass.
func ask(rate float64) calls.Ask {
	return calls.Ask{Connection: "bank", Bucket: "bank", PerSecond: rate}
}

func admission(t testing.TB, s *persist.Store, a calls.Ask) calls.Admission {
	t.Helper()
	got, err := s.Admit.Admit(t.Context(), a)
	must(t, err)
	return got
}

// I4: three processes that reserve side by side never get two slots closer than the interval, and none twice. The
// slots begin an hour ahead, so that they stand without gaps: after n of them the next is exactly n intervals later.
func TestSlotsOfThreeProcessesKeepTheirDistance(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const rate, each, askers = 100.0, 20, 8
	h.exec(t, "INSERT INTO gates (bucket, connection, next_slot) VALUES ('bank', 'bank', date_trunc('second', now()) + interval '1 hour')")
	h.exec(t, "CREATE TABLE before AS SELECT next_slot FROM gates")
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	slots := make(chan time.Time, len(stores)*each*askers)
	var wg sync.WaitGroup
	for _, s := range stores {
		for range askers {
			wg.Go(func() {
				for range each {
					a, err := s.Admit.Admit(t.Context(), ask(rate))
					if err != nil || a.Refusal != "" || a.Gate != 0 {
						t.Errorf("admit: %+v, %v", a, err)
						return
					}
					slots <- time.Now().Add(a.SendIn)
				}
			})
		}
	}
	wg.Wait()
	close(slots)
	n := int64(len(stores) * each * askers)
	interval := int64(10153) // microseconds: 1/(0.985*100), rounded up
	got := queryInt(t, h.pool, "SELECT (extract(epoch FROM g.next_slot - b.next_slot) * 1e6)::bigint FROM gates g, before b")
	if got != n*interval {
		t.Errorf("%d slots span %d us, want %d of %d us", n, got, n*interval, interval)
	}
	if got := queryInt(t, h.pool, "SELECT reserved FROM gates"); got != n {
		t.Errorf("%d slots reserved, want %d", got, n)
	}
	all := slices.SortedFunc(func(yield func(time.Time) bool) {
		for s := range slots {
			if !yield(s) {
				return
			}
		}
	}, time.Time.Compare)
	// Seen from here a slot is late by the answer's way back, so neighbours may blur; the whole may not.
	if span := all[n-1].Sub(all[0]); span < time.Duration((n-10)*interval)*time.Microsecond {
		t.Errorf("the slots that were told span only %v", span)
	}
}

// Every slot of one crowd is its own, in the order of asking.
func TestCrowdGetsDistinctSlots(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const n, rate = 200, 10.0
	slots := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			begin := time.Now()
			a, err := h.Admit.Admit(t.Context(), ask(rate))
			if err != nil {
				t.Error(err)
			}
			slots[i] = time.Since(begin) + a.SendIn
		})
	}
	wg.Wait()
	slices.Sort(slots)
	for i := 1; i < n; i++ {
		// 101.5 ms apart where they are made; the way back may blur that by far less than half of it.
		if d := slots[i] - slots[i-1]; d < 50*time.Millisecond {
			t.Fatalf("slots %d and %d are only %v apart", i-1, i, d)
		}
	}
	if want := time.Duration(n-1) * 101 * time.Millisecond; slots[n-1] < want {
		t.Errorf("the last of %d slots is in %v, want at least %v", n, slots[n-1], want)
	}
}

func TestAdmitRefuses(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 6)
	h.exec(t, "UPDATE consents SET valid_from = now() + interval '1 hour' WHERE id = $1", ids[1])
	h.exec(t, "UPDATE consents SET valid_until = clock_timestamp() WHERE id = $1", ids[2])
	_, err := h.Consents.End(t.Context(), ids[3], finance.ConsentRevoked, "told so", consents.FromFeed, finance.CallID{})
	must(t, err)
	must(t, h.Connections.Use(t.Context(), "other", connections.Endpoint{Provider: "vipps"}))
	if _, err := h.Connections.Park(t.Context(), "other", finance.Fatal, "wrong secret"); err != nil {
		t.Fatal(err)
	}
	must(t, h.Connections.Use(t.Context(), "third", connections.Endpoint{Provider: "vipps"}))
	if _, err := h.Connections.ParkCredentials(t.Context(), "bank", "old", finance.Fatal, "status 401"); err != nil {
		t.Fatal(err)
	}
	_, batches := h.plan(t, 10)
	fence := claim(t, h.Store, batches[0]).Fence
	consent := func(i int) calls.Task { return calls.Task{Consent: &finance.Consent{ID: ids[i]}} }
	for _, test := range []struct {
		name    string
		ask     calls.Ask
		refusal finance.Class
		reason  string
	}{
		{"an active consent passes", calls.Ask{Task: consent(0)}, "", ""},
		{"a live fence passes", calls.Ask{Task: calls.Task{Batch: batches[0], Fence: fence}}, "", ""},
		{"not begun", calls.Ask{Task: consent(1)}, finance.Refused, "not valid yet: from 2"},
		{"over by the clock", calls.Ask{Task: consent(2)}, finance.Refused, "consent ended: expired"},
		{"revoked", calls.Ask{Task: consent(3)}, finance.Refused, "consent ended: revoked"},
		{"unknown", calls.Ask{Task: calls.Task{Consent: &finance.Consent{ID: 1 << 40}}}, finance.Refused, "not known"},
		{"an old fence", calls.Ask{Task: calls.Task{Batch: batches[0], Fence: fence - 1}}, finance.Fenced, "taken over"},
		{"no such batch", calls.Ask{Task: calls.Task{Batch: 1 << 40, Fence: 1}}, finance.Fenced, "taken over"},
		{"parked", calls.Ask{Connection: "other"}, finance.Fatal, "connection other is parked: wrong secret"},
		{"parked for all", calls.Ask{Connection: "other", Credentials: "new"}, finance.Fatal, "connection other is parked: wrong secret"},
		{"refused credentials", calls.Ask{Credentials: "old"}, finance.Fatal, "connection bank is parked for these credentials: status 401"},
		{"refused credentials of another connection", calls.Ask{Connection: "third", Credentials: "old"}, "", ""},
		{"other credentials", calls.Ask{Credentials: "new"}, "", ""},
		{"refused credentials and an old fence", calls.Ask{Credentials: "old", Task: calls.Task{Batch: batches[0], Fence: fence - 1}},
			finance.Fenced, "taken over"},
		{"refused credentials for a revoked consent", calls.Ask{Credentials: "old", Task: consent(3)}, finance.Fatal, "these credentials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.ask.Bucket, test.ask.PerSecond = "refused", 1
			if test.ask.Connection == "" {
				test.ask.Connection = "bank"
			}
			got := admission(t, h.Store, test.ask)
			if got.Refusal != test.refusal || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("got %q (%s), want %q (%s)", got.Refusal, got.Reason, test.refusal, test.reason)
			}
		})
	}
	if got := queryInt(t, h.pool, "SELECT reserved FROM gates WHERE bucket = 'refused'"); got != 4 {
		t.Errorf("%d slots reserved: a refused call must not take one", got)
	}
}

// I9: four reads a day are four, however many ask at once, from wherever, and a call that goes on spends none.
func TestDailyReads(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 4 })[0]
	opening := ask(0)
	opening.Opening, opening.Task = true, calls.Task{Consent: &finance.Consent{ID: id}}
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	got := make(chan calls.Admission, 30)
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() { got <- admission(t, stores[i%3], opening) })
	}
	wg.Wait()
	close(got)
	passed := 0
	for a := range got {
		if a.Refusal == "" {
			passed++
		} else if a.Refusal != finance.Spent || !strings.HasPrefix(a.Reason, "daily reads spent: next at 20") {
			t.Errorf("refused as %+v", a)
		}
	}
	if passed != 4 {
		t.Errorf("%d reads passed, want 4", passed)
	}
	next := opening
	next.Opening = false
	if a := admission(t, h.Store, next); a.Refusal != "" {
		t.Errorf("the next page of an opened read: %+v", a)
	}
	earlier := func(by string) {
		h.exec(t, "UPDATE consent_reads SET at = at - $1::interval WHERE at = (SELECT min(at) FROM consent_reads)", by)
	}
	earlier("24 hours")
	if a := admission(t, h.Store, opening); a.Refusal == "" {
		t.Error("a day after its slot the first read counts no more, although it was sent a moment after its slot")
	}
	earlier("10 seconds")
	if a := admission(t, h.Store, opening); a.Refusal != "" {
		t.Errorf("a day after the first read: %+v", a)
	}
	if a := admission(t, h.Store, opening); a.Refusal == "" {
		t.Error("one read came back after a day, but two were given out")
	}
}

// What is asked for with refused credentials spends no read of the consent's day.
func TestRefusedCredentialsSpendNoRead(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 1 })[0]
	_, err := h.Connections.ParkCredentials(t.Context(), "bank", "old", finance.Fatal, "wrong secret")
	must(t, err)
	opening := ask(0)
	opening.Opening, opening.Task, opening.Credentials = true, calls.Task{Consent: &finance.Consent{ID: id}}, "old"
	if a := admission(t, h.Store, opening); a.Refusal != finance.Fatal {
		t.Errorf("with refused credentials: %+v", a)
	}
	opening.Credentials = "new"
	if a := admission(t, h.Store, opening); a.Refusal != "" {
		t.Errorf("with others: %+v", a)
	}
}

// A read that was not made is given back once, and only the one that was spent for that call.
func TestRefundedReadCanBeMade(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2, func(c *consents.Import) { c.ReadsPerDay = 2 })
	opening := func(consent int64) calls.Ask {
		a := ask(0)
		a.Opening, a.Task, a.Call = true, calls.Task{Consent: &finance.Consent{ID: consent}}, newCall(debtStream(consent)).ID
		return a
	}
	first, second, other := opening(ids[0]), opening(ids[0]), opening(ids[1])
	for _, a := range []calls.Ask{first, second, other} {
		if got := admission(t, h.Store, a); got.Refusal != "" {
			t.Fatalf("refused: %+v", got)
		}
	}
	for range 2 {
		must(t, h.Admit.Refund(t.Context(), first))
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consent_reads"); n != 2 {
		t.Errorf("%d reads are spent, want 2", n)
	}
	if got := admission(t, h.Store, opening(ids[0])); got.Refusal != "" {
		t.Errorf("the read that was given back: %+v", got)
	}
	if got := admission(t, h.Store, opening(ids[0])); got.Refusal != finance.Spent {
		t.Errorf("a third read of two: %+v", got)
	}
}

// A look says what Admit would say and leaves nothing behind: no slot, no read, no transaction.
func TestLookReservesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 1 })[0]
	a := ask(10)
	a.Opening, a.Task = true, calls.Task{Consent: &finance.Consent{ID: id}}
	for range 3 {
		got, err := h.Admit.Look(t.Context(), a)
		if err != nil || got.Refusal != "" || got.Gate > 0 {
			t.Fatalf("look: %+v, %v", got, err)
		}
	}
	if n := queryInt(t, h.pool, "SELECT (SELECT count(*) FROM consent_reads) + (SELECT count(*) FROM gates)"); n != 0 {
		t.Errorf("%d reads and slots are spent", n)
	}
	_, err := h.Consents.End(t.Context(), id, finance.ConsentRevoked, "told so", consents.FromFeed, finance.CallID{})
	must(t, err)
	if got, err := h.Admit.Look(t.Context(), a); err != nil || got.Refusal != finance.Refused {
		t.Errorf("after the consent has ended: %+v, %v", got, err)
	}
}

// A consent that names scopes is called for what they cover only.
func TestScopesAreChecked(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const show, assess = "debt.unsecured.presentation", "debt.unsecured.processing"
	for _, test := range []struct {
		name          string
		scopes, needs []string
		refused       bool
	}{
		{"names none", nil, []string{show}, false},
		{"nothing is needed", []string{"accounts"}, nil, false},
		{"names it", []string{"openid", show}, []string{show}, false},
		{"names one of two", []string{assess}, []string{show, assess}, false},
		{"names it with days", []string{show + ".50"}, []string{show}, false},
		{"names another", []string{"accounts"}, []string{show, assess}, true},
		{"names only its beginning", []string{"debt.unsecured"}, []string{show}, true},
		{"names something beneath it", []string{show + ".admin"}, []string{show}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := h.consents(t, 1, func(c *consents.Import) { c.Scopes = test.scopes })[0]
			a := ask(0)
			a.Task, a.Needs = calls.Task{Consent: &finance.Consent{ID: id}}, test.needs
			got := admission(t, h.Store, a)
			if (got.Refusal == finance.Refused) != test.refused || test.refused && !strings.Contains(got.Reason, "no scope "+show+" or "+assess) &&
				!strings.Contains(got.Reason, "no scope "+show) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The last read of a day is counted under the consent's lock: an asker waits for one who has it, and then knows of it.
func TestLastReadIsGivenOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 1 })[0]
	tx, err := h.pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for _, sql := range []string{"SELECT FROM consents WHERE id = $1 FOR NO KEY UPDATE", "INSERT INTO consent_reads (consent_id) VALUES ($1)"} {
		_, err := tx.Exec(t.Context(), sql, id)
		must(t, err)
	}
	opening := ask(0)
	opening.Opening, opening.Task = true, calls.Task{Consent: &finance.Consent{ID: id}}
	got := make(chan calls.Admission, 1)
	go func() {
		a, err := h.Admit.Admit(t.Context(), opening)
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	for queryInt(t, h.pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0 {
		select {
		case a := <-got:
			t.Fatalf("answered while another was taking the last read: %+v", a)
		default:
		}
	}
	must(t, tx.Commit(t.Context()))
	if a := <-got; a.Refusal != finance.Spent {
		t.Errorf("the last read was given twice: %+v", a)
	}
}

// A closed gate costs neither a slot nor a read.
func TestClosedGateSpendsNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 1 })[0]
	pause(t, h, calls.Pause{Bucket: "bank", For: time.Hour, Reason: "retry-after", Call: newCall(debtStream(id))})
	a := ask(10)
	a.Opening, a.Task = true, calls.Task{Consent: &finance.Consent{ID: id}}
	for _, rate := range []float64{0, 10} {
		a.PerSecond = rate
		got := admission(t, h.Store, a)
		if got.Gate < 59*time.Minute || got.Gate > time.Hour || got.Refusal != "" || got.Reason != "retry-after" {
			t.Errorf("rate %v: got %+v, want a gate of an hour", rate, got)
		}
	}
	if n := queryInt(t, h.pool, "SELECT (SELECT count(*) FROM consent_reads) + reserved FROM gates"); n != 0 {
		t.Errorf("%d reads and slots were spent", n)
	}
}

// A call without rate and budget leaves no transaction id behind: it costs no WAL and no flush.
func TestAdmitWithoutRateWritesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for range 20 {
		if a := admission(t, h.Store, ask(0)); a.Refusal != "" || a.Gate != 0 || a.SendIn > 0 {
			t.Fatalf("got %+v", a)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM gates"); n != 0 {
		t.Errorf("%d gates were made", n)
	}
}

// heldConn is a connection that keeps one answer, which it has already, from whoever waits for it, as does a process that
// is frozen.
type heldConn struct {
	net.Conn
	hold *atomic.Bool
}

func (c heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.hold.CompareAndSwap(true, false) {
		<-time.After(1500 * time.Millisecond)
	}
	return n, err
}

// A process that is frozen with the answer in its socket finds on waking a permission that has aged: its batch may be
// another's by now. That must be visible without a rate too.
func TestAPermissionAgesOnItsWay(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	config := h.pool.Config()
	config.MaxConns = 1 // a second one would be held while it is made, and not while it answers
	var hold atomic.Bool
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return heldConn{conn, &hold}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	defer pool.Close()
	s := persist.NewStore(pool, h.sealer, pg.Worker{})
	admission(t, s, ask(0))
	if a := admission(t, s, ask(0)); a.SendIn < -time.Second {
		t.Errorf("an answer that came at once: %+v", a)
	}
	hold.Store(true)
	if a := admission(t, s, ask(0)); a.SendIn > -1200*time.Millisecond || a.Refusal != "" {
		t.Errorf("an answer that was held for 1.5 s: %+v", a)
	} else if s.Admit.Holds(t.Context(), a.Said, time.Now()) {
		t.Error("an answer that was held for 1.5 s holds")
	}
}

func BenchmarkAdmit(b *testing.B) {
	for _, test := range []struct {
		name string
		rate float64
	}{{"free", 0}, {"rated", 1e6}} {
		b.Run(test.name, func(b *testing.B) {
			h := newFixture(b)
			id := h.consents(b, 1)[0]
			_, batches := h.plan(b, 10)
			a := ask(test.rate)
			a.Task = calls.Task{Batch: batches[0], Fence: claim(b, h.Store, batches[0]).Fence, Consent: &finance.Consent{ID: id}}
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if got, err := h.Admit.Admit(b.Context(), a); err != nil || got.Refusal != "" {
						b.Errorf("%+v, %v", got, err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func debtStream(consent int64) finance.Stream {
	return finance.Stream{Consent: consent, Dataset: finance.Debts}
}

// A crowd in which every call is plain is answered without a look at each. What it is told is what it is told in company of a call
// that has a rate, for which all are looked at.
func TestPlainCallsAreToldTheSame(t *testing.T) {
	t.Parallel()
	const soon, ago = "clock_timestamp() + interval '1 hour'", "clock_timestamp() - interval '1 hour'"
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	run, batches := h.plan(t, 10)
	c := claim(t, h.Store, batches[0])
	h.exec(t, "UPDATE runs SET purposes = '{credit}' WHERE id = $1", run.ID)
	h.exec(t, "UPDATE consents SET external_id = 'known', purpose = 'credit', scopes = '{a,b}' WHERE id = $1", id)
	h.exec(t, "INSERT INTO workers (id, host, pid, expires_at) VALUES ('00000000-0000-4000-8000-000000000001', 'other', 1, "+soon+")")
	const worker = "'00000000-0000-4000-8000-000000000001'"
	asked := []string{"bank", "bank", "0", "t", strconv.FormatInt(batches[0], 10), strconv.FormatInt(c.Fence, 10), strconv.FormatInt(id, 10),
		"00000000-0000-4000-8000-000000000009", "a", "20000000", "f", "mine", "print", "0", `""`, "0", "known"}
	const bucket, interval = 1, 2 // where they stand
	paced := slices.Clone(asked)
	paced[bucket] = "other"
	paced[interval] = "1000"
	for _, one := range []struct{ name, world, interval string }{
		{"plain", "SELECT", ""},
		{"ends in an hour", "UPDATE consents SET valid_until = " + soon, ""},
		{"has ended", "UPDATE consents SET valid_until = " + ago, ""},
		{"not begun", "UPDATE consents SET valid_from = " + soon, ""},
		{"revoked", "UPDATE consents SET status = 'revoked', ended_at = now()", ""},
		{"suspected", "UPDATE consents SET " + suspectedUntil("+ interval '1 hour'"), ""},
		{"suspected before", "UPDATE consents SET " + suspectedUntil("- interval '1 hour'"), ""},
		{"of another purpose", "UPDATE consents SET purpose = 'marketing'", ""},
		{"of another scope", "UPDATE consents SET scopes = '{c}'", ""},
		{"under another id", "UPDATE consents SET external_id = 'another'", ""},
		{"gone", "SET LOCAL session_replication_role = replica; DELETE FROM consents", ""},
		{"with a budget", "UPDATE consents SET reads_per_day = 4", ""},
		{"with a spent budget", "UPDATE consents SET reads_per_day = 1; INSERT INTO consent_reads (consent_id, at) SELECT id, now() FROM consents", ""},
		{"fenced off", "UPDATE batches SET fence = fence + 1", ""},
		{"of a batch that is parked", "UPDATE batches SET state = 'parked', holder = NULL", ""},
		{"over a connection that is parked", "UPDATE connections SET state = 'parked', parked_reason = 'why', parked_at = now()", ""},
		{"with credentials that are parked", "INSERT INTO credential_parks (connection, credentials, class, reason) VALUES ('bank', 'print', 'fatal', 'why')", ""},
		{"with other credentials parked", "INSERT INTO credential_parks (connection, credentials, class, reason) VALUES ('bank', 'others', 'fatal', 'why')", ""},
		{"at a closed gate", "INSERT INTO gates (bucket, connection, not_before, reason) VALUES ('bank', 'bank', " + soon + ", 'told')", ""},
		{"at an open gate", "INSERT INTO gates (bucket, connection, not_before, reason) VALUES ('bank', 'bank', " + ago + ", 'told')", ""},
		{"at a gate that is probed", "INSERT INTO gates (bucket, connection, not_before, probing) VALUES ('bank', 'bank', " + ago + ", true)", ""},
		{"in a day that is counted", "INSERT INTO gates (bucket, connection, day_calls, day_ends) VALUES ('bank', 'bank', 5, " + soon + ")", ""},
		{"in a day that was counted", "INSERT INTO gates (bucket, connection, day_calls, day_ends) VALUES ('bank', 'bank', 5, " + ago + ")", ""},
		{"at a gate of its own", "INSERT INTO lone_gates (key, connection, not_before, reason) VALUES ('mine', 'bank', " + soon + ", 'told')", ""},
		{"beside a gate of another", "INSERT INTO lone_gates (key, connection, not_before, reason) VALUES ('its', 'bank', " + soon + ", 'told')", ""},
		{"with another's rate", "INSERT INTO worker_rates (connection, worker_id, interval_us) VALUES ('bank', " + worker + ", 5000)", ""},
		{"with a dead worker's rate", "INSERT INTO worker_rates (connection, worker_id, interval_us) VALUES ('bank', " + worker + ", 5000);" +
			"UPDATE workers SET expires_at = " + ago, ""},
		{"with another's quota", "INSERT INTO worker_quotas (connection, worker_id, per_day, turns) VALUES ('bank', " + worker + ", 5, '{0,4102444800000000}')", ""},
		{"that only looks", "SELECT", "-1"},
		{"that only looks, at a closed gate", "INSERT INTO gates (bucket, connection, not_before, reason) VALUES ('bank', 'bank', " + soon + ", 'told')", "-1"},
	} {
		mine := slices.Clone(asked)
		mine[interval] = cmp.Or(one.interval, mine[interval])
		alone := toldIn(t, h, one.world, mine)
		if company := toldIn(t, h, one.world, mine, paced); alone != company {
			t.Errorf("%s: alone %s, in company %s", one.name, alone, company)
		}
	}
}

// toldIn is what the first call of a crowd is told in a world that is changed for it alone.
func toldIn(t *testing.T, h *fixture, world string, crowd ...[]string) (text string) {
	t.Helper()
	var columns []string
	for i := range crowd[0] {
		var values []string
		for _, ask := range crowd {
			values = append(values, ask[i])
		}
		columns = append(columns, "'{"+strings.Join(values, ",")+"}'")
	}
	tx, err := h.pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), world)
	must(t, err)
	err = tx.QueryRow(t.Context(), `SELECT (v.refusal, v.told, v.reason, v.gate_us > 0, v.send_us > 0, v.probe, v.awaits, v.closed, v.ends_us > 0,
		v.pace_us, v.day_us > 0, v.gate_code)::text
		FROM admit_calls_v4(`+strings.Join(columns, ", ")+`) v
		WHERE v.place = 1`).Scan(&text)
	must(t, err)
	return text
}

// Each of a plain crowd is told how long its own consent holds.
func TestPlainCallsAreToldTheirOwnEnds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 4)
	_, batches := h.plan(t, 10)
	c := claim(t, h.Store, batches[0])
	for i, id := range ids {
		if i > 0 { // the first ends never
			h.exec(t, "UPDATE consents SET valid_until = now() + $2 * interval '1 hour' WHERE id = $1", id, i)
		}
	}
	got := queryAll(t, h.pool, `SELECT v.place, round(v.ends_us / 3.6e9)::int
		FROM admit_calls_v4('{bank,bank,bank,bank}', '{bank,bank,bank,bank}', '{0,0,0,0}', '{t,t,t,t}', array_fill($1::bigint, '{4}'),
			array_fill($2::bigint, '{4}'), $3, array_fill(gen_random_uuid(), '{4}'), '{"","","",""}', '{0,0,0,0}', '{f,f,f,f}',
			'{"","","",""}', '{"","","",""}', '{0,0,0,0}', '{"","","",""}', '{0,0,0,0}', '{"","","",""}') v
		ORDER BY v.place`, batches[0], c.Fence, []int64{ids[3], ids[0], ids[2], ids[1]})
	if diff := gocmp.Diff([]string{"1 3", "2 0", "3 2", "4 1"}, got); diff != "" {
		t.Error(diff)
	}
}
