package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/queue"
)

// One bank of an aggregator is down: whichever of sixty consents it has, the others are read within twice the time of a
// quiet night, and those that fail are decided with what they were answered.
func TestABankThatIsDownHoldsUpNoOther(t *testing.T) {
	if testing.Short() {
		t.Skip("measures six nights of sixty consents")
	}
	persisttest.Turn(t)
	const consents = 60
	anywhere := rand.New(rand.NewPCG(9, 3)).Perm(consents)
	upTo := func(from, to int) (list []int) {
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		return list
	}
	for _, tt := range []struct {
		name string
		down []int
	}{
		{"the first twenty", upTo(0, 20)},
		{"the middle twenty", upTo(20, 40)},
		{"the last twenty", upTo(40, 60)},
		{"all but the last", upTo(0, 59)},
		{"all but the first", upTo(1, 60)},
		{"six anywhere", anywhere[:6]},
		{"thirty anywhere", anywhere[:30]},
		{"fifty anywhere", anywhere[:50]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAggregator(t, consents, "a1")
			n := a.start(nodeOptions{more: a, batchSize: consents})
			began := time.Now()
			if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
				t.Fatalf("the quiet night: %s", r.Run.Verdict)
			}
			quiet := time.Since(began)

			for _, i := range tt.down {
				a.answers(fmt.Sprintf("c%d/accounts", i), withStatus(500))
				a.answers(txPath(fmt.Sprintf("c%d", i), "a1"), withStatus(500))
			}
			began = time.Now()
			run := a.fire(n, a.name)
			a.eventually("the others are read", func() bool {
				return a.number(decidedItems+" AND i.outcome = 'rows'", run.ID) == 2*(consents-len(tt.down))
			})
			if took := time.Since(began); took > 2*quiet+time.Second {
				t.Errorf("the others were read in %s, a quiet night takes %s", took, quiet)
			}
			r := a.settled(n, run)
			if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 2*len(tt.down) {
				t.Errorf("%s: %d items", r.Run.Verdict, len(r.NotComplete))
			}
			for _, item := range r.NotComplete {
				if item.Outcome != finance.Failed || item.Class != finance.Transient || !strings.Contains(item.Reason, "REFUSED") {
					t.Errorf("%+v", item)
				}
			}
		})
	}
}

// Of a provider that answers nobody at all little is asked: each consent once, and then one call in half a minute.
func TestAProviderThatIsDownIsAskedLittle(t *testing.T) {
	t.Parallel()
	const consents = 200
	a := newAggregator(t, consents, "a1")
	for i := range consents {
		a.answers(fmt.Sprintf("c%d/accounts", i), withStatus(500))
	}
	n := a.start(nodeOptions{more: a, batchSize: consents})
	a.fire(n, a.name)
	a.eventually("the batch parked by the breaker", func() bool {
		return a.number("SELECT count(*) FROM batches WHERE state = 'parked' AND park_reason LIKE '%breaker%'") == 1
	})
	n.stop()
	asked := a.took()
	if len(asked) > 64+4 || len(distinct(asked)) != len(asked) {
		t.Errorf("%d calls for %d consents", len(asked), len(distinct(asked)))
	}
}

// When the provider has answered nobody for a quarter of an hour, those that were asked for have failed by what they were
// answered, and those that were not have not failed.
func TestWhoWasNeverAskedHasNotFailed(t *testing.T) {
	t.Parallel()
	const consents = 100
	a := newAggregator(t, consents, "a1")
	for i := range consents {
		a.answers(fmt.Sprintf("c%d/accounts", i), withStatus(500))
	}
	n := a.start(nodeOptions{more: a, batchSize: consents})
	run := a.fire(n, a.name)
	a.eventually("the batch parked by the breaker", func() bool {
		return a.number("SELECT count(*) FROM batches WHERE state = 'parked' AND park_reason LIKE '%breaker%'") == 1
	})
	for _, sql := range []string{"UPDATE runs SET created_at = now() - interval '16 minutes'",
		"UPDATE batches SET wake_at = now() WHERE state = 'parked'"} {
		_, err := a.db.Pool.Exec(t.Context(), sql)
		a.must(err)
	}
	r := a.settled(n, run)
	asked := distinct(a.took())
	ours := a.consentIDs()
	if r.Run.Verdict == queue.VerdictComplete || len(r.NotComplete) != 2*consents {
		t.Errorf("%s with %d items", r.Run.Verdict, len(r.NotComplete))
	}
	for _, item := range r.NotComplete {
		was := slices.Contains(asked, ours[item.Consent]+"/accounts")
		switch {
		case was && (item.Outcome != finance.Failed || item.Class != finance.Transient || !strings.Contains(item.Reason, "REFUSED; the provider has given nobody a good answer")):
			t.Errorf("asked: %+v", item)
		case !was && (item.Outcome != finance.Excused || item.Class != finance.Unasked || !strings.Contains(item.Reason, "not asked for: ")):
			t.Errorf("not asked: %+v", item)
		}
	}
}

