package persist_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"syncer/finance"
)

// keepAnswers commits n pages of a consent whose answers are kept for an hour, and gives the calls.
func (h *fixture) keepAnswers(t *testing.T, n int) []finance.CallID {
	t.Helper()
	s := transactionsStream(h.consents(t, 1)[0], "acc")
	var calls []finance.CallID
	for i := range n {
		p := transactionsPage(s, "page "+strconv.Itoa(i), "t"+strconv.Itoa(i), "bread")
		p.Keep = time.Hour
		commitAll(t, newWriter(h.pool), p)
		calls = append(calls, p.Call.ID)
	}
	return calls
}

func (h *fixture) drop(t *testing.T, most, want int) {
	t.Helper()
	if n, err := h.Streams.DropAnswers(t.Context(), most); n != want || err != nil {
		t.Errorf("dropped %d, want %d; %v", n, want, err)
	}
}

// An answer goes when its time is over and not before, a bounded number at a time, and nothing of its content stays;
// who asks for the call hears until when it was kept.
func TestAnswersGoWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	calls := h.keepAnswers(t, 4)
	h.drop(t, 100, 0)
	h.exec(t, "UPDATE answers SET keep_until = now() - interval '1 second' WHERE call_id <> $1", [16]byte(calls[3]))
	h.drop(t, 2, 2)
	h.drop(t, 2, 1)
	h.drop(t, 2, 0)
	if n := queryInt(t, h.pool, "SELECT count(*) FROM answers WHERE body IS NULL AND body_hash = '' AND bytes > 0"); n != 3 {
		t.Errorf("%d answers without content, want 3", n)
	}
	for i, call := range calls {
		r, err := h.Read.CallByID(t.Context(), call)
		must(t, err)
		if gone := r.KeptUntil.Before(time.Now()); r.Kept == gone || gone != (i < 3) || time.Until(r.KeptUntil) > time.Hour {
			t.Errorf("call %d: kept %v, until %s", i, r.Kept, r.KeptUntil)
		}
	}
	if broken, err := h.Read.Verify(t.Context()); len(broken) != 0 || err != nil {
		t.Errorf("verify: %v, %v", broken, err)
	}
}

// A page whose answer is gone is still an unchanged page when the provider repeats it: nothing is decoded and nothing
// is kept anew. When it changes, what is new is kept.
func TestAPageOutlivesItsAnswer(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	w := newWriter(h.pool)
	s := transactionsStream(h.consents(t, 1)[0], "acc")
	p := transactionsPage(s, "p1", "t1", "bread")
	p.Keep, p.Remember = time.Hour, true
	commitAll(t, w, p)
	h.exec(t, "UPDATE answers SET keep_until = now()")
	h.drop(t, 10, 1)

	_, kept, err := w.StateAndKept(t.Context(), s)
	must(t, err)
	known, ok := kept[p.Key]
	if !ok || known.Body != p.Hash || known.Call != p.Call.ID {
		t.Fatalf("remembered: %v, %+v", ok, known)
	}
	again := transactionsPage(s, "p1", "t1", "bread")
	again.Keep, again.Remember, again.Unchanged, again.KeptCall, again.Records = time.Hour, true, true, known.Call, finance.Records{}
	commitAll(t, w, again)
	if n := queryInt(t, h.pool, "SELECT count(body) FROM answers"); n != 0 {
		t.Errorf("%d answers are kept anew", n)
	}
	r, err := h.Read.CallByID(t.Context(), again.Call.ID)
	if err != nil || r.Kept || r.KeptAs != p.Call.ID || r.KeptUntil.IsZero() {
		t.Errorf("the repeated call: %+v, %v", r, err)
	}
	news := transactionsPage(s, "p1", "t1", "butter")
	news.Keep, news.Remember = time.Hour, true
	commitAll(t, w, news)
	if r, err := h.Read.CallByID(t.Context(), news.Call.ID); err != nil || !r.Kept {
		t.Errorf("the changed page: %+v, %v", r, err)
	}
	if broken, err := h.Read.Verify(t.Context()); len(broken) != 0 || err != nil {
		t.Errorf("verify: %v, %v", broken, err)
	}
}

// Several processes that drop at once share the work: none waits for another, and none does what another has done.
func TestDroppingIsShared(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.fillAnswers(t, 300, "-1 hour")
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 3 {
		other := h.sibling(t, 0)
		wg.Go(func() {
			for {
				n, err := other.Streams.DropAnswers(t.Context(), 20)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
				if n == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	if n := queryInt(t, h.pool, "SELECT count(body) FROM answers"); n != 0 || total != 300 {
		t.Errorf("%d dropped, %d left", total, n)
	}
}

// fillAnswers makes answers of calls that there are not, to be kept for an interval from now.
func (h *fixture) fillAnswers(t *testing.T, n int, keep string) {
	t.Helper()
	h.exec(t, `INSERT INTO answers (call_id, body_hash, bytes, body, keep_until)
		SELECT gen_random_uuid(), '\x01', 10, '\x01', now() + $2::interval + n * interval '1 ms' FROM generate_series(1, $1::int) n`, n, keep)
}
