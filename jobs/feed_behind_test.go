package jobs_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

const statusTemplate, debtTemplate = "/v1/debt/{consent}/status", "/v1/debt/{consent}"

// forgetFeed makes the feed of the registry look as if it was read last so long ago.
func (l *lab) forgetFeed(ago string) {
	l.Helper()
	if _, err := l.db.Pool.Exec(l.Context(), "UPDATE connections SET feed_read_at = now() - $2::interval WHERE name = $1", ng, ago); err != nil {
		l.Fatal(err)
	}
}

// askedFirst checks by the journal that each of the consents was asked for its status once, before the first
// call for anybody's debt, and that debt was asked for of all but the revoked ones, once each.
func (l *lab) askedFirst(all []int, revoked ...int) {
	l.Helper()
	l.must(l.kit.Journal.WaitForAnswers(l.Context()))
	statuses, debts := map[string]int{}, map[string]int{}
	for _, e := range l.kit.Journal.Entries() {
		switch e.Template {
		case statusTemplate:
			if statuses[e.Subject]++; len(debts) > 0 {
				l.Errorf("call %d asks for a status after a call for debt", e.Seq)
			}
		case debtTemplate:
			debts[e.Subject]++
		}
	}
	for _, i := range all {
		id, want := l.ng.Consent(i).ID, 1
		if slices.Contains(revoked, i) {
			want = 0
		}
		if statuses[id] != 1 || debts[id] != want {
			l.Errorf("consent %d: its status was asked for %d times, its debt %d times, want %d", i, statuses[id], debts[id], want)
		}
	}
}

// A feed that is behind by more than its provider keeps events: before anybody's debt is asked for, everybody's status
// is, and who has revoked is not called for. The registry has forgotten the revocations, so the feed can't tell them.
func TestFeedThatIsBehindHoldsDebtBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lost func(l *lab)
	}{
		{"by the time it was read", func(l *lab) { l.forgetFeed("7 days 1 minute") }},
		{"by its own word", func(l *lab) { l.kit.Clock.Advance(8 * 24 * time.Hour) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, ngsim.Options{Consents: 40, Lifetime: 300 * 24 * time.Hour}, banksim.Options{})
			l.importNG(40)
			var lasting []int // which are still good after the clock has moved
			for i := range 40 {
				if l.ng.Consent(i).ValidUntil.After(time.Now().Add(9 * 24 * time.Hour)) {
					lasting = append(lasting, i)
				} else if _, err := l.store.Consents.End(t.Context(), l.consent(i).ID, finance.ConsentExpired, "short", consents.FromOperator, finance.CallID{}); err != nil {
					t.Fatal(err)
				}
			}
			n := l.start(nodeOptions{})
			if _, err := n.SyncConsents(t.Context(), ng); err != nil {
				t.Fatal(err)
			}
			revoked := []int{lasting[4], lasting[11]}
			for _, i := range revoked {
				l.ng.Revoke(l.ng.Consent(i).ID)
			}
			tt.lost(l)
			if _, err := l.db.Pool.Exec(t.Context(), "UPDATE connections SET feed_read_at = feed_read_at - interval '1 minute'"); err != nil {
				t.Fatal(err) // or it was read so recently that it is not read again
			}
			l.kit.Journal.Reset()
			if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete || r.Run.Expected != len(lasting)-2 {
				t.Errorf("verdict %s of %d items: %+v", r.Run.Verdict, r.Run.Expected, r.NotComplete)
			}
			l.askedFirst(lasting, revoked...)
		})
	}
}

// A run that was planned before everybody went down for a week is held back as well, and of two processes that come up
// one asks for the statuses while the other waits.
func TestBatchesOfBeforeTheGapAreHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 20}, banksim.Options{})
	l.importNG(20)
	planner := l.start(nodeOptions{idle: true})
	run := l.fire(planner, debt)
	planner.stop()
	l.forgetFeed("8 days")
	for _, i := range []int{2, 17} {
		l.ng.Revoke(l.ng.Consent(i).ID)
	}
	l.kit.Journal.Reset()
	var nodes [2]*node
	var wg sync.WaitGroup
	for i := range nodes {
		nodes[i] = l.start(nodeOptions{})
	}
	wg.Go(func() { // a tick that comes at the same time waits as well
		if _, err := nodes[0].SyncConsents(t.Context(), ng); err != nil {
			t.Log(err)
		}
	})
	r := l.settled(nodes[0], run)
	wg.Wait()
	if c := r.Counts[0]; r.Run.Verdict != queue.VerdictComplete || c.Excused != 2 {
		t.Errorf("verdict %s, %+v", r.Run.Verdict, c)
	}
	l.askedFirst(allOf(20), 2, 17)
}