// A process that is started when only those of a bank that is down are left never sees a good answer. They are not waited
// for as for a provider that is down: others were answered well in the run, so after a minute they are decided by what they
// were answered. That minute is made to pass by the times of the run and its calls.
func TestABankThatIsDownAtTheEndIsDecided(t *testing.T) {
	t.Parallel()
	const consents, good = 30, 10
	a := newAggregator(t, consents, "a1")
	release := make(chan struct{})
	var mu sync.Mutex
	answered := map[string]bool{} // the first that are asked
	for i := range consents {
		a.answers(fmt.Sprintf("c%d/accounts", i), func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if len(answered) < good {
				answered[r.URL.Path] = true
			}
			well := answered[r.URL.Path]
			mu.Unlock()
			if well {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}]}`)
				return
			}
			select {
			case <-release:
				withStatus(500)(w, r)
			case <-r.Context().Done():
			}
		})
	}
	first := a.start(nodeOptions{more: a, batchSize: consents, drain: time.Millisecond})
	run := a.fire(first, a.name)
	a.eventually("the good ones are read", func() bool {
		return a.number(decidedItems+" AND i.outcome = 'rows'", run.ID) == 2*good
	})
	first.stop()
	close(release)
	n := a.start(nodeOptions{more: a, batchSize: consents})
	a.eventually("the batch parked by the breaker", func() bool {
		return a.number("SELECT count(*) FROM batches WHERE state = 'parked' AND park_reason LIKE '%breaker%'") == 1
	})
	a.took()
	for _, sql := range []string{
		"UPDATE calls SET sent_at = sent_at - interval '2 minutes'",
		"UPDATE runs SET created_at = created_at - interval '2 minutes'",
		"UPDATE batches SET wake_at = now() WHERE state = 'parked'",
	} {
		_, err := a.db.Pool.Exec(t.Context(), sql)
		a.must(err)
	}
	r := a.settled(n, run)
	if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 2*(consents-good) {
		t.Errorf("%s with %d items", r.Run.Verdict, len(r.NotComplete))
	}
	for _, item := range r.NotComplete {
		if item.Outcome != finance.Failed || item.Class != finance.Transient ||
			!strings.Contains(item.Reason, "REFUSED; others were answered well in this run") {
			t.Errorf("%+v", item)
		}
	}
	if asked := a.took(); len(asked) != 0 {
		t.Errorf("%d more calls were made", len(asked))
	}
}

// The two turns of a consent make no more attempts than its connection allows, and the calls are numbered through.
func TestTwoTurnsAreNoMoreAttempts(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3, threeAccounts...)
	a.answers("c0/accounts", withStatus(500))
	a.answers(txPath("c1", "a2"), withStatus(500))
	n := a.start(nodeOptions{more: a})
	a.run(n, a.name)
	times := map[string]int{}
	for _, path := range a.took() {
		times[path]++
	}
	if times["c0/accounts"] != 3 || times[txPath("c1", "a2")] != 3 || times[txPath("c1", "a1")] != 1 || times["c2/accounts"] != 1 {
		t.Errorf("calls by path: %v", times)
	}
	if got := a.texts("SELECT attempt::text FROM calls WHERE class = 'transient' ORDER BY consent_id, id"); !slices.Equal(got, []string{"1", "2", "3", "1", "2", "3"}) {
		t.Errorf("attempts: %v", got)
	}
}

// A provider that goes down in the middle of a consent's accounts leaves its item partial, and not excused: it had begun.
func TestAnItemThatHadBegunIsNotExcused(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, threeAccounts...)
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	a.answers(txPath("c0", "a2"), hang)
	first := a.start(nodeOptions{more: a, drain: time.Millisecond})
	run := a.fire(first, a.name)
	a.eventually("the first account is read", func() bool {
		return a.number("SELECT count(*) FROM cursors WHERE dataset = 'transactions'") == 1 && slices.Contains(a.seen(), txPath("c0", "a2"))
	})
	first.stop()
	// The breaker is open, and nobody was answered well for a quarter of an hour.
	for _, sql := range []string{
		"INSERT INTO lone_gates (key, connection, not_before, reason) VALUES ('aggregator', 'aggregator', now() + interval '1 hour', 'breaker')",
		"UPDATE calls SET sent_at = sent_at - interval '20 minutes'",
		"UPDATE runs SET created_at = created_at - interval '20 minutes'",
	} {
		_, err := a.db.Pool.Exec(t.Context(), sql)
		a.must(err)
	}
	r := a.settled(a.start(nodeOptions{more: a}), run)
	if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	item := r.NotComplete[0]
	if item.Outcome != finance.Partial || item.Class != finance.Unasked || !strings.HasPrefix(item.Reason, "2 of 3 accounts refused: a2 (unasked: ") {
		t.Errorf("%+v", item)
	}
}
