package persist_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncer/finance"
	"syncer/persist"
)

// onceCall is the one call of a single-use consent.
func onceCall(consent int64) finance.Call {
	call := newCall(debtStream(consent))
	call.SentAt = call.SentAt.UTC().Truncate(time.Microsecond)
	return call
}

func status(t *testing.T, h *house, consent int64) finance.ConsentStatus {
	t.Helper()
	c, err := h.Consent(t.Context(), consent)
	must(t, err)
	return c.Status
}

// I8: of all who want to send, one may, and once.
func TestIntentIsFreshOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.consents(t, 1)[0]
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour)}
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			got, err := stores[i%2].Intend(t.Context(), onceCall(id))
			if err != nil {
				t.Error(err)
			}
			if got.Fresh {
				fresh.Add(1)
			}
			if got.Answered {
				t.Error("an answer where none came")
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("fresh %d times, want once", fresh.Load())
	}
}

// The answer is there for whoever comes next, until its page is committed; then it is dropped and the consent is over.
func TestStoredAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	id := h.consents(t, 1, func(c *persist.ConsentImport) { c.SingleUse = true })[0]
	call := onceCall(id)
	if got, err := h.Intend(ctx, call); err != nil || !got.Fresh {
		t.Fatalf("%+v, %v", got, err)
	}
	must(t, h.Answered(ctx, call, []byte("canary debts")))
	if n := queryInt(t, h.pool, "SELECT count(*) FROM inbox WHERE position('canary' IN encode(body, 'escape')) > 0"); n != 0 {
		t.Error("the answer lies open in the table")
	}
	must(t, h.Withdraw(ctx, call)) // an answer that is stored stays
	must(t, h.UnansweredConsent(ctx, id, call.ID))
	if s := status(t, h, id); s != finance.ConsentActive {
		t.Fatalf("a consent whose answer is stored became %s", s)
	}
	again := onceCall(id)
	got, err := h.sibling(t, time.Hour).Intend(ctx, again)
	must(t, err)
	want := finance.Intent{Answered: true, Call: call, Body: []byte("canary debts")}
	want.Call.Durable, want.Call.Scope = true, again.Scope
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(finance.CallID{}), cmpopts.IgnoreFields(finance.Scope{}, "Consent")); diff != "" {
		t.Error(diff)
	}
	must(t, h.SettleInbox(ctx, id))
	must(t, h.SettleInbox(ctx, id))
	if s := status(t, h, id); s != finance.ConsentConsumed {
		t.Errorf("after the page was committed the consent is %s", s)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM inbox WHERE body IS NULL AND settled_at IS NOT NULL"); n != 1 {
		t.Error("the stored body was not dropped")
	}
	if got, err := h.Intend(ctx, onceCall(id)); err == nil {
		t.Errorf("a spent consent may be used again: %+v", got)
	}
	history, err := h.ConsentHistory(ctx, id)
	must(t, err)
	if len(history) != 2 || history[1].To != finance.ConsentConsumed || history[1].Call != call.ID {
		t.Errorf("history %+v", history)
	}
}

func TestUnansweredConsentIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	call := onceCall(id)
	_, err := h.Intend(ctx, call)
	must(t, err)
	must(t, h.UnansweredConsent(ctx, id, call.ID))
	must(t, h.UnansweredConsent(ctx, id, call.ID))
	if s := status(t, h, id); s != finance.ConsentConsumedUnknown {
		t.Errorf("the consent is %s", s)
	}
	got, err := h.Intend(ctx, onceCall(id))
	if err != nil || got.Fresh || got.Answered {
		t.Errorf("%+v, %v", got, err)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consent_events WHERE to_status = 'consumed_unknown'"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestWithdrawnIntentIsFreshAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.consents(t, 1)[0]
	call := onceCall(id)
	for range 2 {
		if got, err := h.Intend(t.Context(), call); err != nil || !got.Fresh {
			t.Fatalf("%+v, %v", got, err)
		}
		must(t, h.Withdraw(t.Context(), onceCall(id))) // another's call takes nothing back
		if got, err := h.Intend(t.Context(), call); err != nil || got.Fresh {
			t.Fatalf("%+v, %v", got, err)
		}
		must(t, h.Withdraw(t.Context(), call))
	}
}

func TestAnswerOfAnotherCallIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.consents(t, 1)[0]
	_, err := h.Intend(t.Context(), onceCall(id))
	must(t, err)
	if err := h.Answered(t.Context(), onceCall(id), nil); err == nil {
		t.Error("an answer was stored for a call that nobody intended")
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM calls"); n != 0 {
		t.Error("half of the commit was kept")
	}
}