// While the statuses can't be had nobody's debt is asked for, and the run waits for them instead of failing.
func TestRunWaitsForTheStatuses(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for two pauses of four seconds")
	}
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 5}, banksim.Options{})
	l.importNG(5)
	planner := l.start(nodeOptions{idle: true})
	run := l.fire(planner, debt)
	l.forgetFeed("8 days")
	clear := l.fault(sandbox.Rule{Template: statusTemplate, Times: 2, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 4}}})
	defer clear()
	l.kit.Journal.Reset()
	n := l.start(nodeOptions{maxWait: time.Second})
	l.eventually("a parked batch", func() bool { return l.number("SELECT count(*) FROM batches WHERE state = 'parked'") == 1 })
	if reason := l.text("SELECT park_reason FROM batches"); reason == "" {
		t.Error("the batch does not say why it waits")
	}
	if r := l.settled(n, run); r.Run.Verdict != queue.VerdictComplete || r.Counts[0].Expected != 5 {
		t.Errorf("verdict %s, %+v", r.Run.Verdict, r.Counts)
	}
	var order []string
	for _, e := range l.kit.Journal.Entries() {
		if e.Template == debtTemplate {
			order = append(order, e.Subject)
		}
		if e.Template == statusTemplate && len(order) > 0 {
			t.Error("a status was asked for after somebody's debt")
		}
	}
	if len(order) != 5 || l.consent(0).Status != finance.ConsentActive {
		t.Errorf("%d calls for debt", len(order))
	}
}

// text runs a query that gives one text.
func (l *lab) text(sql string) (text string) {
	l.Helper()
	l.must(l.db.Pool.QueryRow(l.Context(), sql).Scan(&text))
	return text
}

func allOf(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestAMassOfEndedStatusesEndsNothing: a registry that does not know our ids calls every consent inactive. Nobody ends: they
// are suspected and held, one line says so, and when the registry is right again so are we.
func TestAMassOfEndedStatusesEndsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("asks for more statuses than one chunk has")
	}
	t.Parallel()
	for name, action := range map[string]sandbox.Action{
		"inactive": {Kind: sandbox.Replace, Old: `"active":true`, New: `"active":false`},
		"refused":  {Kind: sandbox.AnswerStatus, Status: 403, Body: `{"error":"no valid consent","trace_id":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			const many = statusesMany
			l := newLab(t, ngsim.Options{Consents: many}, banksim.Options{})
			l.importNG(many)
			var log safeBuffer
			n := l.start(nodeOptions{batchSize: 100, log: zerolog.New(&log)})
			if _, err := n.SyncConsents(t.Context(), ng); err != nil {
				t.Fatal(err)
			}
			l.forgetFeed("8 days")
			mend := l.fault(sandbox.Rule{Template: statusTemplate, After: 3, Action: action})
			if _, err := n.SyncConsents(t.Context(), ng); err != nil {
				t.Errorf("the sync says %v", err)
			}
			if held, parked := l.number("SELECT count(*) FROM consents WHERE held_at IS NOT NULL AND status = 'suspected'"),
				l.number("SELECT count(*) FROM connections WHERE state = 'parked'"); held != many-3 || parked != 0 || l.ends() != 0 {
				t.Errorf("%d of %d consents are held, %d have ended, %d connections parked", held, many, l.ends(), parked)
			}
			if n := alerts(&log); n != 1 {
				t.Errorf("%d alerts: %s", n, log.String())
			}
			mend()
			l.forgetFeed("8 days") // the statuses are asked once more, and say that all are active
			if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete || r.Run.Expected != many {
				t.Errorf("the run of the mended registry is %s of %d", r.Run.Verdict, r.Run.Expected)
			}
		})
	}
}

// statusesMany is more than one chunk of statuses.
const statusesMany = 230
