package persist_test

import (
	"slices"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// fourPurposes makes four consents: for credit, for advice, for marketing and for nothing that was said.
func fourPurposes(t *testing.T, h *fixture, change ...func(*consents.Import)) []int64 {
	t.Helper()
	var ids []int64
	for _, purpose := range []string{"credit", "advice", "marketing", ""} {
		ids = append(ids, h.consents(t, 1, append(change, func(c *consents.Import) { c.Purpose = purpose })...)...)
	}
	return ids
}

func TestPlanLeavesOtherPurposesOut(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	fourPurposes(t, h)
	for _, test := range []struct {
		purposes []string
		expected int
	}{{nil, 4}, {[]string{"credit"}, 1}, {[]string{"advice", "credit"}, 2}, {[]string{"Credit", "credi"}, 0}} {
		s := spec(time.Now(), 10, finance.Debts)
		s.Kind, s.Purposes = queue.Manual, test.purposes
		run, _, err := h.Plan.Run(t.Context(), s, listBatches(new([]int64)))
		if err != nil || run.Expected != test.expected || run.Skipped != 4-test.expected {
			t.Errorf("for %q: %d are planned and %d left out, %v", test.purposes, run.Expected, run.Skipped, err)
		}
	}
}

// What an open run has is left to it, of the consents that the run to come could have at all.
func TestOverlapIsOfTheSamePurpose(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	fourPurposes(t, h)
	h.tick(t, time.Now(), 8, 0)
	s := spec(time.Now().Add(time.Minute), 10, finance.Accounts)
	s.Purposes = []string{"credit"}
	run, _, err := h.Plan.Run(t.Context(), s, listBatches(new([]int64)))
	if err != nil || run.Expected != 0 || run.Overlapped != 1 {
		t.Errorf("%d are planned and %d left to the earlier run, want 0 and 1, %v", run.Expected, run.Overlapped, err)
	}
}

func TestFinalPullIsForThePurposesOfTheJob(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := fourPurposes(t, h, endsIn(time.Hour))
	f := finalSpec(finance.Debts)
	f.Purposes = []string{"advice"}
	if run, got := h.planFinal(t, h.Store, f); !slices.Equal(got, ids[1:2]) || run.Expected != 1 || run.Skipped != 0 {
		t.Errorf("consents %v are pulled for the last time, want %v: %+v", got, ids[1:2], run)
	}
	if due, err := h.Plan.FinalDue(t.Context(), f); due || err != nil {
		t.Errorf("another is due: %v, %v", due, err)
	}
}

// The purpose is looked at when a call is asked for, whatever it was when the run was planned. A rerun has those that
// the job has by then. A call that belongs to no run, such as one for a consent's status, is for no purpose of a job.
func TestPurposeIsCheckedAtTheCall(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.consents(t, 1, func(c *consents.Import) { c.Purpose = "credit" })[0]
	s := spec(time.Now(), 10, finance.Debts)
	s.Purposes = []string{"credit", "advice"}
	var batches []int64
	run, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
	must(t, err)
	asked := calls.Task{Run: run.ID, Batch: batches[0], Fence: claim(t, h.Store, batches[0]).Fence, Consent: &finance.Consent{ID: id}}
	refused := func(scope calls.Task, why string) {
		t.Helper()
		a := ask(0)
		a.Task = scope
		var class finance.Class
		if why != "" {
			class, why = finance.Refused, "consent was not given for this: its purpose is "+why
		}
		if got := admission(t, h.Store, a); got.Refusal != class || got.Reason != why {
			t.Errorf("got %q %q, want %q", got.Refusal, got.Reason, why)
		}
	}
	refused(asked, "")
	h.exec(t, "UPDATE consents SET purpose = 'marketing'")
	refused(asked, "marketing, the job's credit or advice")
	h.exec(t, "UPDATE consents SET purpose = ''")
	refused(asked, "not known, the job's credit or advice")
	refused(calls.Task{Consent: asked.Consent}, "")

	must(t, h.Queue.DecideItem(t.Context(), asked.Batch, asked.Fence, id, finance.Debts, decision(finance.Excused)))
	must(t, h.Queue.Finish(t.Context(), asked.Batch, asked.Fence))
	_, _, err = h.Queue.Settle(t.Context(), run.ID)
	must(t, err)
	again, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: run.ID, BatchSize: 1, Purposes: []string{"advice"}}, listBatches(&batches))
	must(t, err)
	h.exec(t, "UPDATE consents SET purpose = 'credit'")
	asked.Run, asked.Batch, asked.Fence = again.ID, batches[1], claim(t, h.Store, batches[1]).Fence
	refused(asked, "credit, the job's advice")
}
