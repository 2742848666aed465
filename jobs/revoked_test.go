package jobs_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

const (
	manyConsents = 10_000
	revokers     = 4
	revokeFor    = 15 * time.Second
)

// inFlight is how long after a consent has ended a call may still be sent for it: the store was asked just before. A
// call that waits for its slot looks again, so it is the same at any rate.
const inFlight = time.Second

// Of ten thousand consents many are revoked while eight workers call for them. A call that the store was asked
// for after the commit of the revocation is never sent, by the sandbox's journal; those that were on their way at that
// instant are counted.
func TestNoCallAfterARevocation(t *testing.T) {
	if testing.Short() {
		t.Skip("revokes for fifteen seconds")
	}
	persisttest.Turn(t)
	l := newLab(t, ngsim.Options{Consents: manyConsents, DebtFree: 0.9, MaxLoans: 1}, banksim.Options{})
	l.importNG(manyConsents)
	var nodes []*node
	for range 4 { // of two slots each
		nodes = append(nodes, l.start(nodeOptions{batchSize: 50, concurrency: 4}))
	}
	l.fire(nodes[0], debt)
	known := l.revokeSome()
	for _, n := range nodes {
		n.stop()
	}
	l.must(l.kit.Journal.WaitForAnswers(t.Context()))
	sent := l.sentAt()
	flying, before, untouched, worst := 0, 0, len(known), time.Duration(0)
	for _, e := range l.kit.Journal.Entries() {
		ended, revoked := known[e.Subject]
		if !revoked || e.Template != debtTemplate {
			continue
		}
		untouched--
		at, ok := sent[e.RequestID]
		if !ok {
			at = e.Wall // still being committed
		}
		if !at.After(ended) {
			before++
			continue
		}
		flying++
		worst = max(worst, at.Sub(ended))
	}
	t.Logf("%d revoked: %d had been called for, %d calls were in flight (at most %s), %d were never called for",
		len(known), before, flying, worst.Round(time.Microsecond), untouched)
	if worst > inFlight {
		t.Errorf("a call was sent %s after its consent had ended", worst)
	}
	if flying > len(known)/100 {
		t.Errorf("%d calls of %d were in flight: too many to be a coincidence", flying, len(known))
	}
	if len(known) < 100 || before < len(known)/100 || untouched < len(known)/10 {
		t.Errorf("the revocations did not race with the calls: %d before, %d never called for", before, untouched)
	}
}

// revokeSome revokes consents through the store for a while, side by side, each at random among those that the workers
// are about to come to or have just come to. Then it waits until the workers have passed them all. It gives when each
// revocation was certainly committed.
func (l *lab) revokeSome() map[string]time.Time {
	l.Helper()
	ids := l.idsByExternal()
	known := map[string]time.Time{}
	tried := map[int]bool{}
	last := 0
	var mu sync.Mutex
	choose := func() (i int, ok bool) {
		done := l.number("SELECT count(*) FROM items WHERE outcome IS NOT NULL")
		mu.Lock()
		defer mu.Unlock()
		i = done - 250 + rand.IntN(500) // the workers go by our number, eight batches of fifty at once
		i -= i % 2                      // half of them stay, so that there is work
		if i < 0 || i >= manyConsents || tried[i] {
			return 0, false
		}
		tried[i], last = true, max(last, i)
		return i, true
	}
	deadline := time.Now().Add(revokeFor)
	var wg sync.WaitGroup
	for range revokers {
		wg.Go(func() {
			ticker := time.NewTicker(2 * time.Millisecond)
			defer ticker.Stop()
			for now := range ticker.C {
				if now.After(deadline) {
					return
				}
				i, ok := choose()
				if !ok {
					continue
				}
				external := l.ng.Consent(i).ID
				changed, err := l.store.Consents.End(l.Context(), ids[external], finance.ConsentRevoked, "withdrawn", consents.FromFeed, finance.CallID{})
				committed := time.Now()
				if err != nil || !changed {
					l.Errorf("revoke: %v, %v", changed, err)
					return
				}
				mu.Lock()
				known[external] = committed
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	most := ids[l.ng.Consent(last).ID]
	l.eventuallyWithin(30*time.Second, "the workers have passed all that were revoked", func() bool {
		return l.number("SELECT count(*) FROM items WHERE outcome IS NULL AND consent_id <= $1", most) == 0
	})
	return known
}

func (l *lab) idsByExternal() map[string]int64 {
	l.Helper()
	return pairs[int64](l, "SELECT external_id, id FROM consents")
}

// sentAt is when each recorded call was sent, by the id that the journal has too.
func (l *lab) sentAt() map[string]time.Time {
	l.Helper()
	all := map[string]time.Time{}
	for id, at := range pairs[time.Time](l, "SELECT id::text, sent_at FROM calls") {
		all[uuid.MustParse(id).String()] = at
	}
	return all
}

func pairs[V any](l *lab, sql string) map[string]V {
	l.Helper()
	rows, err := l.db.Pool.Query(l.Context(), sql)
	l.must(err)
	all := map[string]V{}
	var key string
	var value V
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		all[key] = value
		return nil
	})
	l.must(err)
	return all
}
