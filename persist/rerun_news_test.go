package persist_test

import (
	"fmt"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/queue"
)

// What a run lacks of consents that were revoked since is excused, and the run is settled by the rest.
// What a consent that was for a single use lacks is lost, and stays so.
func TestWhatIsMissingOfEndedConsentsIsExcused(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	run, batches := h.plan(t, 10)
	h.work(t, batches[0], finance.Failed, finance.Empty, finance.Partial)
	_, _, err := h.Queue.Settle(t.Context(), run.ID)
	must(t, err)
	excused := func(want int, verdict queue.Verdict) {
		t.Helper()
		n, err := h.Plan.ExcuseEnded(t.Context(), run.ID)
		must(t, err)
		got, err := h.Queue.RunByID(t.Context(), run.ID)
		if must(t, err); n != want || got.Verdict != verdict {
			t.Errorf("%d items are excused, the run is %s; want %d, %s", n, got.Verdict, want, verdict)
		}
	}
	excused(0, queue.VerdictPartial)
	h.exec(t, "UPDATE consents SET status = 'revoked', ended_at = now() WHERE id = $1", ids[0])
	h.exec(t, "UPDATE consents SET status = 'consumed_unknown', ended_at = now() WHERE id = $1", ids[2])
	excused(1, queue.VerdictPartial)
	h.exec(t, "UPDATE consents SET status = 'expired' WHERE id = $1", ids[2])
	excused(1, queue.VerdictComplete)
	excused(0, queue.VerdictComplete)
}

// Whoever waits for others is told whether somebody is there; the dead and those at other jobs don't count.
func TestWhoWorksAJob(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for i, lease := range []time.Duration{time.Hour, time.Hour, -time.Hour} {
		s := h.sibling(t, 0)
		s.Workers.Works([]string{fmt.Sprintf("job-%d", i%2), "both"})
		must(t, s.Workers.Heartbeat(t.Context(), lease))
	}
	for job, want := range map[string]int{"job-0": 1, "job-1": 1, "both": 2, "none": 0} {
		if n, err := h.Workers.Working(t.Context(), job); n != want || err != nil {
			t.Errorf("%d processes work %s, want %d; %v", n, job, want, err)
		}
	}
}

// A job whose last run failed is seen, however often another has run since.
func TestTheLastRunOfEveryJob(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	run := func(job string, kind queue.RunKind, outcome finance.Outcome) int64 {
		t.Helper()
		var batches []int64
		s := spec(time.Now(), 1, finance.Debts)
		s.Job, s.Kind = job, kind
		if kind == queue.Backfill {
			s.WindowFrom, s.WindowTo = finance.NewDate(2026, 1, 1), finance.NewDate(2026, 1, 2)
		}
		r, _, err := h.Plan.Run(t.Context(), s, listBatches(&batches))
		must(t, err)
		if outcome != "" {
			h.work(t, batches[0], outcome)
			_, _, err = h.Queue.Settle(t.Context(), r.ID)
			must(t, err)
		}
		return r.ID
	}
	nightly := run("nightly", queue.Manual, finance.Failed)
	run("nightly", queue.Backfill, finance.Empty)
	run("minutely", queue.Manual, finance.Empty)
	last := run("minutely", queue.Manual, finance.Empty)
	run("minutely", queue.Manual, "")
	got, err := h.Read.LastOfJobs(t.Context())
	must(t, err)
	if len(got) != 2 || got[0].ID != last || got[1].ID != nightly || got[1].Verdict != queue.VerdictFailed {
		t.Errorf("%+v", got)
	}
}
