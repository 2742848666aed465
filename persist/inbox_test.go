package persist_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/persist/queue"
)

// onceCall is the one call of a single-use consent.
func onceCall(consent int64) calls.Call {
	call := newCall(debtStream(consent))
	call.SentAt = call.SentAt.UTC().Truncate(time.Microsecond)
	return call
}

func status(t *testing.T, h *fixture, consent int64) finance.ConsentStatus {
	t.Helper()
	c, err := h.Consents.ByID(t.Context(), consent)
	must(t, err)
	return c.Status
}

// I8: of all who want to send, one may, and once.
func TestIntentIsFreshOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour)}
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			got, err := stores[i%2].Admit.Intend(t.Context(), onceCall(id))
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
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1, func(c *consents.Import) { c.SingleUse = true })[0]
	call := onceCall(id)
	if got, err := h.Admit.Intend(ctx, call); err != nil || !got.Fresh {
		t.Fatalf("%+v, %v", got, err)
	}
	must(t, h.Admit.Answered(ctx, call, []byte("canary debts")))
	if n := queryInt(t, h.pool, "SELECT count(*) FROM inbox WHERE position('canary' IN encode(body, 'escape')) > 0"); n != 0 {
		t.Error("the answer lies open in the table")
	}
	must(t, h.Admit.Withdraw(ctx, call)) // an answer that is stored stays
	must(t, h.Consents.UnansweredConsent(ctx, id, call.ID))
	if s := status(t, h, id); s != finance.ConsentActive {
		t.Fatalf("a consent whose answer is stored became %s", s)
	}
	again := onceCall(id)
	got, err := h.sibling(t, time.Hour).Admit.Intend(ctx, again)
	must(t, err)
	want := calls.Intent{Answered: true, Call: call, Body: []byte("canary debts")}
	want.Call.Durable, want.Call.Task = true, again.Task
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(finance.CallID{}), cmpopts.IgnoreFields(calls.Task{}, "Consent")); diff != "" {
		t.Error(diff)
	}
	must(t, h.Consents.Consume(ctx, id))
	must(t, h.Consents.Consume(ctx, id))
	if s := status(t, h, id); s != finance.ConsentConsumed {
		t.Errorf("after the page was committed the consent is %s", s)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM inbox WHERE body IS NULL AND settled_at IS NOT NULL"); n != 1 {
		t.Error("the stored body was not dropped")
	}
	if got, err := h.Admit.Intend(ctx, onceCall(id)); err == nil {
		t.Errorf("a spent consent may be used again: %+v", got)
	}
	history, err := h.Read.ConsentHistory(ctx, id)
	must(t, err)
	if len(history) != 2 || history[1].To != finance.ConsentConsumed || history[1].Call != call.ID {
		t.Errorf("history %+v", history)
	}
}

func TestUnansweredConsentIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	call := onceCall(id)
	_, err := h.Admit.Intend(ctx, call)
	must(t, err)
	must(t, h.Consents.UnansweredConsent(ctx, id, call.ID))
	must(t, h.Consents.UnansweredConsent(ctx, id, call.ID))
	if s := status(t, h, id); s != finance.ConsentConsumedUnknown {
		t.Errorf("the consent is %s", s)
	}
	got, err := h.Admit.Intend(ctx, onceCall(id))
	if err != nil || got.Fresh || got.Answered {
		t.Errorf("%+v, %v", got, err)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consent_events WHERE to_status = 'consumed_unknown'"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestWithdrawnIntentIsFreshAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	call := onceCall(id)
	for range 2 {
		if got, err := h.Admit.Intend(t.Context(), call); err != nil || !got.Fresh {
			t.Fatalf("%+v, %v", got, err)
		}
		must(t, h.Admit.Withdraw(t.Context(), onceCall(id))) // another's call takes nothing back
		if got, err := h.Admit.Intend(t.Context(), call); err != nil || got.Fresh {
			t.Fatalf("%+v, %v", got, err)
		}
		must(t, h.Admit.Withdraw(t.Context(), call))
	}
}

func TestAnswerOfAnotherCallIsRefused(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1)[0]
	_, err := h.Admit.Intend(t.Context(), onceCall(id))
	must(t, err)
	if err := h.Admit.Answered(t.Context(), onceCall(id), nil); err == nil {
		t.Error("an answer was stored for a call that nobody intended")
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM calls"); n != 0 {
		t.Error("half of the commit was kept")
	}
}

// A process that dies right behind the decision on an item leaves its consent to the run's verdict: nobody comes back to a
// decided item, and a spent consent must not stay active.
func TestAVerdictSettlesTheInbox(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.SingleUse = true })[0]
	run, batches := h.plan(t, 10)
	claimed := claim(t, h.Store, batches[0])
	call := onceCall(id)
	if intent, err := h.Admit.Intend(t.Context(), call); err != nil || !intent.Fresh {
		t.Fatalf("%+v, %v", intent, err)
	}
	must(t, h.Admit.Answered(t.Context(), call, []byte(`{}`)))
	must(t, h.Queue.DecideItem(t.Context(), claimed.ID, claimed.Fence, id, finance.Debts, decision(finance.Empty)))
	must(t, h.Queue.Finish(t.Context(), claimed.ID, claimed.Fence))
	verdict, settled, err := h.Queue.Settle(t.Context(), run.ID)
	if err != nil || !settled || verdict != queue.VerdictComplete {
		t.Fatalf("%s, %v, %v", verdict, settled, err)
	}
	for sql, want := range map[string]string{
		"SELECT status FROM consents": "consumed",
		"SELECT count(*) FROM inbox WHERE settled_at IS NULL OR body IS NOT NULL":        "0",
		"SELECT source || ' ' || to_status FROM consent_events ORDER BY id DESC LIMIT 1": "answer consumed",
	} {
		if got := strings.Join(queryAll(t, h.pool, sql), ","); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// A list that says nothing of it in a line does not make a consent one for many calls.
func TestAnEmptyCellKeepsSingleUse(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for _, c := range []consents.Import{
		{ExternalID: "a", SingleUse: true},
		{ExternalID: "a", UseUnknown: true, Purpose: "advice"},
	} {
		_, err := h.Consents.Import(t.Context(), "bank", []consents.Import{c})
		must(t, err)
	}
	const kept = "SELECT count(*) FROM consents WHERE single_use AND purpose = 'advice'"
	if n := queryInt(t, h.pool, kept); n != 1 {
		t.Errorf("%d consents are for single use and for advice", n)
	}
}
